#!/bin/bash
# People's journeys through the web UI, over two hosts with real containers that talk to each other.
source "$(dirname "$0")/../lab/lib.sh"

UI_TESTS=$(readlink -f "$(dirname "$0")")
BUILD=${UI_TEST_BUILD:-$SCRATCH/ui}
CHROMIUM=$(command -v chromium || command -v chromium-browser) || fail "chromium is missing (./run test ui installs it)"

mkdir -p "$BUILD"
cp "$UI_TESTS"/{package.json,package-lock.json,.npmrc,journeys.mjs} "$BUILD"
[[ -d $BUILD/node_modules ]] || npm --prefix "$BUILD" ci --prefer-offline --no-audit --no-fund --loglevel=error

lab_up 2 --docker
launch_all --controls loopback
network_everywhere weft-net
container h1 web weft-net
container h2 db weft-net
on h2 docker exec -d db socat TCP-LISTEN:5432,fork,reuseaddr EXEC:cat
wait_until 20 "the server in db listens" inside h2 db sh -c 'netstat -tln | grep -q :5432'
on h1 docker exec -d web sh -c "while :; do (while :; do echo hello; sleep 0.2; done) | socat - TCP:$(address_of h2 db):5432 >/dev/null; sleep 1; done"
on h1 docker exec -d web sh -c "while :; do echo short | socat - TCP:$(address_of h2 db):5432 >/dev/null; sleep 0.5; done"

on h1 node "$BUILD/journeys.mjs" http://127.0.0.1:4040 "$CHROMIUM" "$BUILD"
