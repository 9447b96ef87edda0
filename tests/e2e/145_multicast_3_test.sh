#!/bin/bash
# Multicast crosses to hosts with members of the group alone, for IPv4 (IGMP) and IPv6 (MLD), in clear
# and encrypted; what nobody has joined goes to all.
source "$(dirname "$0")/../lab/lib.sh"

COUNT=20

# What goes towards a host is seen on its underlay, whichever way frames travel.
packets_in() { on "$1" cat /sys/class/net/eth0/statistics/rx_packets; }

listen() {  # HOST GROUP-AS-SOCAT-NAMES-IT LISTENING-ADDRESS
  # shellcheck disable=SC2016  # The guest's shell is the one to expand it.
  guest_does "$1" g sh -c ': >"$1"; echo $$ >"$1.pid"; exec socat -u "$0" OPEN:"$1",append' "$3" "/tmp/$2.$1" || true &
  wait_until 5 "$1 listens to $2" guest_does "$1" g sh -c "ss -uln | grep -q :9999"
}

leave() {  # HOST GROUP
  on "$1" sh -c "kill \$(cat /tmp/$2.$1.pid)"
}

say() {  # GROUP ADDRESS: COUNT datagrams of h1's guest.
  # shellcheck disable=SC2016
  guest_does h1 g sh -c 'for i in $(seq "$1"); do echo "$i"; sleep 0.02; done | socat -u - "$0"' "$2" "$COUNT"
}

lines() { on "$1" sh -c "wc -l </tmp/$2.$1"; }
has_heard() { (($(lines "$1" "$2") >= COUNT)); }

joined() { status_is "$1" ".datapath.multicast_groups == $2"; }

narrowed() { on h1 weft status --json | jq .datapath.stats.multicast_narrowed; }
flooded() { on h1 weft status --json | jq .datapath.stats.frames_flooded; }

# A round of COUNT frames, all of which h2 hears: did they go to members alone, and nothing to h3 but
# what agents tell each other, which is as much in as long a time without them?
went_narrow() {  # GROUP ADDRESS
  local before wire heard started=${EPOCHREALTIME/[.,]/}
  before=$(narrowed)
  wire=$(packets_in h3)
  heard=$(lines h2 "$1")
  say "$1" "$2"
  wait_until 5 "h2 hears $1" heard_more "$1" "$heard"
  NARROW=$(($(narrowed) - before)) WIRE=$(($(packets_in h3) - wire))
  wire=$(packets_in h3)
  sleep "$(awk -v us=$((${EPOCHREALTIME/[.,]/} - started)) 'BEGIN { print us / 1000000 }')"
  WIRE=$((WIRE - $(packets_in h3) + wire))
  ((NARROW == COUNT && WIRE < COUNT))
}
heard_more() { (($(lines h2 "$1") >= $2 + COUNT)); }

# For a while after somebody joined, frames narrow only once the news has come, which a busy machine
# may bring in the middle of a round.
assert_narrow() {  # GROUP ADDRESS
  went_narrow "$@" || went_narrow "$@" || fail "$1: $NARROW of $COUNT frames went to members alone, $WIRE packets more came to h3, which has no member"
}

both_families() {
  step "a group with a member on h2: nothing of it goes to h3"
  listen h2 four UDP4-RECV:9999,ip-add-membership=239.7.7.7:eth0
  wait_until 5 "h2 tells of the group" joined h2 1
  sleep 2.5  # A group that was unknown goes to all for two seconds (router/multicast/group_members.h).
  assert_narrow four UDP4-DATAGRAM:239.7.7.7:9999,ip-multicast-if=10.34.0.1,ip-multicast-ttl=4
  leave h2 four
  wait_until 8 "h2 forgets the group" joined h2 0

  step "the same with IPv6"
  listen h2 six "UDP6-RECV:9999,ipv6-join-group=[ff15::77]:eth0"
  wait_until 5 "h2 tells of the group" joined h2 1
  sleep 2.5
  assert_narrow six "UDP6-DATAGRAM:[ff15::77]:9999,so-bindtodevice=eth0"
  leave h2 six
  wait_until 8 "h2 forgets the group" joined h2 0
}

lab_up 3
launch_all
for host in h1 h2 h3; do
  guest_network "$host" 10.34.0.254/24
  guest "$host" g 1 "10.34.0.${host#h}/24"
done
wait_until 10 "guests reach each other" guest_does h1 g ping -c 1 -W 1 10.34.0.2

step "a group that nobody has joined goes to all"
before=$(flooded)
say none UDP4-DATAGRAM:239.8.8.8:9999,ip-multicast-if=10.34.0.1,ip-multicast-ttl=4
has_flooded() { (($(flooded) - before >= COUNT)); }
wait_until 5 "an unknown group is flooded" has_flooded
(($(narrowed) == 0)) || fail "frames were narrowed without a member anywhere"

both_families

step "a member is known again after its agent was restarted"
listen h2 four UDP4-RECV:9999,ip-add-membership=239.7.7.7:eth0
wait_until 5 "h2 tells of the group" joined h2 1
kill_agent h2
launch h2 h1
wait_until 20 "the mesh is whole again" all_reachable
wait_until 10 "the agent asked, and h2 tells of the group again" joined h2 1
on h2 sh -c ': >/tmp/four.h2'
say four UDP4-DATAGRAM:239.7.7.7:9999,ip-multicast-if=10.34.0.1,ip-multicast-ttl=4
wait_until 5 "h2 hears it" has_heard h2 four
leave h2 four

step "encrypted"
everywhere weft stop
everywhere sh -c 'umask 077; echo "correct horse battery" >/etc/weft-password'
launch_all --password-file /etc/weft-password
wait_until 10 "guests reach each other" guest_does h1 g ping -c 1 -W 1 10.34.0.2
wait_until 10 "what they had joined before is forgotten" joined h2 0
sleep 6  # Hosts that start with containers hear everything for five seconds.
both_families
