#!/bin/bash
# The unit under a real systemd: confined as it says, it starts, serves, reloads, is started again when
# it dies, and ends without a host losing its network.
source "$(dirname "$0")/../lab/lib.sh"

HERE=$(readlink -f "$(dirname "$0")")
UNIT=$(readlink -f "$HERE/../../packaging/weft.service")

box() {  # CMD…: beside the systemd.
  nsenter -t "$systemd" -m -p -n -u -i -C -r -w "$@"
}
find_systemd() {
  systemd=$(pgrep -P "$(pgrep -f "^unshare .*$SCRATCH/box")" -f -- --unit=box.target)
}
is_serving() { box weft status --json >"$SCRATCH/status"; }
has_restarted() { [[ $(shown NRestarts) == 1 ]] && is_serving; }
shown() { box systemctl show --value -p "$1" weft; }
listens_for_dns() { box weft status --json | jq -e ".dns.address == \"172.17.0.1:53\"" >/dev/null; }
field() { jq -r "$1" "$SCRATCH/status"; }

step "systemd boots with the unit"
lab_up 1
mkdir "$SCRATCH/box"
on h1 unshare -m -p -f -u -i -C --propagation private --kill-child=KILL \
  "$HERE/systemd_box.sh" "$SCRATCH/box" "$WEFT_BIN" "$UNIT" >"$SCRATCH/boot" 2>&1 &
wait_until 10 "systemd runs" find_systemd
find_systemd
wait_until 15 "weft serves" is_serving
assert_equal "$(shown ActiveState)" active "the unit"
assert_equal "$(field .datapath.mode)" bpf "the data path: BPF programs load, confined as the unit is"

step "it is confined: its own folders alone, no new privileges, few capabilities"
pid=$(shown MainPID)
assert_equal "$(box sed -n 's/^NoNewPrivs:\s*//p' "/proc/$pid/status")" 1 "no new privileges"
assert_equal "$(box sed -n 's/^Seccomp:\s*//p' "/proc/$pid/status")" 2 "system calls are filtered"
capabilities=$((16#$(box sed -n 's/^CapBnd:\s*//p' "/proc/$pid/status")))
(((capabilities >> 12 & 1) == 1)) || fail "no CAP_NET_ADMIN"
(((capabilities >> 16 & 1) == 0 && (capabilities >> 7 & 1) == 0)) || fail "CAP_SYS_MODULE or CAP_SETUID, which it has no use for"
for place in /etc /usr /boot /home; do
  assert_fails box nsenter -t "$pid" -m -r touch "$place/written" >/dev/null
done
box nsenter -t "$pid" -m -r touch /var/lib/weft/written

step "addresses, names of hosts and namespaces of containers work from there"
box sh -c 'unshare -n sleep 1000 >/dev/null 2>&1 & echo $!' >"$SCRATCH/guest"
address=$(box weft attach "pid:$(cat "$SCRATCH/guest")")
box weft expose >/dev/null
wait_until 5 "the host reaches the container" box ping -c 1 -W 1 "$address"

step "DNS listens at port 53 of Docker's bridge, as soon as there is one"
box ip link add docker0 type bridge
box ip addr add 172.17.0.1/16 dev docker0
wait_until 5 "DNS listens" listens_for_dns
box weft dns-add 192.0.2.7 -h printer.weft.local
assert_equal "$(box weft dns-lookup printer)" 192.0.2.7 "a name"

step "reload says what is wrong, or that all is well"
assert_fails box systemctl reload weft >/dev/null
assert_contains "$(box journalctl --no-pager -u weft)" "no --password-file to read" "the journal"

step "killed, it is started again, and knows what it knew"
box systemctl kill --kill-who=main -s KILL weft
wait_until 10 "it was started again" has_restarted
assert_contains "$(box weft ps)" "$address" "the attachment"
box ping -c 1 -W 1 "$address" >/dev/null

step "stopped, it leaves the kernel forwarding"
box systemctl stop weft
assert_equal "$(shown ActiveState) $(shown Result)" "inactive success" "the unit"
box ping -c 1 -W 1 "$address" >/dev/null

step "a configuration it refuses is not tried over and over"
box sh -c 'echo WEFT_TRUSTED_SUBNETS=198.18.0.0/16 >/etc/default/weft'
box systemctl start weft || true  # The program was there; what it says comes later.
has_failed() { [[ $(shown ActiveState) == failed ]]; }
wait_until 5 "it gives up" has_failed
assert_equal "$(shown NRestarts) $(shown ExecMainStatus)" "0 6" "restarts and exit code"

step "what may pass is: a port in use, and a route into its range"
box sh -c ': >/etc/default/weft'
box ip route add 10.44.7.0/24 dev eth0
box sh -c 'socat TCP-LISTEN:6783,fork EXEC:cat >/dev/null 2>&1 & echo $!' >"$SCRATCH/taker"
taken() { box ss -Hltn 'sport = :6783' | grep -q .; }
wait_until 5 "the port is in use" taken
box systemctl reset-failed weft
box systemctl start weft || true
was_refused() { (($(shown NRestarts) >= $1)); }
wait_until 30 "it is tried again and again" was_refused 4
assert_contains "$(box journalctl --no-pager -u weft)" "overlaps the route 10.44.7.0/24" "the journal"
box ip route del 10.44.7.0/24
wait_until 30 "and more often than systemd would by itself" was_refused 8
assert_contains "$(box journalctl --no-pager -u weft)" "6783: Address already in use" "the journal"
box kill "$(cat "$SCRATCH/taker")"
wait_until 10 "weft serves" is_serving
