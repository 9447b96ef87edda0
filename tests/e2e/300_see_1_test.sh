#!/bin/bash
# What the probe says, beside what really happened: every short connection counted, new edges soon,
# gone ones soon; the same without BPF, coarser. And what shows it: commands, metrics, a login.
source "$(dirname "$0")/../lab/lib.sh"

TRUTH=$(readlink -f "$(dirname "$0")")/see.py
PORT=7011
COUNT=2000

api() { on h1 curl -sf --unix-socket /run/weft/weft.sock "http://weft$1"; }
source_works() {  # NAME
  api /api/topology/hosts | jq -e --arg name "$1" \
    '[.nodes[].tables[]? | select(.id == "weft_sources") | .rows[].entries] | any(.source == $name and .state == "works")'
}
opened() {  # over the test's port
  api /api/topology/processes | jq --arg port "$PORT/tcp" '[.nodes[].edges[]? | select(.ports | index($port)) | .opened] | add // 0'
}
has_opened() { (($(opened) == $1)); }
stop_jobs() { local job; for job in "$@"; do kill "$job"; wait "$job" || true; done; }
serves() { on h1 bash -c "exec 3<>/dev/tcp/127.0.0.1/$PORT"; }

lab_up 1 --docker
launch h1

step "a server, watched"
on h1 python3 "$TRUTH" serve "$PORT" &
server=$!
wait_until 5 "it serves" serves
wait_until 5 "somebody looks" source_works procfs

step "an edge appears and goes"
read -r appeared gone <<<"$(on h1 python3 "$TRUTH" latency "$PORT")"
echo "new edge after $appeared ms, gone after $gone ms"
((gone <= 4000 * PATIENCE)) || fail "the edge is still there after $gone ms"
if source_works bpf; then
  ((appeared <= 900 * PATIENCE)) || fail "the kernel told of the connection, but the edge came after $appeared ms"
  step "$COUNT short connections are all counted, as one edge"
  on h1 python3 "$TRUTH" call "$PORT" "$COUNT" >"$SCRATCH/called" &
  client=$!
  wait_until 20 "all are made" test -s "$SCRATCH/called"
  # A look that is dear, on a machine that has much else to do, is followed by a pause of up to 15 s.
  wait_until 20 "all are counted" has_opened "$COUNT"
  stop_jobs "$client"
else
  step "without BPF its reason is shown"
  api /api/topology/hosts | jq -e '[.nodes[].tables[]?.rows[].entries] | any(.source == "bpf" and .detail != "")'
fi

step "a container is there soon after its start"
appeared=$(on h1 python3 "$TRUTH" container seen)
echo "container after $appeared ms"
((appeared <= 1000 * PATIENCE)) || fail "the container came after $appeared ms"
on h1 docker rm -f seen >/dev/null

step "what has a root of its own is a container, whoever started it"
on h1 mkdir -p /run/bundle
on h1 sh -c 'docker create --name bundle busybox && docker export bundle | tar -C /run/bundle -x && docker rm bundle' >/dev/null
on h1 unshare --mount chroot /run/bundle /bin/sleep 1000 &
bundle=$!
is_seen() {
  api /api/topology/containers | jq -e 'any(.nodes[]; .label == "sleep" and any(.metrics[]; .id == "open_files_count" and .value > 0))' >/dev/null
}
wait_until 10 "it is among the containers" is_seen
api /api/topology/processes | jq -e 'any(.nodes[]; .label == "sleep" and any(.parents[]; .topologyId == "containers" and .label == "sleep"))' >/dev/null \
  || fail "its process is not said to be in it"
stop_jobs "$bundle"

step "all answers are as documented"
on h1 docker run -d --name documented busybox sleep 1000 >/dev/null
on h1 python3 "$(dirname "$TRUTH")/openapi.py" "$(dirname "$TRUTH")/../../docs/openapi-ui.yaml"
on h1 docker rm -f documented >/dev/null

step "commands"
assert_contains "$(on h1 weft top processes)" "python3" "weft top processes"
assert_contains "$(on h1 weft graph processes)" "digraph weft" "weft graph"
assert_contains "$(on h1 weft edges processes)" "CONNECTIONS" "weft edges"
on h1 weft graph hosts --json | jq -e '.nodes | length >= 1' >/dev/null
assert_fails on h1 weft graph nonsense
assert_contains "$(on h1 weft reach h1 h1)" "nothing leaves it" "weft reach"
on h1 weft reach h1 h1 --json | jq -e '.same_host' >/dev/null
assert_fails on h1 weft reach h1 nobody

step "metrics"
scraped() { api /metrics | grep -q '^weft_host_cpu_cores '; }
wait_until 15 "this host's own series" scraped
# Names that are Weave's are as Weave has them.
api /metrics >"$SCRATCH/metrics"
metrics_findings "$SCRATCH/metrics" >"$SCRATCH/findings"
assert_equal "$(grep -cE '^(weft_|traces_)|error' "$SCRATCH/findings" || true)" 0 "what promtool finds in our own series"

step "without BPF there are edges, too"
on h1 weft stop
launch h1 --no-bpf
wait_until 5 "somebody looks" source_works sock_diag
read -r appeared gone <<<"$(on h1 python3 "$TRUTH" latency "$PORT")"
echo "without BPF: new edge after $appeared ms, gone after $gone ms"

step "beyond loopback only with a token"
on h1 weft stop
assert_fails on h1 weft launch --ui-listen 0.0.0.0:4040
on h1 sh -c 'umask 077; echo 0123456789abcdef >/run/ui-token'
launch h1 --ui-listen 0.0.0.0:4040 --ui-token-file /run/ui-token
status_of() { on h1 curl -sk -o /dev/null -w '%{http_code}' "$@"; }
assert_equal "$(status_of https://198.18.0.1:4040/api)" 401 "a stranger"
assert_equal "$(status_of -H 'Authorization: Bearer 0123456789abcdef' https://198.18.0.1:4040/api)" 200 "who has the token"
step "with TLS, and the certificate whose fingerprint is in the log"
shown=$(on h1 sh -c 'openssl s_client -connect 198.18.0.1:4040 </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256')
assert_contains "$(on h1 cat /var/log/weft.log)" "${shown#*=}" "the log"
assert_fails on h1 curl -s http://198.18.0.1:4040/api
on h1 weft stop
launch h1 --ui-listen 0.0.0.0:4040 --ui-token-file /run/ui-token --ui-tls off
assert_equal "$(status_of http://198.18.0.1:4040/api)" 401 "behind a proxy of one's own"
stop_jobs "$server"
