#!/bin/bash
# The data path's programs under another kernel (run by in_vm): what its verifier takes, what they decide, and two agents
# with and without a password.
source "$(dirname "$0")/../e2e/agents.sh"

PROGRAMS=$(dirname "$WEFT_BIN")/../tests/integration/datapath
read -r major minor _ < <(uname -r | tr '.' ' ')

# Global functions of BPF that take pointers to memory, as the cipher's, are there since Linux 5.13.
takes_the_cipher() { ((major > 5 || (major == 5 && minor >= 13))); }

echo "kernel $(uname -r)"
step "what the programs decide"
"$PROGRAMS/datapath_verdicts_test" --gtest_brief=1
! takes_the_cipher || "$PROGRAMS/datapath_kernel_lane_test" --gtest_brief=1

lab_up 2
story() {  # MODE FLAG…
  local host mode=$1
  shift
  launch_all "$@"
  for host in h1 h2; do
    status_is "$host" ".datapath.mode == \"$mode\"" || fail "not $mode on $host: $(on "$host" weft status)"
  done
  [[ ${ADDRESS[h1]:-} ]] || attach_guests h1 h2  # They outlive the agents.
  wait_until 20 "the guests reach each other" guest_reaches h1 h2
  guest_does h1 guest ping -q -c 20 -i 0.1 -W 5 "${ADDRESS[h2]%/*}" | tee "$SCRATCH/pings"
  grep -q ' 0% packet loss' "$SCRATCH/pings" || fail "pings were lost"
}

step "two agents in clear"
story bpf
status_is h1 '.datapath.stats | .fast_encapsulated >= 20 and .fast_decapsulated >= 20' ||
  fail "the programs carried nothing: $(on h1 weft status --json | jq -c .datapath.stats)"

step "in bridge mode"
everywhere weft stop
story bridge --no-bpf

step "two agents with a password"
everywhere weft stop
everywhere sh -c 'umask 077; echo "correct horse battery" >/etc/weft-password'
story bpf --password-file /etc/weft-password
status_is h1 '[.encryption.peers[] | select(.path == "encrypted" and .state == "up")] | length == 1' ||
  fail "the path is not encrypted: $(on h1 weft status)"
if takes_the_cipher; then
  status_is h1 '.datapath.stats | .fast_lane_sealed >= 20 and .fast_lane_opened >= 20' ||
    fail "the kernel sealed nothing: $(on h1 weft status --json | jq -c .datapath.stats)"
else
  on h1 grep -q 'small frames are sealed by the agent' /var/log/weft.log || fail "the log does not say what the kernel refused"
fi

step "an agent that may let the kernel seal loads one program more"
everywhere weft stop
launch h1 --password-file /etc/weft-password --esp auto
status_is h1 '.datapath.mode == "bpf" and .encryption.esp.why != ""' || fail "not bpf: $(on h1 weft status)"
