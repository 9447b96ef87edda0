#!/bin/bash
# Clients of the HTTP API that do everything wrong: each is refused or cut, nobody else waits, and
# nothing of them is left.
source "$(dirname "$0")/../lab/lib.sh"

HOSTILE=$(readlink -f "$(dirname "$0")/hostile.py")

files() { on h1 sh -c "ls /proc/$pid/fd | wc -l"; }
memory_kib() { on h1 awk -v what="$1:" '$1 == what { print $2 }' "/proc/$pid/status"; }  # VmRSS|VmHWM
has_files() { (($(files) <= $1)); }

lab_up 1
launch h1 --http-addr 127.0.0.1:6784
pid=$(agent_process h1)

step "a first round, after which everything has been used once"
on h1 python3 "$HOSTILE" 127.0.0.1:6784
files_before=$(files)
kib_before=$(memory_kib VmRSS)

step "a second round leaves no descriptor and no memory"
on h1 python3 "$HOSTILE" 127.0.0.1:6784 >/dev/null
wait_until 10 "as many files as before ($files_before)" has_files "$files_before"
kib_after=$(memory_kib VmRSS)
kib_peak=$(memory_kib VmHWM)
echo "resident: $kib_before KiB before, $kib_after KiB after, $kib_peak KiB at most"
# What an allocator keeps varies by some pages; a leak of each client's buffers would be 10 MiB.
((kib_after - kib_before < 4096)) || fail "$((kib_after - kib_before)) KiB more"
# 256 clients with a body of 1 MiB each would be the most; these are 200, with less.
((kib_peak < 262144)) || fail "$kib_peak KiB at some time"

step "the agent is the same, and knows nothing of what it was told"
assert_equal "$(agent_process h1)" "$pid" "the agent's process"
assert_equal "$(on h1 weft dns-lookup half.weft.local || true)" "" "a name that was said in half"
assert_equal "$(on h1 weft status targets)" "" "targets"
