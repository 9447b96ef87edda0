#!/bin/bash
# Scripts that speak to Docker through Weave's proxy (`eval $(weave env)`): what they create is on the
# overlay before its first instruction runs, and everything else of Docker's API passes.
source "$(dirname "$0")/../lab/lib.sh"

WEAVE=$SCRATCH/weave
ln -s "$WEFT_BIN" "$WEAVE"
SOCKET=/var/run/weave/weave.sock
weave() { on "$1" "$WEAVE" "${@:2}"; }
proxied() { on "$1" docker -H unix://$SOCKET "${@:2}"; }  # HOST docker's words…
run() { proxied "$1" run -d --stop-signal KILL "${@:2}" >/dev/null; }
overlay_of() { inside "$1" "$2" ip -4 -o addr show dev ethwe | awk '{print $4}' | paste -sd ' '; }
name_is() { [[ $(weave "$1" dns-lookup "$2") == "$3" ]]; }
has_address() { [[ $(overlay_of "$1" "$2" 2>/dev/null) == "$3" ]]; }
is_up() { weave "$1" status >/dev/null 2>&1; }
api() { on h1 curl -s --max-time 20 -o /dev/null -w '%{http_code}' "$@"; }

lab_up 2 --docker
weave h1 launch >/dev/null
# As under the systemd unit: the engine's folders cannot be written to.
on h2 unshare -m sh -ec 'mount --bind /var/lib/docker /var/lib/docker; mount -o remount,bind,ro /var/lib/docker; exec "$@"' sh "$WEAVE" \
  launch -H unix:///run/other.sock -H tcp://127.0.0.1:12375 --no-default-ipalloc --hostname-from-label host h1 >/dev/null

step "clients are told where it is"
assert_equal "$(weave h1 env)" "export DOCKER_HOST=unix://$SOCKET ORIG_DOCKER_HOST=" "env"
assert_equal "$(on h1 env DOCKER_HOST=unix://$SOCKET "$WEAVE" env)" "export DOCKER_HOST=unix://$SOCKET" "env once more"
assert_equal "$(on h1 env ORIG_DOCKER_HOST=x "$WEAVE" env --restore)" "DOCKER_HOST=x" "env --restore"
assert_equal "$(weave h1 config)" "-H=unix://$SOCKET" "config"
assert_equal "$(on h2 curl -s http://127.0.0.1:6784/proxyaddrs)" "$(printf 'unix:///run/other.sock\ntcp://127.0.0.1:12375')" "addresses"
assert_contains "$(weave h2 status)" "        Address: unix:///run/other.sock, tcp://127.0.0.1:12375" "status"
assert_equal "$(weave h1 report -f '{{json .Proxy.Addresses}}')" "[\"unix://$SOCKET\"]" "report"
assert_equal "$(on h1 stat -c '%a' $SOCKET)" 660 "who may open the socket"

step "a container has its address, its name and its host's name before it runs"
out=$(proxied h1 run --rm --name early weft-tools sh -c 'hostname; ip -4 -o addr show dev ethwe; ip route show 224.0.0.0/4; cat /etc/resolv.conf')
assert_contains "$out" early "host name"
assert_contains "$out" "inet 10." "address"
assert_contains "$out" "224.0.0.0/4 dev ethwe" "multicast route"
assert_contains "$out" "nameserver 172.17.0.1" "DNS"
assert_equal "$(grep -c search <<<"$out" || true)" 0 "search lists of one whose host name has the domain"
out=$(proxied h1 run --rm weft-tools cat /etc/resolv.conf)
assert_contains "$out" "search weave.local" "search list of one without a name"
for ((i = 0; i < 5; i++)); do  # The proxy attaches, and Docker's event does at the same time.
  out=$(proxied h1 run --rm --add-host static.name:10.9.9.9 weft-tools sh -c 'sleep 0.3; cat /etc/hosts')
  assert_contains "$out" "10.9.9.9	static.name" "/etc/hosts, of Docker's"
  assert_equal "$(head -n 1 <<<"$out")" "# weft: begin" "/etc/hosts, in front of Docker's address"
done
for ((i = 0; i < 10; i++)); do  # One that has ended before it is attached the second time.
  proxied h1 run --rm weft-tools true
done
run h1 --name web weft-tools sleep 1000000
address=$(overlay_of h1 web)
assert_contains "$address" "10." "an address of the default subnet"
wait_until 5 "its name" name_is h2 web "${address%/*}"
assert_contains "$(inside h1 web cat /etc/hosts)" "${address%/*}" "/etc/hosts"
assert_contains "$(weave h1 ps web)" "$address" "ps"

step "WEAVE_CIDR says which, or none; networks that somebody chose are left alone"
run h1 --name fixed -e WEAVE_CIDR="10.9.1.1/24 net:10.32.8.0/24" weft-tools sleep 1000000
assert_contains "$(overlay_of h1 fixed)" "10.9.1.1/24 10.32.8." "addresses"
run h1 --name alone -e WEAVE_CIDR=none weft-tools sleep 1000000
assert_fails inside h1 alone ip link show ethwe >/dev/null
run h1 --name hosts --net host weft-tools sleep 1000000
assert_equal "$(on h1 docker inspect -f '{{json .Config.Entrypoint}}' hosts)" null "the entry point of one on the host's network"
on h2 docker -H tcp://127.0.0.1:12375 run -d --stop-signal KILL --name asks --label host=label -e WEAVE_CIDR= weft-tools sleep 1000000 >/dev/null
on h2 docker -H unix:///run/other.sock run -d --stop-signal KILL --name silent weft-tools sleep 1000000 >/dev/null
assert_contains "$(overlay_of h2 asks)" "10." "one that asks"
assert_equal "$(inside h2 asks hostname)" label "a host name by label"
assert_contains "$(inside h2 asks cat /etc/hosts)" "$(overlay_of h2 asks | cut -d/ -f1)" "/etc/hosts, written by an agent that is confined"
assert_fails inside h2 silent ip link show ethwe >/dev/null
assert_ping h1 web "$(overlay_of h2 asks | cut -d/ -f1)"

step "what cannot have its address does not run"
out=$(proxied h1 run --name refused -e WEAVE_CIDR=10.9.1.1/24 weft-tools sleep 1000000 2>&1) && fail "started: $out"
assert_contains "$out" "10.9.1.1" "why"
assert_equal "$(on h1 docker inspect -f '{{.State.Running}}' refused)" false "whether it runs"
out=$(proxied h1 run weft-tools no-such-program 2>&1) || assert_equal $? 127 "exit code of a program that is not there"
out=$(proxied h1 run no-such-image:x 2>&1) && fail "ran"
assert_contains "$out" "no-such-image" "an image that is not there"

step "containers that start by themselves, and those from before the agent, are attached"
address=$(overlay_of h1 web)
on h1 docker restart web >/dev/null
wait_until 10 "it is back with its address" has_address h1 web "$address"
weave h1 stop
on h1 docker restart web >/dev/null
assert_fails inside h1 web ip link show ethwe >/dev/null
weave h1 launch >/dev/null
assert_contains "$(proxied h1 exec web ip -4 -o addr show dev ethwe)" "$address" "what an exec that comes first finds"
wait_until 20 "and after the agent" has_address h1 web "$address"
proxied h1 stop web >/dev/null
proxied h1 start web >/dev/null
assert_equal "$(overlay_of h1 web)" "$address" "the address after a start through the proxy"

step "an exec leaves a container as it is that has begun"
run h1 --name quiet weft-tools sleep 1000000
weave h1 detach quiet >/dev/null
assert_equal "$(proxied h1 exec quiet sh -c 'ip -o link show dev ethwe 2>/dev/null | wc -l')" 0 "the interface of one that was detached"
proxied h1 rm -f quiet >/dev/null

step "what is streamed passes as it is: both ways, half closed, chunked, long"
assert_equal "$(echo "to and fro" | proxied h1 run -i --rm weft-tools cat)" "to and fro" "stdin of a container"
assert_equal "$(echo "by exec" | proxied h1 exec -i web cat)" "by exec" "stdin of an exec"
head -c 30000000 /dev/urandom >"$SCRATCH/large"
sum=$(sha256sum <"$SCRATCH/large")
assert_equal "$(proxied h1 run -i --rm -e WEAVE_CIDR=none weft-tools sha256sum <"$SCRATCH/large")" "$sum" "30 MB in"
assert_equal "$(tar -C "$SCRATCH" -c large | { proxied h1 cp - web:/tmp; proxied h1 cp web:/tmp/large -; } | tar -xO | sha256sum)" "$sum" "30 MB in and out"
assert_equal "$(proxied h1 run --rm weft-tools sh -c 'i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done' | tail -n 1)" "line 1999" "lines"
proxied h1 save weft-tools | proxied h1 load | grep -q Loaded || fail "an image was not loaded"
printf 'FROM weft-tools\nRUN echo built >/built\n' | proxied h1 build -q -t built - >/dev/null
assert_equal "$(proxied h1 run --rm built cat /built)" built "an image that is built"
timeout 20 "$LAB_TOOL" exec h1 docker -H unix://$SOCKET events --since "$(date +%s)" --filter event=die --format '{{.Action}}' >"$SCRATCH/events" &
proxied h1 rm -f alone >/dev/null
wait_until 10 "events, as they happen" grep -q die "$SCRATCH/events"
proxied h1 commit web again >/dev/null
assert_equal "$(proxied h1 run --rm again sh -c 'ip -4 -o addr show dev ethwe | wc -l')" 1 "a container of an image made of one"

step "hostile clients get an answer, and nobody else notices"
assert_equal "$(api --unix-socket $SOCKET http://x/_ping)" 200 "a client"
assert_equal "$(api --unix-socket $SOCKET -H "A: $(head -c 70000 /dev/zero | tr '\0' a)" http://x/_ping)" 431 "a long head"
head -c 5000000 /dev/zero | tr '\0' ' ' >"$SCRATCH/blanks"
assert_equal "$(api --unix-socket $SOCKET -H 'Expect:' --data-binary @"$SCRATCH/blanks" http://x/containers/create)" 413 "a long body"
assert_equal "$(api --unix-socket $SOCKET -H 'Content-Type: application/json' -d '{' http://x/containers/create)" \
  "$(api --unix-socket /run/docker.sock -H 'Content-Type: application/json' -d '{' http://x/containers/create)" "what is no JSON"
assert_equal "$(on h2 curl -s -o /dev/null -w '%{http_code}' -H 'Origin: http://evil.example' http://127.0.0.1:12375/_ping)" 403 "a web page"
assert_equal "$(on h2 curl -s -o /dev/null -w '%{http_code}' -H 'Host: evil.example' http://127.0.0.1:12375/_ping)" 403 "another name"
for ((i = 0; i < 40; i++)); do
  head -c 400 /dev/urandom | on h1 timeout 2 socat -T 1 - UNIX-CONNECT:$SOCKET >/dev/null 2>&1 || true
done
for ((i = 0; i < 20; i++)); do  # Half requests, left.
  printf 'POST /containers/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n{' \
    | on h1 timeout 1 socat -t 0 - UNIX-CONNECT:$SOCKET >/dev/null 2>&1 || true
done
assert_equal "$(proxied h1 run --rm weft-tools echo served)" served "the next one"
assert_fails on h1 "$WEAVE" launch -H tcp://0.0.0.0:12375 >/dev/null

step "clients of other hosts show certificates"
ca() { openssl "$@" 2>>"$SCRATCH/openssl.log"; }
for name in ca stranger; do
  ca req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$name" -keyout "$SCRATCH/$name-key.pem" -out "$SCRATCH/$name.pem"
done
for name in server client; do
  ca req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" -keyout "$SCRATCH/$name-key.pem" -out "$SCRATCH/$name.csr"
  ca x509 -req -in "$SCRATCH/$name.csr" -CA "$SCRATCH/ca.pem" -CAkey "$SCRATCH/ca-key.pem" -days 2 -out "$SCRATCH/$name.pem" \
    -extfile <(printf 'extendedKeyUsage=%sAuth\nsubjectAltName=IP:198.18.0.2\n' "$name")
done
far() { on h1 docker -H tcp://198.18.0.2:12375 --tls --tlscacert "$SCRATCH/ca.pem" --tlsverify "$@"; }
certified() { far --tlscert "$SCRATCH/client.pem" --tlskey "$SCRATCH/client-key.pem" "$@"; }
assert_fails weave h2 launch --tls -H tcp://0.0.0.0:12375
weave h2 stop
weave h2 launch --tlsverify --tlscacert "$SCRATCH/ca.pem" --tlscert "$SCRATCH/server.pem" --tlskey "$SCRATCH/server-key.pem" \
  -H tcp://0.0.0.0:12375 -H unix:///run/other.sock h1 >/dev/null
certified run -d --stop-signal KILL --name remote weft-tools sleep 1000000 >/dev/null
assert_contains "$(overlay_of h2 remote)" "10." "the address of what another host has made"
assert_equal "$(echo "by exec" | certified exec -i remote cat)" "by exec" "a stream through TLS"
assert_fails far ps
assert_fails on h1 curl -s --max-time 5 http://198.18.0.2:12375/_ping
assert_fails far --tlscert "$SCRATCH/stranger.pem" --tlskey "$SCRATCH/stranger-key.pem" ps
assert_equal "$(weave h2 config)" "-H=tcp://127.0.0.1:12375" "config"
assert_equal "$(on h2 env DOCKER_HOST=tcp://198.18.0.2:2376 "$WEAVE" env)" \
  "export DOCKER_HOST=tcp://198.18.0.2:12375 ORIG_DOCKER_HOST=tcp://198.18.0.2:2376" "env"

step "the engine away, and back; and a stop that warns"
lab engine h1 stop
assert_equal "$(api --unix-socket $SOCKET http://x/_ping)" 502 "without an engine"
lab engine h1 start
assert_equal "$(proxied h1 run --rm weft-tools echo again)" again "with it again"
assert_contains "$(on h1 env DOCKER_HOST=unix://$SOCKET "$WEAVE" stop 2>&1)" "WARNING" "stop"
assert_equal "$(weave h1 env 2>/dev/null)" "" "env without a proxy"
assert_fails weave h1 config
assert_fails on h1 ls $SOCKET >/dev/null
