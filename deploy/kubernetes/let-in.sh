#!/bin/sh
# Lets pods of Mainstay into the cluster that wait for it. It can be run again at any time: whoever is in is left alone.
#
#   let-in.sh found NAME    founds the cluster in the first station, once in its life, then lets in the others
#   let-in.sh               lets in every pod that waits: after more of them were wanted, or after one lost its volume
#
# Pods are looked for in the namespaces that NAMESPACES says (mainstay and mainstay-machines), with the rights of whoever runs
# it: to list pods and to run commands in them. A token goes from the station that makes it to the pod that shows it by
# standard input; nobody sees it, and Kubernetes does not keep it.
set -eu

: "${KUBECTL:=kubectl}" "${NAMESPACES:=mainstay mainstay-machines}" "${STATIONS:=mainstay}"

say() { printf '%s\n' "$*"; }

fail() {
    printf 'let-in: %s\n' "$*" >&2
    exit 1
}

# NAMESPACE POD COMPONENT of every pod whose container `wait` is at it.
waiting() {
    for namespace in $NAMESPACES; do
        $KUBECTL --namespace "$namespace" get pods --selector app.kubernetes.io/part-of=mainstay --output jsonpath='{range .items[*]}{.metadata.namespace}{" "}{.metadata.name}{" "}{.metadata.labels.app\.kubernetes\.io/component}{" "}{.status.initContainerStatuses[?(@.name=="wait")].state.running.startedAt}{"\n"}{end}' |
            while read -r of pod component since; do
                [ -z "$since" ] || say "$of $pod $component"
            done
    done
}

# The first station that takes changes.
serving() {
    $KUBECTL --namespace "$STATIONS" get pods --selector app.kubernetes.io/part-of=mainstay,app.kubernetes.io/component=station --output jsonpath='{range .items[*]}{.metadata.name}{" "}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' |
        while read -r pod ready; do
            [ "$ready" != True ] || { say "$pod"; break; }
        done
}

in_station() {
    $KUBECTL --namespace "$STATIONS" exec "$asked" --container station -- mainstay-container "$@" </dev/null
}

in_waiting() {
    $KUBECTL --namespace "$namespace" exec --stdin "$pod" --container wait -- mainstay-container "$@"
}

settled() {
    $KUBECTL --namespace "$1" wait --for=condition=Ready --timeout=300s "pod/$2" </dev/null >/dev/null
    $KUBECTL --namespace "$1" exec "$2" --container station -- mainstay-container settled </dev/null
}

case ${1:-} in
'') ;;
found)
    name=${2:?the name of the cluster}
    [ -z "$(serving)" ] || fail "there is a cluster already"
    # Also one whose stations are away: their volumes say so, and they wait for nobody.
    namespace=$STATIONS
    first=
    for pod in $(waiting | sed -n "s/^$namespace \([^ ]*\) station\$/\1/p"); do
        case $pod in *-0) first=$pod ;; esac
    done
    [ -n "$first" ] || fail "the first station does not wait: it is not there yet, or it has a cluster"
    pod=$first
    in_waiting found "$name" </dev/null
    settled "$namespace" "$pod"
    say "$pod is the first station of $name; keep a copy of its seal.key, as deploy/README.md says"
    ;;
*) fail "say nothing, or: found NAME" ;;
esac

asked=$(serving)
[ -n "$asked" ] || fail "no station takes changes; if there is no cluster yet, say: found NAME"
address=$(in_station address)

# Stations one after the other: each is one of the group before the next comes. Then agents.
for component in station agent; do
    waiting | while read -r namespace pod of; do
        [ "$of" = "$component" ] || continue
        node=
        [ "$of" != agent ] || node=$(in_waiting node </dev/null)
        in_station token "$of" "$node" | in_waiting join "$address"
        [ "$of" != station ] || settled "$namespace" "$pod"
        say "$pod is let in"
    done
done
