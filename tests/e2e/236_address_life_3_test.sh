#!/bin/bash
# The life of addresses on three hosts: kept and given back with their containers, not kept waiting for by
# callers that have gone, and not handed out again by a host that lost its store, with its name or without.
source "$(dirname "$0")/../lab/lib.sh"

api() { on "$1" timeout "${SECONDS_MAX:-30}" curl -s --unix-socket /run/weft/weft.sock "${@:2}"; }  # HOST …: all of it in so many seconds.
take() { api "$1" --fail -X POST "http://weft/ip/$2"; }  # HOST OWNER
held_by() { api "$1" "http://weft/ip/$2"; }              # HOST OWNER
holds_nothing() { [[ -z $(held_by "$1" "$2") ]]; }
name_of() { on "$1" weft status --json | jq -r .router.name; }
id_of() { on "$1" docker inspect -f '{{.Id}}' "$2"; }
# What containers really have, on all hosts.
live_addresses() {
  local host
  for host in "${HOSTS[@]}"; do
    # shellcheck disable=SC2016  # Expanded on the host.
    on "$host" sh -c 'for c in $(docker ps -q); do docker exec $c ip -4 -o address show scope global; done'
  done | awk '{ print $4 }'
}
holds_its_own() {  # HOST: every address of its containers is in the agent's books.
  local held address
  held=$(api "$1" http://weft/ip)
  # shellcheck disable=SC2016
  for address in $(on "$1" sh -c 'for c in $(docker ps -q); do docker exec $c ip -4 -o address show scope global; done' | awk '{ print $4 }'); do
    [[ $held == *"\"$address\""* ]] || return 1
  done
}
take_many() {  # PREFIX COUNT: on every host; what was answered goes to $SCRATCH/taken.HOST.
  local host
  for host in "${HOSTS[@]}"; do
    api "$host" --fail -X POST "http://weft/ip/$1-[1-$2]" -w '\n' 2>/dev/null | grep -v '^$' >>"$SCRATCH/taken.$host" || true
  done
}
assert_all_gave_some() {
  local host
  for host in "${HOSTS[@]}"; do
    [[ -s $SCRATCH/taken.$host ]] || fail "$host handed out no address"
  done
}
assert_no_live_one_was_given() {
  # shellcheck disable=SC2046  # Addresses have no blanks.
  assert_unique $(cat "$SCRATCH"/taken.*) $(live_addresses)
  echo "$(cat "$SCRATCH"/taken.* | wc -l) addresses handed out, $(live_addresses | wc -l) live ones, none twice"
}
lose_store() {  # HOST [launch options]: with it goes what no container has.
  kill_agent "$1"
  rm -f "$SCRATCH/taken.$1"
  on "$1" sh -c 'rm -f /var/lib/weft/weft.db*'
  launch "$@" h3
}

lab_up 3 --docker

step "who asks too early and hangs up is not waited for"
launch h1 --name 0a:00:00:00:00:01 --ipalloc-range 10.32.0.0/22 --ipalloc-init consensus=3
SECONDS_MAX=1 assert_fails take h1 hasty >/dev/null
wait_until 5 "nobody waits" status_is h1 '.ipam.pending == 0'
launch h2 --ipalloc-range 10.32.0.0/22 --ipalloc-init consensus=3 h1
launch h3 --ipalloc-range 10.32.0.0/22 --ipalloc-init consensus=3 h1
wait_until 20 "every host reaches every other" all_reachable

step "three hosts with containers"
for host in "${HOSTS[@]}"; do
  on "$host" docker network create -d weft --ipam-driver weft weft-net >/dev/null
  for number in 1 2 3; do
    container "$host" "$host-$number" weft-net
  done
  on "$host" docker run -d --stop-signal KILL --name "$host-plain" --net none weft-tools sleep 1000000 >/dev/null
  on "$host" weft attach "$host-plain" >/dev/null
done
assert_unique "$(live_addresses)"

step "a dead container's address is free half a minute later, and it is given none"
plain=$(id_of h1 h1-plain)
[[ -n $(held_by h1 "$plain") ]] || fail "h1-plain holds nothing"
gone=$(id_of h3 h3-plain)
kill_agent h3
on h3 docker rm -f h3-plain >/dev/null  # Nobody listens.
launch h3 --ipalloc-range 10.32.0.0/22 --ipalloc-init consensus=3 h1
on h1 docker kill h1-plain >/dev/null
died=$SECONDS
wait_until 10 "its death is known" \
  on h1 sh -c "curl -s --unix-socket /run/weft/weft.sock -X POST 'http://weft/ip/$plain/10.32.2.0/24?check-alive=true' | grep -q cancelled"
[[ -n $(held_by h1 "$plain") ]] || fail "the address was free at once"

step "a host loses its store: its bridge remembers its name, and nobody has to do anything"
old=$(name_of h2)
lose_store h2 --ipalloc-range 10.32.0.0/22 --ipalloc-init consensus=3
SECONDS_MAX=4 take_many forgetful 40
wait_until 60 "the live addresses are claimed back" holds_its_own h2
wait_until 60 "the others have let it in as a later run" all_reachable
assert_equal "$(name_of h2)" "$old" "its name"
SECONDS_MAX=15 take_many remembered 40
assert_all_gave_some
assert_no_live_one_was_given

step "a host loses its store and its name"
lose_store h2 --name 0a:00:00:00:00:22 --ipalloc-range 10.32.0.0/22 --ipalloc-init consensus=3
SECONDS_MAX=4 take_many nameless 40
assert_no_live_one_was_given
wait_until 30 "the old name is gone" on h3 weft rmpeer "$old"
wait_until 40 "the live addresses are claimed back" holds_its_own h2
SECONDS_MAX=15 take_many again 40
assert_all_gave_some
assert_no_live_one_was_given

step "dead containers hold nothing any more, those of before a restart neither"
wait_until $((died + 45 - SECONDS)) "the address of a container that died while nobody listened is free" holds_nothing h3 "$gone"
wait_until 10 "and that of one whose death was seen" holds_nothing h1 "$plain"

step "a host that has been restarted loses its store and keeps its name: meanwhile all hosts hand out addresses"
kill_agent h1
launch h1 --name 0a:00:00:00:00:01 --ipalloc-range 10.32.0.0/22 --ipalloc-init consensus=3 h3
wait_until 30 "every host reaches every other" all_reachable
lose_store h1 --name 0a:00:00:00:00:01 --ipalloc-range 10.32.0.0/22 --ipalloc-init consensus=3
SECONDS_MAX=4 take_many early 40
wait_until 60 "the live addresses are claimed back" holds_its_own h1
SECONDS_MAX=15 take_many late 40
assert_all_gave_some
assert_no_live_one_was_given
wait_until 60 "the others have let it in as a later run" all_reachable
status_is h2 '.router.peers[] | select(.name == "0a:00:00:00:00:01") | .incarnation == 3' || fail "h1 is not run 3 of its name"
