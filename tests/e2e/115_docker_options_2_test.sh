#!/bin/bash
# What Docker's users ask of networks and containers: options, aliases, internal networks, published
# ports, several networks, with the errors that mistakes get.
source "$(dirname "$0")/../lab/lib.sh"

create() {  # OPTIONS… NAME: what docker says of a network on h1.
  on h1 docker network create -d weft --ipam-driver weft "$@"
}
serve() {  # HOST CONTAINER PORT: says hello to who connects.
  on "$1" docker exec -d "$2" socat "TCP-LISTEN:$3,fork,reuseaddr" 'SYSTEM:echo hello'
}
says_hello() { [[ $("$@" </dev/null) == hello ]]; }
knows() {  # HOST CONTAINER NAME ADDRESS
  [[ $(inside "$1" "$2" nslookup -type=a "$3" | sed -n 's/^Address: //p' | sort -u | xargs) == "$4" ]]
}

step "two hosts"
lab_up 2 --docker
launch_all

step "options that are wrong are refused with what is expected"
assert_contains "$(assert_fails create --opt weft.mtu=12 bad)" "option weft.mtu=12 (expected 576 to 65535)" "MTU"
assert_contains "$(assert_fails create --opt weft.multicast=maybe bad)" "expected true or false" "multicast"
assert_contains "$(assert_fails create --opt weft.speed=9 bad)" "unknown option weft.speed" "unknown"
assert_contains "$(assert_fails create --opt encrypted bad)" "in clear" "encryption without a password"
assert_contains "$(assert_fails create --opt weft.isolated=true bad)" "--internal" "isolation"
assert_contains "$(assert_fails create --subnet 10.40.0.1/24 bad)" "10.40.0" "a subnet with host bits"
assert_equal "$(on h1 docker network ls -q --filter name=bad | wc -l)" 0 "networks made by mistake"

step "an MTU, and no multicast"
network_everywhere small --subnet 10.40.0.0/24 --opt weft.mtu=1280 --opt weft.multicast=false
container h1 s1 small
container h2 s2 small --ip 10.40.0.9
assert_equal "$(inside h1 s1 cat /sys/class/net/ethwe0/mtu)" 1280 "MTU of the network"
assert_equal "$(inside h1 s1 ip route show 224.0.0.0/4)" "" "route for multicast"
assert_ping h1 s1 10.40.0.9
inside h1 s1 ping -c 1 -W 2 -s 1252 -M "do" 10.40.0.9 >/dev/null
assert_contains "$(assert_fails inside h1 s1 ping -c 1 -W 1 -s 1253 -M "do" 10.40.0.9)" "1280" "a larger packet"

step "aliases and names on the network of who asks"
network_everywhere weft-net
mapfile -t dns < <(on h1 weft dns-args | xargs -n 1)
container h1 front weft-net "${dns[@]}"
container h1 db weft-net --network-alias store
on h1 docker network connect --alias store small db
db_default=$(address_of h1 db)
db_small=$(address_of h1 db small)
wait_until 5 "the alias is known" knows h1 front store.weft.local "$db_default"
container h1 narrow small "${dns[@]}"
wait_until 5 "each sees the address of its own network" knows h1 narrow store.weft.local "$db_small"
assert_equal "$(on h1 weft dns-lookup store.weft.local | sort | xargs)" \
  "$(printf '%s\n' "$db_default" "$db_small" | sort | xargs)" "the host sees both"
assert_ping h1 front "$db_default"
assert_ping h1 narrow "$db_small"

step "a published port, from the host and from the other host"
container h1 shop weft-net -p 8080:80
serve h1 shop 80
wait_until 5 "the port answers on its host" says_hello on h1 socat -T 2 -t 2 - TCP:127.0.0.1:8080
wait_until 5 "and from elsewhere" says_hello on h2 socat -T 2 -t 2 - TCP:198.18.0.1:8080
container h2 buyer weft-net
wait_until 5 "and its container on the overlay" says_hello inside h2 buyer socat -T 2 -t 2 - "TCP:$(address_of h1 shop):80"

step "an internal network leads nowhere else"
network_everywhere closed --internal --subnet 10.41.0.0/24
container h1 in1 closed
container h2 in2 closed
assert_ping h1 in1 "$(address_of h2 in2 closed)"
assert_equal "$(inside h1 in1 ip route | grep -c default || true)" 0 "default routes"
assert_fails inside h1 in1 ping -c 1 -W 1 198.18.0.2 >/dev/null
