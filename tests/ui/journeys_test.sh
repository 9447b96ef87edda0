#!/bin/bash
# People's journeys through the web UI, over two hosts with real containers that talk to each other.
source "$(dirname "$0")/../lab/lib.sh"
source "$(dirname "$0")/lib.sh"

install_playwright
lab_up 2 --docker
launch_all --controls loopback
talking_containers
wait_until 20 "the process in web is seen to ask the one in db" process_edge
on h1 node "$BUILD/journeys.mjs" http://127.0.0.1:4040 "$CHROMIUM" "$BUILD"
