# Asks whether something is there yet. Between two calls nobody waits: the next one is due after the time it says.
. ./common.sh
who=$(input who)
asked="state/ticket-$MAINSTAY_RUN"
echo asked >>"$asked"
if [ "$(wc -l <"$asked")" -lt 3 ]; then
    echo '{ "result": "schedule", "waitMillis": 300 }'
else
    done_with "{ \"ticket\": \"for-$who\" }"
fi
