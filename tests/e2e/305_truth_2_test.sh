#!/bin/bash
# Edges beside what really talks: UDP without connected sockets, ports translated by rules nobody
# told weft of, published ports from outside and from the host itself, IPv6, containers on the host's network, and containers that each
# talk to themselves on 127.0.0.1.
source "$(dirname "$0")/../lab/lib.sh"

api() { on h1 curl -sf --unix-socket /run/weft/weft.sock "http://weft$1"; }
id_of() { echo "$(on h1 docker inspect -f '{{.Id}}' "$1");<container>"; }
# FROM TO PORT: from and to are ids; "" is any. How many edges of the topology containers fit.
edges() {
  api /api/topology/containers | jq --arg from "$1" --arg to "$2" --arg port "$3" \
    '[.nodes[] | select($from == "" or .id == $from) | (.edges // {}) | to_entries[]
      | select($to == "" or .key == $to) | select(.value.ports | index($port))] | length'
}
has_edge() { (($(edges "$@") >= 1)); }
serve() {  # NAME SOCAT-ADDRESS [docker options]: a container that repeats what it hears.
  local name=$1 address=$2
  shift 2
  on h1 docker run -d --name "$name" "$@" weft-tools socat "$address" EXEC:cat >/dev/null
}
every_second() {  # NAME SOCAT-ADDRESS [docker options]: a container that says something each second.
  local name=$1 address=$2
  shift 2
  on h1 docker run -d --name "$name" "$@" weft-tools sh -c "while :; do echo hello | socat -t 0.3 - $address; sleep 0.5; done" >/dev/null
}
address_in_bridge() { on h1 docker inspect -f '{{.NetworkSettings.IPAddress}}' "$1"; }

lab_up 2 --docker
launch h1 --udp-octets
host=198.18.0.1

step "UDP of a container to a port that another publishes, no socket of either connected"
serve udp-server UDP4-RECVFROM:9000,fork -p 9000:9000/udp
every_second udp-client "UDP4-SENDTO:$host:9000"
wait_until 20 "from container to container" has_edge "$(id_of udp-client)" "$(id_of udp-server)" 9000/udp

step "UDP from another host, to the same"
on h2 sh -c "while :; do echo hello | socat -t 0.3 - UDP4-SENDTO:$host:9000; sleep 0.5; done" >/dev/null &
from_outside() { has_edge in-theinternet "$(id_of udp-server)" 9000/udp || has_edge pseudo:local-network "$(id_of udp-server)" 9000/udp; }
wait_until 20 "from outside to the container" from_outside

step "a port translated by a rule of somebody's own"
serve hidden TCP4-LISTEN:80,fork,reuseaddr
on h1 iptables -t nat -A PREROUTING -p tcp -d "$host" --dport 8081 -j DNAT --to-destination "$(address_in_bridge hidden):80"
on h1 iptables -t nat -A POSTROUTING -s 172.17.0.0/16 -o docker0 -j MASQUERADE # Answers come back the same way.
every_second nat-client "TCP4:$host:8081"
wait_until 20 "to who answers" has_edge "$(id_of nat-client)" "$(id_of hidden)" 80/tcp

step "a published TCP port, asked for by a container and by the host"
serve published TCP4-LISTEN:81,fork,reuseaddr -p 8082:81
every_second port-client "TCP4:$host:8082"
published_edge() { api /api/topology/containers | jq -e --arg from "$(id_of port-client)" --arg to "$(id_of published)" '.nodes[$from].edges[$to] != null' >/dev/null; }
wait_until 20 "from container to container" published_edge

step "IPv6, between processes of the host"
on h1 socat TCP6-LISTEN:9006,fork,reuseaddr,ipv6only=1 EXEC:cat &
on h1 sh -c 'while :; do echo hello; sleep 0.3; done | socat - "TCP6:[fd57:6c61:6200::1]:9006,retry=50,interval=0.1"' >/dev/null &
v6_edge() { api /api/topology/processes | jq -e '[.nodes[].edges // {} | to_entries[] | select(.value.ports | index("9006/tcp"))] | length == 1' >/dev/null; }
wait_until 20 "from one to the other" v6_edge

step "containers on the host's network, where all have the host's addresses"
serve host-server TCP4-LISTEN:9100,fork,reuseaddr --network host
serve host-other TCP4-LISTEN:9101,fork,reuseaddr --network host
for address in 127.0.0.1:9100 "$host:9101"; do
  on h1 docker run -d --name "host-client-${address##*:}" --network host weft-tools sh -c \
    "while :; do echo hello; sleep 0.3; done | socat - TCP4:$address,retry=50,interval=0.1" >/dev/null
done
wait_until 20 "over the loopback" has_edge "$(id_of host-client-9100)" "$(id_of host-server)" 9100/tcp
wait_until 20 "over the host's address" has_edge "$(id_of host-client-9101)" "$(id_of host-other)" 9101/tcp
for port in 9100 9101; do
  assert_equal "$(edges "" "" $port/tcp)" 1 "edges of port $port"
done
every_second host-short TCP4:127.0.0.1:9100 --network host
wait_until 20 "of processes that have ended before anybody looks" has_edge "$(id_of host-short)" "$(id_of host-server)" 9100/tcp

step "two containers that each talk to themselves on 127.0.0.1 have no edge between them"
for name in self-a self-b; do
  on h1 docker run -d --name $name weft-tools sh -c \
    'socat TCP4-LISTEN:7000,bind=127.0.0.1,fork,reuseaddr EXEC:cat & while :; do echo hello; sleep 0.3; done | socat - TCP4:127.0.0.1:7000,retry=50,interval=0.1' >/dev/null
done
a=$(id_of self-a)
b=$(id_of self-b)
talks() { api /api/topology/processes | jq -e '[.nodes[].edges // {} | to_entries[] | select(.value.ports | index("7000/tcp"))] | length >= 2' >/dev/null; }
wait_until 20 "both talk" talks
assert_equal "$(edges "$a" "$b" 7000/tcp)" 0 "edges from one to the other"
assert_equal "$(edges "$b" "$a" 7000/tcp)" 0 "edges from the other to one"

step "UDP between containers on weft's own network, no socket of either connected"
launch h2 --udp-octets h1
wait_until 20 "every host reaches every other" all_reachable
network_everywhere weft-net
on h2 docker run -d --name far-server --net weft-net weft-tools socat UDP4-RECVFROM:9300,fork EXEC:cat >/dev/null
every_second near-client "UDP4-SENDTO:$(address_of h2 far-server):9300" --net weft-net
far=$(on h2 docker inspect -f '{{.Id}}' far-server)
wait_until 20 "from host to host" has_edge "$(id_of near-client)" "$far;<container>" 9300/udp

step "how the one reaches the other, by which path and encrypted or not"
reach() { api "/api/reach?from=near-client&to=$(address_of h2 far-server)"; }
reaches() {
  reach | jq -e '.same_host == false and (.paths | length == 2)
    and any(.connections[]; .direction == "forth" and .port == "9300/udp" and .carrier == "overlay" and .encrypted != null)' >/dev/null
}
wait_until 20 "both hosts tell their paths" reaches
said_in_hellos() {  # Six octets each, and as many back.
  reach | jq -e 'any(.connections[]; .port == "9300/udp" and .sent_total > 0 and .sent_total == 6 * .packets_sent and .received_total == 6 * .packets_received)' >/dev/null
}
wait_until 20 "every octet of the datagrams" said_in_hellos
told=$(reach)
jq -r .summary <<<"$told"
used=$(on h1 curl -sf --unix-socket /run/weft/weft.sock http://weft/status | jq -c '.datapath.paths[] | [.path, .encrypted, .mtu]')
assert_equal "$(jq -c '.paths[0] | [.path, .encrypted, .mtu]' <<<"$told")" "$used" "the path from h1 to h2"
assert_equal "$(jq -r '.to.host.label' <<<"$told")" h2 "where far-server is"
assert_contains "$(jq -r '.from.addresses[]' <<<"$told")" "$(address_of h1 near-client)" "the addresses of near-client"

step "a container that was removed is gone"
on h1 docker rm -f udp-client >/dev/null
is_gone() { api '/api/topology/containers?stopped=running' | jq -e '[.nodes[] | select(.label == "udp-client")] | length == 0' >/dev/null; }
wait_until 20 "the container that was removed is gone" is_gone
