#!/bin/bash
# The host is the gateway of its containers: they reach the world under its address. That the world
# does not reach them is for tests/integration/sys/firewall_test.cc to show.
source "$(dirname "$0")/../lab/lib.sh"

# Tells who asks under which address it sees him. Runs until the lab is taken down.
serve_addresses() {  # HOST PORT [CONTAINER]
  local command=(socat "TCP-LISTEN:$2,fork,reuseaddr" "SYSTEM:echo \$SOCAT_PEERADDR")
  if [[ -n ${3:-} ]]; then
    on "$1" docker exec -d "$3" "${command[@]}"
  else
    on "$1" "${command[@]}" &
  fi
}
seen_as() { inside "$1" "$2" timeout 4 socat -T 3 -t 3 - "TCP:$3,connect-timeout=2"; }  # HOST CONTAINER TO
host_sees() { on "$1" timeout 4 socat -T 3 -t 3 - "TCP:$2,connect-timeout=2"; }
gateway_of() { on "$1" docker network inspect -f '{{(index .IPAM.Config 0).Gateway}}' "$2"; }
networks_of() { on "$1" docker network ls --format '{{.Name}}'; }
is_seen_as() { [[ $(seen_as "$1" "$2" "$3") == "$4" ]]; }
reaches_nothing() { assert_fails seen_as "$1" "$2" 198.18.0.2:8080 >/dev/null; }
carries() { [[ $(on "$1" ip -o address show dev weft) == *" $2/32 "* ]]; }

lab_up 2 --docker
# As Docker sets it where it turns on forwarding itself.
everywhere iptables -P FORWARD DROP
launch_all
serve_addresses h2 8080

step "a container reaches what lies beyond its host, which answers the host"
network_everywhere weft-net
container h1 c1 weft-net
container h2 c2 weft-net
wait_until 15 "c1 is seen as its host" is_seen_as h1 c1 198.18.0.2:8080 198.18.0.1
assert_equal "$(networks_of h1 | grep -c docker_gwbridge || true)" 0 "Docker's gateway bridge"
gateway=$(gateway_of h1 weft-net)
carries h1 "$gateway" || fail "the bridge has not got $gateway"
assert_contains "$(inside h1 c1 ip route)" "default via $gateway" "routes of c1"

step "gateways are stations that every container and every host reaches"
[[ $gateway != "$(gateway_of h2 weft-net)" ]] || fail "two hosts have one gateway address"
assert_ping h2 c2 "$gateway"
assert_ping h1 c1 "$(gateway_of h2 weft-net)"
wait_until 15 "h1 pings c2" on h1 ping -c 1 -W 1 "$(address_of h2 c2)"

step "between containers nothing is translated"
serve_addresses h1 8081 c1
wait_until 15 "c1 sees c2 itself" is_seen_as h2 c2 "$(address_of h1 c1):8081" "$(address_of h2 c2)"

step "a published port is reached from outside, and its container reaches the outside"
container h1 published weft-net -p 8090:8090
serve_addresses h1 8090 published
wait_until 15 "the port answers" host_sees h2 198.18.0.1:8090
wait_until 15 "the container gets out" is_seen_as h1 published 198.18.0.2:8080 198.18.0.1
assert_ping h2 c2 "$(address_of h1 published)"

step "subnets stay apart, and an internal network has no way out"
network_everywhere blue --subnet 10.40.0.0/24
network_everywhere secret --subnet 10.41.0.0/24 --internal
container h1 blue1 blue
container h1 inner1 secret
container h2 inner2 secret
wait_until 15 "blue1 is seen as its host" is_seen_as h1 blue1 198.18.0.2:8080 198.18.0.1
assert_fails pings h1 blue1 "$(address_of h2 inner2 secret)" >/dev/null
assert_ping h1 inner1 "$(address_of h2 inner2 secret)"
reaches_nothing h1 inner1
assert_fails pings h1 inner1 "$(address_of h1 blue1 blue)" >/dev/null

step "a container on two networks leaves through one of them, and through the other when that goes"
container h1 both blue
on h1 docker network connect weft-net both
wait_until 15 "both is seen as its host" is_seen_as h1 both 198.18.0.2:8080 198.18.0.1
assert_ping h1 both "$(address_of h2 c2)"
on h1 docker network disconnect blue both
wait_until 15 "both is seen as its host" is_seen_as h1 both 198.18.0.2:8080 198.18.0.1

step "the way out stays open without an agent, and is the same for the next one"
kill_agent h1
is_seen_as h1 c1 198.18.0.2:8080 198.18.0.1 || fail "no way out while no agent runs"
launch h1
assert_equal "$(gateway_of h1 weft-net)" "$gateway" "the gateway after a restart"
is_seen_as h1 c1 198.18.0.2:8080 198.18.0.1 || fail "no way out after a restart"
container h1 later weft-net
wait_until 15 "a new container gets out" is_seen_as h1 later 198.18.0.2:8080 198.18.0.1

step "the gateway of a network goes with it"
remove_containers h1 c1 published later both
on h1 docker network rm weft-net >/dev/null
! carries h1 "$gateway" || fail "the bridge still has $gateway"
wait_until 15 "blue1 is still seen as its host" is_seen_as h1 blue1 198.18.0.2:8080 198.18.0.1
remove_containers h1 blue1 inner1
on h1 docker network rm blue secret >/dev/null
wait_until 15 "no addresses in use" status_is h1 '([.ipam.ranges[].used] | add // 0) == 0'
assert_equal "$(on h1 iptables -S FORWARD | grep weft)" \
  '-A FORWARD -i weft -o weft -m comment --comment "weft weft" -j ACCEPT' "firewall rules that are left"
assert_equal "$(on h1 nft list tables | grep -c weft || true)" 0 "tables that are left"
assert_equal "$(on h1 ip rule | grep -c 'proto 119' || true)" 0 "routing rules that are left"
