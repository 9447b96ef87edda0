#!/bin/bash
# A host loses its store while its containers run: none of their addresses is given out again.
source "$(dirname "$0")/../lab/lib.sh"

api() { on h1 curl -sf --max-time 30 --unix-socket /run/weft/weft.sock "${@}"; }
take() { api -X POST "http://weft/ip/$1"; }
live_addresses() { on h1 sh -c 'for n in $(ls /run/netns); do ip -n "$n" -o -4 addr show dev eth0; done' | awk '{ print $4 }'; }
set_aside() { on h1 sh -c 'ls /var/lib/weft' | grep -c 'set-aside-[0-9TZ]*$' || true; }
holds_all() {  # Every live address is in the agent's books.
  local held
  held=$(api http://weft/ip)
  for address in $(live_addresses); do
    [[ $held == *"\"$address\""* ]] || return 1
  done
}
name_of_agent() { on h1 weft status --json | jq -r .router.name; }
given_once() {  # COUNT: so many new ones, none of them a live one's.
  local number taken=()
  for ((number = 1; number <= $1; number++)); do
    taken+=("$(take "new-$SECONDS-$number")")
  done
  # shellcheck disable=SC2046  # Addresses have no blanks.
  assert_unique "${taken[@]}" $(live_addresses)
}

lab_up 1
launch h1
guest_network h1 10.32.0.0/12
for number in $(seq 1 12); do
  guest h1 "guest$number" $((number + 1)) "$(take "guest$number")"
done
assert_unique "$(live_addresses)"
name=$(name_of_agent)

step "a lone host's store is deleted"
foretold() { on h1 weft launch --print-peer-name "$@"; }
assert_equal "$(foretold)" "$name" "the name of the agent that runs"
assert_fails foretold --name 7a:00:00:00:00:09 >/dev/null
on h1 weft stop
assert_equal "$(foretold)" "$name" "the name in the store"
on h1 sh -c 'rm /var/lib/weft/weft.db*'
assert_equal "$(foretold)" "$name" "the name that the bridge has"
assert_equal "$(on h1 ls /var/lib/weft)" "" "files that asking has made"
launch h1
wait_until 60 "the live addresses are claimed back" holds_all
given_once 30

step "a store that is no database is set aside"
on h1 weft stop
on h1 sh -c 'rm -f /var/lib/weft/weft.db*; head -c 9000 /dev/urandom >/var/lib/weft/weft.db'
launch h1
assert_equal "$(set_aside)" 1 "files set aside"
wait_until 60 "the live addresses are claimed back" holds_all
given_once 30

step "its bridge has remembered its name all the while, and a reset forgets it"
assert_equal "$(name_of_agent)" "$name" "the name without any store"
on h1 weft reset >/dev/null
assert_equal "$(foretold --name 7a:00:00:00:00:09)" 7a:00:00:00:00:09 "the name that is wanted"
if why=$(foretold 2>&1); then fail "a name before the first start: $why"; fi
assert_contains "$why" "no name yet" "why there is none"
assert_fails on h1 ls /var/lib/weft/weft.db >/dev/null
launch h1
[[ $(name_of_agent) != "$name" ]] || fail "the name has outlived a reset"

step "the store is where Weave's prefix said"
on h1 weft stop
assert_fails launch h1 --db-prefix /var/lib/kept/weave --state-dir /var/lib/weft >/dev/null
on h1 weft reset >/dev/null
launch h1 --db-prefix /var/lib/kept/weave
name=$(name_of_agent)
on h1 weft stop
assert_contains "$(on h1 ls /var/lib/kept)" weaveweft.db "files of that prefix"
assert_fails on h1 ls /var/lib/weft/weft.db >/dev/null
on h1 ip link del weft
assert_equal "$(foretold --db-prefix /var/lib/kept/weave)" "$name" "the name in that store"
on h1 weft reset --db-prefix /var/lib/kept/weave >/dev/null
assert_fails on h1 ls /var/lib/kept >/dev/null
