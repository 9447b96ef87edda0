#!/bin/bash
# Ground truth on one host, edge by edge and count by count: connections older than the agent, thousands of short ones
# a second, ports either way round, octets beside the interface's, process numbers used again, containers restarted.
source "$(dirname "$0")/../lab/lib.sh"

TRUTH=$(readlink -f "$(dirname "$0")")/truth.py
OLD_PORT=7030

api() { on h1 curl -sf --unix-socket /run/weft/weft.sock "http://weft$1"; }
state_of() {  # CONTAINER: "STATE ID"
  api "/api/topology/containers?stopped=both" | jq -r --arg name "$1" \
    '.nodes[] | select(.label == $name) | ([.metadata[] | select(.id == "docker_container_state").value][0] + " " + .id)'
}
edge_from() {  # CONTAINER: how many connections it has open, to whomever
  api /api/topology/containers | jq -e --arg name "$1" '[.nodes[] | select(.label == $name) | .edges[]?.connections] | add > 0' >/dev/null
}
no_edge_from() { ! edge_from "$1"; }
is_running_as() { [[ $(state_of "$1") == "running $2" ]]; }

lab_up 1 --docker

step "a connection that is older than the agent"
mkfifo "$SCRATCH/held"
on h1 python3 "$TRUTH" hold "$OLD_PORT" <"$SCRATCH/held" >"$SCRATCH/pids" &
holder=$!
exec 9>"$SCRATCH/held"
wait_until 10 "it is there" test -s "$SCRATCH/pids"
launch h1 9>&- # The agent stays, and would hold the pipe open.
on h1 env HELD="$(cat "$SCRATCH/pids")" python3 "$TRUTH" older "$OLD_PORT"
exec 9>&-
wait "$holder"

step "5,000 short connections per second, all counted"
on h1 python3 "$TRUTH" rate 5000 10000

step "a server's port below and above its client's"
on h1 python3 "$TRUTH" ports

step "octets, beside the interface's"
on h1 python3 "$TRUTH" octets 7035

step "a process that has the number of one that has ended"
on h1 python3 "$TRUTH" pid

step "a container that is restarted is the same, and so are its connections"
on h1 docker network create apart >/dev/null
on h1 docker run -d --name server --network apart weft-tools socat TCP-LISTEN:80,fork,reuseaddr EXEC:cat >/dev/null
on h1 docker run -d --name client --network apart weft-tools sh -c 'while :; do (while :; do echo x; sleep 0.2; done) | socat - TCP:server:80; sleep 0.2; done' >/dev/null
wait_until 20 "the client's edge" edge_from client
id=$(state_of client | cut -d' ' -f2)
on h1 docker stop -t 0 client >/dev/null
wait_until 20 "it has no edge" no_edge_from client
on h1 docker start client >/dev/null
wait_until 20 "it runs, under its old id" is_running_as client "$id"
wait_until 20 "the client's edge again" edge_from client
on h1 docker rm -f client server >/dev/null
