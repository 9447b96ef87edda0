#!/bin/bash
# Containers that Docker runs without weft, and bare namespaces, attached by hand; subnets exposed to
# the world through a host.
source "$(dirname "$0")/../lab/lib.sh"

attached() { on "$1" weft attach "${@:2}"; }
plain() {  # HOST NAME [options]: a container Docker has given no network.
  on "$1" docker run -d --stop-signal KILL --name "$2" --net none "${@:3}" weft-tools sleep 1000000 >/dev/null
}
listens() {  # HOST PORT [CONTAINER]: says under which address it sees who asks.
  local command=(socat "TCP-LISTEN:$2,fork,reuseaddr" "SYSTEM:echo \$SOCAT_PEERADDR")
  if [[ -n ${3:-} ]]; then
    on "$1" docker exec -d "$3" "${command[@]}"
  else
    on "$1" "${command[@]}" &
  fi
}
host_asks() { on "$1" timeout 4 socat -T 3 -t 3 - "TCP:$2,connect-timeout=2"; }
is_answered() { [[ $(host_asks "$1" "$2") == "$3" ]]; }
has_name() { [[ $(on "$1" weft dns-lookup "$2") == *"$3"* ]]; }
has_no_name() { [[ -z $(on "$1" weft dns-lookup "$2") ]]; }
rules_stand() { [[ $(on h1 nft list table ip weft 2>/dev/null) == *masquerade* ]]; }
forgets() { [[ $(on "$1" weft ps) != *"$2"* ]]; }

lab_up 2 --docker
everywhere iptables -P FORWARD DROP
launch_all

step "a container is attached, twice, and reaches another one"
plain h1 ca
plain h2 cb
first=$(attached h1 ca)
assert_equal "$(attached h1 ca)" "$first" "the address when attached again"
second=$(attached h2 cb)
assert_ping h1 ca "$second"
assert_ping h2 cb "$first"
assert_equal "$(inside h1 ca ip route | grep -c default || true)" 0 "default routes of a"
assert_contains "$(inside h1 ca ip route)" "224.0.0.0/4 dev ethwe" "routes of a"
assert_equal "$(on h1 weft dns-lookup ca)" "$first" "the name of a"
wait_until 5 "h2 knows a" has_name h2 ca "$first"
assert_contains "$(on h1 weft ps ca)" "$first/" "ps of a"

step "addresses of every form, in the order they are asked for"
got=$(attached h1 10.99.1.7/24 net:10.40.1.0/24 net:default ca)
assert_equal "${got%% *}" 10.99.1.7 "the first of $got"
assert_equal "$(wc -w <<<"$got")" 3 "addresses of $got"
assert_equal "${got##* }" "$first" "the last of $got"
attached h2 10.99.1.8/24 cb >/dev/null
assert_ping h2 cb 10.99.1.7

step "attachments outlive the agent"
kill_agent h1
pings h2 cb "$first" || fail "no ping while no agent runs"
launch h1
assert_contains "$(on h1 weft ps)" "10.99.1.7/24" "ps after a restart"
assert_ping h2 cb "$first"
wait_until 5 "h2 knows a again" has_name h2 ca "$first"

step "detaching takes what is named, and at last the interface"
assert_equal "$(on h1 weft detach 10.99.1.7/24 ca)" 10.99.1.7 "what detach prints"
assert_fails pings h2 cb 10.99.1.7 >/dev/null
assert_ping h2 cb "$first"
on h1 weft detach net:default net:10.40.1.0/24 ca >/dev/null
assert_equal "$(inside h1 ca ip -o link | grep -c ethwe || true)" 0 "interfaces of a"
assert_equal "$(on h1 weft ps ca)" "" "ps of a"
assert_equal "$(on h1 weft detach ca)" "" "detaching again"
assert_equal "$(on h2 weft dns-lookup ca)" "" "the name of a"

step "of two addresses in one subnet the first may go, and the other stays"
attached h1 10.98.1.1/24 10.98.1.2/24 ca >/dev/null
on h1 weft detach 10.98.1.1/24 ca >/dev/null
assert_contains "$(inside h1 ca ip -4 -o address)" "10.98.1.2/24" "addresses of a"
assert_equal "$(on h1 weft detach 10.98.1.2/24 ca)" 10.98.1.2 "and goes when it is told to"

step "a namespace is attached by pid and by path, which are one"
on h1 ip netns add bare
on h1 nsenter --net=/run/netns/bare sleep 1000000 &  # `ip netns exec` would keep other namespaces mounted.
wait_until 5 "a process is in there" on h1 bash -c '[[ -n $(ip netns pids bare) ]]'
pid=$(on h1 ip netns pids bare | head -1)
bare=$(attached h1 "pid:$pid")
assert_equal "$(attached h1 netns:bare)" "$bare" "the address of the same namespace"
wait_until 5 "bare pings b" on h1 ip netns exec bare ping -c 1 -W 1 "$second"
assert_fails attached h1 pid:1 >/dev/null

step "what cannot be attached says why, and keeps no address"
on h1 docker run -d --name shares --net host weft-tools sleep 1000000 >/dev/null
assert_contains "$(assert_fails attached h1 shares)" "shares the host's network" "a container on the host's network"
assert_equal "$(on h1 curl -sf "127.0.0.1:6784/ip/$(on h1 docker inspect -f '{{.Id}}' shares)")" "" "its addresses"
assert_contains "$(assert_fails attached h1 10.99.0.1 ca)" "10.99.0.1 has no prefix length (expected 10.99.0.1/LEN" "an address without a prefix"
assert_contains "$(assert_fails attached h1 nobody)" "no such container: nobody" "a container nobody knows"
assert_contains "$(on h1 weft dns-add 10.99.1.9 -h www.example.com 2>&1)" "outside weft.local." "a name that is left out"
assert_contains "$(assert_fails on h1 weft graph nothing)" "expected processes" "a view that is none"
assert_contains "$(assert_fails on h1 weft ui-user ann king </dev/null)" "with the role viewer" "a role that is none"

step "a mistake is told from a failure by its code"
code_of() { local code=0; on h1 weft "$@" >/dev/null 2>&1 </dev/null || code=$?; echo "$code"; }
for words in "attach 10.99.0.1 ca" "attach net:10.40.0.1/24 ca" "attach ca cb" "attach --add-host x ca" "detach 10.99.0.1 ca" "expose abc" "hide abc" \
  "connect a:b" "forget a:b" "dns-add 192.0.2.1" "dns-add 192.0.2.1 -h .." "dns-lookup .." "status nope" "graph nope" "report -f {{" "completion x" \
  "ui-user ann king"; do
  # shellcheck disable=SC2086  # Words.
  assert_equal "$(code_of $words)" 2 "exit code of weft $words"
done
for words in "attach nobody" "attach net:10.99.0.0/24 ca" "detach nobody" "ps nobody" "reach nobody nothing" "rmpeer h2"; do
  # shellcheck disable=SC2086
  assert_equal "$(code_of $words)" 1 "exit code of weft $words"
done
assert_equal "$(code_of launch)" 3 "exit code of a second launch"
assert_equal "$(code_of status --run-dir /run/nobody)" 4 "exit code where no agent is"

step "who dies is gone: interface, name, and in time the addresses"
address=$(attached h1 ca)
on h1 docker rm -f ca >/dev/null
wait_until 2 "ps forgets a" forgets h1 "$address/"
wait_until 1 "the name of a is gone everywhere" has_no_name h2 ca

step "who is removed leaves its address to the next at once, without DNS, too"
for option in "" --no-dns; do
  for name in first second; do
    on h1 docker run -d --stop-signal KILL --name "$name" --hostname "$name.weft.local" --net none weft-tools sleep 1000000 >/dev/null
    assert_equal "$(on h1 weft attach 10.99.7.1/24 "$name")" 10.99.7.1 "the address of the $name ($option)"
    [[ -n $option ]] || assert_equal "$(on h1 weft dns-lookup "$name")" 10.99.7.1 "the name it has by its host name"
    on h1 docker rm -f "$name" >/dev/null
  done
  for name in third fourth; do  # Outside the range it is free with the death of who had it.
    on h1 docker run -d --stop-signal KILL --name "$name" --net none weft-tools sleep 1000000 >/dev/null
    assert_equal "$(on h1 weft attach 10.99.7.1/24 "$name")" 10.99.7.1 "the address of the $name ($option)"
    on h1 docker kill "$name" >/dev/null
  done
  on h1 docker rm third fourth >/dev/null
  on h1 weft stop
  launch h1 ${option:---no-dns} h2
done
on h1 weft stop
launch h1 h2

step "what the host reaches elsewhere is not exposed"
assert_contains "$(assert_fails on h1 weft expose 198.18.0.77/24)" "would take over the route 198.18.0.0/24" "the underlay"

step "a subnet is exposed: its containers and the host reach each other"
exposed=$(on h1 weft expose -h gate)
assert_equal "$(on h1 weft expose)" "$exposed" "the address when exposed again"
listens h2 7070 cb
wait_until 10 "h1 reaches b" is_answered h1 "$second:7070" "$exposed"
assert_equal "$(on h2 weft dns-lookup gate)" "$exposed" "the name of the exposed address"
assert_contains "$(on h1 weft ps)" "weave:expose" "ps"

step "others reach it through the host, which speaks for them, or not"
on h2 ip route add 10.32.0.0/13 via 198.18.0.1
plain h1 cc --cap-add NET_ADMIN
third=$(attached h1 cc)
listens h1 7071 cc
wait_until 10 "h2 reaches c as h1" is_answered h2 "$third:7071" "$exposed"
# Docker's own network is kept apart, as Weave kept it.
on h1 docker run --rm weft-tools ping -c 1 -W 5 172.17.0.1 >/dev/null
assert_fails on h1 docker run --rm weft-tools ping -c 2 -W 1 "$third" >/dev/null
on h1 weft expose --without-masquerade >/dev/null
inside h1 cc ip route add 198.18.0.0/24 via "$exposed"
wait_until 10 "h2 reaches c as itself" is_answered h2 "$third:7071" 198.18.0.2
on h1 weft expose >/dev/null

step "a service is published by a rule of the host's, which an external flush does not stop for long"
on h1 iptables -t nat -A PREROUTING -i eth0 -p tcp --dport 2211 -j DNAT --to-destination "$second:7070"
wait_until 10 "the service answers" is_answered h2 198.18.0.1:2211 "$exposed"
on h1 nft flush table ip weft
on h1 nft delete table ip weft
wait_until 1 "the rules are back" rules_stand
wait_until 5 "the service answers again" is_answered h2 198.18.0.1:2211 "$exposed"

step "with --no-masq-local who comes in speaks for itself to containers of this host, and to no others"
assert_equal "$(on h1 curl -s http://127.0.0.1:6784/ipinfo/tracker)" "" "what follows the ranges"
on h1 weft stop
launch h1 --no-masq-local
assert_equal "$(on h1 curl -s http://127.0.0.1:6784/ipinfo/tracker)" no-masq-local "what follows the ranges"
wait_until 10 "h2 reaches c as itself" is_answered h2 "$third:7071" 198.18.0.2
is_answered h2 198.18.0.1:2211 "$exposed" || fail "b, which is not here, is reached as h1 no more"
on h1 nft delete table ip weft
wait_until 1 "the rules are back after a flush" rules_stand  # Without them, too, h2 speaks for itself.
is_answered h2 "$third:7071" 198.18.0.2 || fail "h2 reaches c as itself no more after a flush"
is_answered h2 198.18.0.1:2211 "$exposed" || fail "b is reached as h1 no more after a flush"

step "exposure outlives the agent, and goes when it is hidden"
kill_agent h1
is_answered h2 "$third:7071" 198.18.0.2 || fail "masqueraded while no agent runs"
is_answered h2 198.18.0.1:2211 "$exposed" || fail "not exposed while no agent runs"
launch h1
is_answered h2 198.18.0.1:2211 "$exposed" || fail "not exposed after a restart"
is_answered h2 "$third:7071" "$exposed" || fail "not masqueraded without --no-masq-local"
assert_equal "$(on h1 weft hide)" "$exposed" "what hide prints"
assert_equal "$(on h1 weft hide)" "" "hiding again"
assert_fails host_asks h1 "$second:7070" >/dev/null
assert_equal "$(on h1 nft list tables | grep -c weft || true)" 0 "tables that are left"

step "what --no-masq-local is about follows the ranges that hosts found, and give to others"
keeps_all() { on h1 nft list table ip weft | grep -q "exposed kept 10.32.0.0-10.47.255.255"; }
keeps_less() { [[ $(on h1 nft list table ip weft) == *"exposed kept 10.32.0.0-"* ]] && ! keeps_all; }
on h2 ip route del 10.32.0.0/13
everywhere weft reset >/dev/null 2>&1
launch h1 --no-masq-local
on h1 weft expose >/dev/null
wait_until 5 "h1 has founded all of the range" keeps_all
launch h2 h1
attached h2 cb >/dev/null
wait_until 10 "a part of it is h2's" keeps_less
