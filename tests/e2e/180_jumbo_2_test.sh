#!/bin/bash
# A jumbo underlay gives jumbo containers, and what does not fit is refused rather than lost.
source "$(dirname "$0")/../lab/lib.sh"

lab_up 2 --docker --mtu 9000
launch_all
network_everywhere weft-net
container h1 c1 weft-net
container h2 c2 weft-net
peer=$(address_of h2 c2)
assert_ping h1 c1 "$peer"

step "containers have the underlay's MTU less VXLAN's 50 bytes"
mtu=$(inside h1 c1 cat /sys/class/net/ethwe0/mtu)
assert_equal "$mtu" 8950 "mtu"
inside h1 c1 ping -c 1 -W 2 -M 'do' -s $((mtu - 28)) "$peer" >/dev/null
assert_fails inside h1 c1 ping -c 1 -W 1 -M 'do' -s $((mtu - 27)) "$peer" >/dev/null

step "bulk data passes whole"
sum=$(inside h2 c2 sh -c 'head -c 50000000 /dev/urandom >/tmp/data; sha256sum </tmp/data')
inside h2 c2 socat -u OPEN:/tmp/data TCP-LISTEN:9000 &
wait_until 5 "the sender listens" inside h2 c2 sh -c 'netstat -tln | grep -q :9000'
assert_equal "$(inside h1 c1 sh -c 'socat -u TCP:$0:9000 - | sha256sum' "$peer")" "$sum" "checksum"
