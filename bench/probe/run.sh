#!/bin/bash
# What watching costs: CPU of the agent while somebody looks at its host, beside its budget; and how soon
# it tells of what begins and ends.
#   sudo ./run bench probe      WEFT_BENCH_PROBE=15 (seconds per figure), WEFT_BENCH_PROBE_ROUNDS=7 are the defaults.
set -euo pipefail
# shellcheck disable=SC2034  # Read by the library.
LAB_KIND=bench-probe
here=$(readlink -f "$(dirname "$0")")
source "$here/../../tests/lab/lib.sh"
source "$here/../lib.sh"

SECONDS_EACH=${WEFT_BENCH_PROBE:-15}
ROUNDS=${WEFT_BENCH_PROBE_ROUNDS:-7}
TRUTH=$here/../../tests/e2e/see.py
PORT=7012

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

latencies() {
  local round appeared gone server
  progress "how soon, $ROUNDS times"
  on h1 weft stop
  launch h1
  on h1 python3 "$TRUTH" serve "$PORT" >/dev/null &
  server=$!
  for ((round = 0; round < ROUNDS; round++)); do
    look
    read -r appeared gone <<<"$(on h1 python3 "$TRUTH" latency "$PORT")"
    sample weft edge_appears "$appeared"
    sample weft edge_goes "$gone"
    sample weft container_appears "$(on h1 python3 "$TRUTH" container "seen-$round")"
    on h1 docker rm -f "seen-$round" >/dev/null
  done
  kill "$server"
  wait "$server" || true
}

progress "one host"
lab_up 1 --docker
launch h1 --no-docker
sample weft unwatched_rss "$(on h1 awk '/^VmRSS/ { print $2 / 1024 }' "/proc/$(agent_process h1)/status")"
measure idle
on h1 bash -c 'for ((i = 0; i < 500; i++)); do sleep 600 & done; echo $$ >/tmp/sleepers; wait' &
sleepers=$!
measure processes_500
kill "$sleepers"
with_load connections_5000 live 5000
with_load short_5000_per_second short 5000
latencies
sample budget idle 0.2
sample budget processes_500 1
sample budget connections_5000 1
sample budget short_5000_per_second 3
sample budget container_appears 100
sample budget edge_appears 300
sample budget edge_goes 3000
echo
echo "probe: CPU of the agent while its host is watched (% of a core)"
for name in idle processes_500 connections_5000 short_5000_per_second; do
  row "$name" "$(spread weft "$name" 1 3)"
done
row "memory before anybody looked (MB)" "$(spread weft unwatched_rss 1 1)"
row "memory while watched (MB)" "$(spread weft rss_megabytes 1 1)"
echo
echo "probe: milliseconds until the API says so"
for name in container_appears edge_appears edge_goes; do
  row "$name" "$(spread weft "$name" 1 0)"
done
echo
for name in idle processes_500 connections_5000 short_5000_per_second container_appears edge_appears edge_goes; do
  ratio weft budget "$name"
done
