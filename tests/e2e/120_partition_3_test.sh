#!/bin/bash
# Cuts, losses and dead hosts: both sides go on alone, and all is one again afterwards.
source "$(dirname "$0")/../lab/lib.sh"

lab_up 3 --docker
launch_all
network_everywhere weft-net
for host in h1 h2 h3; do
  container "$host" "a$host" weft-net
  echo "$host a$host $(address_of "$host" "a$host")" >>"$SCRATCH/containers"
done
assert_all_ping "$SCRATCH/containers"

step "during a partition both sides talk and hand out addresses"
for host in h1 h2 h3; do
  container "$host" "b$host" bridge
done
# Whom no majority has heard for eight seconds hands out nothing new (ipam/council/tenure.h): h3 is heard
# as it hands out an address, is cut off, and is asked first.
on h3 curl -sf -X POST 127.0.0.1:6784/ip/heard >/dev/null
lab partition h1,h2 h3
for host in h3 h1 h2; do
  on "$host" docker network connect weft-net "b$host"
  echo "$host b$host $(address_of "$host" "b$host")" >>"$SCRATCH/containers"
done
assert_ping h2 bh2 "$(address_of h1 bh1)"
assert_fails pings h1 ah1 "$(address_of h3 ah3)" >/dev/null
# shellcheck disable=SC2046  # One word per address.
assert_unique $(cut -d ' ' -f 3 "$SCRATCH/containers")

step "after it heals, all reach all without help"
lab heal
wait_until 60 "the mesh is whole again" all_reachable
assert_all_ping "$SCRATCH/containers"

step "a tenth of all packets lost slows the mesh, and does not part it"
lab loss h2 10%
container h2 lossy weft-net
wait_until 20 "the new container is found through the loss" pings h1 ah1 "$(address_of h2 lossy)"
assert_equal "$(reaches h1 3 && echo yes)" yes "h1 reaches all"
lab heal

step "a host that loses power is missed, and the others go on"
lab kill h3
wait_until 60 "h1 notices" reaches h1 2
wait_until 60 "h2 notices" reaches h2 2
assert_ping h1 ah1 "$(address_of h2 bh2)"
container h1 after weft-net
assert_ping h2 ah2 "$(address_of h1 after)"

step "it boots, and is back with its name and its addresses"
lab start h3
launch h3
wait_until 60 "the mesh is whole again" all_reachable
on h3 docker start ah3 bh3 >/dev/null
assert_ping h1 ah1 "$(address_of h3 ah3)"
assert_ping h3 bh3 "$(address_of h2 ah2)"
assert_unique "$(address_of h1 ah1)" "$(address_of h1 bh1)" "$(address_of h1 after)" "$(address_of h2 ah2)" \
  "$(address_of h2 bh2)" "$(address_of h2 lossy)" "$(address_of h3 ah3)" "$(address_of h3 bh3)"
