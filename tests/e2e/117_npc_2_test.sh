#!/bin/bash
# weft npc beside agents with --expect-npc: pods made by the CNI plugin, policies told by a Kubernetes API (a small
# one, tests/lab/kube_api.py), and real connections tried over both families.
source "$(dirname "$0")/../lab/lib.sh"

PLUGINS=$SCRATCH/plugins  # On every host: /tmp is the machine's.
KUBE=$SCRATCH/kube
API=https://h1:6443

# ---- A cluster -----------------------------------------------------------------------------------

# Objects are files; the API server sees them by itself.
object() {  # FILE, its content on standard input
  cat >"$KUBE/.$1" && mv "$KUBE/.$1" "$KUBE/objects/$1"
}
forget() { rm "$KUBE/objects/$1"; }
space() {  # NAME LABELS
  object "ns-$1" <<<"{apiVersion: v1, kind: Namespace, metadata: {name: $1, labels: {$2}}}"
}
in_pod() { on "$1" ip netns exec "${@:2}"; }  # HOST POD CMD…
declare -A V4 V6
tell_pod() {  # HOST NAMESPACE NAME LABELS [PORTS [SPEC]]
  object "pod-$2-$3" <<EOF
{apiVersion: v1, kind: Pod, metadata: {name: $3, namespace: $2, labels: {$4}},
 spec: {nodeName: $1, containers: [{name: main, ports: [${5:-}]}]${6:+, $6}},
 status: {phase: Running, podIP: ${V4[$3]}, podIPs: [{ip: ${V4[$3]}}, {ip: "${V6[$3]}"}]}}
EOF
}
pod() {  # HOST NAMESPACE NAME LABELS [PORTS]
  local result
  on "$1" ip netns add "$3"
  result=$(jq -cn '{cniVersion: "1.1.0", name: "mesh", type: "weft-net", ipam: {subnets: ["10.32.0.0/13", "fd00:32::/64"]}}' |
    on "$1" env CNI_COMMAND=ADD CNI_CONTAINERID="$3" CNI_NETNS="/run/netns/$3" CNI_IFNAME=eth0 CNI_PATH="$PLUGINS" "$PLUGINS/weft-net")
  V4[$3]=$(jq -r '[.ips[].address | select(contains(":") | not)][0] | split("/")[0]' <<<"$result")
  V6[$3]=$(jq -r '[.ips[].address | select(contains(":"))][0] | split("/")[0]' <<<"$result")
  in_pod "$1" "$3" ip link set lo up
  tell_pod "$@"
}
serve() {  # HOST POD KIND PORT, where KIND is TCP or UDP: answers with its name.
  on "$1" ip netns exec "$2" socat "${3}6-LISTEN:$4,ipv6only=0,fork,reuseaddr" "SYSTEM:echo $2" >/dev/null 2>&1 &
}
policy() {  # NAMESPACE NAME, the spec on standard input
  { echo "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: $2, namespace: $1}, spec: "; cat; echo "}"; } |
    object "np-$1-$2"
}

# ---- Who talks to whom ---------------------------------------------------------------------------

# What is let through is answered at once; a busy machine has two seconds for it, and is not taken for a refusal.
declare -A HOST_OF=([web]=h1 [near]=h1 [far]=h2 [db]=h2)
answer() {  # POD KIND ADDRESS PORT
  local place=$3
  [[ $place != *:* ]] || place="[$place]"
  in_pod "${HOST_OF[$1]}" "$1" timeout 5 socat -T 2 -t 2 - "$2:$place:$4$([[ $2 == UDP ]] || echo ,connect-timeout=1)" <<<"hello" 2>/dev/null || true
}
talks() {  # FROM KIND TO PORT: over both families.
  [[ $(answer "$1" "$2" "${V4[$3]}" "$4") == "$3" && $(answer "$1" "$2" "${V6[$3]}" "$4") == "$3" ]]
}
is_refused() { [[ -z $(answer "$1" "$2" "${V4[$3]}" "$4") && -z $(answer "$1" "$2" "${V6[$3]}" "$4") ]]; }
assert_talks() { wait_until 10 "$1 reaches $2 $3:$4" talks "$@"; }
assert_refused() { wait_until 10 "$1 is kept from $2 $3:$4" is_refused "$@"; }

# ---- The controller ------------------------------------------------------------------------------

npc() {  # HOST [options]
  local host=$1
  shift
  # shellcheck disable=SC2016  # The host's shell expands it.
  on "$host" sh -c 'log=$1; shift; "$@" >>"$log" 2>&1 & echo $! >"$log.pid"' npc "$SCRATCH/npc.$host.log" \
    weft npc --api-server "$API" --ca-file "$SCRATCH/ca.crt" --token-file "$SCRATCH/token" --metrics-addr=:6781 "$@"
  wait_until 10 "the controller of $host is ready" on "$host" curl -sf 127.0.0.1:6781/ready
}
npc_pid() { cat "$SCRATCH/npc.$1.log.pid"; }
npc_stop() {  # HOST SIGNAL
  on "$1" kill "-$2" "$(npc_pid "$1")"
  wait_until 5 "the controller of $1 is gone" process_is_gone "$1" "$(npc_pid "$1")"
}
metric() { on "$1" curl -sf 127.0.0.1:6781/metrics | awk -v series="$2" '$1 == series {print $2}'; }  # HOST SERIES
# Of the API server's: what was asked of it.
asked() { grep -c -- "$1" "$SCRATCH/api.log" || true; }

lab_up 2
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=h1 -addext subjectAltName=DNS:h1 \
  -keyout "$SCRATCH/ca.key" -out "$SCRATCH/ca.crt" 2>/dev/null
echo secret-token >"$SCRATCH/token"
mkdir -p "$KUBE/objects" "$KUBE/faults"
on h1 "$(dirname "$LAB_TOOL")/kube_api.py" --listen 0.0.0.0:6443 --state "$KUBE" --cert "$SCRATCH/ca.crt" \
  --key "$SCRATCH/ca.key" --token secret-token >"$SCRATCH/api.log" 2>&1 &

launch_all --expect-npc --ipalloc-range 10.32.0.0/12,fd00:32::/48
everywhere weft setup-cni --cni-plugin-dir "$PLUGINS"
space shop 'team: shop'
space other 'team: other'
pod h1 shop web 'app: web' '{name: http, containerPort: 80}, {name: udp, containerPort: 53, protocol: UDP}'
pod h1 shop near 'app: client'
pod h2 shop far 'app: client'
pod h2 other db 'app: db'
for port in 80 81 82; do
  serve h1 web TCP $port
done
serve h1 web UDP 53
serve h2 db TCP 80
serve h1 near TCP 80

step "nothing gets in before the controller has spoken, everything after, while there is no policy"
is_refused near TCP web 80 || fail "in before the controller has spoken"
npc h1
npc h2
assert_talks near TCP web 80
assert_talks far TCP web 80
assert_talks far UDP web 53
assert_talks web TCP db 80
assert_equal "$(metric h1 weftnpc_enforcing)" 1 "whether h1 enforces"
assert_equal "$(on h1 curl -s 127.0.0.1:6781/metrics | grep -c 'weftnpc_objects{kind="pod"} 4')" 1 "pods that h1 knows"

step "ingress: chosen pods are open to the peers and ports of the rule alone"
policy shop web <<'END'
{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress],
 ingress: [{from: [{podSelector: {matchLabels: {app: client}}}], ports: [{protocol: TCP, port: 80}]}]}
END
assert_refused near TCP web 81
assert_refused far TCP web 81
assert_refused far UDP web 53
assert_refused db TCP web 80
assert_talks near TCP web 80
assert_talks far TCP web 80
assert_talks far TCP near 80  # No policy chooses it.
wait_until 5 "the log tells of it" grep -q "TCP connection from ${V4[far]}:[0-9]* to ${V4[web]}:81 blocked by Weave NPC\." "$SCRATCH/npc.h1.log"
wait_until 5 "the log tells of IPv6" grep -q "TCP connection from \[${V6[far]}\]:[0-9]* to \[${V6[web]}\]:81 blocked" "$SCRATCH/npc.h1.log"
blocked=$(metric h1 'weavenpc_blocked_connections_total{dport="81",protocol="tcp"}')
((blocked >= 4)) || fail "blocked connections to port 81: $blocked"
((${blocked:-0} <= 60)) || fail "more than the first SYNs are counted: $blocked"
(($(metric h1 'weavenpc_blocked_connections_total{dport="53",protocol="udp"}') >= 2)) || fail "blocked UDP is not counted"
[[ -z $(metric h2 'weavenpc_blocked_connections_total{dport="81",protocol="tcp"}') ]] || fail "h2 blocks what is for a pod of h1"

step "a pod's labels and a namespace's count as soon as they change, and cost a small transaction"
changes=$(metric h1 weftnpc_changes_total)
tell_pod h2 shop far 'app: stranger'
assert_refused far TCP web 80
assert_equal "$(metric h1 weftnpc_changes_total)" $((changes + 1)) "transactions for one label"
(($(metric h1 weftnpc_last_change_bytes) < 1000)) || fail "octets of that transaction: $(metric h1 weftnpc_last_change_bytes)"
tell_pod h2 shop far 'app: client'
assert_talks far TCP web 80
policy shop web <<'END'
{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress],
 ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: In, values: [db, data]}]}, podSelector: {matchLabels: {app: db}}}]}]}
END
assert_refused near TCP web 80
assert_refused db TCP web 80
space other 'team: data'
assert_talks db TCP web 82
space other 'team: other'
assert_refused db TCP web 82

step "blocks with exceptions, ranges of ports, named ports, UDP"
policy shop web <<END
{podSelector: {}, policyTypes: [Ingress],
 ingress: [{from: [{ipBlock: {cidr: 10.32.0.0/12, except: [${V4[far]}/32]}}, {ipBlock: {cidr: "fd00:32::/48", except: ["${V6[far]}/128"]}}],
            ports: [{port: 81, endPort: 82, protocol: TCP}]},
           {from: [{podSelector: {}}], ports: [{port: http, protocol: TCP}, {port: udp, protocol: UDP}]}]}
END
assert_refused far TCP web 81
assert_talks near TCP web 81
assert_talks near TCP web 82
assert_talks far TCP web 80
assert_talks far UDP web 53
assert_refused db TCP web 80
tell_pod h1 shop web 'app: web' '{name: http, containerPort: 82}'
assert_refused far TCP web 80
assert_talks far TCP web 82
assert_refused far UDP web 53
forget np-shop-web
assert_talks db TCP web 80

step "egress is asked where the packet comes from, and unknown addresses are closed with the first such policy"
on h2 ip netns add unknown
jq -cn '{cniVersion: "1.1.0", name: "mesh", type: "weft-net", ipam: {subnets: ["10.32.0.0/13"]}}' |
  on h2 env CNI_COMMAND=ADD CNI_CONTAINERID=unknown CNI_NETNS=/run/netns/unknown CNI_IFNAME=eth0 CNI_PATH="$PLUGINS" "$PLUGINS/weft-net" >/dev/null
HOST_OF[unknown]=h2
reaches_web() { [[ $(answer unknown TCP "${V4[web]}" 80) == web ]]; }
wait_until 5 "an unknown pod reaches web" reaches_web
policy shop out <<'END'
{podSelector: {matchLabels: {app: client}}, policyTypes: [Egress],
 egress: [{to: [{namespaceSelector: {}, podSelector: {matchLabels: {app: db}}}], ports: [{port: 80, protocol: TCP}]},
          {to: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: http, protocol: TCP}]}]}
END
assert_refused near TCP web 80
assert_talks near TCP web 82
assert_talks near TCP db 80
assert_talks far TCP web 82
assert_refused far TCP near 80
assert_talks web TCP db 80
! reaches_web || fail "an unknown pod still reaches web"
wait_until 5 "the log of the sender's host tells of it" grep -q "TCP connection from ${V4[far]}:[0-9]* to ${V4[near]}:80 blocked" "$SCRATCH/npc.h2.log"
[[ -z $(metric h1 'weavenpc_blocked_connections_total{dport="6784",protocol="tcp"}') ]] || fail "what goes to the host is blocked"
forget np-shop-out
wait_until 10 "an unknown pod reaches web again" reaches_web

step "a restart neither opens nor cuts: what stands goes on, what is closed stays closed"
policy shop web <<'END'
{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {app: client}}}], ports: [{port: 80}]}]}
END
assert_refused near TCP web 81
# Echoes what it is sent; the other end says a line every tenth of a second.
on h1 ip netns exec web socat TCP-LISTEN:83,fork,reuseaddr EXEC:cat >/dev/null 2>&1 &
policy shop echo <<'END'
{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: [{ports: [{port: 83}]}]}
END
assert_echoes() { [[ $(in_pod h2 far timeout 5 socat -T 2 -t 2 - "TCP:${V4[web]}:83,connect-timeout=1" <<<hello 2>/dev/null) == hello ]]; }
wait_until 10 "far reaches the echo" assert_echoes
on h2 ip netns exec far sh -c "{ for i in \$(seq 100); do echo \$i; sleep 0.1; done; sleep 1; } | socat -T 5 - TCP:${V4[web]}:83" >"$SCRATCH/echo" 2>&1 &
echo_job=$!
# Tries the closed port all the while; anything it says is a hole.
on h1 ip netns exec near sh -c "while :; do timeout 1 socat -T 1 - TCP:${V4[web]}:81,connect-timeout=0.2 </dev/null 2>/dev/null; done" >"$SCRATCH/holes" &
holes_job=$!
for signal in TERM KILL; do
  npc_stop h1 "$signal"
  is_refused near TCP web 81 || fail "open after $signal"
  assert_talks near TCP web 80  # Nobody is there who could change anything.
  npc h1
done
forget np-shop-echo  # What stands goes on.
wait "$echo_job"
kill "$holes_job"
assert_equal "$(tail -n 1 "$SCRATCH/echo")" 100 "the last line of a connection that lived through it all"
assert_equal "$(wc -l <"$SCRATCH/echo")" 100 "its lines"
assert_equal "$(cat "$SCRATCH/holes")" "" "what got in through the closed port"

step "what is flushed is put back"
for flush in "nft flush ruleset" "nft delete table ip weft-npc" "nft flush chain ip6 weft-npc ingress" "iptables -F WEAVE-NPC" "iptables -F"; do
  # shellcheck disable=SC2086  # One word each.
  on h1 $flush
  assert_talks near TCP web 80
  assert_refused near TCP web 81
done
(($(metric h1 weftnpc_rebuilds_total) >= 3)) || fail "the tables were not replaced"
assert_equal "$(metric h1 weftnpc_enforcing)" 1 "whether h1 enforces"
on h1 sh -c 'iptables -S && ip6tables -S' >"$SCRATCH/rules"
! grep -i incompatible "$SCRATCH/rules" || fail "iptables cannot read its tables"

step "a policy that cannot be read closes, and is counted"
errors=$(metric h1 weavenpc_policy_enforcement_errors)
policy shop web <<'END'
{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: [{from: [{fqdns: [example.com]}]}]}
END
assert_refused near TCP web 80
(($(metric h1 weavenpc_policy_enforcement_errors) > errors)) || fail "it was not counted"
forget np-shop-web
assert_talks near TCP web 80

step "an API server that forgets, is slow, cuts lines, changes the token, or is away"
touch "$KUBE/faults/expire"
lists=$(asked '^/api/v1/pods?limit')
listed_again() { (($(asked '^/api/v1/pods?limit') > lists)); }
policy shop web <<'END'
{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: []}
END
assert_refused near TCP web 80
wait_until 10 "it lists again" listed_again
touch "$KUBE/faults/slow"
forget np-shop-web
assert_talks near TCP web 80
rm "$KUBE/faults/slow"
touch "$KUBE/faults/cut"
policy shop web <<'END'
{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: []}
END
sleep 1
rm "$KUBE/faults/cut"
assert_refused near TCP web 80
touch "$KUBE/faults/refuse" "$KUBE/faults/expire"
sleep 1
talks near TCP web 80 && fail "open while the API server is away"
echo another-token >"$KUBE/faults/rotate"
rm "$KUBE/faults/refuse"
sleep 1
echo another-token >"$SCRATCH/token"
forget np-shop-web
wait_until 40 "near reaches web" talks near TCP web 80
is_told() { [[ $(metric h1 weftnpc_watching) == 1 ]]; }
wait_until 40 "h1 is told of changes" is_told

step "with a password, where frames to other hosts leave by another port"
everywhere weft stop
echo sesame >"$SCRATCH/password"
launch_all --expect-npc --ipalloc-range 10.32.0.0/12,fd00:32::/48 --password-file "$SCRATCH/password"
policy shop web <<'END'
{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}], ports: [{port: 80}]}]}
END
assert_refused far TCP web 81
assert_talks far TCP web 80
assert_talks near TCP web 80
assert_refused db TCP web 80

step "the controller by Weave's name and flags; a reset leaves nothing"
npc_stop h1 TERM
on h1 ln -sf "$(on h1 sh -c 'command -v weft')" "$SCRATCH/weave-npc"
assert_contains "$(assert_fails on h1 env -u HOSTNAME "$SCRATCH/weave-npc" --metrics-addr=:6781 --log-level=debug --allow-mcast)" "API server" \
  "weave-npc outside a pod"
npc_stop h2 TERM
everywhere weft reset
assert_equal "$(on h1 nft list ruleset | grep -c -e weft-npc -e WEAVE-NPC || true)" 0 "rules that are left"
