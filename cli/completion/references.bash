
# Names of the cluster that commands are about, asked of its station; nothing where it does not answer.
_mainstay_with_names() {
    _mainstay "$@"
    local line="${COMP_LINE:0:COMP_POINT}" current word name names
    current="${line##*[[:space:]]}"
    # What the generated part takes for words: the places of references.
    local -a offered=()
    for word in "${COMPREPLY[@]}"; do
        case "$word" in '['*|'<'*) ;; *) offered+=("$word") ;; esac
    done
    COMPREPLY=("${offered[@]}")
    case "$current" in -*) return ;; esac
    local -a typed
    read -r -a typed <<< "${line%"$current"}"
    names="$("${typed[0]}" complete-words -- "${typed[@]:1}" 2>/dev/null)" || return 0
    # Bash puts the completion behind the last of its word breaks.
    local kept=""
    case "$COMP_WORDBREAKS" in *@*) kept="${current%"${current##*@}"}" ;; esac
    while read -r name; do
        case "$name" in
            '') ;;
            "$current"*) COMPREPLY+=("${name#"$kept"}") ;;
        esac
    done <<< "$names"
}
complete -F _mainstay_with_names -o bashdefault -o default mainstay
