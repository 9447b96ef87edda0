#!/bin/bash
# Containers of the real Podman on weft's network by CNI, with Debian's portmap, beside a container of Docker's. Of Podman it needs one
# that still has its CNI back end, as Debian 12's does.
source "$(dirname "$0")/../lab/lib.sh"

PLUGINS=$SCRATCH/plugins  # On every host: /tmp is the machine's.

cat >"$SCRATCH/containers.conf" <<CONF
[engine]
cgroup_manager = "cgroupfs"
[network]
network_backend = "cni"
cni_plugin_dirs = ["$PLUGINS", "/usr/lib/cni"]
network_config_dir = "/etc/cni/net.d"
CONF
pod() { on "$1" env CONTAINERS_CONF="$SCRATCH/containers.conf" podman "${@:2}"; }
pod_address() { pod "$1" inspect -f '{{.NetworkSettings.Networks.weft.IPAddress}}' "$2"; }
owners() { on "$1" curl -s 127.0.0.1:6784/ip | jq -r '.owned[]?.containerid'; }
pod_pings() { pod "$1" exec "$2" ping -c 1 -W 1 "$3"; }

lab_up 2 --docker
backend=$(pod h1 info --format '{{.Host.NetworkBackend}}' 2>&1) || true
[[ $backend == cni ]] ||
  fail "this test needs a Podman built with its CNI back end, such as Debian 12's 4.3 (5.x has none); $(pod h1 --version 2>&1 || true) says: $backend"
launch_all

step "containers of Podman on weft's network"
everywhere mkdir -p /etc/cni/net.d
everywhere weft setup-cni --cni-plugin-dir "$PLUGINS"
on h1 docker save -o /var/log/image.tar weft-tools
on h1 cat /var/log/image.tar >"$SCRATCH/image.tar"
everywhere env CONTAINERS_CONF="$SCRATCH/containers.conf" podman load -q -i "$SCRATCH/image.tar" >/dev/null
assert_contains "$(pod h1 network ls)" weft "networks of Podman"
pod h1 run -d --name p1 --network weft --stop-signal KILL -p 8080:80 weft-tools socat TCP-LISTEN:80,fork,reuseaddr SYSTEM:'echo hello' >/dev/null
pod h2 run -d --name p2 --network weft --stop-signal KILL weft-tools sleep 1000000 >/dev/null
on h2 docker run -d --name docker --net none weft-tools sleep 1000000 >/dev/null
docker=$(on h2 weft attach docker)
wait_until 5 "p1 pings p2" pod_pings h1 p1 "$(pod_address h2 p2)"
wait_until 5 "p2 pings p1" pod_pings h2 p2 "$(pod_address h1 p1)"
wait_until 5 "p1 pings Docker's container" pod_pings h1 p1 "$docker"
assert_ping h2 docker "$(pod_address h1 p1)"
answers() { [[ $(on "$1" timeout 4 socat -T 3 -t 3 - "TCP:198.18.0.1:8080,connect-timeout=2") == hello ]]; }
wait_until 5 "its published port answers (portmap)" answers h2

step "it outlives the agent, and goes with the container alone"
address=$(pod_address h1 p1)
kill_agent h1
launch h1
wait_until 5 "p2 pings p1 again" pod_pings h2 p2 "$address"
pod h1 rm -f p1 >/dev/null
assert_equal "$(owners h1 | grep -c cni:weft: || true)" 0 "addresses of Podman's network"
pod h1 run -d --name p3 --network weft --ip 10.32.0.77 --stop-signal KILL weft-tools sleep 1000000 >/dev/null
assert_equal "$(pod_address h1 p3)" 10.32.0.77 "an address that was asked for"
wait_until 5 "p2 pings p3" pod_pings h2 p2 10.32.0.77
pod h1 rm -f p3 >/dev/null
pod h2 rm -f p2 >/dev/null
