#!/bin/bash
# Reset takes away what weft made, and nothing else; a stop takes nothing away.
source "$(dirname "$0")/../lab/lib.sh"

# Everything of the kernel and the disk that the agent could have left, without counters and ages.
picture() {
  on h1 sh -c '
    ip -o link | sed "s/^[0-9]*: //; s/@if[0-9]*//; s/ link-netnsid [0-9]*//" | sort
    ip -4 addr | grep inet | sort
    ip route; ip rule
    for device in $(ls /sys/class/net); do
      tc qdisc show dev "$device"
      tc filter show dev "$device" ingress 2>/dev/null
      tc filter show dev "$device" egress 2>/dev/null
    done
    nft -s list ruleset
    ls /sys/fs/bpf /run /run/docker/plugins /var/lib /run/weft /var/lib/weft || true' 2>/dev/null
}

lab_up 2 --docker
# Plugins have a folder of their own that a first agent makes; engines look for it anyway.
on h1 mkdir -p /run/docker/plugins
on h1 ip link add keep type bridge
on h1 nft add table inet keep
on h1 docker run --rm busybox true  # Makes folders of the engine's own.
wait_until 5 "docker0 has noticed that the container is gone" \
  on h1 sh -c 'ip link show docker0 | grep -q NO-CARRIER'
before=$(picture)
launch_all

step "a stopped agent leaves the containers' traffic alone"
network_everywhere weft-net
container h1 c1 weft-net
container h2 c2 weft-net
peer=$(address_of h2 c2)
assert_ping h1 c1 "$peer"
everywhere weft stop
inside h1 c1 ping -c 3 -W 1 -i 0.2 "$peer" >/dev/null

step "reset of a host with a running agent leaves nothing"
everywhere weft launch
on h1 docker rm -f c1 >/dev/null
# The network is still there, and with it the host as its gateway.
on h1 weft reset
assert_fails on h1 weft status >/dev/null
diff <(echo "$before") <(picture) >"$SCRATCH/diff" || fail "reset left or took: $(cat "$SCRATCH/diff")"

step "who has reset is forgotten by the others, and so is who is removed, with the names they gave"
names_of() { on h2 weft status dns; }
is_alone() { [[ $(on h2 weft status peers | grep -vc '<->') == 1 ]]; }
wait_until 5 "h2 knows nobody else" is_alone
on h1 weft launch h2
on h1 weft expose >/dev/null
on h1 weft dns-add 192.0.2.7 -h printer
knows_printer() { [[ $(names_of) == *printer* ]]; }
forgets_printer() { ! knows_printer; }
wait_until 5 "h2 knows a name of h1" knows_printer
kill_agent h1
assert_contains "$(on h2 weft status dns)" printer "a name of who may come back"
wait_until 15 "h2 misses h1" reaches h2 1
name=$(on h2 weft status peers | sed -n 's/(h1).*//p')
assert_contains "$(on h2 weft rmpeer h1)" "IPs taken over from h1" "rmpeer"
wait_until 5 "h2 knows nobody else" is_alone
wait_until 1 "nor a name of theirs" forgets_printer
assert_equal "$(on h2 weft rmpeer "$name")" "0 IPs taken over from $name" "rmpeer of one that is forgotten"
on h1 weft reset

step "and may be repeated, and a bridge of somebody else's is neither taken nor taken away"
on h1 weft reset
assert_contains "$(assert_fails on h1 weft launch --bridge docker0)" "bridge docker0 is somebody else's" "a launch on Docker's bridge"
code=0
on h1 weft launch --bridge docker0 >/dev/null 2>&1 || code=$?
assert_equal "$code" 6 "its exit code"
on h1 weft reset --bridge docker0
diff <(echo "$before") <(picture) >"$SCRATCH/diff" || fail "docker0 is not as it was: $(cat "$SCRATCH/diff")"

step "the host may join again"
launch h1 h2
on h1 docker network rm weft-net >/dev/null
on h1 docker network create -d weft --ipam-driver weft weft-net >/dev/null
container h1 c1 weft-net
wait_until 30 "the mesh is whole again" reaches h1 2
assert_ping h1 c1 "$peer"
