#!/bin/bash
# Services of a swarm with an address of their own (VIP, the default) on a network of weft's, under a kernel that has IPVS (run by in_vm).
# The engine gives such a service its address whatever the network's driver, and balances it on networks of its own driver alone: here is
# shown that this is so where IPVS is at hand, and what users of other drivers have: all tasks by name (docs/adr/0084).
export WEFT_LAB_PATIENCE=20  # The processor is emulated, and engines are slow to begin with.
source "$(dirname "$0")/../lab/lib.sh"

PACKAGING=$(readlink -f "$(dirname "$0")/../../packaging")

service() {  # NAME NETWORK [options]
  local name=$1 network=$2
  shift 2
  # shellcheck disable=SC2016  # Expanded in the container.
  on h1 docker service create --detach --quiet --name "$name" --network "$network" --replicas 2 --no-resolve-image "$@" \
    --stop-signal KILL weft-tools sh -c 'hostname >/tmp/index.html; exec httpd -f -h /tmp' >/dev/null
}
has_tasks() { [[ $(on h1 docker ps -q --filter "label=com.docker.swarm.service.name=$1" | wc -l) == 2 ]]; }
vip_of() { on h1 docker service inspect -f '{{range .Endpoint.VirtualIPs}}{{.Addr}} {{end}}' "$1" | sed 's,/.*,,'; }
# What the engine's DNS says in a container.
resolves() { inside h1 hand nslookup "$1" 127.0.0.11 | sed -n 's/^Address: //p' | grep -v 127.0.0.11 | sort | xargs; }
resolves_to() { [[ $(resolves "$1") == "$2" ]]; }
has_two() { (($(resolves "$1" | wc -w) == 2)); }
gets() { inside h1 hand timeout -s KILL 20 wget -q -O - "http://$1/" | grep -q .; }
knows() { [[ $(on h1 weft dns-lookup "$1" | sort | xargs) == "$2" ]]; }

step "an engine with the plugin is a swarm, with a kernel that has IPVS"
modprobe -a ip_vs ip_vs_rr xt_ipvs vxlan || true
grep -q '^ip_vs ' /proc/modules || fail "the kernel has no IPVS"
lab_up 1 --docker
"$PACKAGING/docker-plugin/make" "$WEFT_BIN" "$SCRATCH/plugin"
on h1 docker plugin create weft "$SCRATCH/plugin" >/dev/null
on h1 docker plugin enable weft >/dev/null
on h1 docker swarm init --advertise-addr 198.18.0.1 >/dev/null
on h1 docker network create -d weft:latest --attachable --subnet 10.77.0.0/24 app >/dev/null
on h1 docker network create -d overlay --attachable --subnet 10.88.0.0/24 theirs >/dev/null
service web app
service turns app --endpoint-mode dnsrr
service theirs theirs
for name in web turns theirs; do
  wait_until 30 "tasks of $name" has_tasks "$name"
done
container h1 hand app
on h1 docker network connect theirs hand

step "the engine gives a service an address and a name for it, and nothing balances there"
vip=$(vip_of web)
wait_until 5 "web is $vip" resolves_to web "$vip"
! gets "$vip" || fail "$vip answers: the documentation says otherwise"
on h1 grep -q 'load balancing endpoint' /var/log/docker.log || fail "the engine does not say why"

step "all tasks have a name, and answer"
for name in tasks.web turns; do
  wait_until 5 "$name has two addresses" has_two "$name"
  for address in $(resolves "$name"); do
    wait_until 5 "$address answers" gets "$address"
  done
  gets "$name" || fail "$name does not answer"
done

step "it balances on a network of its own driver, with IPVS"
# shellcheck disable=SC2016  # Expanded on the host.
balanced() { on h1 sh -c 'nsenter --net="$(echo /run/docker/netns/lb_*)" cat /proc/net/ip_vs' >"$SCRATCH/ip_vs"; }
balances_two() { balanced && (($(grep -c ' Masq ' "$SCRATCH/ip_vs") == 2)); }
wait_until 5 "two tasks stand behind an address" balances_two

step "and in weft's DNS the service's own"
wait_until 5 "web is its tasks" knows web "$(resolves tasks.web)"
on h1 docker service scale --detach web=1 >/dev/null
has_one() { [[ $(on h1 weft dns-lookup web | wc -w) == 1 ]]; }
wait_until 20 "web is the task that is left" has_one
