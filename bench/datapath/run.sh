#!/bin/bash
# The plain data path between two hosts: weft with BPF and without, kernel VXLAN behind a bridge, and
# the bare wire. Contenders take turns in every round; iperf3 and ping run in the contenders' network
# namespaces without anything else of a container, client and server on CPUs of their own.
#   sudo ./run bench datapath   WEFT_BENCH_ROUNDS=3 and WEFT_BENCH_SECONDS=3 are the defaults.
set -euo pipefail
# shellcheck disable=SC2034  # Read by the library.
LAB_KIND=bench-datapath
here=$(dirname "$0")
source "$here/../../tests/lab/lib.sh"
source "$here/../lib.sh"

ROUNDS=${WEFT_BENCH_ROUNDS:-3}
RUN_SECONDS=${WEFT_BENCH_SECONDS:-3}
CONTENDERS=(weft weft_bridge vxlan veth)
declare -A NET_H1 NET_H2 PEER  # Network namespaces as the hosts see them, and the address on h2.

progress() { echo "bench datapath: $*" >&2; }

net_of_container() { echo "/proc/$(on "$1" docker inspect -f '{{.State.Pid}}' "$2")/ns/net"; }

# What an operator would build by hand: a bridge, a VXLAN device on it, a veth pair into a namespace.
make_vxlan() {  # HOST NUMBER OTHER-UNDERLAY
  on "$1" ip netns add peer
  on "$1" ip -batch - <<END
link add kbridge type bridge
link add kvxlan type vxlan id 77 dstport 4790 remote $3 dev eth0
link set kvxlan master kbridge up
link add kport mtu 1450 type veth peer name eth0 mtu 1450 netns peer
link set kport master kbridge up
link set kbridge up
END
  on "$1" ip -n peer addr add "10.77.0.$2/24" dev eth0
  on "$1" ip -n peer link set eth0 up
}

at() {  # HOST NETNS CPU CMD…
  local host=$1 net=$2 cpu=$3
  shift 3
  on "$host" nsenter --net="$net" taskset -c "$cpu" "$@"
}

server() {  # CONTENDER
  at h2 "${NET_H2[$1]}" 1 iperf3 -s -1 >/dev/null 2>&1 &
  wait_until 5 "iperf3 listens" at h2 "${NET_H2[$1]}" 1 sh -c 'ss -tln | grep -q :5201'
}

client() {  # CONTENDER [options]
  local contender=$1
  shift
  server "$contender"
  at h1 "${NET_H1[$contender]}" 0 iperf3 -J -t "$RUN_SECONDS" -c "${PEER[$contender]}" "$@" >"$SCRATCH/iperf" ||
    fail "iperf3 through $contender: $(jq -r .error "$SCRATCH/iperf")"
}

measure() {  # CONTENDER
  # Two pings teach the kernel and the agent whatever is to be learnt.
  at h1 "${NET_H1[$1]}" 0 ping -q -c 2 -i 0.2 "${PEER[$1]}" >/dev/null
  client "$1" -C cubic
  sample "$1" tcp_gigabits_per_second "$(jq '.end.sum_received.bits_per_second / 1e9' "$SCRATCH/iperf")"
  client "$1" -u -b 0 -l 64
  sample "$1" udp64_packets_per_second "$(jq '(.end.sum.packets - .end.sum.lost_packets) / .end.sum.seconds' "$SCRATCH/iperf")"
  at h1 "${NET_H1[$1]}" 0 ping -q -A -c 3000 "${PEER[$1]}" >"$SCRATCH/ping"
  sample "$1" rtt_microseconds "$(awk '/^rtt/ { split($4, rtt, "/"); print rtt[2] * 1000 }' "$SCRATCH/ping")"
}

relaunch() {  # [options]
  local host
  for host in h1 h2; do
    on "$host" weft stop
    launch "$host" "$@"
  done
  wait_until 20 "the mesh is whole" all_reachable
}

report() {
  local contender measure
  echo
  echo "two hosts, MTU 1500, medians of $ROUNDS rounds (least … most)"
  printf '  %-12s %-28s %-30s %s\n' contender "TCP, 1 stream (Gbit/s)" "UDP 64 B (kpps received)" "round trip (µs)"
  for contender in "${CONTENDERS[@]}"; do
    printf '  %-12s %-28s %-30s %s\n' "$contender" "$(spread "$contender" tcp_gigabits_per_second 1 2)" \
      "$(spread "$contender" udp64_packets_per_second 0.001 0)" "$(spread "$contender" rtt_microseconds 1 1)"
  done
  echo
  for measure in tcp_gigabits_per_second udp64_packets_per_second rtt_microseconds; do
    for contender in weft_bridge vxlan veth; do
      ratio weft "$contender" "$measure"
    done
  done
}

progress "two hosts with Docker engines"
lab_up 2 --docker
launch_all
network_everywhere weft-net
container h1 c1 weft-net
container h2 c2 weft-net
make_vxlan h1 1 198.18.0.2
make_vxlan h2 2 198.18.0.1
NET_H1=([weft]=$(net_of_container h1 c1) [vxlan]=/run/netns/peer [veth]=/proc/1/ns/net)
NET_H2=([weft]=$(net_of_container h2 c2) [vxlan]=/run/netns/peer [veth]=/proc/1/ns/net)
NET_H1[weft_bridge]=${NET_H1[weft]}
NET_H2[weft_bridge]=${NET_H2[weft]}
PEER=([weft]=$(address_of h2 c2) [weft_bridge]=$(address_of h2 c2) [vxlan]=10.77.0.2 [veth]=198.18.0.2)

for ((round = 1; round <= ROUNDS; round++)); do
  progress "round $round of $ROUNDS"
  measure weft
  measure vxlan
  relaunch --no-bpf
  measure weft_bridge
  measure veth
  relaunch
done
report
