#!/bin/bash
# The agent at rest and starting, and what a container costs, beside Docker's own bridge driver.
#   sudo ./run bench agent      WEFT_BENCH_ROUNDS=15 and WEFT_BENCH_IDLE=30 (seconds) are the defaults.
set -euo pipefail
# shellcheck disable=SC2034  # Read by the library.
LAB_KIND=bench-agent
here=$(dirname "$0")
source "$here/../../tests/lab/lib.sh"
source "$here/../lib.sh"

ROUNDS=${WEFT_BENCH_ROUNDS:-15}
NAME_ROUNDS=10
IDLE_SECONDS=${WEFT_BENCH_IDLE:-30}
CONTAINERS=20
MANY_CONTAINERS=50

progress() { echo "bench agent: $*" >&2; }

# A new peer: from the return of its launch to the first answer its first container gets.
measure_join() {
  local started peer round
  container h1 target weft-net
  peer=$(address_of h1 target)
  for round in 1 2 3; do
    progress "a new peer, round $round of 3"
    started=$(microseconds)
    launch h3 h1
    sample weft join_launch_seconds "$(seconds_since "$started")"
    started=$(microseconds)
    on h3 docker network create -d weft --ipam-driver weft weft-net >/dev/null
    on h3 docker run --rm --net weft-net weft-tools sh -c \
      'until /bin/ping -q -c 1 -W 0.1 "$0" >/dev/null; do :; done' "$peer"
    sample weft usable_seconds "$(seconds_since "$started")"
    on h3 docker network rm weft-net >/dev/null
    ((round == 3)) || on h3 weft reset
  done
  on h1 docker rm -f target >/dev/null
}

measure_launch() {
  local round started
  for ((round = 1; round <= 7; round++)); do
    on h1 weft stop
    started=$(microseconds)
    launch h1
    sample weft launch_seconds "$(seconds_since "$started")"
  done
}

cpu_nanoseconds() {  # HOST PID: of all threads.
  on "$1" sh -c 'cat /proc/$0/task/*/schedstat' "$2" | awk '{ sum += $1 } END { printf "%d\n", sum }'
}

# Twenty containers on one host and three peers. Each host's agent is a sample.
measure_idle() {
  local number host pids=() before=() started elapsed after index
  for ((number = 1; number <= CONTAINERS; number++)); do
    container h1 "idle$number" weft-net
  done
  wait_until 20 "the mesh is whole" all_reachable
  for host in "${HOSTS[@]}"; do
    pids+=("$(agent_process "$host")")
  done
  progress "idle for $IDLE_SECONDS s with $CONTAINERS containers"
  # Let what the last container's start set off come to an end.
  sleep 5
  for index in "${!HOSTS[@]}"; do
    before+=("$(cpu_nanoseconds "${HOSTS[index]}" "${pids[index]}")")
  done
  started=$(microseconds)
  sleep "$IDLE_SECONDS"
  elapsed=$(($(microseconds) - started))
  for index in "${!HOSTS[@]}"; do
    after=$(cpu_nanoseconds "${HOSTS[index]}" "${pids[index]}")
    sample weft idle_cpu_percent "$(awk -v ns=$((after - before[index])) -v us="$elapsed" 'BEGIN { printf "%.4f", ns / us / 10 }')"
    sample weft rss_megabytes "$(on "${HOSTS[index]}" awk '/^VmRSS/ { print $2 / 1024 }' "/proc/${pids[index]}/status")"
  done
  progress "$MANY_CONTAINERS containers"
  for ((; number <= MANY_CONTAINERS; number++)); do
    container h1 "idle$number" weft-net
  done
  sleep 5
  sample weft rss_megabytes_50 "$(on h1 awk '/^VmRSS/ { print $2 / 1024 }' "/proc/${pids[0]}/status")"
  on h1 sh -c 'docker rm -f $(docker ps -q)' >/dev/null
}

all_know() {  # NAME
  local host
  for host in "${HOSTS[@]}"; do
    [[ -n $(on "$host" weft dns-lookup "$1") ]] || return 1
  done
}

# A name of h1's: from its first answer there to its first answer everywhere, and from the word that kills its container
# until it is answered nowhere.
measure_names() {
  local round host killed first last
  progress "names, $NAME_ROUNDS rounds"
  for ((round = 1; round <= NAME_ROUNDS; round++)); do
    for host in "${HOSTS[@]}"; do
      on "$host" "$DNS_WATCH" "swift$round.weft.local" begins >"$SCRATCH/begins.$host" &
    done
    # Not a container's: while one starts, the other two hosts' agents wait for its engine's processors.
    sleep 0.5  # Until all of them watch.
    on h1 weft dns-add 10.99.0.1 -h "swift$round"
    wait
    first=$(cat "$SCRATCH/begins.h1")
    last=$(sort -n "$SCRATCH"/begins.h? | tail -n 1)
    sample weft name_visible_ms "$(awk -v us=$((last - first)) 'BEGIN { print us / 1000 }')"
    on h1 weft dns-remove 10.99.0.1
    container h1 "brief$round" weft-net
    wait_until 5 "every host knows the container" all_know "brief$round"
    for host in "${HOSTS[@]}"; do
      on "$host" "$DNS_WATCH" "brief$round.weft.local" ends >"$SCRATCH/ends.$host" &
    done
    sleep 0.5
    killed=$(python3 -c 'import time; print(time.monotonic_ns() // 1000)')
    on h1 docker kill "brief$round" >/dev/null
    wait
    last=$(sort -n "$SCRATCH"/ends.h? | tail -n 1)
    sample weft name_gone_seconds "$(awk -v us=$((last - killed)) 'BEGIN { print us / 1000000 }')"
    on h1 docker rm "brief$round" >/dev/null
  done
}

# One script on the host, so that entering it is not measured; contenders take turns.
measure_docker_run() {
  on h1 docker network create -d bridge user-bridge >/dev/null
  progress "docker run --rm, $ROUNDS rounds"
  # shellcheck disable=SC2016  # Expanded on the host.
  on h1 bash -c 'for ((round = 0; round <= $1; round++)); do
      for net in bridge weft-net user-bridge none; do
        started=${EPOCHREALTIME/./}
        docker run --rm --net "$net" busybox true
        # The first round fills caches.
        ((round == 0)) || echo "$net $(( ${EPOCHREALTIME/./} - started ))"
      done
    done' docker_run "$ROUNDS" >"$SCRATCH/runs"
  local net name
  for net in bridge weft-net user-bridge none; do
    name=${net%-net}
    awk -v net="$net" '$1 == net { print $2 / 1e6 }' "$SCRATCH/runs" >"$SCRATCH/${name//-/_}.docker_run_seconds"
  done
}

# The budgets of the product, as peers of their own.
budgets() {
  sample budget launch_seconds 1
  sample budget usable_seconds 2
  sample budget rss_megabytes 25
  sample budget rss_megabytes_50 40
  sample budget name_visible_ms 5
  sample budget name_gone_seconds 1
  sample budget idle_cpu_percent 0.3
}

report() {
  echo
  echo "agent, medians (least … most)"
  row "first launch, to ready (s)" "$(spread weft join_launch_seconds 1 3)"
  row "relaunch, to ready (s)" "$(spread weft launch_seconds 1 3)"
  row "new peer, launched to first ping (s)" "$(spread weft usable_seconds 1 3)"
  row "memory at rest, RSS (MB)" "$(spread weft rss_megabytes 1 1)"
  row "... with $MANY_CONTAINERS containers (MB)" "$(spread weft rss_megabytes_50 1 1)"
  row "CPU at rest (% of a core)" "$(spread weft idle_cpu_percent 1 3)"
  row "a name: here, to everywhere (ms)" "$(spread weft name_visible_ms 1 1)"
  row "its container killed: nowhere (s)" "$(spread weft name_gone_seconds 1 3)"
  echo "docker run --rm (s)"
  row "weft" "$(spread weft docker_run_seconds 1 3)"
  row "bridge, built in" "$(spread bridge docker_run_seconds 1 3)"
  row "bridge, user-defined" "$(spread user_bridge docker_run_seconds 1 3)"
  row "no network" "$(spread none docker_run_seconds 1 3)"
  echo
  for measure in launch_seconds usable_seconds rss_megabytes rss_megabytes_50 idle_cpu_percent name_visible_ms name_gone_seconds; do
    ratio weft budget "$measure"
  done
  ratio weft user_bridge docker_run_seconds
  ratio weft bridge docker_run_seconds
}

progress "three hosts with Docker engines"
lab_up 3 --docker
launch h1
launch h2 h1
on h1 docker network create -d weft --ipam-driver weft weft-net >/dev/null
measure_join
measure_launch
measure_idle
measure_names
measure_docker_run
budgets
report
