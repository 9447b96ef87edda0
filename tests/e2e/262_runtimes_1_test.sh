#!/bin/bash
# Containers of Podman and of containerd, beside a Docker engine that knows nothing of them: attached, named, and given
# back when they end.
source "$(dirname "$0")/../lab/lib.sh"

pod() { on h1 podman --cgroup-manager cgroupfs "$@"; }
names() { on h1 weft dns-lookup "$1"; }
is_named() { [[ $(names "$1") == "$2" ]]; }
is_forgotten() { [[ -z $(names "$1") && $(on h1 weft ps) != *"$2/"* ]]; }

lab_up 1 --docker
on h1 mkdir -p /run/podman
on h1 docker save -o /var/log/image.tar weft-tools
on h1 sh -c 'podman --cgroup-manager cgroupfs system service --time 0 unix:///run/podman/podman.sock >/var/log/podman.log 2>&1' &
on h1 sh -c 'containerd --root /var/lib/containerd-alone >/var/log/containerd.log 2>&1' &
launch h1
on h1 docker run -d --name neighbor --net none weft-tools sleep 1000000 >/dev/null
neighbor=$(on h1 weft attach neighbor)

step "a container of Podman"
pod load -q -i /var/log/image.tar >/dev/null
pod run -d --name pod --hostname front --net none --stop-signal KILL weft-tools sleep 1000000 >/dev/null
wait_until 10 "Podman's service listens" on h1 test -S /run/podman/podman.sock
address=$(on h1 weft attach pod)
assert_equal "$(on h1 weft attach pod)" "$address" "the address when attached again"
assert_contains "$(pod exec pod ip -4 addr show ethwe)" "$address/" "its interface"
wait_until 5 "it reaches Docker's container" pod exec pod ping -c 1 -W 1 "$neighbor"
assert_equal "$(names pod)" "$address" "its name"
assert_contains "$(on h1 weft ps pod)" "$address/" "ps"
on h1 weft dns-add pod -h alias
assert_equal "$(names alias)" "$address" "its second name"

step "it outlives the agent, name and all"
kill_agent h1
launch h1
wait_until 5 "its name is back" is_named pod "$address"
wait_until 5 "it reaches Docker's container" pod exec pod ping -c 1 -W 1 "$neighbor"

step "it is detached, attached again, and ends"
assert_equal "$(on h1 weft detach pod)" "$address" "what detach prints"
assert_equal "$(names pod)" "" "its name"
address=$(on h1 weft attach pod)
pod rm -f pod >/dev/null
wait_until 2 "it is forgotten" is_forgotten pod "$address"
assert_contains "$(assert_fails on h1 weft attach pod)" "no such container: pod" "attaching what is no more"

step "a container of containerd, by its id and by the beginning of it"
wait_until 10 "containerd answers" on h1 ctr version
on h1 ctr images import /var/log/image.tar >/dev/null
on h1 ctr run -d --snapshotter native docker.io/library/weft-tools:latest task-one sleep 1000000
address=$(on h1 weft attach task-one)
assert_equal "$(on h1 weft attach task-o)" "$address" "the address by the beginning of its id"
on h1 ctr tasks exec --exec-id ping task-one ping -c 1 -W 5 "$neighbor" >/dev/null
assert_equal "$(names task-one)" "$address" "its name"
on h1 ctr tasks kill -s KILL task-one
wait_until 2 "it is forgotten" is_forgotten task-one "$address"
