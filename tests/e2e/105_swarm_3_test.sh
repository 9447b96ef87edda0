#!/bin/bash
# A swarm of three engines with weft as their managed plugin: networks made once on a manager, and
# services whose tasks reach each other wherever the swarm puts them.
source "$(dirname "$0")/../lab/lib.sh"

PACKAGING=$(readlink -f "$(dirname "$0")/../../packaging")

install_plugin() {  # HOST [PEERS]
  on "$1" docker plugin create weft "$SCRATCH/plugin"
  on "$1" docker plugin set weft WEFT_PEERS="${2:-}" WEFT_PASSWORD=sesame
  on "$1" docker plugin enable weft
}
task_container() {  # HOST SERVICE: the container of its task there.
  on "$1" docker ps -q --filter "label=com.docker.swarm.service.name=$2"
}
has_task() { [[ $(task_container "$1" "$2" | wc -l) == 1 ]]; }
# Each of them once: Docker's own names of services.
knows_tasks() { [[ $(inside "$1" "$2" nslookup tasks.web 127.0.0.11 | grep -c '^Address: 10\.77\.') == 3 ]]; }

step "three engines get the plugin and become a swarm"
lab_up 3 --docker
"$PACKAGING/docker-plugin/make" "$WEFT_BIN" "$SCRATCH/plugin"
install_plugin h1 >/dev/null
install_plugin h2 h1 >/dev/null &
install_plugin h3 h1 >/dev/null
wait $!
wait_until 20 "every host reaches every other" all_reachable
status_is h1 '[.router.connections[] | select(.authenticated)] | length == 2' || fail "the password is not in use"
on h1 docker swarm init --advertise-addr 198.18.0.1 >/dev/null
token=$(on h1 docker swarm join-token -q worker)
for host in h2 h3; do
  on "$host" docker swarm join --token "$token" 198.18.0.1:2377 >/dev/null
done

step "a network of the swarm is made once"
on h1 docker network create -d weft:latest --attachable --subnet 10.77.0.0/24 --opt weft.mtu=1300 --opt encrypted app >/dev/null
assert_equal "$(on h1 docker network inspect -f '{{.Scope}} {{.Driver}}' app)" "swarm weft:latest" "the network"
assert_contains "$(assert_fails on h2 docker network create -d weft:latest other)" "manager" "a worker"

step "tasks of a service on three hosts reach each other, by address and by name"
on h1 docker service create --detach --quiet --name web --network app --mode global --endpoint-mode dnsrr \
  --no-resolve-image --stop-signal KILL weft-tools sleep 1000000 >/dev/null
for host in h1 h2 h3; do
  wait_until 30 "a task on $host" has_task "$host" web
  task=$(task_container "$host" web)
  address=$(on "$host" docker inspect -f '{{.NetworkSettings.Networks.app.IPAddress}}' "$task")
  echo "$host $task $address" >>"$SCRATCH/tasks"
done
# shellcheck disable=SC2046  # One word per address.
assert_unique $(cut -d ' ' -f 3 "$SCRATCH/tasks")
assert_all_ping "$SCRATCH/tasks"
while read -r host task _ <&8; do
  wait_until 10 "$host knows all tasks" knows_tasks "$host" "$task"
  assert_equal "$(inside "$host" "$task" cat /sys/class/net/ethwe0/mtu)" 1300 "MTU on $host"
done 8<"$SCRATCH/tasks"
field() { sed -n "s/^$1 \(.*\) \(.*\)/\\$2/p" "$SCRATCH/tasks"; }  # HOST 1|2: container, or address.

step "a container by hand attaches to the network of the swarm"
container h3 hand app
assert_ping h3 hand "$(field h1 2)"
assert_ping h3 hand "$(field h2 2)"
on h3 docker rm -f hand >/dev/null

step "a task that is killed is back on the network"
on h1 docker kill "$(field h1 1)" >/dev/null
wait_until 30 "another task on h1" has_task h1 web
assert_ping h1 "$(task_container h1 web)" "$(field h2 2)"

step "a task is there again once the plugin of its host was away"
on h2 docker plugin disable -f weft >/dev/null
on h2 docker plugin enable weft >/dev/null
wait_until 20 "every host reaches every other" all_reachable
assert_ping h3 "$(field h3 1)" "$(field h2 2)"
status_is h2 '.docker.ports == 1' || fail "h2 has forgotten its port"

step "service and network go, down to the last interface"
on h1 docker service rm web >/dev/null
for host in h1 h2 h3; do
  wait_until 30 "no ports of containers on $host" status_is "$host" '.docker.ports == 0'
done
on h1 docker network rm app >/dev/null
for host in h1 h2 h3; do
  wait_until 10 "no network on $host" status_is "$host" '.docker.networks == 0'
done
