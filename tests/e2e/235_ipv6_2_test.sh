#!/bin/bash
# Networks with IPv6 beside IPv4: addresses from the range of both, names, the way out, what is
# attached by hand, and all of it over restarts of agent and engine.
source "$(dirname "$0")/../lab/lib.sh"

RANGES=10.32.0.0/12,fd00:32::/48
SUBNET=fd00:32:0:1::/64

v6_of() { on "$1" docker inspect -f '{{(index .NetworkSettings.Networks "dual").GlobalIPv6Address}}' "$2"; }
seen_as() { inside "$1" "$2" timeout 4 socat -T 3 -t 3 - "TCP6:$3,connect-timeout=2"; }  # HOST CONTAINER TO
is_seen_as() { [[ $(seen_as "$1" "$2" "$3") == *"$4"* ]]; }
names() { on h1 weft dns-lookup "$1"; }
finds() { [[ $(names "$1") == *"$2"* ]]; }
# Addresses of IPv6 that containers have on all hosts, attached ones included.
live_v6() {
  local host
  for host in "${HOSTS[@]}"; do
    on "$host" sh -c 'for c in $(docker ps -q); do docker exec $c ip -6 -o address show scope global; done'
  done | awk '$4 ~ /^fd00:32:/ {print $4}'
}
no_duplicates() { assert_equal "$(live_v6 | sort | uniq -d)" "" "addresses that two have"; }

lab_up 2 --docker
everywhere ip6tables -P FORWARD DROP
launch_all --ipalloc-range "$RANGES"

step "containers of two hosts have an address of each family and reach each other by both"
network_everywhere dual --ipv6 --subnet "$SUBNET"
container h1 c1 dual
container h2 c2 dual
[[ $(v6_of h1 c1) == fd00:32:0:1:* ]] || fail "c1 has $(v6_of h1 c1)"
[[ $(v6_of h1 c1) != "$(v6_of h2 c2)" ]] || fail "two containers have $(v6_of h1 c1)"
assert_ping h1 c1 "$(v6_of h2 c2)"
assert_ping h2 c2 "$(v6_of h1 c1)"
assert_ping h1 c1 "$(address_of h2 c2 dual)"

step "names have both, and addresses their names"
wait_until 10 "c2 is known by IPv6" finds c2 "$(v6_of h2 c2)"
wait_until 10 "c2 is known by IPv4" finds c2 "$(address_of h2 c2 dual)"
docker0=$(on h1 ip -o -4 address show docker0 | awk '{sub("/.*", "", $4); print $4}')
assert_equal "$(on h1 dig +short "@$docker0" AAAA c2.weft.local)" "$(v6_of h2 c2)" "AAAA of c2"
assert_equal "$(on h1 dig +short "@$docker0" -x "$(v6_of h2 c2)")" "c2.weft.local." "PTR of c2"

step "the host is their gateway"
on h2 socat TCP6-LISTEN:8080,fork,reuseaddr 'SYSTEM:echo $SOCAT_PEERADDR' &
wait_until 15 "c1 gets out as its host" is_seen_as h1 c1 '[fd57:6c61:6200::2]:8080' fd57:6c61:6200:
assert_contains "$(inside h1 c1 ip -6 route)" "default via fd00:32:0:1:" "routes of c1"
assert_fails on h2 ping -c 1 -W 1 -I eth0 "$(v6_of h1 c1)" >/dev/null

step "what is attached by hand has IPv6 too, and hides it again"
on h2 docker run -d --stop-signal KILL --name plain --hostname plain --net none --sysctl net.ipv6.conf.all.disable_ipv6=0 \
  weft-tools sleep 1000000 >/dev/null
given=$(on h2 weft attach net:$SUBNET plain)
[[ $given == fd00:32:0:1:* ]] || fail "plain was given $given"
assert_ping h1 c1 "$given"
assert_contains "$(on h2 weft ps)" "$given" "weft ps"
no_duplicates
exposed=$(on h1 weft expose net:$SUBNET)
wait_until 10 "h1 reaches c2 by IPv6" on h1 ping -c 1 -W 1 "$(v6_of h2 c2)"
on h1 weft hide net:$SUBNET >/dev/null
! on h1 ip -6 -o address show dev weft | grep -q "$exposed/128" || fail "$exposed is still there"
assert_equal "$(on h2 weft detach net:$SUBNET plain)" "$given" "what was detached"

step "all stays over a restart of the agent and of the engine"
kill_agent h1
inside h1 c1 ping -c 1 -W 1 "$(v6_of h2 c2)" >/dev/null || fail "no traffic while no agent runs"
launch h1 --ipalloc-range "$RANGES"
container h1 later dual
assert_ping h2 c2 "$(v6_of h1 later)"
lab engine h1 restart
on h1 docker start c1 later >/dev/null
assert_ping h2 c2 "$(v6_of h1 c1)"
assert_ping h1 later "$(v6_of h2 c2)"
no_duplicates
assert_contains "$(on h1 weft status ipam)" "fd00:32::/48" "weft status ipam"

step "a host that lost its store gives no live address out again"
old=$(on h1 weft status --json | jq -r .router.name)
kill_agent h1
on h1 rm -rf /var/lib/weft
launch h1 --ipalloc-range "$RANGES" h2
wait_until 60 "the live address is held again" status_is h1 '.ipam.ipv6.ranges[0].used >= 2'
assert_equal "$(on h1 weft status --json | jq -r .router.name)" "$old" "the name, which the bridge remembers"
container h1 again dual
no_duplicates
step "the network takes its gateways along"
remove_containers h1 c1 later again
on h1 docker network rm dual >/dev/null
wait_until 15 "no IPv6 address on the bridge" on h1 sh -c '! ip -6 -o address show dev weft scope global | grep -q fd00:32'
assert_equal "$(on h1 ip -6 rule | grep -c 'proto 119' || true)" 0 "routing rules that are left"
