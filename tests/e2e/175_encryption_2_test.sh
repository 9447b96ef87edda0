#!/bin/bash
# With a password nothing that containers say is ever seen on the wire: not at the start, not while
# keys are made, not over restarts, with BPF or without. Every packet between the hosts is captured
# for the whole test and searched for the containers' words, for VXLAN, and for the plaintext of ARP
# and names.
source "$(dirname "$0")/../lab/lib.sh"

WORD=frambozenvlaai  # In every payload below.
lab_up 2 --docker
everywhere sh -c 'umask 077; echo "correct horse battery" >/etc/weft-password'
secured=(--password-file /etc/weft-password)

capture() {  # HOST
  # shellcheck disable=SC2016  # The host's shell is the one to expand it.
  on "$1" sh -c 'echo $$ >"$0.pid"; exec tcpdump -Z root --immediate-mode -i eth0 -s 0 -U -w "$0"' "$SCRATCH/$1.wire" 2>/dev/null &
  wait_until 10 "tcpdump runs on $1" test -s "$SCRATCH/$1.wire"
}

end_capture() {  # HOST
  local pid
  pid=$(cat "$SCRATCH/$1.wire.pid")
  on "$1" kill "$pid"
  wait_until 5 "tcpdump on $1 has ended" process_is_gone "$1" "$pid"
}

# How many packets of the capture match.
seen() {  # HOST FILTER
  tcpdump -Z root -r "$SCRATCH/$1.wire" -n "$2" 2>"$SCRATCH/tcpdump" | wc -l
}

assert_nothing_seen() {
  local host
  for host in h1 h2; do
    assert_equal "$(grep -c "$WORD" "$SCRATCH/$host.wire" || true)" 0 "packets with the word on $host"
    assert_equal "$(seen "$host" 'udp port 6784')" 0 "VXLAN packets on $host"
    # Outermost: had a frame been bridged or routed to the wire as it is.
    assert_equal "$(seen "$host" 'net 10.32.0.0/12')" 0 "packets of containers' addresses on $host"
    (($(seen "$host" 'udp port 6783') > 0)) || fail "no sealed packet was captured on $host"
  done
}

start_stream() {  # Until assert_stream_went_on.
  inside h2 c2 iperf3 -s -1 >/dev/null &
  wait_until 5 "iperf3 listens" inside h2 c2 sh -c 'netstat -tln | grep -q :5201'
  # shellcheck disable=SC2016  # Expanded in the container.
  inside h1 c1 sh -c 'echo $$ >/tmp/stream.pid; exec iperf3 -b 50M -t 1000 -c "$0"' "$there" >"$SCRATCH/stream" 2>&1 &
  STREAM=$!
  wait_until 5 "the stream flows" inside h2 c2 sh -c 'netstat -tn | grep -q ":5201 .*ESTABLISHED"'
}

stream_octets() { inside h2 c2 cat /sys/class/net/ethwe0/statistics/rx_bytes; }
has_streamed() { (($(stream_octets) - $1 > 5000000)); }  # Of that second nearly all.

assert_stream_went_on() {
  wait_until 10 "the stream goes on" has_streamed "$(stream_octets)"
  # shellcheck disable=SC2016
  inside h1 c1 sh -c 'kill -INT $(cat /tmp/stream.pid)' || fail "the stream broke: $(cat "$SCRATCH/stream")"
  wait "$STREAM" || true  # Interrupted.
}

assert_encrypted() {
  wait_until 10 "data is encrypted" status_is h1 '.router.data_encrypted'
  assert_ping h1 c1 "$there"
  inside h1 c1 ping -c 3 -i 0.2 -s 1300 -p 6672616d626f7a656e766c616169 "$there" >/dev/null
  status_is h1 '[.encryption.peers[] | select(.path == "encrypted" and .state == "up" and .packets_in > 0)] | length == 1' ||
    fail "status shows no encrypted peer: $(on h1 weft status)"
  status_is h1 '[.datapath.paths[] | select(.encrypted)] | length == 1' || fail "status shows a path in clear: $(on h1 weft status paths)"
}

step "the capture begins before the agents do"
capture h1
capture h2
launch_all "${secured[@]}"
network_everywhere weft-net
container h1 c1 weft-net
container h2 c2 weft-net
there=$(address_of h2 c2)

step "containers on two hosts reach each other"
assert_encrypted

step "the kernel sealed what is small, and none of it was lost or forged"
inside h1 c1 ping -c 50 -i 0.01 -q "$there" | grep -q ' 0% packet loss' || fail "pings were lost"
for host in h1 h2; do
  status_is "$host" '.datapath.stats | .fast_lane_sealed >= 50 and .fast_lane_opened >= 50 and .fast_lane_forged == 0 and .fast_lane_replayed == 0' ||
    fail "the kernel's lane on $host: $(on "$host" weft status --json | jq -c .datapath.stats)"
done

step "a TCP stream outlives a restart of either agent"
start_stream
for host in h1 h2; do
  kill_agent "$host"
  launch "$host" "${secured[@]}"
  wait_until 10 "the path is up again" pings h1 c1 "$there"
done
assert_stream_went_on

step "broadcasts and names travel sealed, too"
inside h1 c1 ping -c 2 -i 0.2 -b 10.32.255.255 >/dev/null 2>&1 || true
inside h1 c1 arping -c 1 -w 1 10.39.255.1 >/dev/null 2>&1 || true

step "bulk arrives whole"
inside h2 c2 sh -c 'sleep 1000 | nc -l -p 7001 >/tmp/heard' &
wait_until 5 "nc listens" inside h2 c2 sh -c 'netstat -tln | grep -q :7001'
inside h1 c1 sh -c "yes $WORD | head -c 50000000 >/tmp/said; { cat /tmp/said; sleep 1000; } | nc $there 7001" &
has_arrived() { (($(inside h2 c2 stat -c %s /tmp/heard) == 50000000)); }
wait_until 20 "all has arrived" has_arrived
assert_equal "$(inside h2 c2 md5sum /tmp/heard | cut -d' ' -f1)" "$(inside h1 c1 md5sum /tmp/said | cut -d' ' -f1)" "checksum of 50 MB"

step "in bridge mode as well"
everywhere weft stop
launch_all "${secured[@]}" --no-bpf
assert_encrypted

step "nothing of all this was to be seen"
everywhere weft stop
end_capture h1
end_capture h2
assert_nothing_seen
