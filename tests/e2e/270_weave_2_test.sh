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
answers() {  # METHOD PATH CODE BODY [curl options]: of h1, to the last octet.
  assert_equal "$(api h1 "$1" "$2" "${@:5}")" "$(printf '%s\n%s' "$4" "$3")" "$1 $2"
}
util() { on h1 "$SCRATCH/weaveutil" "$@"; }
has_peer() { [[ $(weave "$1" status connections) == *established* ]]; }

lab_up 2 --docker

step "before the first launch"
assert_equal "$(code_of h1 status)" 1 "exit code without an agent"
assert_equal "$(code_of h1 prime)" 1 "exit code of prime without an agent"
assert_equal "$(code_of h1 stop)" 0 "exit code of a stop of what does not run"
assert_equal "$(cat "$SCRATCH/out")" "Weave is not running (ignore on Kubernetes)." "such a stop"
assert_equal "$(code_of h1 reset)" 0 "exit code of a reset where nothing is"
assert_equal "$(code_of h1 env)" 0 "exit code of env"
assert_equal "$(weave h1 env 2>/dev/null)" "" "what env prints for the shell"
assert_equal "$(weave h1 dns-args)" "--dns=172.17.0.1 --dns-search=weave.local." "dns-args, for containers that start before"

step "weave launch prints one word, and again nothing is started"
out=$(weave h1 launch --no-restart --nickname one --metrics-addr /run/metrics.sock)
assert_equal "$(wc -w <<<"$out")" 1 "words of $out"
assert_equal "$(code_of h1 launch)" 3 "exit code of a second launch"
on h2 env WEAVE_STATUS_ADDR=127.0.0.1:6799 "$WEAVE" --local launch --proxy=false h1 >/dev/null
wait_until 10 "h1 and h2 are connected" has_peer h1
assert_equal "$(weave h1 prime)" "" "what prime prints"
assert_equal "$(weave h1 ps)" "weave:expose $(on h1 cat /sys/class/net/weave/address)" "ps while nothing is attached or exposed"

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

step "every call of the API has Weave's code and text"
answers GET /ipinfo/defaultsubnet 200 10.32.0.0/12
answers GET /ipinfo/tracker 200 $'\n'
answers GET /ring 200 ""
answers GET /ip/c9 200 ""
answers GET /ip/c9/10.40.0.1/24 400 $'10.40.0.1/24 has bits behind its prefix (expected 10.40.0.0/24)\n'
given=$(on h1 curl -s -X POST http://127.0.0.1:6784/ip/c9/10.40.0.0/24)
assert_contains "$given" "/24" "what is allocated"
answers POST /ip/c9/10.40.0.0/24 200 "$given"
answers GET /ip/c9/10.40.0.0/24 200 "$given"
answers GET /ip/c9 200 "$given"
assert_contains "$(api h1 GET /ip)" "{\"containerid\":\"c9\",\"addrs\":[\"$given\"]}" "GET /ip"
answers POST /ip/c9/10.99.0.0/24 400 $'subnet 10.99.0.0/24 is outside the address range 10.32.0.0/12\n'
answers PUT "/ip/c8/$given" 400 "Unable to claim: address ${given%/*} is held by c9"$'\n'
answers PUT /ip/_/10.40.0.9/24 204 ""
answers PUT /ip/_/10.40.0.9/24 204 ""
answers PUT /ip/c9/10.40.0.300/24 400 $'\'10.40.0.300\' is not an IPv4 or IPv6 address\n'
answers DELETE /ip/10.40.0.9 204 ""
answers DELETE "/ip/c8/${given%/*}" 400 "Unable to free: address ${given%/*} is not held by c8"$'\n'
answers DELETE "/ip/c9/${given%/*}" 204 ""
answers DELETE /ip/c9 400 $'Delete: no addresses for c9\n'
answers DELETE /peer/nobody 200 $'0 IPs taken over from nobody\n'
answers POST /expose/10.2.9.1/24 204 ""
answers POST '/expose/10.2.9.1/24?skipNAT=true' 204 ""
answers POST /expose/10.2.9.300/24 400 $'\'10.2.9.300\' is not an IPv4 or IPv6 address\n'
answers DELETE /expose/10.2.9.1/24 204 ""
answers GET /domain 200 weave.local.
answers GET /dns-address 200 172.17.0.1
answers GET /dns-address-port 200 172.17.0.1:53
answers PUT /name/c9/10.2.9.7 204 "" -d fqdn=k.weave.local -d check-alive=true
answers PUT /name/c9/10.2.9.7 204 "" -d fqdn=k.example.com
answers PUT /name/c9/10.2.9.700 400 $'\'10.2.9.700\' is not an IPv4 or IPv6 address\n' -d fqdn=k.weave.local
assert_equal "$(on h1 curl -s http://127.0.0.1:6784/name | jq -c '[.[] | [.Hostname, .ContainerID, .Address, .Tombstone]]')" \
  '[["k.weave.local.","c9","10.2.9.7",0]]' "names"
assert_contains "$(weave h1 status dns)" "k            10.2.9.7                  c9 " "status dns"
answers DELETE '/name/c9?fqdn=other.weave.local' 204 ""
assert_equal "$(weave h1 dns-lookup k)" 10.2.9.7 "a name that another name's removal leaves"
answers DELETE /name/c9 204 ""
answers GET /name 200 "[]"
answers GET /proxyaddrs 200 $'unix:///var/run/weave/weave.sock\n'

step "and so have mistakes"
assert_equal "$(status_of h1 GET /status/xyzzy)" 404 "an unknown status"
assert_equal "$(status_of h1 GET '/report?format=a&format=b')" 400 "two templates"
assert_equal "$(status_of h1 GET '/report?format=%7B%7Blen+.Ready%7D%7D')" 500 "a template that ends in an error"
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
assert_contains "$(on h1 curl -s --unix-socket /run/metrics.sock http://x/metrics)" weave_connections "metrics at a socket"
assert_equal "$(on h1 curl -s --unix-socket /run/metrics.sock -o /dev/null -w '%{http_code}' http://x/status)" 404 "no more than those"
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
assert_equal "$(weave h1 ps | head -n 1)" "weave:expose $(on h1 cat /sys/class/net/weave/address)" "ps once it is hidden"
assert_equal "$(code_of h1 ps nobody)" 0 "exit code of ps of a container that is not there"
assert_equal "$(weave h1 ps nobody weave:expose 2>/dev/null | wc -l)" 1 "lines of it"

step "attach takes every option, detach what is named"
on h2 docker run -d --stop-signal KILL --name named --hostname named.weave.local --net none weft-tools sleep 1000000 >/dev/null
weave h2 attach --without-dns 10.2.2.1/24 named >/dev/null
assert_equal "$(weave h2 dns-lookup named)" "" "a name that was not to be given"
assert_contains "$(inside h2 named ip route)" "224.0.0.0/4 dev ethwe" "the route of multicast"
assert_equal "$(weave h2 detach 10.2.2.1/24 named)" 10.2.2.1 "detach"
assert_equal "$(inside h2 named ip -o link | grep -c ethwe || true)" 0 "interfaces once the last address is gone"
address=$(weave h2 attach --no-multicast-route --rewrite-hosts --add-host one:192.0.2.1 --add-host=two:192.0.2.2 named)
assert_equal "$(inside h2 named ip route | grep -c 224 || true)" 0 "routes of multicast"
for line in "$address	named.weave.local named" "192.0.2.1	one" "192.0.2.2	two"; do
  assert_contains "$(inside h2 named cat /etc/hosts)" "$line" "/etc/hosts"
done
assert_equal "$(inside h2 named cat /etc/hosts | grep -m 1 named)" "$address	named.weave.local named" "the first address of its host name"
assert_contains "$(weave h2 attach 198.18.0.77/24 named 2>&1)" "198.18.0.77/24 overlaps the route 198.18.0.0/24" "a warning"
assert_equal "$(weave h2 detach 198.18.0.77/24 named)" 198.18.0.77 "detach of what was warned of"
assert_equal "$(weave h2 dns-lookup named)" "$address" "the name of what is left"
assert_equal "$(weave h2 detach named)" "$address" "detach of what was allocated"
assert_equal "$(on h2 curl -s "http://127.0.0.1:6784/ip/$(on h2 docker inspect -f '{{.Id}}' named)")" "" "what it holds then"
on h2 docker rm -f named >/dev/null

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
assert_equal "$(on h1 env ORIG_DOCKER_HOST=tcp://a:1 "$WEAVE" env --restore)" "DOCKER_HOST=tcp://a:1" "what env --restore prints"
assert_equal "$(code_of h1 xyzzy)" 1 "an unknown verb"
assert_equal "$(code_of h1 attach --help)" 0 "attach --help"
assert_equal "$(code_of h1 attach-bridge --help)" 0 "attach-bridge --help"
for verb in run start restart launch-router launch-plugin launch-proxy stop-router stop-plugin stop-proxy; do
  assert_equal "$(code_of h1 "$verb")" 1 "exit code of $verb, which is removed"
  assert_contains "$(cat "$SCRATCH/out")" "The 'weave $verb' command has been removed" "$verb"
done
for words in "stop x" "version x" "reset x" connect forget rmpeer dns-add dns-lookup attach detach "expose x"; do
  # shellcheck disable=SC2086  # Words.
  assert_equal "$(code_of h1 $words)" 1 "exit code of $words"
done
for verb in help --help; do
  assert_equal "$(code_of h1 $verb)" 0 "exit code of $verb"
  assert_equal "$(weave h1 "$verb" 2>/dev/null)" "" "$verb on stdout"
done
assert_equal "$(code_of h1 connect : 198.18.0.9)" 1 "exit code of connect with a peer that is none"
assert_equal "$(weave h1 status targets)" 198.18.0.9 "the targets then"
weave h1 connect --replace 198.18.0.8 198.18.0.7:7000
assert_equal "$(weave h1 status targets | xargs)" "198.18.0.7:7000 198.18.0.8" "the targets once they are replaced"
weave h1 forget 198.18.0.7:7000 198.18.0.8 198.18.0.6
assert_equal "$(weave h1 status targets)" "" "the targets once they are forgotten"
weave h1 connect 198.18.0.1
is_itself() { [[ $(weave h1 status connections) == *"-> 198.18.0.1:6783       failed      "*", retry: never"* ]]; }
wait_until 5 "who is ourselves is not tried again" is_itself
weave h1 forget 198.18.0.1
assert_contains "$(weave h1 version)" "weave script" "version"
assert_equal "$(wc -l <<<"$(weave h1 --local version)")" 1 "lines of --local version"
assert_equal "$(weave h1 launch --version)" "$(weave h1 --local version)" "launch --version"

step "rmpeer, stop, reset"
on h1 docker rm -f web >/dev/null
assert_equal "$(code_of h1 rmpeer nobody h2 nobody-else)" 1 "exit code of rmpeer of one that lives"
assert_equal "$(grep taken "$SCRATCH/out" | xargs)" "0 IPs taken over from nobody 0 IPs taken over from nobody-else" "the others"
weave h2 reset --force
assert_contains "$(weave h1 rmpeer h2 2>&1)" "IPs taken over from h2" "rmpeer"
name=$(weave h1 report -f '{{.Router.Name}}')
assert_equal "$(weave h1 launch --print-peer-name)" "$name" "the name of the agent that runs"
weave h1 stop
assert_equal "$(weave h1 launch --password x --print-peer-name)" "$name" "the name of the one that would run"
assert_fails on h1 ls /run/weft/weave-password >/dev/null
assert_equal "$(code_of h1 status)" 1 "exit code without an agent"
assert_equal "$(on h1 docker network ls --format '{{.Name}}' | grep -cx weave || true)" 0 "networks of Docker"
assert_equal "$(code_of h1 reset)" 1 "exit code of a reset of an agent that does not run"
assert_contains "$(cat "$SCRATCH/out")" "use --force to override" "such a reset"
weave h1 reset --force
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
