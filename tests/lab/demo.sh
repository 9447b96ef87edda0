#!/bin/bash
# The demo: three virtual hosts with real Docker engines, one weft network, and what it does.
#   sudo ./run demo           shows it and cleans up
#   sudo ./run demo --keep    leaves it running, to look around
#   sudo ./run demo --check   the same, terse, for scripts
set -euo pipefail
# shellcheck disable=SC2034  # Read by the library.
LAB_NAME=${LAB_NAME:-demo}
source "$(dirname "$0")/lib.sh"

KEEP=no CHECK=no STEP=0
for argument in "$@"; do
  case $argument in
    --keep) KEEP=yes ;;
    --check) CHECK=yes ;;
    *)
      echo "demo: unknown option '$argument' (--keep, --check)" >&2
      exit 2
      ;;
  esac
done
BOLD='' DIM='' PLAIN=''
if [[ -t 1 ]]; then
  BOLD=$'\e[1m' DIM=$'\e[2m' PLAIN=$'\e[0m'
fi

# ---- Telling -------------------------------------------------------------------------------------

now() { echo "${EPOCHREALTIME/./}"; }
seconds_since() { awk -v us=$(($(now) - $1)) 'BEGIN { printf "%.2f", us / 1e6 }'; }

chapter() {
  STEP=$((STEP + 1))
  [[ $CHECK == yes ]] || echo
  echo "${BOLD}$STEP. $*${PLAIN}"
}
tell() { [[ $CHECK == yes ]] || echo "   $*"; }
command_shown() { [[ $CHECK == yes ]] || echo "   ${DIM}$*${PLAIN}"; }

# Replaces the end-to-end tests' ending: a person wants the reason and the logs.
finish() {
  local status=$? host logs
  trap - ERR EXIT INT TERM
  # shellcheck disable=SC2046  # One word per job.
  kill $(jobs -p) 2>/dev/null || true
  if ((status == 130)); then
    echo "demo: interrupted, cleaning up" >&2
  elif ((status != 0)); then
    logs=$(mktemp -d "${TMPDIR:-/tmp}/weft-demo-logs.XXXXXX")
    for host in "${HOSTS[@]}"; do
      on "$host" weft status >"$logs/$host.status" 2>&1 || true
      on "$host" tar -C /var/log -cf - . 2>/dev/null | tar -C "$logs" --transform "s,^\.,$host," -xf - 2>/dev/null || true
    done
    echo "demo: FAILED in step $STEP; the hosts' logs are in $logs" >&2
  fi
  rm -rf "$SCRATCH"
  if [[ $KEEP == yes && $status == 0 ]]; then
    exit 0
  fi
  lab down || true
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

# ---- The steps -----------------------------------------------------------------------------------

lay_out() {
  chapter "Three hosts on this machine, each with a Docker engine of its own"
  tell "namespaces joined by a bridge; the same images on each, from this machine's files"
  local started
  started=$(now)
  lab_up 3 --docker
  tell "up after $(seconds_since "$started") s"
}

launch_agents() {
  local host started seconds
  chapter "weft on each host; h2 and h3 are told of h1 only"
  for host in h1 h2 h3; do
    command_shown "$host\$ weft launch$([[ $host == h1 ]] || echo " h1")"
    started=$(now)
    if [[ $host == h1 ]]; then
      launch h1 >/dev/null
    else
      launch "$host" h1 >/dev/null
    fi
    seconds=$(seconds_since "$started")
    echo "$seconds" >>"$SCRATCH/launch"
    tell "ready after $seconds s"
  done
  started=$(now)
  wait_until 20 "every host reaches every other" all_reachable
  tell "all three know one another ($(seconds_since "$started") s later)"
}

start_containers() {
  local host name
  chapter "One network, two containers per host"
  command_shown "hN\$ docker network create -d weft --ipam-driver weft weft-net"
  network_everywhere weft-net
  command_shown "hN\$ docker run -d --net weft-net …"
  for host in h1 h2 h3; do
    for name in a b; do
      container "$host" "$name${host#h}" weft-net
      echo "$host $name${host#h} $(address_of "$host" "$name${host#h}")" >>"$SCRATCH/containers"
    done
  done
  while read -r host name address; do
    tell "$host  $name  $address"
  done <"$SCRATCH/containers"
}

ping_all() {
  local host name address other others
  chapter "Every container pings every other, on its own host and across"
  while read -r host name address <&8; do
    others=$(awk -v self="$address" '$3 != self { print $3 }' "$SCRATCH/containers" | xargs)
    # shellcheck disable=SC2016,SC2086  # Expanded in the container; one word per address.
    inside "$host" "$name" sh -c 'for to; do echo "to $to"; /bin/ping -q -c 5 -i 0.02 -W 1 "$to" || true; done' ping_all $others \
      >"$SCRATCH/ping.$name"
    for other in $others; do
      awk -v to="to $other" '$0 == to { ours = 1; next } /^to / { ours = 0 } ours && / [1-9][0-9]* received/ { got = 1 } END { exit !got }' "$SCRATCH/ping.$name" || fail "$name ($address on $host) cannot ping $other"
    done
    tell "$name on $host: ${others// /, }"
  done 8<"$SCRATCH/containers"
  awk '/packets transmitted/ { sent += $1; got += $4 } /^to / { pairs++ }
       /^rtt/ { split($4, rtt, "/"); sum += rtt[2]; count++ }
       END { printf "%d %.1f %.0f\n", pairs, 100 * (1 - got / sent), 1000 * sum / count }' "$SCRATCH"/ping.* >"$SCRATCH/pings"
}

start_iperf_server() {  # HOST CONTAINER
  inside "$1" "$2" iperf3 -s -1 >/dev/null 2>&1 &
  wait_until 5 "iperf3 listens in $2" inside "$1" "$2" sh -c 'netstat -tln | grep -q :5201'
}

move_data() {
  chapter "1 GiB over TCP from a container on h1 to one on h2"
  start_iperf_server h2 a2
  inside h1 a1 iperf3 -J -n 1G -c "$(address_of h2 a2)" >"$SCRATCH/bulk" || fail "iperf3: $(jq -r .error "$SCRATCH/bulk")"
  # The receiver stops counting when the sender says it is done, with a last window still in its socket.
  jq -e '.end.sum_sent.bytes >= 1073741824 and .end.sum_received.bytes >= .end.sum_sent.bytes * 0.98' "$SCRATCH/bulk" >/dev/null \
    || fail "of $(jq .end.sum_sent.bytes "$SCRATCH/bulk") bytes sent $(jq .end.sum_received.bytes "$SCRATCH/bulk") arrived"
  printf '%.2f\n' "$(jq '.end.sum_received.bits_per_second / 1e9' "$SCRATCH/bulk")" >"$SCRATCH/throughput"
  tell "$(cat "$SCRATCH/throughput") Gbit/s"
}

show_status() {
  local host
  chapter "What the agents say"
  for host in h1 h2 h3; do
    command_shown "$host\$ weft status"
    on "$host" weft status >"$SCRATCH/text"
    [[ $CHECK == yes ]] || sed 's/^/   /' "$SCRATCH/text"
  done
}

restart_under_traffic() {
  local stream slowest
  chapter "The agent of h1 restarts under a running TCP stream"
  start_iperf_server h2 b2
  inside h1 b1 iperf3 -J -t 6 -b 500M -c "$(address_of h2 b2)" >"$SCRATCH/stream" &
  stream=$!
  wait_until 5 "the stream flows" inside h2 b2 sh -c 'netstat -tn | grep -q ":5201 .*ESTABLISHED"'
  command_shown "h1\$ weft stop"
  on h1 weft stop
  tell "no agent on h1, and the stream goes on"
  command_shown "h1\$ weft launch"
  launch h1 >/dev/null
  wait "$stream" || fail "the stream broke: $(jq -r .error "$SCRATCH/stream")"
  slowest=$(jq '[.intervals[].sum.bytes] | min' "$SCRATCH/stream")
  ((slowest > 0)) || fail "the stream stood still for a second"
  tell "the stream never stopped: its slowest second moved $((slowest / 1000000)) MB"
  wait_until 20 "the mesh is whole again" all_reachable
}

# A server in one container that answers clients in others, in small pieces, for as long as the demo lives.
serve() {  # HOST CONTAINER PORT
  on "$1" docker exec -d "$2" socat "TCP-LISTEN:$3,fork,reuseaddr" EXEC:cat
}
ask() {  # HOST CONTAINER ADDRESS PORT
  on "$1" docker exec -d "$2" sh -c "while :; do (while :; do echo and so the weft goes through the warp; sleep 0.2; done) | socat - TCP:$3:$4 >/dev/null; sleep 1; done"
}

topology() {  # HOST VIEW: what the agent of that host answers.
  on "$1" curl -sf "http://127.0.0.1:4040/api/topology/$2?view=demo" >"$SCRATCH/topology"
}

# The edge from a1 to a3, and containers of all three hosts, as the agent of h2 sees them.
picture_is_whole() {
  topology h2 containers && jq -e '
    ([.nodes[] | select(.pseudo | not) | .labelMinor] | unique) == ["h1", "h2", "h3"]
    and ([.nodes[] | select(.label == "a3").id][0] as $server
         | any(.nodes[]; .label == "a1" and (.adjacency // [] | index($server))))' "$SCRATCH/topology" >/dev/null
}

look() {
  local started
  chapter "The picture of it all, from the agent of h2 alone"
  tell "a3 on h3 answers a1 on h1; a2 and b2 on h2 answer others"
  serve h3 a3 80
  serve h2 a2 5432
  serve h2 b2 6379
  wait_until 10 "the server in a3 listens" inside h3 a3 sh -c 'netstat -tln | grep -q :80'
  started=$(now)
  ask h1 a1 "$(address_of h3 a3)" 80
  ask h3 b3 "$(address_of h3 a3)" 80
  ask h3 a3 "$(address_of h2 a2)" 5432
  ask h3 a3 "$(address_of h2 b2)" 6379
  ask h1 b1 "$(address_of h2 a2)" 5432
  command_shown "h2\$ curl http://127.0.0.1:4040/api/topology/containers"
  wait_until 20 "the agent of h2 shows who talks to whom on all hosts" picture_is_whole
  tell "$(jq '[.nodes[] | select(.pseudo | not)] | length' "$SCRATCH/topology") containers on three hosts; a1 → a3 was there $(seconds_since "$started") s after its first byte at the latest"
  on h2 curl -sf --compressed http://127.0.0.1:4040/ | grep -q '<div id="app">' || fail "the agent of h2 serves no web UI"
}

# Megabytes of the biggest of the three agents.
agent_memory() {
  local host
  for host in h1 h2 h3; do
    on "$host" awk '/^VmRSS/ { print $2 / 1024 }' "/proc/$(agent_process "$host")/status"
  done | sort -g | tail -n 1
}

summarise() {
  local pairs loss rtt memory launch throughput
  read -r pairs loss rtt <"$SCRATCH/pings"
  memory=$(printf '%.1f' "$(agent_memory)")
  launch=$(sort -g "$SCRATCH/launch" | tail -n 1)
  throughput=$(cat "$SCRATCH/throughput")
  if [[ $CHECK == no ]]; then
    cat <<END

   pairs pinged            $pairs
   packets lost            $loss %
   round trip, average     $rtt µs
   TCP between two hosts   $throughput Gbit/s
   agent's memory (RSS)    $memory MB
   launch until ready      $launch s

END
  fi
  keep_hint
  echo "demo: ok pairs=$pairs loss=$loss% rtt=${rtt}us tcp=${throughput}Gbit/s rss=${memory}MB launch=${launch}s restart=unbroken"
}

keep_hint() {
  [[ $KEEP == yes ]] || return 0
  local tool
  tool=$(realpath --relative-to=. "$LAB_TOOL")
  cat <<END
The hosts are left running. Open the picture of them in a browser:

  http://127.0.0.1:$(lab publish h1 4040)/

To look around:

  sudo $tool --name $LAB_NAME shell h1              a shell on h1 (weft and docker are there)
  sudo $tool --name $LAB_NAME exec h2 weft status peers
  sudo $tool --name $LAB_NAME exec h1 docker exec a1 ping -c 3 $(address_of h3 b3)
  sudo $tool --name $LAB_NAME partition h1,h2 h3    cut h3 off; "heal" ends it
  sudo $tool --name $LAB_NAME down                  remove everything

END
}

if [[ -d /run/weft-lab/$LAB_NAME ]]; then
  tell "taking down the demo that was left running"
fi
lay_out
launch_agents
start_containers
ping_all
move_data
show_status
restart_under_traffic
look
summarise
