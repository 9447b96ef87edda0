#!/bin/bash
# The web UI below a path of a reverse proxy: a login, the picture over its WebSocket, a terminal, a logout.
source "$(dirname "$0")/../lab/lib.sh"
source "$(dirname "$0")/lib.sh"

install_playwright
lab_up 2 --docker
on h1 sh -c 'umask 077; mkdir -p /etc/weft; echo "password of ann" | weft ui-user ann admin >/etc/weft/ui-users'
launch h1 --ui-users-file /etc/weft/ui-users --ui-proxies 127.0.0.1/32
launch h2 h1
wait_until 20 "every host reaches every other" all_reachable
talking_containers
on h1 python3 "$UI_TESTS/prefix_proxy.py" 8080 /weft 4040 >"$SCRATCH/proxy" &
wait_until 10 "the proxy listens" grep -q serving "$SCRATCH/proxy"
on h1 node "$BUILD/prefix.mjs" http://127.0.0.1:8080/weft ann "password of ann" "$CHROMIUM" "$BUILD"

step "the log names the person's address, not the proxy's"
on h1 grep -q "control asked for.*ann@192.0.2.7" /var/log/weft.log
