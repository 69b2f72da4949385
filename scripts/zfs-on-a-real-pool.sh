#!/bin/sh
# What storage costs and does on a machine with real pools; run it there, as an ordinary user or as root.
#   scripts/zfs-on-a-real-pool.sh KGTOP cost            samples, readings and tool runs in 60 s, hidden and shown
#   scripts/zfs-on-a-real-pool.sh KGTOP snapshots NAME [SECONDS]
#                                                      how the snapshots of a dataset are listed, called off after 15 s
#   scripts/zfs-on-a-real-pool.sh KGTOP quit            seconds from the key q to the shell, on a pseudo-terminal
set -eu
kgtop=$1
what=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
records=$work/records.jsonl
count() { grep -c "$1" "$records" || true; }
uptime_of() { cut -d' ' -f1 /proc/uptime; }

case $what in
cost)
    for groups in '' '"storage"'; do
        # The end of standard input ends the collector.
        { echo "{\"kind\":\"demand\",\"groups\":[$groups]}"; sleep 60; } | "$kgtop" stream --child $$ > "$records"
        cpu() { grep -o '"cpu_ns":[0-9]*' "$records" | "$1" -n 1 | cut -d: -f2; }
        echo "demand [$groups]: $(count '"kind":"sample"') samples, kernel statistics read $(count '"kernel":{') times," \
            "zpool status run $(count '"status":{"at') times, zfs list $(count '"datasets":{"at') times," \
            "CPU of the collector $(( ($(cpu tail) - $(cpu head)) / 1000000 )) ms"
    done
    ;;
snapshots)
    {
        echo "{\"kind\":\"list_snapshots\",\"dataset\":\"$3\"}"
        sleep "${4:-15}"
        echo '{"kind":"list_snapshots"}'
        sleep 3
    } | "$kgtop" stream --child $$ > "$records"
    grep '"kind":"snapshots"' "$records" | sed 's/"rows":\[.*\],/"rows":[…],/'
    ;;
quit)
    mkfifo "$work/keys"
    { sleep 10; uptime_of > "$work/pressed"; printf q; sleep 10; } > "$work/keys" &
    script -qfc "'$kgtop' --tab storage; cut -d' ' -f1 /proc/uptime > '$work/gone'" /dev/null < "$work/keys" > "$work/screen"
    echo "q at $(cat "$work/pressed") s, the shell went on at $(cat "$work/gone") s"
    ;;
*)
    sed -n '2,6p' "$0" >&2
    exit 64
    ;;
esac
