# What the scripts of these examples share. A call stands on standard input as JSON; the values that are looked for here are
# plain words and numbers, so that no reader of JSON is needed.
call=$(cat)

input() { # NAME
    printf '%s' "$call" | sed -n "s/.*\"inputs\":{[^}]*\"$1\":\"\{0,1\}\([A-Za-z0-9.-]*\).*/\1/p"
}

done_with() { # JSON object
    printf '{ "result": "complete", "outputs": %s }\n' "$1"
}

mkdir -p state
