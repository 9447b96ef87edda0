#!/bin/bash
# The probe under another kernel (run by in_vm): what its sources' contracts and an agent see there. Which sources are
# chosen is printed; short connections are all counted.
source "$(dirname "$0")/../lab/lib.sh"

PROGRAMS=$(dirname "$WEFT_BIN")/../tests/integration/probe
TRUTH=$(readlink -f "$(dirname "$0")/../e2e")/see.py
PORT=7011
COUNT=40

api() { on h1 curl -sf --unix-socket /run/weft/weft.sock "http://weft$1"; }
sources() { api /api/topology/hosts | jq -r '.nodes[].tables[]? | select(.id == "weft_sources") | .rows[].entries | "\(.source): \(.state): \(.detail)"'; }
works() { [[ $(sources) == *"$1: works"* ]]; }
opened() { api /api/topology/processes | jq --arg port "$PORT/tcp" '[.nodes[].edges[]? | select(.ports | index($port)) | .opened] | add // 0'; }
has_opened() { (($(opened) == $1)); }
serves() { on h1 bash -c "exec 3<>/dev/tcp/127.0.0.1/$PORT"; }

echo "kernel $(uname -r)"
step "control groups"
"$PROGRAMS/probe_groups_test" --gtest_brief=1

step "the contracts of the sources"
"$PROGRAMS/probe_sources_test" --gtest_brief=1

lab_up 1
launch h1
step "a server, watched"
on h1 python3 "$TRUTH" serve "$PORT" &
server=$!
wait_until 30 "it serves" serves
for source in procfs cgroup bpf sock_diag; do
  wait_until 30 "$source works" works "$source" || true
done
sources
works bpf || fail "BPF does not count here"
works cgroup || fail "control groups are not read here"

step "$COUNT short connections are all counted, as one edge"
on h1 python3 "$TRUTH" call "$PORT" "$COUNT" >"$SCRATCH/called" &
client=$!
wait_until 60 "all are made" test -s "$SCRATCH/called"
wait_until 60 "all are counted" has_opened "$COUNT"
for job in "$client" "$server"; do
  kill "$job"
  wait "$job" || true
done
