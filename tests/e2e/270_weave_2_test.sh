#!/bin/bash
# Scripts of Weave's users: the program under the name `weave`, with its verbs, its texts, its exit codes
# and its API on 127.0.0.1:6784.
source "$(dirname "$0")/../lab/lib.sh"

WEAVE=$SCRATCH/weave
ln -s "$WEFT_BIN" "$WEAVE"
ln -s "$WEFT_BIN" "$SCRATCH/weaveutil"
weave() { on "$1" "$WEAVE" "${@:2}"; }
code_of() {  # HOST WORDS…: the exit code.
  local status=0
  weave "$@" >"$SCRATCH/out" 2>&1 || status=$?
  echo "$status"
}
api() {  # HOST METHOD PATH [curl options]: the body, and the status code on a line of its own.
  on "$1" curl -s --max-time 10 -X "$2" -w '\n%{http_code}' "${@:4}" "http://127.0.0.1:6784$3"
}
status_of() { api "$@" | tail -n 1; }
util() { on h1 "$SCRATCH/weaveutil" "$@"; }
has_peer() { [[ $(weave "$1" status connections) == *established* ]]; }

lab_up 2 --docker

step "weave launch prints one word, and again nothing is started"
out=$(weave h1 launch --no-restart --nickname one)
assert_equal "$(wc -w <<<"$out")" 1 "words of $out"
assert_equal "$(code_of h1 launch)" 3 "exit code of a second launch"
on h2 env WEAVE_STATUS_ADDR=127.0.0.1:6799 "$WEAVE" --local launch --proxy=false h1 >/dev/null
wait_until 10 "h1 and h2 are connected" has_peer h1
assert_equal "$(weave h1 prime)" "" "what prime prints"

step "status has Weave's labels, at Weave's places"
for text in "$(weave h1 status)" "$(on h1 curl -s http://127.0.0.1:6784/status)" \
  "$(on h2 curl -s http://127.0.0.1:6799/status)"; do
  assert_contains "$text" "        Service: router" "status"
  assert_contains "$text" "     Encryption: disabled" "status"
  assert_contains "$text" "          Peers: 2 (with 2 established connections)" "status"
  assert_contains "$text" "         Domain: weave.local." "status"
done
assert_contains "$(weave h1 status connections)" "established fastdp " "status connections"
assert_contains "$(weave h2 status connections)" "-> 198.18.0.1:6783 " "the address of a peer that was dialled by its name"
assert_contains "$(weave h2 status targets)" h1 "status targets"
assert_equal "$(weave h1 report -f '{{.VersionCheck.Success}} {{len .IPAM.Entries}} {{json .IPAM.Paxos}}')" "false 2 null" "fields of a report"
assert_equal "$(weave h1 status | head -n 1)" "" "the first line of status"
assert_equal "$(code_of h1 status xyzzy)" 1 "exit code of an unknown status"
assert_contains "$(weave h1 status xyzzy 2>&1 || true)" "Invalid 'weave status' sub-command: xyzzy" "an unknown status"
assert_equal "$(weave h1 report -f '{{range .Router.Peers}}{{.NickName}}
{{end}}' | wc -l)" 2 "lines of a report that ends them itself"
assert_equal "$(weave h1 report -f '{{.Router.NickName}} {{len .Router.Peers}}')" "one 2" "report -f"
assert_equal "$(on h1 curl -sG --data-urlencode 'format={{.IPAM.DefaultSubnet}}' http://127.0.0.1:6784/report)" \
  10.32.0.0/12 "the report's template"

step "the API of Weave answers as Weave did"
assert_equal "$(status_of h1 GET /status/xyzzy)" 404 "an unknown status"
assert_equal "$(status_of h1 GET '/report?format=%7B%7B')" 400 "a broken template"
assert_equal "$(status_of h2 GET /proxyaddrs)" 404 "no proxy"
assert_equal "$(api h1 POST /ip/c1)" "$(printf '%s\n200' "$(on h1 curl -s -X POST http://127.0.0.1:6784/ip/c1)")" \
  "the same address twice"
assert_equal "$(status_of h1 PUT /ip/c2/10.99.0.1/24)" 204 "a claim outside the range"
assert_contains "$(api h1 DELETE /ip/nobody)" "Delete: no addresses for nobody" "freeing nothing"
assert_equal "$(api h1 GET /domain | head -n 1)" weave.local. "the domain"
assert_equal "$(status_of h1 PUT '/name/c1/10.32.0.77?fqdn=api.weave.local')" 204 "a name"
assert_equal "$(weave h1 dns-lookup api)" 10.32.0.77 "the name"
assert_equal "$(status_of h1 DELETE '/name/c1/10.32.0.77')" 204 "taking it back"
assert_equal "$(status_of h1 POST /connect -d peer=198.18.0.9 -d peer=:)" 400 "a peer that is none"
assert_contains "$(weave h1 status targets)" 198.18.0.9 "the other one is a target"
assert_equal "$(status_of h1 POST /forget -d peer=198.18.0.9)" 200 "forget"
assert_contains "$(on h1 curl -s http://127.0.0.1:6782/metrics)" weave_connections "metrics at the read-only place"
assert_equal "$(on h1 curl -s -o /dev/null -w '%{http_code}' -X POST http://127.0.0.1:6782/connect -d peer=x)" 404 \
  "a change at the read-only place"

step "nobody else commands the agent"
assert_equal "$(status_of h1 GET /status -H 'Origin: http://evil.example')" 403 "a web page"
assert_equal "$(status_of h1 GET /status -H 'Host: evil.example')" 403 "another name for this host"
on h1 sysctl -qw net.ipv4.conf.all.route_localnet=1
on h1 iptables -t nat -A PREROUTING -i eth0 -p tcp --dport 9999 -j DNAT --to-destination 127.0.0.1:6784
assert_fails on h2 curl -sf --max-time 2 http://198.18.0.1:9999/status >/dev/null
for ((i = 0; i < 40; i++)); do  # Whatever arrives: it is refused, and the next one is served.
  head -c 300 /dev/urandom | on h1 timeout 2 socat -T 1 - TCP:127.0.0.1:6784 >/dev/null 2>&1 || true
done
assert_fails on h1 "$WEAVE" launch --http-addr 0.0.0.0:6784 >/dev/null
assert_equal "$(status_of h1 GET /status)" 200 "the status after that"

step "docker run --net weave, attach, ps, expose, dns"
on h1 docker run -d --stop-signal KILL --name web --net weave weft-tools sleep 1000000 >/dev/null
on h2 docker run -d --stop-signal KILL --name plain --net none weft-tools sleep 1000000 >/dev/null
address=$(weave h2 attach plain)
assert_ping h1 web "$address"
assert_contains "$(weave h2 ps)" "$address/12" "ps"
assert_equal "$(weave h2 detach plain)" "$address" "detach"
exposed=$(weave h1 expose -h gate.weave.local)
assert_equal "$(weave h1 dns-lookup gate)" "$exposed" "the exposed name"
assert_equal "$(weave h1 hide)" "$exposed" "hide"
assert_equal "$(weave h1 dns-args)" "--dns=172.17.0.1 --dns-search=weave.local." "dns-args"

step "attach-bridge joins another bridge, and weaveutil sees what there is"
for host in h1 h2; do
  on "$host" sh -ec "ip link add br-lab-one type bridge; ip link set br-lab-one up; ip netns add far
    ip link add near type veth peer name in-far netns far; ip link set near master br-lab-one up
    ip -n far addr add 10.77.0.${host#h}/24 dev in-far; ip -n far link set in-far up"
  assert_equal "$(code_of "$host" attach-bridge br-lab-none)" 1 "exit code for a bridge that is not there"
  weave "$host" attach-bridge br-lab-one
  weave "$host" attach-bridge br-lab-one
done
wait_until 5 "stations of the two bridges reach each other" on h1 ip netns exec far ping -c 1 -W 1 10.77.0.2
assert_contains "$(on h1 iptables -t nat -S POSTROUTING)" "-o weave" "the rule that keeps their addresses"
assert_equal "$(weave h1 bridge-type) $(weave h1 docker-bridge-ip)" "bridged_fastdp 172.17.0.1" "bridge-type and docker-bridge-ip"
assert_contains "$(util process-addrs weave)" " ethwe0 " "process-addrs"
assert_fails util netcheck 198.18.0.0/24
assert_fails util netcheck 198.18.0.9/32
assert_equal "$(util netcheck 198.18.0.0/24 eth0) $(util netcheck 203.0.113.0/24)" " " "netcheck of networks that are free"
assert_fails util get-db-flag "$SCRATCH/kept" peer-reclaim
util set-db-flag "$SCRATCH/kept" peer-reclaim ok
assert_equal "$(util get-db-flag "$SCRATCH/kept" peer-reclaim)" ok "get-db-flag"
assert_fails util get-db-flag "$SCRATCH/kept" another
assert_fails util xyzzy

step "small verbs"
assert_equal "$(on h1 env WEAVE_CNI_PLUGIN_DIR="$SCRATCH/cni" "$WEAVE" setup)" "" "setup"
assert_equal "$(weave h2 env 2>/dev/null)" "" "env without a proxy"
assert_equal "$(code_of h2 config)" 1 "config without a proxy"
assert_equal "$(code_of h1 env --restore)" 1 "env --restore"
assert_equal "$(code_of h1 xyzzy)" 1 "an unknown verb"
assert_equal "$(code_of h1 attach --help)" 0 "attach --help"
assert_equal "$(code_of h1 attach-bridge --help)" 0 "attach-bridge --help"
assert_equal "$(code_of h1 launch-router)" 1 "a removed verb"
assert_contains "$(weave h1 version)" "weave script" "version"
assert_equal "$(wc -l <<<"$(weave h1 --local version)")" 1 "lines of --local version"
assert_equal "$(weave h1 launch --version)" "$(weave h1 --local version)" "launch --version"

step "rmpeer, stop, reset"
on h1 docker rm -f web >/dev/null
weave h2 reset --force
assert_contains "$(weave h1 rmpeer h2 2>&1)" "IPs taken over from h2" "rmpeer"
name=$(weave h1 report -f '{{.Router.Name}}')
assert_equal "$(weave h1 launch --print-peer-name)" "$name" "the name of the agent that runs"
weave h1 stop
assert_equal "$(weave h1 launch --password x --print-peer-name)" "$name" "the name of the one that would run"
assert_fails on h1 ls /run/weft/weave-password >/dev/null
assert_equal "$(code_of h1 status)" 1 "exit code without an agent"
assert_equal "$(on h1 docker network ls --format '{{.Name}}' | grep -cx weave || true)" 0 "networks of Docker"
weave h1 reset
assert_equal "$(on h1 ip -o link | grep -c -e weave -e vethwe || true)" 0 "links that are left"
assert_equal "$(on h1 iptables -t nat -S POSTROUTING | grep -c weave || true)" 0 "rules that are left"
assert_equal "$(code_of h1 bridge-type)" 1 "bridge-type without a bridge"
assert_contains "$(weave h1 attach-bridge 2>&1 || true)" "Weave bridge not found" "attach-bridge without a bridge"

step "a range that somebody chose is taken though it overlaps a route; Weave's own is not"
on h1 ip route add 10.40.0.0/16 via 198.18.0.2
assert_equal "$(code_of h1 launch)" 1 "exit code of a launch with the default range"
weave h1 launch --ipalloc-range 10.40.0.0/20 --plugin=false >/dev/null
assert_contains "$(on h1 cat /var/log/weft.log)" 10.40.0.0/16 "the log of it"
assert_contains "$(weave h1 env)" weave.sock "the proxy, without the plugin"
assert_fails on h1 ls /run/docker/plugins/weave.sock
assert_equal "$(weave h1 status | grep -c plugin || true)" 0 "plugins in the status"
weave h1 reset
on h1 ip route del 10.40.0.0/16

step "a password, as Weave took it, joins who has it and refuses who has not"
on h1 env WEAVE_PASSWORD=secret "$WEAVE" launch --no-dns >/dev/null
assert_equal "$(code_of h1 dns-lookup x)" 4 "exit code where DNS is off"
weave h2 launch --password wrong h1 >/dev/null
assert_contains "$(weave h1 status)" "     Encryption: enabled" "status"
assert_fails has_peer h2 >/dev/null
weave h2 stop
weave h2 launch --password=secret h1 >/dev/null
wait_until 10 "h2 has joined" has_peer h2

step "a reset finds the state where Weave's option put it"
assert_equal "$(code_of h2 reset --force --db-prefix)" 1 "exit code of a reset without the prefix"
weave h2 reset --force
weave h2 launch --db-prefix /var/lib/kept/weave >/dev/null
on h2 test -e /var/lib/kept/weaveweft.db || fail "the state is elsewhere"
weave h2 reset --force --db-prefix /var/lib/kept/weave
assert_equal "$(on h2 sh -c 'ls /var/lib/kept 2>/dev/null')" "" "what is left of the state"
