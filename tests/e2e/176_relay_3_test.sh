#!/bin/bash
# Two hosts that cannot reach each other: their containers talk through a third that has none, in
# clear and encrypted, with BPF and without; broadcasts arrive once. A path whose UDP is dropped
# while its control connection lives is left within a second or so, and taken again.
source "$(dirname "$0")/../lab/lib.sh"

lab_up 3
everywhere sh -c 'umask 077; echo "correct horse battery" >/etc/weft-password'

path_is() {  # HOST PEER PATH: how frames to the peer travel.
  status_is "$1" ".datapath.paths[] | select(.nickname == \"$2\") | .path == \"$3\" and .lost == false"
}

guest_pings() { guest_does "$1" "$2" ping -c 1 -W 1 "$3"; }

begin() {  # [options of launch]
  launch_all "$@"
  guest_network h1 10.32.0.0/24
  guest_network h3 10.32.0.0/24
  guest h1 a 1 10.32.0.11/24
  guest h3 c 3 10.32.0.13/24
  wait_until 5 "the guests talk" guest_pings h1 a 10.32.0.13
}

end() {
  lab heal
  on h1 ip netns del a
  on h3 ip netns del c
  everywhere weft reset
}

# ENCRYPTED (true or false): what the API answers to "how does h1 reach h3" while h2 relays.
reach_tells() {
  on h1 curl -sf --unix-socket /run/weft/weft.sock 'http://weft/api/reach?from=h1&to=h3' >"$SCRATCH/reach" &&
    jq -e --argjson encrypted "$1" '.paths[0] | .path == "relay" and .relay == "h2" and .encrypted == $encrypted' "$SCRATCH/reach" >/dev/null
}

# The last answer may take longer than ping waits for it on a busy machine.
five_are_answered() {
  guest_does h1 a ping -b -c 5 -i 0.1 -W 1 10.32.0.255 >"$SCRATCH/five" 2>/dev/null || true
  cat "$SCRATCH/five" >>"$SCRATCH/broadcast"
  grep -q ' 5 received' "$SCRATCH/five"
}

assert_relayed() {
  lab partition h1 h3
  step "  containers go on talking through h2"
  wait_until 5 "a pings c through h2" guest_pings h1 a 10.32.0.13
  path_is h1 h3 "relay h2" || fail "h1 goes another way: $(on h1 weft status --json | jq -c .datapath.paths)"
  wait_until 10 "the API says so" reach_tells "$([[ $1 == clear ]] && echo false || echo true)"
  echo "    $(jq -r .summary "$SCRATCH/reach")"
  guest_does h3 c timeout 20 iperf3 -s -1 >/dev/null &
  wait_until 5 "iperf3 listens" guest_does h3 c sh -c 'ss -tln | grep -q :5201'
  guest_does h1 a timeout 15 iperf3 -c 10.32.0.13 -t 2 -J >"$SCRATCH/iperf"
  echo "    $(jq '.end.sum_received.bits_per_second / 1e6 | floor' "$SCRATCH/iperf") Mbit/s through h2"

  step "  a broadcast arrives, and once"
  guest_does h3 c sh -c 'echo 0 >/proc/sys/net/ipv4/icmp_echo_ignore_broadcasts'
  : >"$SCRATCH/broadcast"
  wait_until 5 "answers to broadcasts" five_are_answered
  ! grep -q DUP "$SCRATCH/broadcast" || fail "a broadcast came twice: $(cat "$SCRATCH/broadcast")"

  step "  the straight path returns"
  lab heal
  wait_until 40 "h1 goes straight to h3" path_is h1 h3 "$1"
  wait_until 40 "h3 goes straight to h1" path_is h3 h1 "$1"
  guest_pings h1 a 10.32.0.13 >/dev/null
}

step "in clear"
begin
assert_relayed clear

step "UDP between h1 and h3 is dropped, the control connection lives"
answers() { grep -c icmp_seq= "$SCRATCH/cut" || true; }
has_answers() { (($(answers) >= $1)); }
# shellcheck disable=SC2016  # Expanded on the host.
guest_does h1 a sh -c 'echo $$ >/run/cut.pid; exec ping -i 0.05 "$0"' 10.32.0.13 >"$SCRATCH/cut" &
PINGS=$!
wait_until 5 "pings flow" has_answers 5
lab block h1 h3 6784
wait_until 5 "h1 goes through h2" path_is h1 h3 "relay h2"
wait_until 5 "pings flow again" has_answers $(($(answers) + 20))
# shellcheck disable=SC2016
on h1 sh -c 'kill -INT $(cat /run/cut.pid)'
wait "$PINGS" || true
# 50 ms each; half a second to a second is what it takes to be sure, and more on a machine that is shared.
lost=$(sed -n 's/.*icmp_seq=\([0-9]*\) .*/\1/p' "$SCRATCH/cut" | sort -n |
  awk '{ gap = $1 - last - 1 > gap ? $1 - last - 1 : gap; last = $1 } END { print gap + 0 }')
echo "    lost $lost pings of 50 ms in a row"
((lost >= 3 && lost <= 60 * PATIENCE)) || fail "that many must not get lost, nor so few: $(tail -3 "$SCRATCH/cut")"
assert_contains "$(on h1 weft status connections -v)" "clear does not answer" "the history"
lab heal
wait_until 40 "h1 goes straight to h3" path_is h1 h3 clear
end

step "in clear, without BPF"
begin --no-bpf
assert_relayed clear
end

step "encrypted"
begin --password-file /etc/weft-password
assert_relayed sealed
end
