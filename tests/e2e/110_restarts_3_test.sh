#!/bin/bash
# Agents and engines come and go; containers' traffic, networks and addresses stay.
source "$(dirname "$0")/../lab/lib.sh"

# A TCP stream whose every second must move data.
start_stream() {  # SECONDS
  inside h2 server iperf3 -s -1 >/dev/null &
  wait_until 5 "iperf3 listens" inside h2 server sh -c 'netstat -tln | grep -q :5201'
  inside h1 client iperf3 -J -b 200M -t "$1" -c "$(address_of h2 server)" >"$SCRATCH/stream" &
  STREAM=$!
  wait_until 5 "the stream flows" inside h2 server sh -c 'netstat -tn | grep -q ":5201 .*ESTABLISHED"'
}

assert_stream_unbroken() {
  wait "$STREAM" || fail "the stream broke: $(jq -r .error "$SCRATCH/stream")"
  jq -e '[.intervals[].sum.bytes] | min > 0' "$SCRATCH/stream" >/dev/null ||
    fail "the stream stood still: $(jq -c '[.intervals[].sum.bytes]' "$SCRATCH/stream")"
}

lab_up 3 --docker
launch_all
# Docker takes --ip only where the network has a subnet of its own.
network_everywhere weft-net --subnet 10.33.0.0/16
container h1 client weft-net
container h2 server weft-net
container h3 other weft-net

step "restarting both agents does not break a stream between their containers"
start_stream 5
for host in h1 h2; do
  on "$host" weft stop
  launch "$host"
done
assert_stream_unbroken
wait_until 20 "the mesh is whole again" all_reachable

step "killing an agent does not either, and it comes back as the same peer"
name=$(on h1 weft status --json | jq -r .router.name)
start_stream 4
kill_agent h1
launch h1
assert_stream_unbroken
assert_equal "$(on h1 weft status --json | jq -r .router.name)" "$name" "name after kill -9"
wait_until 20 "the mesh is whole again" all_reachable

step "addresses survive the kill: none is lost, none is given out twice"
taken=("$(address_of h1 client)" "$(address_of h2 server)" "$(address_of h3 other)")
assert_contains "$(assert_fails container h1 thief weft-net --ip "${taken[0]}")" "${taken[0]}" "a taken address"
on h1 docker rm -f thief >/dev/null
for number in 1 2 3; do
  container h1 "new$number" weft-net
  taken+=("$(address_of h1 "new$number")")
  kill_agent h1
  launch h1
done
assert_unique "${taken[@]}"
wait_until 20 "the mesh is whole again" all_reachable
assert_ping h3 other "${taken[3]}"
assert_equal "$(on h1 weft status ipam --json | jq '[.ranges[] | select(.nickname == "h1") | .used] | add')" 5 "addresses used on h1, by four containers and the host"

# The engine asks an agent that is down again and again, for most of a minute; the next step uses it.
on h1 weft stop
on h1 docker rm -f new3 >/dev/null &
removal=$!

step "an engine that restarts finds networks and addresses as they were"
on h2 docker update --restart always server >/dev/null
lab engine h2 restart
wait_until 20 "the container is back" inside h2 server true
assert_ping h3 other "$(address_of h2 server)"
container h2 fresh weft-net
assert_ping h3 other "$(address_of h2 fresh)"
assert_unique "$(address_of h2 server)" "$(address_of h2 fresh)" "$(address_of h1 client)" "$(address_of h1 new1)"

step "an agent that was down while a container went away gives its address back"
wait "$removal"
launch h1
wait_until 60 "the mesh is whole again" all_reachable
wait_until 30 "those of three containers and the host are left" status_is h1 '([.ipam.ranges[] | select(.nickname == "h1") | .used] | add) == 4'
assert_ping h1 client "$(address_of h2 server)"

step "an engine that starts before the agent finds it later"
lab engine h3 stop
on h3 weft stop
lab engine h3 start
launch h3
on h3 docker start other >/dev/null
wait_until 60 "the mesh is whole again" all_reachable
assert_ping h1 client "$(address_of h3 other)"
