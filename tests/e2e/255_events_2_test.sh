#!/bin/bash
# No name stays wrong when dockerd's events are lost, and nothing is given to a container that has died.
source "$(dirname "$0")/../lab/lib.sh"

knows() { [[ $(on "$1" weft dns-lookup "$2" || true) == "$3" ]]; }
put_name() {  # ID NAME: the status.
  on h1 curl -s -o /dev/null -w '%{http_code}' -X PUT "http://127.0.0.1:6784/name/$1/192.0.2.9?fqdn=$2.weft.local&check-alive=true"
}
open_way() {  # The agent's way to the engine, which can be cut.
  { on h1 socat UNIX-LISTEN:/run/engine.sock,fork,unlink-early UNIX-CONNECT:/run/docker.sock || true; } 2>/dev/null &
  wait_until 5 "the way is open" on h1 test -S /run/engine.sock
}
cut_way() { on h1 pkill -f UNIX-LISTEN:/run/engine.sock; }

step "two hosts, the first of which hears of containers by a way that can be cut"
lab_up 2 --docker
open_way
launch h1 --docker-socket /run/engine.sock
launch h2 h1
wait_until 20 "every host reaches every other" all_reachable
network_everywhere weft-net
container h1 web weft-net
wait_until 5 "h2 knows it" knows h2 web.weft.local "$(address_of h1 web)"

step "what happened while no event was heard is made up for"
cut_way
on h1 docker rm -f web >/dev/null
container h1 late weft-net
knows h2 late.weft.local "" || fail "h2 knows of a container that nobody told of"
open_way
wait_until 15 "the one that began is known" knows h2 late.weft.local "$(address_of h1 late)"
wait_until 5 "the one that died is not" knows h2 web.weft.local ""

step "a name or an address for a container is there for its life, and not taken after it"
id=$(on h1 docker inspect -f '{{.Id}}' late)
assert_equal "$(put_name "$id" lives)" 204 "a name for one that lives"
wait_until 5 "it is known" knows h2 lives.weft.local 192.0.2.9
on h1 docker rm -f late >/dev/null
wait_until 5 "it died with its container" knows h2 lives.weft.local ""
assert_equal "$(put_name "$id" dead)" 204 "a name for one that is dead"
assert_equal "$(on h1 weft dns-lookup dead.weft.local || true)" "" "a name for one that is dead"
assert_equal "$(on h1 curl -s -X POST "http://127.0.0.1:6784/ip/$id?check-alive=true")" cancelled "an address for one that is dead"
cut_way
