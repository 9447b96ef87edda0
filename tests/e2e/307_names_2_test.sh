#!/bin/bash
# Whom containers ask outside the cluster, by the names they asked for: on edges, in tables, in the raw report, and as
# nodes of known services. h2 has no agent: it is the Internet.
source "$(dirname "$0")/../lab/lib.sh"

api() { on h1 curl -sf --unix-socket /run/weft/weft.sock "http://weft$1"; }
id_of() { echo "$(on h1 docker inspect -f '{{.Id}}' "$1");<container>"; }
asks() {  # NAME OF-WHOM: a container that says something each second.
  # shellcheck disable=SC2046  # Two words.
  on h1 docker run -d --name "$1" $(on h1 weft dns-args) weft-tools \
    sh -c "while :; do echo hello | socat -t 0.3 - TCP4:$2:8443; sleep 0.5; done" >/dev/null
}
edge_is() {  # NAME TO JQ-CONDITION of the edge
  api /api/topology/containers | jq -e --arg from "$(id_of "$1")" --arg to "$2" ".nodes[\$from].edges[\$to] | $3" >/dev/null
}

lab_up 2 --docker
for address in 203.0.113.9 203.0.113.10 203.0.113.11; do
  on h2 ip address add "$address/32" dev lo
done
on h2 dnsmasq --no-daemon --no-resolv --no-hosts --listen-address=198.18.0.2 --bind-interfaces \
  --address=/api.example.org/203.0.113.9 --address=/bucket.s3.amazonaws.com/203.0.113.10 2>/dev/null &
on h2 socat TCP4-LISTEN:8443,fork,reuseaddr EXEC:cat &
on h1 ip route add 203.0.113.0/24 via 198.18.0.2
echo "nameserver 198.18.0.2" | on h1 tee /etc/resolv.conf >/dev/null
launch h1
wait_until 5 "DNS listens" status_is h1 '.dns.address != ""'

step "what is asked by name has its name, what is asked by address has none"
asks named api.example.org
asks unnamed 203.0.113.11
wait_until 20 "the name is on the edge" edge_is named out-theinternet '.names == ["api.example.org"]'
wait_until 20 "the other edge is there" edge_is unnamed out-theinternet '.connections >= 1'
edge_is unnamed out-theinternet '.names == null' || fail "who asked for an address is said to have asked for a name"

step "a known service is a node of its own"
asks shop bucket.s3.amazonaws.com
wait_until 20 "an edge leads to it" edge_is shop service-bucket.s3.amazonaws.com '.connections >= 1'
api /api/topology/containers | jq -e '.nodes["service-bucket.s3.amazonaws.com"] | .pseudo and .label == "bucket.s3.amazonaws.com"' >/dev/null

step "details and the raw report have the names"
details() { api "/api/topology/containers/$(jq -rn --arg id "$(id_of "$1")" '$id | @uri')"; }
details named | jq -e '[.node.connections[].connections[].metadata[] | select(.id == "remote") | .value] == ["api.example.org"]' >/dev/null \
  || fail "the table of connections does not say whom it asks"
api /api/report | jq -e '.DNS["203.0.113.9"].forward == ["api.example.org"]' >/dev/null || fail "the raw report has no names"

step "a service nobody asks any more is gone"
on h1 docker rm -f shop >/dev/null
is_gone() { api /api/topology/containers | jq -e '.nodes["service-bucket.s3.amazonaws.com"] == null' >/dev/null; }
wait_until 20 "its node is gone" is_gone
