# shellcheck shell=bash
# What end-to-end tests, benches and the demo begin with: a lab of their own, helpers, and a clean-up
# that always runs.
#
#   source "$(dirname "$0")/../lab/lib.sh"
#   lab_up 3 --docker
#   launch_all
#   network_everywhere weft-net
#   container h1 c1 weft-net
#   assert_ping h1 c1 "$(address_of h2 c2)"
#
# WEFT_BIN names the program under test. WEFT_E2E_KEEP=1 leaves the lab of a failed test running. What a program
# built with sanitizers reports, leaks at its end included, fails whatever test it ran in.
set -Eeuo pipefail

TEST_NAME=$(basename "$0" _test.sh)
LAB_TOOL=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/weft-lab")
# shellcheck disable=SC2034  # For tests and benches.
DNS_WATCH=$(dirname "$LAB_TOOL")/dns_watch.py
# Two runs of one script must not take down each other's lab, hence the process id. Those that are no
# test set LAB_KIND, or LAB_NAME where the name is for people.
LAB_KIND=${LAB_KIND:-e2e-$TEST_NAME}
export WEFT_LAB=${LAB_NAME:-$LAB_KIND-$$}
WEFT_BIN=${WEFT_BIN:-}
# Whether agents or kernels seal would otherwise be each machine's own choice.
export WEFT_ESP=${WEFT_ESP:-off}
HOSTS=()
SCRATCH=$(mktemp -d)

lab() { "$LAB_TOOL" "$@"; }
on() { "$LAB_TOOL" exec "$@"; }  # HOST CMD…
step() { echo "--- $*"; }

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# Bash would say no more than the exit code.
report_error() {
  local status=$? depth
  echo "FAILED with status $status: $BASH_COMMAND" >&2
  for ((depth = 1; depth < ${#BASH_SOURCE[@]}; depth++)); do
    echo "  in $(basename "${BASH_SOURCE[depth]}") line ${BASH_LINENO[depth - 1]}" >&2
  done
  return "$status"
}
trap report_error ERR

# Reports of sanitizers go into a file per process on the disk of its host, whatever becomes of the process's own output.
SANITIZED=
if [[ -x $WEFT_BIN ]] && LC_ALL=C grep -qaE '__(asan|tsan|ubsan)_' "$WEFT_BIN"; then
  SANITIZED=yes
  export ASAN_OPTIONS=log_path=/var/log/sanitizer:detect_stack_use_after_return=1:detect_leaks=1
  export TSAN_OPTIONS=log_path=/var/log/sanitizer:second_deadlock_stack=1
  export UBSAN_OPTIONS=log_path=/var/log/sanitizer:print_stacktrace=1
fi

reports() {  # What sanitizers and assertions of the lab's hosts have said.
  local logs
  for logs in "${WEFT_LAB_DISKS:-/var/lib/weft-lab}/$WEFT_LAB"/h*/var-log; do
    find "$logs" -maxdepth 1 -name 'sanitizer.*' -exec cat {} + 2>/dev/null || true
    grep -sE 'assertion|Sanitizer|runtime error' "$logs/weft.log" || true
  done
}

# Leaks are told at the end, and most tests leave agents running.
assert_no_reports() {
  local host said
  for host in "${HOSTS[@]}"; do
    on "$host" timeout 60 weft stop >/dev/null 2>&1 || true  # Not every host is up, or has an agent.
  done
  said=$(reports)
  [[ -z $said ]] || {
    echo "FAILED: the sanitizers report:" >&2
    head -c 20000 <<<"$said" >&2
    return 1
  }
}

finish() {
  local status=$? host log
  trap - ERR EXIT INT TERM
  [[ -z $SANITIZED ]] || assert_no_reports || status=1
  if ((status != 0)); then
    for host in "${HOSTS[@]}"; do
      echo "=== $host: weft.log (the end)" >&2
      on "$host" tail -n 15 /var/log/weft.log >&2 || true
      if on "$host" test -s /var/log/docker.log; then
        echo "=== $host: docker.log (the end)" >&2
        on "$host" tail -n 15 /var/log/docker.log | cut -c -300 >&2 || true
      fi
    done
    for log in "$SCRATCH"/*.log; do
      [[ ! -s $log ]] || { echo "=== $(basename "$log") (the end)" && tail -n 15 "$log" | cut -c -300; } >&2
    done
    if [[ -n ${WEFT_E2E_KEEP:-} ]]; then
      echo "the lab is left up: $LAB_TOOL --name $WEFT_LAB status" >&2
      exit "$status"
    fi
  fi
  # shellcheck disable=SC2046  # One word per job.
  kill $(jobs -p) 2>/dev/null || true
  lab down
  rm -rf "$SCRATCH"
  exit "$status"
}
trap finish EXIT
trap 'exit 143' INT TERM

# ---- The lab -------------------------------------------------------------------------------------

# Takes down what killed runs of this script left.
remove_stale_labs() {
  local dir
  for dir in "${WEFT_LAB_STATE:-/run/weft-lab}/$LAB_KIND"-*/; do
    if [[ -d $dir ]] && ! kill -0 "$(basename "${dir##*-}")" 2>/dev/null; then
      lab down --name "$(basename "$dir")"
    fi
  done
  lab down
}

lab_up() {  # COUNT [options of weft-lab up]
  local count=$1 index
  [[ -x $WEFT_BIN ]] || fail "WEFT_BIN must name the weft program"
  remove_stale_labs
  HOSTS=()
  for ((index = 1; index <= count; index++)); do
    HOSTS+=("h$index")
  done
  lab up "$@"
}

everywhere() {  # CMD…: on all hosts at once; fails if any fails.
  local host job jobs=()
  for host in "${HOSTS[@]}"; do
    on "$host" "$@" &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do
    wait "$job"
  done
}

# A limit says what a machine of one's own needs; one that is shared, or whose disk is being written to, gets PATIENCE times
# that, and one built with sanitizers, which make it several times slower, three times as much again. How long something takes
# is for bench/ to say.
PATIENCE=${WEFT_LAB_PATIENCE:-${SANITIZED:+9}}
PATIENCE=${PATIENCE:-3}
wait_until() {  # SECONDS WHAT CMD…
  local seconds=$(($1 * PATIENCE)) what=$2 deadline
  shift 2
  # Not by $SECONDS, which may tick right after the start.
  deadline=$((${EPOCHREALTIME/[.,]/} + seconds * 1000000))
  until "$@" >"$SCRATCH/wait" 2>&1; do
    if ((${EPOCHREALTIME/[.,]/} >= deadline)); then
      cat "$SCRATCH/wait" >&2
      fail "not within $seconds s: $what"
    fi
    sleep 0.1
  done
}

# ---- weft ----------------------------------------------------------------------------------------

launch() {  # HOST [options and peers]
  local host=$1
  shift
  on "$host" weft launch "$@"
}

# The first host founds the cluster, the others are told of it alone and must find the rest.
launch_all() {  # [options]
  local host job jobs=()
  launch h1 "$@"
  for host in "${HOSTS[@]:1}"; do
    launch "$host" "$@" h1 &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do
    wait "$job"
  done
  wait_until 20 "every host reaches every other" all_reachable
}

status_is() {  # HOST JQ-CONDITION
  on "$1" weft status --json >"$SCRATCH/status.$1" && jq -e "$2" "$SCRATCH/status.$1" >/dev/null
}

reaches() {  # HOST COUNT: how many peers it reaches, itself included.
  status_is "$1" "([.router.peers[] | select(.reachable or .self)] | length) == $2"
}

all_reachable() {
  local host
  for host in "${HOSTS[@]}"; do
    reaches "$host" "${#HOSTS[@]}" || return 1
  done
}

agent_process() {  # HOST: the agent's process id as the host sees it.
  on "$1" curl -sf --unix-socket /run/weft/weft.sock http://weft/ready | jq -e .pid
}

kill_agent() {  # HOST: no chance to say goodbye.
  local pid
  pid=$(agent_process "$1")
  on "$1" kill -KILL "$pid"
  wait_until 5 "the agent of $1 is dead" process_is_gone "$1" "$pid"
}
process_is_gone() { ! on "$1" kill -0 "$2"; }

# ---- Containers ----------------------------------------------------------------------------------

network_everywhere() {  # NAME [options]
  local name=$1
  shift
  everywhere docker network create -d weft --ipam-driver weft "$@" "$name" >/dev/null
}

container() {  # HOST NAME NETWORK [options of docker run]
  local host=$1 name=$2 network=$3
  shift 3
  on "$host" docker run -d --stop-signal KILL --name "$name" --hostname "$name" --net "$network" "$@" weft-tools sleep 1000000 >/dev/null
}

# One after the other: Docker 20.10 may count a network's endpoints wrong when several containers leave it
# at once (the lookups of its libnetwork/store.go share one counter), and then never removes the network.
remove_containers() {  # HOST [CONTAINER…]; without any, all that the engine has.
  local host=$1
  shift
  # shellcheck disable=SC2016  # The host's shell expands it.
  on "$host" sh -c 'for each in ${@:-$(docker ps -aq)}; do docker rm -f "$each" || exit; done' remove "$@" >/dev/null
}

inside() {  # HOST CONTAINER CMD…
  local host=$1 name=$2
  shift 2
  on "$host" docker exec "$name" "$@"
}

address_of() {  # HOST CONTAINER [NETWORK]
  on "$1" docker inspect -f "{{(index .NetworkSettings.Networks \"${3:-weft-net}\").IPAddress}}" "$2"
}

pings() { inside "$1" "$2" ping -c 1 -W 1 "$3"; }

# The first packet may be spent on learning where the other is, so a lost one is tried again.
assert_ping() {  # HOST CONTAINER ADDRESS
  wait_until 5 "$2 on $1 pings $3" pings "$1" "$2" "$3"
}

# Every container of the list pings every other: "HOST NAME ADDRESS" per line.
assert_all_ping() {  # FILE
  local from_host from_name from_address _ address
  while read -r from_host from_name from_address <&8; do
    while read -r _ _ address <&7; do
      [[ $address == "$from_address" ]] || assert_ping "$from_host" "$from_name" "$address"
    done 7<"$1"
  done 8<"$1"
}

# ---- Guests: network namespaces attached as Docker would, on hosts without an engine ---------------

plugin_call() {  # HOST CALL JSON
  on "$1" curl -sf --max-time 30 --unix-socket /run/docker/plugins/weft.sock -d "$3" "http://weft/$2"
}

# The endpoint and network ids of Docker have 64 hexadecimal digits, of which the first name interfaces.
long_id() { printf '%08x%056x' "$1" 0; }

guest_network() {  # HOST SUBNET
  plugin_call "$1" NetworkDriver.CreateNetwork "{\"NetworkID\":\"$(long_id 1)\",\"Options\":{},\"IPv6Data\":[],
    \"IPv4Data\":[{\"AddressSpace\":\"weftlocal\",\"Pool\":\"$2\",\"Gateway\":\"$2\"}]}" >/dev/null
}

guest() {  # HOST NAME NUMBER ADDRESS/LENGTH: a namespace with that address; numbers differ on a host.
  local ids mac link
  ids="\"NetworkID\":\"$(long_id 1)\",\"EndpointID\":\"$(long_id "$3")\""
  mac=$(plugin_call "$1" NetworkDriver.CreateEndpoint "{$ids,\"Options\":{},\"Interface\":{\"Address\":\"$4\"}}" |
    jq -r .Interface.MacAddress)
  link=$(plugin_call "$1" NetworkDriver.Join "{$ids,\"SandboxKey\":\"/run/netns/$2\",\"Options\":{}}" |
    jq -r .InterfaceName.SrcName)
  on "$1" ip netns add "$2"
  on "$1" ip link set "$link" netns "$2" name eth0 address "$mac"
  on "$1" ip -n "$2" addr add "$4" dev eth0
  on "$1" ip -n "$2" link set eth0 up
}

guest_does() {  # HOST NAME CMD…
  local host=$1 name=$2
  shift 2
  on "$host" ip netns exec "$name" "$@"
}

# ---- Assertions ----------------------------------------------------------------------------------

assert_equal() {  # ACTUAL EXPECTED WHAT
  [[ $1 == "$2" ]] || fail "$3: got '$1', expected '$2'"
}

assert_contains() {  # TEXT PART WHAT
  [[ $1 == *"$2"* ]] || fail "$3: '$1' does not contain '$2'"
}

assert_fails() {  # CMD…: prints what the command said.
  if "$@" >"$SCRATCH/fails" 2>&1; then
    fail "succeeded, but must not: $*"
  fi
  cat "$SCRATCH/fails"
}

assert_unique() {  # WORD…
  local twice
  twice=$(printf '%s\n' "$@" | sort | uniq -d | xargs)
  [[ -z $twice ]] || fail "given out twice: $twice"
}

# What promtool would have otherwise in the metrics of a file; fails if it cannot read them.
metrics_findings() {  # FILE
  local findings status=0
  findings=$(promtool check metrics <"$1" 2>&1) || status=$?
  # 3: it has read the text and found something.
  ((status == 0 || status == 3)) || fail "promtool check metrics ended with $status: $findings"
  printf '%s\n' "$findings"
}
