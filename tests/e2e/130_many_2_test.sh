#!/bin/bash
# Fifty containers on two hosts, started as fast as the engines can.
source "$(dirname "$0")/../lab/lib.sh"

lab_up 2 --docker
launch_all
network_everywhere weft-net

step "fifty containers start, two at a time"
start_many() {
  local host=$1 number
  for number in $(seq 25); do
    container "$host" "c$number" weft-net
  done
}
start_many h1 &
first=$!
start_many h2
wait "$first"

step "each has an address of its own"
everywhere sh -c 'docker inspect -f "{{(index .NetworkSettings.Networks \"weft-net\").IPAddress}}" $(docker ps -q)' >"$SCRATCH/all"
assert_equal "$(sort -u "$SCRATCH/all" | wc -l)" 50 "addresses"

step "one container of each host pings all fifty"
for host in h1 h2; do
  # One docker exec for all of them: what is tested is the network.
  # shellcheck disable=SC2046  # One word per address.
  inside "$host" c1 sh -c 'for a; do ping -c 1 -W 3 "$a" >/dev/null || { echo "$a"; exit 1; }; done' ping_all $(cat "$SCRATCH/all") ||
    fail "$host misses a container"
done

step "they all go, and nothing is left"
ports_of() { on "$1" ip -br link show master weft | grep -c '^veth' || true; }
has_no_ports() { [[ $(ports_of "$1") == 0 ]]; }
remove_containers h1 &
first=$!
remove_containers h2
wait "$first"
everywhere docker network rm weft-net >/dev/null
for host in h1 h2; do
  wait_until 10 "$host has no ports" status_is "$host" '.docker.ports == 0 and ([.ipam.ranges[].used] | add // 0) == 0'
  wait_until 5 "the bridge of $host has no ports" has_no_ports "$host"
done
