#!/bin/bash
# Addresses handed out by one peer over HTTP, each on disk before it is answered, beside Weave's router;
# they take turns. Then what only a cluster shows: a cold start, and space that moves between peers.
#   sudo ./run bench ipam
#     WEFT_BENCH_ROUNDS=3       rounds of throughput
#     WEFT_BENCH_HELD=100000    addresses held at the end
#     WEFT_BENCH_WEAVER=PATH    a ready build of Weave's router; without it Weave is left out
set -euo pipefail
# shellcheck disable=SC2034  # Read by the library.
LAB_KIND=bench-ipam
here=$(dirname "$0")
source "$here/../../tests/lab/lib.sh"
source "$here/../lib.sh"

ROUNDS=${WEFT_BENCH_ROUNDS:-3}
HELD=${WEFT_BENCH_HELD:-100000}
# Weave's rate falls with what it holds: more would take it minutes.
WEAVE_HELD=12000
WEAVER=${WEFT_BENCH_WEAVER:-}
LOAD=$(dirname "$WEFT_BIN")/../bench/ipam_load
CONTENDERS=(weft)
COLD_START_SECONDS_MAX=30

progress() { echo "bench ipam: $*" >&2; }

# ---- Contenders ----------------------------------------------------------------------------------

declare -A SOCKET=([weft]=/run/weft/weft.sock [weave]=/run/weave.sock)

begin_weft() {  # HOST RANGE PEERS…
  local host=$1 range=$2
  shift 2
  on "$host" weft launch --no-docker --ipalloc-range "$range" --ipalloc-init "consensus=$(($# + 1))" "$@" >/dev/null
}

begin_weave() {  # HOST RANGE PEERS…
  local host=$1 range=$2
  shift 2
  # It keeps a file where it is started.
  on "$host" env -C /var/lib CHECKPOINT_DISABLE=1 setsid -f "$WEAVER" --host "198.18.0.${host#h}" --nickname "$host" \
    --name "02:00:00:00:00:0${host#h}" --no-fastdp --no-dns --docker-api '' --token '' --ipalloc-range "$range" \
    --ipalloc-init "consensus=$(($# + 1))" --db-prefix /var/lib/weave- --host-root /run --http-addr "${SOCKET[weave]}" "$@" \
    </dev/null >"$SCRATCH/weave.$host.log" 2>&1
}

process_of_weft() { agent_process "$1"; }
process_of_weave() { on "$1" pgrep -x weaver; }  # The only one in the host's namespaces.

end_weft() { on "$1" weft reset >/dev/null; }

end_weave() {
  on "$1" kill -KILL "$(process_of_weave "$1")"
  # shellcheck disable=SC2016  # Expanded on the host.
  on "$1" sh -c 'rm -f /run/weave.sock /var/lib/weave-* /var/lib/restart.sentinel
    ip link delete vethwe-bridge; ip link delete weave' >/dev/null 2>&1 || true
}

ask() {  # CONTENDER HOST METHOD PATH
  on "$2" curl -sf --max-time "$COLD_START_SECONDS_MAX" --unix-socket "${SOCKET[$1]}" -X "$3" "http://localhost$4"
}

# ---- Measures ------------------------------------------------------------------------------------

load() {  # CONTENDER CLIENTS COUNT PREFIX → words in LOADED
  local line
  line=$(on h1 "$LOAD" "${SOCKET[$1]}" "$2" "$3" "$4") || fail "$1: $line"
  declare -gA LOADED=()
  local words
  read -ra words <<<"$line"
  while ((${#words[@]} >= 2)); do
    LOADED[${words[0]}]=${words[1]}
    words=("${words[@]:2}")
  done
}

sample_load() {  # CONTENDER CLIENTS COUNT PREFIX MEASURE
  load "$1" "$2" "$3" "$4"
  sample "$1" "$5_per_second" "${LOADED[per_second]}"
  sample "$1" "$5_p50_us" "${LOADED[p50_us]}"
  sample "$1" "$5_p99_us" "${LOADED[p99_us]}"
  progress "$1, $2 clients ($5): ${LOADED[per_second]}/s, p50 ${LOADED[p50_us]}, p99 ${LOADED[p99_us]} µs"
}

# A peer alone: one client and sixteen, then until it holds as many as it is to bear.
measure_throughput() {  # CONTENDER IS-LAST
  local contender=$1 last=$2 count=20000 held=$HELD
  [[ $contender == weft ]] || count=2000 held=$WEAVE_HELD
  "begin_$contender" h1 10.32.0.0/12
  wait_until $COLD_START_SECONDS_MAX "$contender answers" ask "$contender" h1 POST /ip/first
  sample_load "$contender" 1 $((count / 4)) one one
  sample_load "$contender" 16 "$count" sixteen sixteen
  if [[ $last == yes ]]; then
    load "$contender" 16 $((held - count - count / 4)) fill
    sample_load "$contender" 1 $((count / 10)) late-one late_one
    sample_load "$contender" 16 $((count / 4)) late-sixteen late_sixteen
    sample "$contender" held_rss_megabytes "$(on h1 awk '/^VmRSS/ { print $2 / 1024 }' "/proc/$("process_of_$contender" h1)/status")"
    [[ $contender != weft ]] || measure_restart
  fi
  "end_$contender" h1
}

# From the order to start to an answer from what was held before.
measure_restart() {
  local before started
  before=$(ask weft h1 GET /ip/first)
  on h1 weft stop
  started=$(microseconds)
  begin_weft h1 10.32.0.0/12
  wait_until $COLD_START_SECONDS_MAX "h1 answers again" ask weft h1 POST /ip/first
  sample weft restart_seconds "$(seconds_since "$started")"
  assert_equal "$(ask weft h1 GET /ip/first)" "$before" "the address of a container after the restart"
}

# Three peers that never ran, started at once; the first address comes when they have agreed.
measure_cold_start() {  # CONTENDER
  local host started
  started=$(microseconds)
  "begin_$1" h1 10.40.0.0/22 198.18.0.2 198.18.0.3 &
  "begin_$1" h2 10.40.0.0/22 198.18.0.1 198.18.0.3 &
  "begin_$1" h3 10.40.0.0/22 198.18.0.1 198.18.0.2 &
  wait
  until ask "$1" h1 POST /ip/cold >/dev/null; do
    awk -v spent="$(seconds_since "$started")" -v most="$COLD_START_SECONDS_MAX" 'BEGIN { exit spent > most }' ||
      fail "$1 hands out no address after a cold start"
  done
  sample "$1" cold_start_seconds "$(seconds_since "$started")"
}

# A third of 1,022 addresses is the peer's own; the slowest of 900 answers waited for others' space.
measure_move() {  # CONTENDER
  local host
  for host in h1 h2 h3; do
    wait_until $COLD_START_SECONDS_MAX "$1 on $host hands out addresses" ask "$1" "$host" POST "/ip/settled-$host"
  done
  load "$1" 1 900 moved
  sample "$1" move_milliseconds "$(awk -v us="${LOADED[max_us]}" 'BEGIN { print us / 1000 }')"
}

# The targets of the product, as a peer of their own.
targets() {
  sample target one_per_second 5000
  sample target sixteen_per_second 20000
  sample target sixteen_p99_us 5000
  sample target move_milliseconds 20
  sample target cold_start_seconds 0.3
}

# ---- The report ----------------------------------------------------------------------------------

MEASURES=(
  "one_per_second one client (per second)"
  "one_p50_us … p50 (µs)"
  "one_p99_us … p99 (µs)"
  "sixteen_per_second sixteen clients (per second)"
  "sixteen_p50_us … p50 (µs)"
  "sixteen_p99_us … p99 (µs)"
  "late_one_per_second one client, many held (per second)"
  "late_one_p99_us … p99 (µs)"
  "late_sixteen_per_second sixteen clients, many held (per second)"
  "late_sixteen_p99_us … p99 (µs)"
  "held_rss_megabytes memory with that, RSS (MB)"
  "restart_seconds start with that, to the first answer (s)"
  "cold_start_seconds three cold peers, to the first address (s)"
  "move_milliseconds slowest answer while space moves (ms)"
)

report() {
  local line measure contender
  echo
  printf '%-46s %10s %10s %10s\n' "addresses, medians of $ROUNDS rounds" weft weave target
  for line in "${MEASURES[@]}"; do
    measure=${line%% *}
    printf '  %-44s' "${line#* }"
    for contender in weft weave target; do
      if [[ -s $SCRATCH/$contender.$measure ]]; then
        printf ' %10.5g' "$(median "$contender" "$measure")"
      else
        printf ' %10s' -
      fi
    done
    echo
  done
  echo "many held: weft $HELD, weave $WEAVE_HELD"
  echo
  for line in "${MEASURES[@]}"; do
    measure=${line%% *}
    for contender in weave target; do
      if [[ -s $SCRATCH/weft.$measure && -s $SCRATCH/$contender.$measure ]]; then
        ratio weft "$contender" "$measure"
      fi
    done
  done
}

if [[ -n $WEAVER ]]; then
  CONTENDERS+=(weave)
else
  echo "weave: not measured, set WEFT_BENCH_WEAVER"
fi
lab_up 3
for ((round = 1; round <= ROUNDS; round++)); do
  progress "round $round of $ROUNDS"
  for contender in "${CONTENDERS[@]}"; do
    measure_throughput "$contender" "$( ((round < ROUNDS)) || echo yes)"
    measure_cold_start "$contender"
    measure_move "$contender"
    for host in "${HOSTS[@]}"; do
      "end_$contender" "$host"
    done
  done
done
targets
report
