#!/bin/bash
# What watching costs: CPU of the agent while somebody looks at its host, beside its budget.
#   sudo ./run bench probe      WEFT_BENCH_PROBE=15 (seconds per figure) is the default.
set -euo pipefail
# shellcheck disable=SC2034  # Read by the library.
LAB_KIND=bench-probe
here=$(readlink -f "$(dirname "$0")")
source "$here/../../tests/lab/lib.sh"
source "$here/../lib.sh"

SECONDS_EACH=${WEFT_BENCH_PROBE:-15}

progress() { echo "bench probe: $*" >&2; }

cpu_nanoseconds() {
  on h1 sh -c 'cat /proc/$0/task/*/schedstat' "$1" | awk '{ sum += $1 } END { printf "%d\n", sum }'
}

look() { on h1 curl -sf --unix-socket /run/weft/weft.sock http://weft/api/topology >/dev/null; }

measure() {  # NAME
  local pid before after started elapsed
  progress "$1 for $SECONDS_EACH s"
  pid=$(agent_process h1)
  look
  sleep 3
  before=$(cpu_nanoseconds "$pid")
  started=$(microseconds)
  # An agent is watched for 15 s after a request.
  for ((part = 0; part < 3; part++)); do
    look
    sleep $((SECONDS_EACH / 3))
  done
  elapsed=$(($(microseconds) - started))
  after=$(cpu_nanoseconds "$pid")
  sample weft "$1" "$(awk -v ns=$((after - before)) -v us="$elapsed" 'BEGIN { printf "%.4f", ns / us / 10 }')"
  sample weft rss_megabytes "$(on h1 awk '/^VmRSS/ { print $2 / 1024 }' "/proc/$pid/status")"
}

with_load() {  # NAME KIND NUMBER
  on h1 python3 "$here/load.py" "$2" "$3" >"$SCRATCH/load" &
  local load=$!
  wait_until 20 "the load runs" test -s "$SCRATCH/load"
  measure "$1"
  kill "$load"
  wait "$load" || true
}

progress "one host"
lab_up 1
launch h1
sample weft unwatched_rss "$(on h1 awk '/^VmRSS/ { print $2 / 1024 }' "/proc/$(agent_process h1)/status")"
measure idle
on h1 bash -c 'for ((i = 0; i < 500; i++)); do sleep 600 & done; echo $$ >/tmp/sleepers; wait' &
sleepers=$!
measure processes_500
kill "$sleepers"
with_load connections_5000 live 5000
with_load short_5000_per_second short 5000
sample budget idle 0.2
sample budget processes_500 1
sample budget connections_5000 1
sample budget short_5000_per_second 3
echo
echo "probe: CPU of the agent while its host is watched (% of a core)"
for name in idle processes_500 connections_5000 short_5000_per_second; do
  row "$name" "$(spread weft "$name" 1 3)"
done
row "memory before anybody looked (MB)" "$(spread weft unwatched_rss 1 1)"
row "memory while watched (MB)" "$(spread weft rss_megabytes 1 1)"
echo
for name in idle processes_500 connections_5000 short_5000_per_second; do
  ratio weft budget "$name"
done
