#!/bin/bash
# What watching costs: CPU and memory of the agent while somebody looks at its host, beside its budget and beside
# Scope's probe and app under the same loads, in turns; and how soon each tells of what begins and ends.
#   sudo ./run bench probe
#     WEFT_BENCH_PROBE=15            seconds per figure
#     WEFT_BENCH_PROBE_ROUNDS=7      times that something begins and ends
#     WEFT_BENCH_PROBE_LOADS="idle processes_500 containers_200 connections_5000 short_500_per_second
#                             short_5000_per_second latency slowed accounted"
#     WEFT_BENCH_SCOPE=PATH          a ready build of Weave Scope; without it Scope is left out
set -euo pipefail
# shellcheck disable=SC2034  # Read by the library.
LAB_KIND=bench-probe
here=$(readlink -f "$(dirname "$0")")
source "$here/../../tests/lab/lib.sh"
source "$here/../lib.sh"

SECONDS_EACH=${WEFT_BENCH_PROBE:-15}
ROUNDS=${WEFT_BENCH_PROBE_ROUNDS:-7}
SCOPE=${WEFT_BENCH_SCOPE:-}
read -ra LOADS <<<"${WEFT_BENCH_PROBE_LOADS:-idle processes_500 containers_200 connections_5000 short_500_per_second short_5000_per_second latency slowed accounted}"
CONTENDERS=(weft)
[[ -z $SCOPE ]] || CONTENDERS+=(scope)
TRUTH=$here/../../tests/e2e/see.py
WATCH=$(dirname "${WEFT_BIN:?}")/../bench/probe_watch
PORT=7012
WEFT_API=/run/weft/weft.sock
SCOPE_API=127.0.0.1:4040

progress() { echo "bench probe: $*" >&2; }

# "NANOSECONDS …" of CPU, of each at the same moment.
cpu_nanoseconds() {  # PROCESS…
  # shellcheck disable=SC2016  # Read by that shell, and by awk.
  on h1 sh -c 'for process; do cat /proc/$process/task/*/schedstat | awk "{ sum += \$1 } END { printf \"%.0f \", sum }"; done' cpu "$@"
}
megabytes() { on h1 awk '/^VmRSS/ { print $2 / 1024 }' "/proc/$1/status"; }
share() { awk -v ns="$1" -v us="$2" 'BEGIN { printf "%.4f", ns / us / 10 }'; }  # NANOSECONDS MICROSECONDS: percent

# ---- Contenders ----------------------------------------------------------------------------------

# CONTENDER_start sets PROCESSES (the first is what gathers) and waits until it has settled; CONTENDER_look asks for
# everything once, as a page does that is open.
weft_start() {
  launch h1
  PROCESSES=("$(agent_process h1)")
  sample weft unwatched_rss "$(megabytes "${PROCESSES[0]}")"
  weft_look
  sleep 3
}
weft_look() { on h1 curl -sf --unix-socket "$WEFT_API" http://weft/api/topology >/dev/null; }
weft_stop() { on h1 weft stop; }

scope_runs() {  # NAME OPTIONS…: prints its process.
  local name=$1
  shift
  # shellcheck disable=SC2016  # Read by that shell.
  on h1 env CHECKPOINT_DISABLE=1 setsid sh -c '"$@" >"$0" 2>&1 & echo $!' "$SCRATCH/$name.log" "$SCOPE" --weave=false "$@"
}
scope_start() {
  local app
  app=$(scope_runs scope-app --mode=app --app.http.address="$SCOPE_API")
  wait_until 10 "Scope's app answers" scope_look
  PROCESSES=("$(scope_runs scope-probe --mode=probe --probe.docker=true "$SCOPE_API")" "$app")
  # It walks all processes within ten seconds, and tells every three.
  sleep 12
}
scope_look() { on h1 curl -sf "http://$SCOPE_API/api/topology" >/dev/null; }
scope_stop() {
  on h1 kill "${PROCESSES[@]}"
  wait_until 10 "Scope has ended" scope_is_gone
}
scope_is_gone() { ! on h1 kill -0 "${PROCESSES[0]}" && ! on h1 kill -0 "${PROCESSES[1]}"; }

# ---- Figures -------------------------------------------------------------------------------------

measure() {  # CONTENDER NAME
  local contender=$1 name=$2 started elapsed part engine index all=0 before=() after=() used=()
  progress "$name: $contender for $SECONDS_EACH s"
  engine=$(on h1 pgrep -x dockerd)
  "${contender}_start"
  read -ra before <<<"$(cpu_nanoseconds "$engine" "${PROCESSES[@]}")"
  started=$(microseconds)
  # An agent is watched for 15 s after a request.
  for ((part = 0; part * 10 < SECONDS_EACH; part++)); do
    "${contender}_look"
    sleep $((SECONDS_EACH - part * 10 < 10 ? SECONDS_EACH - part * 10 : 10))
  done
  read -ra after <<<"$(cpu_nanoseconds "$engine" "${PROCESSES[@]}")"
  elapsed=$(($(microseconds) - started))
  for ((index = 0; index < ${#after[@]}; index++)); do
    used[index]=$((after[index] - before[index]))
    ((index == 0)) || all=$((all + used[index]))
  done
  sample "$contender" "$name" "$(share "${used[1]}" "$elapsed")"
  sample "$contender" "$name.all" "$(share "$all" "$elapsed")"
  sample "$contender" "$name.engine" "$(share "${used[0]}" "$elapsed")"
  sample "$contender" "$name.rss" "$(megabytes "${PROCESSES[0]}")"
  "${contender}_stop"
}

with_load() {  # NAME KIND NUMBER
  local load contender
  on h1 python3 "$here/load.py" "$2" "$3" >"$SCRATCH/load" &
  load=$!
  wait_until 20 "the load runs" test -s "$SCRATCH/load"
  for contender in "${CONTENDERS[@]}"; do
    measure "$contender" "$1"
  done
  kill "$load"
  wait "$load" || true
}

with_containers() {  # NAME NUMBER
  local contender
  progress "$2 containers start"
  # shellcheck disable=SC2016  # Read by that shell.
  on h1 sh -c 'seq "$0" | xargs -P 4 -I{} docker run -d --network none --name "many-{}" busybox sleep 100000 >/dev/null' "$2"
  for contender in "${CONTENDERS[@]}"; do
    measure "$contender" "$1"
  done
  # shellcheck disable=SC2016
  on h1 sh -c 'docker ps -aq | xargs docker rm -f >/dev/null'
}

latencies() {
  local contender round appeared gone server
  declare -A api=([weft]=$WEFT_API [scope]=$SCOPE_API)
  on h1 python3 "$TRUTH" serve "$PORT" >/dev/null &
  server=$!
  for contender in "${CONTENDERS[@]}"; do
    progress "how soon, $ROUNDS times: $contender"
    "${contender}_start"
    for ((round = 0; round < ROUNDS; round++)); do
      "${contender}_look"
      read -r appeared gone <<<"$(on h1 env SEE_API="${api[$contender]}" python3 "$TRUTH" latency "$PORT")"
      sample "$contender" edge_appears "$appeared"
      sample "$contender" edge_goes "$gone"
      sample "$contender" container_appears "$(on h1 env SEE_API="${api[$contender]}" python3 "$TRUTH" container "seen-$contender-$round")"
      on h1 docker rm -f "seen-$contender-$round" >/dev/null
    done
    "${contender}_stop"
  done
  kill "$server"
  wait "$server" || true
}

# What a connection costs a program that does little else, and a request one that serves pages, with and without
# somebody who looks, in turns.
slowed() {
  local round
  progress "what the observed pay, $ROUNDS times"
  for ((round = 0; round < ROUNDS; round++)); do
    sample unwatched connection "$(on h1 python3 "$here/load.py" speed 20000)"
    sample unwatched request "$(on h1 python3 "$here/load.py" requests 3000)"
    weft_start
    sample weft connection "$(on h1 python3 "$here/load.py" speed 20000)"
    sample weft request "$(on h1 python3 "$here/load.py" requests 3000)"
    weft_stop
  done
}

# What the kernel accounts of connections and requests, in the host's own namespaces, as agents are: a lab's have to
# search for the numbers of processes.
accounted() {
  local round connection request
  progress "what the kernel accounts, $ROUNDS times"
  for ((round = 0; round < ROUNDS; round++)); do
    { read -r connection && read -r request; } < <(python3 "$here/load.py" accounted 5000 "$WATCH")
    sample accounted connection "$connection"
    sample accounted request "$request"
  done
}

load() {  # NAME
  local contender sleepers
  case $1 in
    idle)
      for contender in "${CONTENDERS[@]}"; do
        measure "$contender" idle
      done
      ;;
    processes_500)
      on h1 bash -c 'for ((i = 0; i < 500; i++)); do sleep 6000 & done; wait' &
      sleepers=$!
      for contender in "${CONTENDERS[@]}"; do
        measure "$contender" "$1"
      done
      kill "$sleepers"
      on h1 pkill -x sleep # Those of this host alone: it has process ids of its own.
      ;;
    containers_200) with_containers "$1" 200 ;;
    connections_5000) with_load "$1" live 5000 ;;
    short_500_per_second) with_load "$1" short 500 ;;
    short_5000_per_second) with_load "$1" short 5000 ;;
    latency) latencies ;;
    slowed) slowed ;;
    accounted) accounted ;;
    *) fail "no load '$1'" ;;
  esac
}

# ---- Tables --------------------------------------------------------------------------------------

has() { [[ -s $SCRATCH/$1.$2 ]]; }  # CONTENDER MEASURE

table() {  # TITLE DECIMALS SUFFIX MEASURE…
  local title=$1 decimals=$2 suffix=$3 contender name
  shift 3
  echo
  echo "probe: $title"
  for name; do
    for contender in "${CONTENDERS[@]}"; do
      ! has "$contender" "$name$suffix" || row "$name, $contender" "$(spread "$contender" "$name$suffix" 1 "$decimals")"
    done
  done
}

lab_up 1 --docker
for name in "${LOADS[@]}"; do
  load "$name"
done
sample budget idle 0.2
sample budget processes_500 1
sample budget containers_200 1
sample budget connections_5000 1
sample budget short_5000_per_second 3
sample budget container_appears 100
sample budget edge_appears 300
sample budget edge_goes 3000
table "CPU of what gathers, while somebody looks (% of a core; weft: the whole agent; scope: the probe alone)" 2 "" "${LOADS[@]}"
table "CPU of all of it (scope: probe and app)" 2 .all "${LOADS[@]}"
table "CPU of the container engine meanwhile" 2 .engine "${LOADS[@]}"
table "memory of what gathers (MB)" 0 .rss "${LOADS[@]}"
if has weft unwatched_rss; then
  row "before anybody looked, weft" "$(spread weft unwatched_rss 1 0)"
fi
table "milliseconds until the API says so" 0 "" container_appears edge_appears edge_goes
if has unwatched connection; then
  echo
  echo "probe: microseconds of CPU that a short connection costs both its ends"
  row "while nobody looks" "$(spread unwatched connection 1 2)"
  row "while weft looks" "$(spread weft connection 1 2)"
  ratio weft unwatched connection
  echo
  echo "probe: microseconds of CPU that an HTTP request over a connection of its own costs both its ends"
  row "while nobody looks" "$(spread unwatched request 1 2)"
  row "while weft looks" "$(spread weft request 1 2)"
  ratio weft unwatched request
fi
if has accounted connection; then
  echo
  echo "probe: microseconds that the kernel accounts, its account included"
  row "of a short connection" "$(spread accounted connection 1 2)"
  row "of an HTTP request" "$(spread accounted request 1 2)"
fi
echo
for name in "${LOADS[@]}" container_appears edge_appears edge_goes; do
  for peer in scope budget; do
    if has weft "$name" && has "$peer" "$name"; then
      ratio weft "$peer" "$name"
    fi
  done
done
if [[ -n $SCOPE ]]; then
  echo "scope's probe said of its sources:"
  grep -iE 'ebpf|conntrack|procspy' "$SCRATCH/scope-probe.log" | cut -c1-160 | head -n 5 || true
else
  echo "scope: not measured, set WEFT_BENCH_SCOPE"
fi
