#!/bin/bash
# A TCP stream runs between two containers while the engines under them are stopped, killed and started.
source "$(dirname "$0")/../lab/lib.sh"

container_process() { on "$1" docker inspect -f '{{.State.Pid}}' "$2"; }

# By the containers' namespaces, as `docker exec` ends with its engine. A line per second.
start_stream() {
  on h2 nsenter -n -t "$SERVER" iperf3 -s -1 >/dev/null 2>&1 &
  wait_until 5 "iperf3 listens" on h2 nsenter -n -t "$SERVER" sh -c 'ss -Hltn | grep -q :5201'
  on h1 nsenter -n -t "$CLIENT" iperf3 --forceflush -b 200M -t 200 -c "$ADDRESS" >"$SCRATCH/stream" 2>&1 &
  STREAM=$!
  wait_until 5 "the stream flows" has_flowed 1
}
seconds_of_stream() { grep -c ' sec .*its/sec' "$SCRATCH/stream"; }
has_flowed() { (($(seconds_of_stream) >= $1)); }

# It goes on, and ends because we say so; in every second of it data moved.
end_unbroken_stream() {
  wait_until 5 "the stream goes on" has_flowed $(($(seconds_of_stream) + 2))
  ! grep ' 0.00 Bytes ' "$SCRATCH/stream" || fail "the stream stood still"
  on h1 pkill -INT -x iperf3 || fail "the stream broke: $(cat "$SCRATCH/stream")"
  wait "$STREAM" || true  # Interrupted.
}

# shellcheck disable=SC2016  # The host's shell expands it.
keep_containers() {  # HOST: over an engine's restart; it reads that anew on SIGHUP.
  on "$1" sh -c 'echo "{\"live-restore\": true}" >/etc/docker/daemon.json && kill -HUP $(cat /run/docker.pid)'
  wait_until 5 "the engine of $1 has read it" keeps_containers "$1"
}
keeps_containers() { [[ $(on "$1" docker info -f '{{.LiveRestoreEnabled}}') == true ]]; }

names() { on "$1" weft dns-lookup "$2"; }
has_name() { [[ $(names "$1" "$2") == "$3" ]]; }
is_forgotten() { [[ -z $(names "$1" "$2") ]]; }

lab_up 2 --docker
launch_all
network_everywhere weft-net
container h1 client weft-net
container h2 server weft-net
CLIENT=$(container_process h1 client)
SERVER=$(container_process h2 server)
ADDRESS=$(address_of h2 server)
assert_ping h1 client "$ADDRESS"

step "engines that are stopped and started leave a stream of containers that they keep alone"
keep_containers h1
keep_containers h2
start_stream
lab engine h1 restart
lab engine h2 restart
end_unbroken_stream
assert_equal "$(container_process h2 server)" "$SERVER" "the process of the server"
assert_equal "$(address_of h2 server)" "$ADDRESS" "the address of the server"
assert_equal "$(names h1 server)" "$ADDRESS" "the name of the server"
status_is h2 '.docker.ports == 1' || fail "h2 has other ports than its container's: $(jq -c .docker "$SCRATCH/status.h2")"

step "what ran before and what starts now get along"
container h2 fresh weft-net
assert_unique "$(address_of h2 fresh)" "$ADDRESS" "$(address_of h1 client)"
assert_ping h2 fresh "$(address_of h1 client)"
assert_ping h1 client "$(address_of h2 fresh)"

step "an engine that is killed does not break it either, nor does its agent beside it"
start_stream
lab engine h2 kill
assert_equal "$(names h1 server)" "$ADDRESS" "the name of the server while its engine is away"
kill_agent h2
launch h2
wait_until 5 "the agent that starts beside no engine knows the name" has_name h1 server "$ADDRESS"
lab engine h2 start
end_unbroken_stream
assert_equal "$(address_of h2 server)" "$ADDRESS" "the address of the server"
wait_until 5 "the agent, too, knows the name again" has_name h1 server "$ADDRESS"

step "what goes afterwards is given back"
on h2 docker rm -f server fresh >/dev/null
wait_until 5 "the name is forgotten" is_forgotten h1 server
status_is h2 '.docker.ports == 0' || fail "h2 keeps ports: $(jq -c .docker "$SCRATCH/status.h2")"

step "an engine that keeps nothing leaves the stream alone as long as it is away"
container h2 server weft-net
SERVER=$(container_process h2 server)
ADDRESS=$(address_of h2 server)
on h2 rm /etc/docker/daemon.json
assert_ping h1 client "$ADDRESS"
start_stream
lab engine h2 kill
end_unbroken_stream
lab engine h2 start
on h2 docker start server >/dev/null
assert_ping h1 client "$(address_of h2 server)"
