#!/bin/bash
# What some of Weave's users launch: agents that hand out no addresses (`--ipalloc-range ''`), beside one another and beside
# one that does, and an engine that is reached over TCP (`--docker-api tcp://…`).
source "$(dirname "$0")/../lab/lib.sh"

WEAVE=$SCRATCH/weave
ln -s "$WEFT_BIN" "$WEAVE"
weave() { on "$1" "$WEAVE" "${@:2}"; }
code_of() {  # HOST WORDS…: the exit code.
  local status=0
  weave "$@" >"$SCRATCH/out" 2>&1 || status=$?
  echo "$status"
}
status_of() { on "$1" curl -s --max-time 10 -o /dev/null -X "$2" -w '%{http_code}' "http://127.0.0.1:6784$3"; }
plain() { on "$1" "${DOCKER[@]}" run -d --stop-signal KILL --name "$2" --net none weft-tools sleep 1000000 >/dev/null; }
DOCKER=(docker)

lab_up 2 --docker

step "without a range nothing is handed out, and the scripts are told so as Weave told them"
weave h1 launch --ipalloc-range '' >/dev/null
weave h2 launch --ipalloc-range= h1 >/dev/null
wait_until 10 "every host reaches every other" all_reachable
plain h1 one
plain h2 two
assert_equal "$(weave h1 status | grep -c ipam || true)" 0 "lines of ipam in the status"
assert_equal "$(weave h1 report -f '{{json .IPAM}}')" "null" "ipam in the report"
assert_equal "$(code_of h1 prime)" 4 "exit code of prime"
assert_equal "$(cat "$SCRATCH/out")" "" "what prime says"
assert_equal "$(code_of h1 attach one)" 1 "exit code of attach without an address"
assert_contains "$(cat "$SCRATCH/out")" "IP address allocation must be enabled to use 'net:'" "attach without an address"
assert_equal "$(code_of h1 attach net:10.2.1.0/24 one)" 1 "exit code of attach with a subnet"
for call in "GET /ip" "POST /ip/x" "PUT /ip/x/10.2.1.9/24" "GET /ring" "GET /ipinfo/defaultsubnet"; do
  # shellcheck disable=SC2086  # Method and path.
  assert_equal "$(status_of h1 $call)" 404 "$call"
done
assert_equal "$(status_of h1 DELETE /peer/h2)" 200 "rmpeer"
assert_contains "$(weave h1 rmpeer h2 2>&1)" "no addresses are handed out here" "rmpeer"
assert_contains "$(on h1 curl -sf http://127.0.0.1:6784/metrics)" "weave_max_ips 0" "metrics"
assert_equal "$(on h1 docker network ls --format '{{.Name}}' | grep -cx weave || true)" 0 "networks of Docker"

step "addresses that people give work"
assert_equal "$(weave h1 attach 10.2.1.1/24 ip:10.2.2.1/24 one)" "10.2.1.1 10.2.2.1" "attach"
assert_equal "$(weave h2 attach 10.2.1.2/24 two)" 10.2.1.2 "attach"
assert_ping h1 one 10.2.1.2
assert_ping h2 two 10.2.1.1
assert_contains "$(weave h1 ps one)" "10.2.1.1/24 10.2.2.1/24" "ps"
wait_until 5 "two is known by its name" on h1 sh -c "'$WEAVE' dns-lookup two | grep -qx 10.2.1.2"
plain h1 three
assert_equal "$(code_of h1 attach 10.2.1.1/24 three)" 1 "exit code where a container of this host has the address"
assert_equal "$(weave h1 expose 10.2.1.101/24)" 10.2.1.101 "expose"
wait_until 5 "the host reaches the other's container" on h1 ping -c 1 -W 1 10.2.1.2
assert_equal "$(weave h1 hide 10.2.1.101/24)" 10.2.1.101 "hide"
assert_equal "$(weave h1 detach 10.2.1.1/24 ip:10.2.2.1/24 one)" "10.2.1.1 10.2.2.1" "detach"
assert_equal "$(weave h1 attach 10.2.1.1/24 three)" 10.2.1.1 "the address is free again"

step "so do networks of Docker whose containers are given their addresses"
assert_contains "$(assert_fails on h1 docker network create -d weavemesh --ipam-driver weavemesh empty)" "no address range" "no subnet"
for host in h1 h2; do
  on "$host" docker network create -d weavemesh --ipam-driver weavemesh --subnet 10.9.0.0/24 chosen >/dev/null
done
assert_fails container h1 nobody chosen >/dev/null
container h1 four chosen --ip 10.9.0.4
container h2 five chosen --ip 10.9.0.5
assert_ping h1 four 10.9.0.5

step "a restart keeps what there is, and a range may come later"
weave h1 stop
weave h1 launch --ipalloc-range '' h2 >/dev/null
wait_until 10 "every host reaches every other" all_reachable
assert_equal "$(code_of h1 attach 10.2.1.1/24 one)" 1 "exit code where a container still has the address"
weave h1 stop
weave h1 launch --ipalloc-range 10.40.0.0/20 --ipalloc-init consensus=1 h2 >/dev/null
wait_until 10 "every host reaches every other" all_reachable
assert_contains "$(weave h1 attach one)" 10.40.0. "an address of the range"
assert_equal "$(code_of h2 prime)" 4 "exit code of prime on the other host"
assert_contains "$(weave h1 status)" "         Status: ready" "status"
assert_equal "$(code_of h1 rmpeer h2)" 1 "exit code of rmpeer of one that lives and hands out nothing"
assert_contains "$(cat "$SCRATCH/out")" "is alive" "such an rmpeer"
for host in h1 h2; do
  remove_containers "$host"
done
assert_contains "$(weave h1 reset --force 2>&1)" "no other peer has addresses" "a reset where nobody can inherit"
weave h2 reset --force

step "a range that is a part of the default subnet leaves the rest of it to people"
part=(--ipalloc-range 10.9.0.0/17 --ipalloc-default-subnet 10.9.0.0/16)
weave h1 launch "${part[@]}" >/dev/null
weave h2 launch "${part[@]}" h1 >/dev/null
wait_until 10 "every host reaches every other" all_reachable
plain h1 one
plain h2 two
address=$(weave h1 attach one)
assert_equal "$(weave h2 attach 10.9.128.1/16 two)" 10.9.128.1 "an address outside the range"
assert_contains "$(weave h1 ps one)" "$address/16" "ps"
assert_ping h1 one 10.9.128.1
on h1 docker run --rm --net weave weft-tools ping -c 1 -W 5 10.9.128.1 >/dev/null
for host in h1 h2; do
  remove_containers "$host"
  weave "$host" reset --force
done

step "an agent that ends is started again, with the peers it had, until it is stopped"
is_back() { pid=$(agent_process "$1" 2>/dev/null) && [[ $pid != "$2" ]] && has_peers; }
has_peers() { [[ $(weave h1 status connections) == *established* && $(weave h1 status targets) == 198.18.0.2 ]]; }
weave h1 launch 198.18.0.9 >/dev/null
weave h2 launch --no-restart >/dev/null
weave h1 connect --replace 198.18.0.2
wait_until 10 "h1 and h2 are connected" has_peers
plain h1 one
address=$(weave h1 attach one)
first=$(agent_process h1)
on h1 kill -KILL "$first"
wait_until 20 "the agent of h1 is back" is_back h1 "$first"
assert_contains "$(weave h1 ps one)" "$address/12" "ps"
second=$(agent_process h1)
on h1 kill "$second"
wait_until 20 "and once more" is_back h1 "$second"
on h1 kill -KILL "$(agent_process h1)"  # And while it is not there, it is stopped.
assert_contains "$(weave h1 stop 2>&1)" "Weave is not running" "stop"
kill_agent h2
sleep 3  # Twice what a start takes, and the pause before it.
for host in h1 h2; do
  assert_equal "$(code_of "$host" status)" 1 "exit code of the status of what is not started again"
done
assert_equal "$(on h1 sh -c 'ls /run/weft/keeper 2>/dev/null')" "" "the keeper's file"
weave h1 launch >/dev/null
weave h1 stop
sleep 2
assert_equal "$(code_of h1 status)" 1 "exit code once it is stopped"
on h1 docker rm -f one >/dev/null
for host in h1 h2; do
  weave "$host" reset --force
done

step "ports and addresses are those that were chosen, and no others"
chosen=(--no-discovery --dns-ttl=7 --mtu 1300)
on h1 env WEAVE_PORT=7001 "$WEAVE" launch --host 198.18.0.1 --nickname uno "${chosen[@]}" >/dev/null
weave h2 launch --port 7001 --host 198.18.0.2 "${chosen[@]}" h1 >/dev/null
wait_until 10 "every host reaches every other" all_reachable
assert_equal "$(on h1 ss -Hltn | awk '{ print $4 }' | grep -c ':678[34]$\|0.0.0.0:7001\|\*:7001' || true)" 1 "listeners but the control API's"
assert_equal "$(on h1 ss -Hltn 'sport = :7001' | awk '{ print $4 }')" 198.18.0.1:7001 "where peers are listened to"
on h1 ss -Hlun 'sport = :7002' | grep -q . || fail "nobody listens to VXLAN at the port behind it"
assert_equal "$(on h1 ss -Hlun 'sport = :6783 or sport = :6784')" "" "UDP at the ports that were not chosen"
assert_contains "$(weave h2 status connections)" "-> 198.18.0.1:7001 " "the peer"
assert_contains "$(weave h2 status connections)" "(uno) mtu=1300" "its nickname, and the MTU"
assert_contains "$(weave h1 status)" "  PeerDiscovery: disabled" "status"
plain h1 one
plain h2 two
address=$(weave h1 attach one)
weave h2 attach two >/dev/null
assert_ping h2 two "$address"
assert_equal "$(inside h2 two cat /sys/class/net/ethwe/mtu)" 1300 "MTU"
assert_equal "$(on h1 dig +noall +answer one.weave.local @172.17.0.1 | awk '{ print $2, $5 }')" "7 $address" "TTL and address of a name"
for host in h1 h2; do
  remove_containers "$host"
  weave "$host" reset --force
done

step "an engine that is reached over TCP"
assert_equal "$(code_of h1 launch --docker-api tcp://198.18.0.2:2375)" 1 "exit code for an engine of another host"
assert_contains "$(cat "$SCRATCH/out")" "expected an address of this host" "an engine of another host"
assert_equal "$(code_of h1 launch --docker-api ssh://h1)" 1 "exit code for an engine behind ssh"
on h1 mv /run/docker.sock /run/elsewhere.sock
on h1 socat -t 60 TCP-LISTEN:2375,bind=127.0.0.1,fork,reuseaddr UNIX:/run/elsewhere.sock &
DOCKER=(docker -H tcp://127.0.0.1:2375)
wait_until 5 "the engine answers over TCP" on h1 "${DOCKER[@]}" version
weave h1 launch --docker-api tcp://localhost:2375 >/dev/null
plain h1 one
address=$(weave h1 attach one)
wait_until 5 "one is known by its name" on h1 sh -c "'$WEAVE' dns-lookup one | grep -qx $address"
assert_contains "$(weave h1 ps one)" "$address/12" "ps"
on h1 "${DOCKER[@]}" run -d --stop-signal KILL --name six --net weave weft-tools sleep 1000000 >/dev/null
on h1 "${DOCKER[@]}" exec six ping -c 1 -W 5 "$address" >/dev/null
wait_until 5 "six is known by its name" on h1 sh -c "'$WEAVE' dns-lookup six | grep -q ."
on h1 docker -H unix:///var/run/weave/weave.sock run --rm weft-tools ip -4 -o addr show dev ethwe >"$SCRATCH/out"
assert_contains "$(cat "$SCRATCH/out")" "inet 10." "a container through the proxy"

step "a stop warns of containers that are still on the network, and leaves them theirs"
assert_contains "$(weave h1 stop 2>&1)" "WARNING: there are containers on the Docker network" "stop"
on h1 "${DOCKER[@]}" exec six ping -c 1 -W 5 "$address" >/dev/null
weave h1 launch --docker-api tcp://localhost:2375 >/dev/null
on h1 "${DOCKER[@]}" rm -f one six >/dev/null
wait_until 5 "names of containers that have died are gone" on h1 sh -c "! '$WEAVE' dns-lookup six | grep -q ."
weave h1 reset
assert_fails on h1 ls /run/weft/engine.sock >/dev/null

step "an engine at a socket that DOCKER_HOST names, as Weave's script took it"
at=(env DOCKER_HOST=unix:///run/elsewhere.sock)
on h1 "${at[@]}" "$WEAVE" launch >/dev/null
plain h1 one
address=$(on h1 "${at[@]}" "$WEAVE" attach one)
assert_contains "$(on h1 "${at[@]}" "$WEAVE" ps one)" "$address/12" "ps"
on h1 "${DOCKER[@]}" run --rm --net weave weft-tools ping -c 1 -W 5 "$address" >/dev/null
wait_until 5 "one is known by its name" on h1 sh -c "'$WEAVE' dns-lookup one | grep -qx $address"
on h1 "${DOCKER[@]}" rm -f one >/dev/null
wait_until 5 "its name is gone" on h1 sh -c "! '$WEAVE' dns-lookup one | grep -q ."
on h1 "${at[@]}" "$WEAVE" stop
assert_equal "$(on h1 "${DOCKER[@]}" network ls --format '{{.Name}}' | grep -cx weave || true)" 0 "networks of Docker"
on h1 "${at[@]}" "$WEAVE" reset --force
