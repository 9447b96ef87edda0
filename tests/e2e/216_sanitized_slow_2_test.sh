#!/bin/bash
# Two encrypted hosts under half a minute of bounded load of every kind at once: streams, small and large datagrams,
# floods, super-frames that do not fit, and an agent that restarts under it. Meant for a program built with sanitizers
# (./run test asan): whatever they report, and whatever asserts or ends, fails it.
source "$(dirname "$0")/agents.sh"

SECONDS_OF_LOAD=30

lab_up 2
everywhere sh -c 'umask 077; echo "correct horse battery" >/etc/weft-password'
launch_all --password-file /etc/weft-password
attach_guests h1 h2
there=${ADDRESS[h2]%/*}
wait_until 20 "the guests reach each other" guest_reaches h1 h2

serve() {  # PORT
  guest_does h2 guest iperf3 -s -p "$1" >/dev/null 2>&1 &
  wait_until 10 "iperf3 listens on $1" guest_does h2 guest sh -c "ss -tln | grep -q ':$1 '"
}

load() {  # PORT NAME [options of iperf3]
  local port=$1 name=$2
  shift 2
  guest_does h1 guest iperf3 -J -c "$there" -p "$port" -t "$SECONDS_OF_LOAD" "$@" >"$SCRATCH/load.$name" 2>"$SCRATCH/error.$name" &
  LOADS+=($!)
}

step "load of every kind for $SECONDS_OF_LOAD s"
LOADS=()
for port in 5201 5202 5203 5204; do
  serve "$port"
done
before=$(agent_process h2)
[[ -z $SANITIZED ]] || on h2 grep -zq log_path=/var/log/sanitizer "/proc/$before/environ" ||
  fail "the agent does not report where it is looked for"
load 5201 streams -P 4 -b 20M
load 5202 back -R -b 20M
load 5203 small -u -b 4M -l 64
load 5204 large -u -b 20M -l 9000  # In fragments.
guest_does h1 guest ping -q -i 0.01 -c 2000 -s 1600 "$there" >/dev/null &
guest_does h1 guest ping -q -i 0.02 -c 1000 -b 10.39.255.255 >/dev/null 2>&1 &

step "an agent is restarted under it"
wait_until 20 "the load flows" status_is h1 '.encryption.peers[0].packets_out > 5000'
first=$(agent_process h1)
on h1 weft stop
assert_equal "$(reports)" "" "reports"  # Leaks are told at the end.
launch h1 --password-file /etc/weft-password
[[ $(agent_process h1) != "$first" ]] || fail "the agent of h1 was not restarted"
wait_until 20 "frames flow again" status_is h1 '.encryption.peers[0].packets_out > 5000'

step "everything was carried, and nobody has anything to report"
for job in "${LOADS[@]}"; do
  wait "$job" || fail "a load broke: $(cat "$SCRATCH"/load.* | grep '"error"')"
done
for name in streams back small large; do
  echo "$name: $(jq -c '.end | (.sum_received // .sum) | {bytes, lost_percent}' "$SCRATCH/load.$name")"
  jq -e '.end | (.sum_received // .sum).bytes > 0' "$SCRATCH/load.$name" >/dev/null || fail "nothing of '$name' arrived"
done
assert_equal "$(agent_process h2)" "$before" "process of the agent on h2"
everywhere weft stop
assert_equal "$(reports)" "" "reports"
