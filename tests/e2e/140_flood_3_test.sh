#!/bin/bash
# Broadcast and multicast reach every container exactly once, with BPF and without.
source "$(dirname "$0")/../lab/lib.sh"

COUNT=20

# Containers listen, one sends COUNT numbered datagrams and an end mark; each must arrive once.
listen() {  # HOST CONTAINER SOCAT-ADDRESS; it is killed in the end.
  # shellcheck disable=SC2016  # Expanded in the container.
  inside "$1" "$2" sh -c ': >/tmp/got; echo $$ >/tmp/pid; exec socat -u "$0" OPEN:/tmp/got,append' "$3" || true &
}

got() { inside "$1" "$2" cat /tmp/got; }
has_end() { got "$1" "$2" | grep -q end; }

assert_flood() {  # WHAT SENDER-SOCAT-ADDRESS RECEIVER-SOCAT-ADDRESS
  local what=$1 sender=$2 receiver=$3 host name
  for host in h1 h2 h3; do
    for name in a b; do
      [[ $host$name == h1a ]] || listen "$host" "$name$host" "$receiver"
    done
  done
  for host in h1 h2 h3; do
    for name in a b; do
      [[ $host$name == h1a ]] ||
        wait_until 5 "socat listens in $name$host" inside "$host" "$name$host" sh -c 'netstat -uln | grep -q :9999'
    done
  done
  # shellcheck disable=SC2016  # Expanded in the container.
  inside h1 ah1 sh -c 'for i in $(seq "$1"); do echo "$i"; sleep 0.02; done | socat -u - "$0"; sleep 0.2; echo end | socat -u - "$0"' \
    "$sender" "$COUNT"
  for host in h1 h2 h3; do
    for name in a b; do
      [[ $host$name != h1a ]] || continue
      wait_until 5 "the end of the $what reaches $name$host" has_end "$host" "$name$host"
      assert_equal "$(got "$host" "$name$host" | grep -v end | sort -n | uniq -c | awk '{ print $1 }' | sort | uniq -c | xargs)" \
        "$COUNT 1" "$what datagrams in $name$host (how many, how often each)"
      # shellcheck disable=SC2016  # Expanded in the container.
      inside "$host" "$name$host" sh -c 'kill $(cat /tmp/pid)'
    done
  done
}

start_containers() {
  local host name
  network_everywhere weft-net --subnet 10.34.0.0/24
  for host in h1 h2 h3; do
    for name in a b; do
      container "$host" "$name$host" weft-net
      echo "$host $name$host $(address_of "$host" "$name$host")" >>"$SCRATCH/containers"
    done
  done
}

flood_both_ways() {
  assert_flood broadcast UDP-DATAGRAM:10.34.0.255:9999,broadcast UDP-RECV:9999
  assert_flood multicast "UDP-DATAGRAM:239.1.2.3:9999,ip-multicast-if=$(address_of h1 ah1),ip-multicast-ttl=4" \
    UDP-RECV:9999,ip-add-membership=239.1.2.3:ethwe0
}

lab_up 3 --docker
launch_all
start_containers

step "with BPF"
status_is h1 '.datapath.mode == "bpf"' || fail "the fast path is not up: $(on h1 weft status --json | jq -c .datapath)"
assert_all_ping "$SCRATCH/containers"
flood_both_ways

step "with one agent restarted without BPF"
on h2 weft stop
launch h2 --no-bpf
wait_until 20 "the mesh is whole again" all_reachable
assert_all_ping "$SCRATCH/containers"
flood_both_ways

step "with no BPF anywhere"
for host in h1 h3; do
  on "$host" weft stop
  launch "$host" --no-bpf
done
wait_until 20 "the mesh is whole again" all_reachable
for host in h1 h2 h3; do
  status_is "$host" '.datapath.mode == "bridge"' || fail "$host is not without BPF"
done
assert_all_ping "$SCRATCH/containers"
flood_both_ways
