#!/bin/bash
# Kernel ESP between two agents, under a kernel that has it (run by in_vm): containers' traffic leaves as ESP alone, its
# keys are renewed without loss, and whatever is taken away of it in the kernel, the agents carry on within about a
# second. Every packet between the hosts is captured for the whole test.
source "$(dirname "$0")/../e2e/agents.sh"

WORD=frambozenvlaai
# From the last packet before a failure to the first after it: the promise is a second; the processor is emulated.
GAP_MILLISECONDS_MAX=1500

on_path() {  # HOST PATH
  status_is "$1" ".datapath.paths | length == 1 and .[0].path == \"$2\" and .[0].encrypted and (.[0].lost | not)"
}

both_on() {  # SECONDS PATH
  local host
  for host in h1 h2; do
    wait_until "$1" "$host uses $2" on_path "$host" "$2"
  done
}

capture() {  # HOST
  # shellcheck disable=SC2016  # The host's shell is the one to expand it.
  on "$1" sh -c 'exec tcpdump -Z root --immediate-mode -i eth0 -s 0 -U -w "$0"' "$SCRATCH/$1.wire" 2>/dev/null &
  wait_until 20 "tcpdump runs on $1" test -s "$SCRATCH/$1.wire"
}

seen() {  # HOST FILTER
  tcpdump -Z root -r "$SCRATCH/$1.wire" -n "$2" 2>"$SCRATCH/tcpdump" | wc -l
}

# 20 pings a second, each with the time of its answer.
start_trace() {
  # shellcheck disable=SC2016  # Expanded on the host.
  guest_does h1 guest sh -c 'echo $$ >/run/trace.pid; exec ping -D -i 0.05 -p 6672616d626f7a656e766c616169 "$0"' \
    "${ADDRESS[h2]%/*}" >"$SCRATCH/trace" 2>&1 &
  wait_until 5 "pings are answered" grep -q 'icmp_seq=10 ' "$SCRATCH/trace"
}

end_trace() {
  # shellcheck disable=SC2016  # Expanded on the host.
  on h1 sh -c 'kill -INT "$(cat /run/trace.pid)"'
  wait_until 5 "the ping has counted" grep -q 'packets transmitted' "$SCRATCH/trace"
}

longest_gap() {  # in milliseconds
  sed -n 's/^\[\([0-9.]*\)\].*icmp_seq.*/\1/p' "$SCRATCH/trace" |
    awk 'NR > 1 && $1 - last > gap { gap = $1 - last } { last = $1 } END { printf "%d", gap * 1000 }'
}

# What happens to h1's kernel stops pings for no longer than agreed, and both go on sealed.
assert_carries_on() {  # WHAT CMD…
  local what=$1 gap
  shift
  start_trace
  on h1 "$@"
  both_on 5 sealed
  end_trace
  gap=$(longest_gap)
  echo "$what: nothing arrived for $gap ms"
  ((gap <= GAP_MILLISECONDS_MAX)) || fail "$what: nothing arrived for $gap ms"
}

esp_status() { on "$1" weft status --json | jq -r ".encryption.esp.$2"; }  # HOST offered|why
has_chosen() { [[ $(esp_status "$1" why) != "being tried" ]]; }
is_offered() { [[ $(esp_status "$1" offered) == true ]]; }

handshakes() { on h1 weft status --json | jq .encryption.stats.handshakes; }
has_rekeyed() { (($(handshakes) > $1)); }

# Starts one that is left to itself, and sees that it went by what it measured, and says what that was.
CHOSEN=
launch_choosing() {  # HOST [options and peers]
  local host=$1 started kernel ours cheaper
  shift
  started=${EPOCHREALTIME/[.,]/}
  launch "$host" --esp auto "$@"
  echo "$host is ready after $(((${EPOCHREALTIME/[.,]/} - started) / 1000)) ms; ESP: $(esp_status "$host" why)"
  wait_until 20 "$host has measured" has_chosen "$host"
  echo "ESP chosen after $(((${EPOCHREALTIME/[.,]/} - started) / 1000)) ms"
  on "$host" weft status connections -v | grep 'ESP: .*offered.* µs a datagram where the kernel seals, .* where agents do' ||
    fail "status does not say so: $(on "$host" weft status connections -v)"
  read -r kernel ours < <(esp_status "$host" why | sed 's/[^0-9.]*\([0-9.]*\)[^0-9.]*\([0-9.]*\).*/\1 \2/')
  cheaper=$(awk -v kernel="$kernel" -v ours="$ours" 'BEGIN { print kernel < 0.9 * ours ? "true" : "false" }')
  assert_equal "$(esp_status "$host" offered)" "$cheaper" "offered, where the kernel takes $kernel µs and agents $ours"
  CHOSEN=$([[ $cheaper == true ]] && echo esp || echo sealed)
}

lab_up 2
everywhere sh -c 'umask 077; echo "correct horse battery" >/etc/weft-password'
secured=(--password-file /etc/weft-password --esp on)

step "while the kernel looks for its modules, which takes it long, the agent is ready"
launch_choosing h1 "${secured[@]:0:2}"
on h1 weft stop

step "the kernel keeps the contract that its twin in memory is held to"
WEFT_KERNEL_XFRM=1 "$(dirname "$WEFT_BIN")/../tests/integration/sys/sys_xfrm_test" --gtest_brief=1

capture h1
capture h2
launch_all "${secured[@]}"
for host in h1 h2; do
  wait_until 20 "$host offers ESP" is_offered "$host"
done
attach_guests h1 h2

step "a pair that can goes over to ESP by itself"
wait_until 20 "the guests reach each other" guest_reaches h1 h2
both_on 20 esp
first=$(handshakes)
started=$SECONDS
on h1 weft status connections -v | grep -A 3 'esp, encrypted' || fail "status does not say so: $(on h1 weft status connections -v)"

step "packets of all sizes and a TCP stream arrive whole"
assert_equal "$(guest_does h1 guest cat /sys/class/net/eth0/mtu)" 1416 "MTU"
for size in 1 1300 1388; do
  guest_does h1 guest ping -q -c 5 -i 0.1 -W 2 -M "do" -s "$size" -p 6672616d626f7a656e766c616169 "${ADDRESS[h2]%/*}" >/dev/null ||
    fail "packets of $size octets do not arrive"
done
guest_does h2 guest socat -u TCP-LISTEN:7001 "CREATE:$SCRATCH/heard" &
wait_until 5 "socat listens" guest_does h2 guest sh -c 'ss -tln | grep -q :7001'
awk -v word="$WORD" 'BEGIN { for (i = 0; i < 300000; i++) print word }' >"$SCRATCH/said"
guest_does h1 guest socat -u "OPEN:$SCRATCH/said" "TCP:${ADDRESS[h2]%/*}:7001"
has_arrived() { cmp "$SCRATCH/said" "$SCRATCH/heard"; }
wait_until 30 "all has arrived" has_arrived
guest_does h1 guest ping -c 2 -i 0.2 -b 10.47.255.255 >/dev/null 2>&1 || true
assert_equal "$(on h1 weft status --json | jq '.datapath.paths[0].path')" '"esp"' "path after the stream"

step "keys are renewed under way, and nothing is lost"
switches=$(on h1 weft status --json | jq '.datapath.paths[0].switches')
start_ping h1 h2
wait_until 150 "the keys were renewed" has_rekeyed "$first"
echo "renewed $((SECONDS - started)) s after the start"
wait_until 10 "the kernel seals under the new ones" on h1 sh -c 'ip -s xfrm state | grep -c "proto esp" | grep -qx 4'
assert_nothing_lost h1
assert_equal "$(on h1 weft status --json | jq '.datapath.paths[0].switches')" "$switches" "switches of the path"

step "keys that somebody removes from a kernel"
assert_carries_on "xfrm state flush" ip xfrm state flush

step "an agent that is killed and comes back finds nothing in its way"
kill_agent h1
launch h1 "${secured[@]}"
wait_until 20 "the guests reach each other" guest_reaches h1 h2
both_on 40 esp

step "policies that somebody removes from a kernel: nothing leaves in clear meanwhile"
assert_carries_on "xfrm policy flush" ip xfrm policy flush

step "unless both hosts offer it the agents seal"
on h2 weft stop
launch h2 "${secured[@]:0:2}" --esp off
wait_until 20 "the guests reach each other" guest_reaches h1 h2
both_on 20 sealed

step "left to itself a host goes by what it measures"
on h2 weft stop
launch_choosing h2 "${secured[@]:0:2}"
wait_until 20 "the guests reach each other" guest_reaches h1 h2
both_on 20 "$CHOSEN"

step "nothing of all this was to be seen"
everywhere weft stop
for host in h1 h2; do
  on "$host" weft reset >/dev/null
  on "$host" sh -c 'ip xfrm state; ip xfrm policy' >"$SCRATCH/left"
  assert_equal "$(cat "$SCRATCH/left")" "" "what is left of IPsec on $host"
  assert_equal "$(grep -c "$WORD" "$SCRATCH/$host.wire" || true)" 0 "packets with the word on $host"
  assert_equal "$(seen "$host" 'udp port 6784')" 0 "VXLAN packets on $host"
  assert_equal "$(seen "$host" 'net 10.32.0.0/12')" 0 "packets of containers' addresses on $host"
  (($(seen "$host" esp) > 3000)) || fail "the stream did not go through ESP on $host"
done
