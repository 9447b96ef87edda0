#!/bin/bash
# --trusted-subnets: in clear only where both sides say so. A host that was not told to trust never sends in
# clear and never believes what comes in clear, whatever the other side was told. Captured from before the agents start.
source "$(dirname "$0")/../lab/lib.sh"

WORD=frambozenvlaai

capture() {  # NAME: both directions, on h1's wire.
  # shellcheck disable=SC2016  # The host's shell is the one to expand it.
  on h1 sh -c 'echo $$ >"$0.pid"; exec tcpdump -Z root --immediate-mode -i eth0 -s 0 -U -w "$0"' "$SCRATCH/$1" 2>/dev/null &
  wait_until 10 "tcpdump runs" test -s "$SCRATCH/$1"
}

end_capture() {  # NAME
  local pid
  pid=$(cat "$SCRATCH/$1.pid")
  on h1 kill "$pid"
  wait_until 5 "tcpdump has ended" process_is_gone h1 "$pid"
}

# How many packets of the capture match.
seen() {  # NAME FILTER
  tcpdump -Z root -r "$SCRATCH/$1" -n "$2" 2>"$SCRATCH/tcpdump" | wc -l
}

guest_pings() {  # Its payload repeats the word.
  guest_does "$1" g ping -c 3 -i 0.2 -W 1 -p 6672616d626f7a656e766c616169 "$2"
}

path_is() {  # HOST fastdp|encrypted
  status_is "$1" "[.encryption.peers[] | select(.path == \"$2\")] | length == 1"
}

# Having agreed is not yet going that way: probes come first.
goes_in_clear() { status_is "$1" '[.datapath.paths[] | select(.path == "clear" and .lost == false and .encrypted == false)] | length == 1'; }

both_reach() {
  wait_until 10 "h1 reaches h2" guest_pings h1 10.34.0.2
  wait_until 10 "h2 reaches h1" guest_pings h2 10.34.0.1
}

lab_up 2
everywhere sh -c 'umask 077; echo "correct horse battery" >/etc/weft-password'
secured=(--password-file /etc/weft-password)
subnet=$(on h1 ip -4 -o route show dev eth0 scope link | awk '{ print $1; exit }')
trusting=("${secured[@]}" --trusted-subnets "$subnet")

step "both trust: in clear"
launch_all "${trusting[@]}"
for host in h1 h2; do
  guest_network "$host" 10.34.0.254/24
  guest "$host" g 1 "10.34.0.${host#h}/24"
done
for host in h1 h2; do
  wait_until 10 "$host has agreed" path_is "$host" fastdp
  wait_until 10 "$host sends in clear" goes_in_clear "$host"
done
capture clear
both_reach
end_capture clear
# As Weave's users are told: control is encrypted, what containers send is not.
assert_contains "$(on h1 curl -s http://127.0.0.1:6784/status/connections)" "established unencrypted fastdp " "status connections"
assert_contains "$(on h1 curl -s http://127.0.0.1:6784/metrics)" \
  'weave_connections{encryption="",state="established",type="fastdp"} 1' "metrics"
(($(seen clear 'udp port 6784') > 0)) || fail "no VXLAN although both hosts trust"
grep -q "$WORD" "$SCRATCH/clear" || fail "what is in clear should be readable"

# The capture begins while both are down: nothing may go in clear, not even at the start.
only() {  # TRUSTING: the other host is not told to.
  local host name=only-$1
  step "only $1 trusts: encrypted, from the first packet"
  everywhere weft stop
  capture "$name"
  for host in h1 h2; do
    if [[ $host == "$1" ]]; then
      launch "$host" "${trusting[@]}" h1
    else
      launch "$host" "${secured[@]}" h1
    fi
  done
  wait_until 20 "the hosts know each other" all_reachable
  both_reach
  path_is h1 encrypted || fail "h1 does not encrypt: $(on h1 weft status)"
  path_is h2 encrypted || fail "h2 does not encrypt: $(on h2 weft status)"
  assert_contains "$(on h1 curl -s http://127.0.0.1:6784/status/connections)" "established encrypted   fastdp " "status connections"
  end_capture "$name"
  assert_equal "$(seen "$name" 'udp port 6784')" 0 "VXLAN packets while only $1 trusts"
  assert_equal "$(grep -c "$WORD" "$SCRATCH/$name" || true)" 0 "packets with the word while only $1 trusts"
  (($(seen "$name" 'udp port 6783') > 0)) || fail "no sealed packet was captured"
}

only h1
only h2

step "who stops trusting under traffic is not sent to in clear for long, and sends nothing in clear at all"
everywhere weft stop
launch_all "${trusting[@]}"
for host in h1 h2; do
  wait_until 10 "$host has agreed" path_is "$host" fastdp
  wait_until 10 "$host sends in clear" goes_in_clear "$host"
done
both_reach
on h2 weft stop
capture change
launch h2 "${secured[@]}" h1
wait_until 10 "h1 encrypts" path_is h1 encrypted
both_reach
end_capture change
here=$(on h2 ip -4 -o addr show dev eth0 | awk '{ sub("/.*", "", $4); print $4; exit }')
assert_equal "$(seen change "udp port 6784 and src host $here")" 0 "VXLAN packets of the host that does not trust"
