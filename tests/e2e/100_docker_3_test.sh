#!/bin/bash
# Containers of three hosts share networks: any to any, with addresses of all kinds.
source "$(dirname "$0")/../lab/lib.sh"

step "three hosts, each told of one other, become one mesh"
lab_up 3 --docker
launch_all
network_everywhere weft-net

step "two containers per host ping one another, whatever host they are on"
for host in h1 h2 h3; do
  for name in a b; do
    container "$host" "$name$host" weft-net
    echo "$host $name$host $(address_of "$host" "$name$host")" >>"$SCRATCH/containers"
  done
done
# shellcheck disable=SC2046  # One word per address.
assert_unique $(cut -d ' ' -f 3 "$SCRATCH/containers")
assert_all_ping "$SCRATCH/containers"

step "networks with a subnet and a range of their own are apart from the others"
network_everywhere blue --subnet 10.40.0.0/24 --ip-range 10.40.0.128/25
container h1 blue1 blue
container h2 blue2 blue
address=$(address_of h2 blue2 blue)
[[ $address =~ ^10\.40\.0\.(12[89]|1[3-9][0-9]|2[0-9]{2})$ ]] || fail "$address is not in 10.40.0.128/25"
assert_ping h1 blue1 "$address"

step "an address that is asked for is given, once in the whole cluster"
container h1 fixed blue --ip 10.40.0.7
assert_equal "$(address_of h1 fixed blue)" 10.40.0.7 "--ip"
assert_ping h2 blue2 10.40.0.7
assert_contains "$(assert_fails container h1 again blue --ip 10.40.0.7)" 10.40.0.7 "--ip twice on one host"
assert_contains "$(assert_fails container h2 again blue --ip 10.40.0.7)" 10.40.0.7 "--ip twice in the cluster"
on h1 docker rm -f again fixed >/dev/null
on h2 docker rm -f again >/dev/null
container h1 fixed blue --ip 10.40.0.7
assert_ping h2 blue2 10.40.0.7

step "a container on two networks reaches both"
network_everywhere red --subnet 10.41.0.0/24
container h1 red1 red
container h3 both red
on h3 docker network connect blue both
assert_ping h3 both "$address"
assert_ping h3 both "$(address_of h1 red1 red)"
assert_ping h2 blue2 "$(address_of h3 both blue)"
assert_ping h1 red1 "$(address_of h3 both red)"
on h3 docker network disconnect blue both
assert_ping h3 both "$(address_of h1 red1 red)"

step "a container that restarts is back on the network"
on h2 docker restart -t 0 ah2 >/dev/null
assert_ping h1 ah1 "$(address_of h2 ah2)"
assert_ping h2 ah2 "$(address_of h3 ah3)"
on h1 docker restart -t 0 fixed >/dev/null
assert_equal "$(address_of h1 fixed blue)" 10.40.0.7 "address after a restart"
assert_ping h2 blue2 10.40.0.7

step "what is removed is given back, down to the last interface"
for host in "${HOSTS[@]}"; do
  remove_containers "$host"
done
everywhere docker network rm weft-net blue red >/dev/null
for host in h1 h2 h3; do
  # What is left: the bridge, and devices of weft's own.
  wait_until 5 "no ports of containers on $host" status_is "$host" '.docker.ports == 0 and .docker.networks == 0'
  wait_until 5 "no addresses in use on $host" status_is "$host" '([.ipam.ranges[].used] | add // 0) == 0'
done
assert_contains "$(assert_fails container h1 late weft-net)" "not found" "run on a removed network"
