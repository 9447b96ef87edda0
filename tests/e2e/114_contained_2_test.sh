#!/bin/bash
# The agent in a container that has the host's network and its root, but processes, mounts and /proc of
# its own: everything it does and shows is the host's.
source "$(dirname "$0")/../lab/lib.sh"

PACKAGING=$(readlink -f "$(dirname "$0")/../../packaging")

plain() { on "$1" docker run -d --stop-signal KILL --name "$2" --net none weft-tools sleep 1000000 >/dev/null; }
answers() {
  on h1 weft status && return
  on h1 docker logs agent
  return 1
}
resolves_to() { [[ $(on h1 dig +short +time=1 +tries=1 @"$dns" "$1") == "$2" ]]; }
process_of() { on "$1" docker inspect -f '{{.State.Pid}}' "$2"; }
shows() { on h1 weft graph "$1" --json | jq -e ".nodes | any(.[]; $2)" >/dev/null; }  # TOPOLOGY CONDITION of a node
run_agent() {
  on h1 docker run -d --name agent --network host --volume /:/host --device /dev/net/tun --env WEFT_HOST_ROOT=/host \
    --cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add NET_RAW --cap-add SYS_PTRACE --security-opt apparmor=unconfined \
    --cgroupns private weft /usr/bin/weft agent >/dev/null
}

lab_up 2 --docker

step "the agent of h1 starts in a container"
"$PACKAGING/docker-plugin/make" "$WEFT_BIN" "$SCRATCH/image"
tar -C "$SCRATCH/image/rootfs" -c . | on h1 docker import - weft >/dev/null
# Servers of names as systemd-resolved leaves them, but with a link that only makes sense on the host.
on h1 mkdir -p /run/resolver
echo "nameserver 198.18.0.2" | on h1 tee /run/resolver/resolv.conf >/dev/null
on h1 ln -sf /run/resolver/resolv.conf /etc/resolv.conf
on h2 dnsmasq --no-daemon --no-resolv --no-hosts --listen-address=198.18.0.2 --bind-interfaces --address=/outer.example/192.0.2.80 2>/dev/null &
run_agent
wait_until 20 "it answers where the host looks" answers
launch h2 h1
wait_until 20 "every host reaches every other" all_reachable

step "the host's containers get networks: Docker's, attached from outside and from inside"
network_everywhere weft-net
container h1 web weft-net
container h2 far weft-net
plain h1 ca
plain h1 cb
plain h1 cd
plain h2 cc
on h1 weft attach ca >/dev/null
second=$(on h1 docker exec agent weft attach --rewrite-hosts cb)
third=$(on h2 weft attach cc)
assert_ping h2 far "$(address_of h1 web)"
assert_ping h1 ca "$third"
assert_ping h2 cc "$second"
by_number=$(on h1 weft attach "pid:$(process_of h1 cd)")
assert_contains "$(inside h1 cd ip -o addr)" "$by_number/" "an address by the number of a process"
assert_contains "$(inside h1 cb cat /etc/hosts)" "$second" "/etc/hosts of a container"
assert_contains "$(on h1 docker exec agent weft ps)" "$second/" "ps inside"

step "names are the host's containers', other names what the host's servers say"
dns=$(on h1 weft dns-args | sed 's/--dns=\([^ ]*\).*/\1/')
wait_until 5 "a name of its own" resolves_to web.weft.local "$(address_of h1 web)"
wait_until 5 "a name of the other host" resolves_to far.weft.local "$(address_of h2 far)"
wait_until 5 "a name of somebody else" resolves_to www.outer.example 192.0.2.80

step "what is shown is the host's: its system, and processes of its containers with whom they talk to"
on h2 docker exec -d far socat TCP-LISTEN:7000,fork,reuseaddr PIPE
on h1 docker exec -d web socat "TCP:$(address_of h2 far):7000" 'SYSTEM:sleep 1000'
process="h1 (web:$(process_of h1 web))"
wait_until 10 "a container's process, by the host's number" shows processes ".labelMinor == \"$process\""
wait_until 10 "who talks to whom" shows processes '.label == "socat" and (.labelMinor | startswith("h1 (web:")) and .edges != {}'
system=$(. /etc/os-release && echo "$PRETTY_NAME")
wait_until 10 "the host's system" shows hosts ".label == \"h1\" and (tostring | contains(\"$system\"))"
wait_until 10 "what a container uses, by the control groups of the host" shows containers '.label == "web" and any(.metadata[]; .id == "weft_usage_source" and .value == "cgroup")'

step "all of it outlives the agent's container"
on h1 docker rm -f agent >/dev/null
pings h2 cc "$second" || fail "no ping while no agent runs"
run_agent
wait_until 20 "every host reaches every other" all_reachable
assert_contains "$(on h1 weft ps)" "$second/" "ps after a restart"
assert_ping h2 cc "$second"
wait_until 5 "a name of its own" resolves_to web.weft.local "$(address_of h1 web)"
