#!/bin/bash
# A host with a mistake in its range has no part in what the others share out, although it was there
# when they did; and neither has one that hands out nothing.
source "$(dirname "$0")/../lab/lib.sh"

lab_up 3

sees_all() {
  local host
  for host in h1 h2 h3; do
    wait_until 10 "$host sees the others" reaches "$host" 3
  done
}

# An address on each of the two, which reach each other there.
share_without_h2() {
  local first third shares
  first=$(on h1 timeout 20 weft expose)
  third=$(on h3 timeout 20 weft expose)
  on h3 ping -c 3 -W 1 -i 0.2 "${first%/*}" >/dev/null
  on h1 ping -c 3 -W 1 -i 0.2 "${third%/*}" >/dev/null
  shares=$(on h1 weft status ipam)
  [[ $shares != *h2* ]] || fail "h2 has a share: $shares"
}

says_so() { [[ $(on "$1" weft status) == *"differs from ours"* ]]; }

step "three hosts meet before anybody needs an address; one has another range"
on h1 weft launch h2 h3
on h2 weft launch --ipalloc-range 10.99.0.0/16 h1 h3
on h3 weft launch h1 h2
sees_all
for host in h1 h2 h3; do
  wait_until 5 "$host says that ranges differ" says_so "$host"
done
share_without_h2

step "all over again; one hands out nothing, which is no conflict"
for host in h1 h2 h3; do
  on "$host" weft reset
done
on h1 weft launch h2 h3
on h2 weft launch --ipalloc-range off h1 h3
on h3 weft launch h1 h2
sees_all
share_without_h2
! says_so h1 || fail "to hand out nothing is no conflict"
