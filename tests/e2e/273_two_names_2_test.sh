#!/bin/bash
# A host whose agent was launched as `weft` is launched as `weave` and back, with containers running: they keep their network,
# and a reset under either name leaves nothing of the other.
source "$(dirname "$0")/../lab/lib.sh"

WEAVE=$SCRATCH/weave
ln -s "$WEFT_BIN" "$WEAVE"
weave() { on "$1" "$WEAVE" "${@:2}"; }
plain() { on "$1" docker run -d --stop-signal KILL --name "$2" --net none weft-tools sleep 1000000 >/dev/null; }
others_links() { on h1 ip -br link | grep -c "^$1" || true; }  # NAME
others_rules() { on h1 nft list ruleset | grep -c "ifname \"$1\"" || true; }
all_talk() {  # What is on h1 and what is on h2, the host itself too.
  assert_ping h1 one "$two"
  assert_ping h1 plain "$two"
  assert_ping h2 two "$plain"
  assert_ping h2 two "$exposed"
  on h1 ping -c 1 -W 5 "$two" >/dev/null
}

lab_up 2 --docker
for password in "" "--password-file=$SCRATCH/password"; do
  echo secret-of-the-lab >"$SCRATCH/password"
  flags=(${password:+"$password"})

  step "containers of every kind on a host of weft's${password:+, encrypted}"
  launch_all "${flags[@]}"
  network_everywhere weft-net --subnet 10.32.0.0/16
  container h1 one weft-net
  container h2 two weft-net
  two=$(address_of h2 two)
  plain h1 plain
  plain=$(on h1 weft attach net:10.32.0.0/16 plain)
  exposed=$(on h1 weft expose net:10.32.0.0/16)
  on h1 ip link add br-lab-one type bridge
  weave h1 attach-bridge br-lab-one
  all_talk

  step "go on when it is launched as weave"
  on h1 weft stop
  weave h1 launch ${password:+--password secret-of-the-lab} h2 >/dev/null
  wait_until 20 "every host reaches every other" all_reachable
  all_talk
  assert_equal "$(others_links weft) $(others_rules weft)" "0 0" "links and rules called weft"
  assert_contains "$(on h1 iptables -t nat -S POSTROUTING)" "-o weave" "the rule of the bridge that is joined"
  assert_contains "$(on h1 cat /var/log/weft.log)" "goes on under another name from=weft to=weave" "the log"

  step "and end, and are made, as Docker asks for the network by the name it had"
  container h1 three weft-net
  assert_ping h1 three "$two"
  on h1 docker rm -f three >/dev/null
  on h1 docker run --rm --net weave weft-tools ping -c 1 -W 5 "$two" >/dev/null
  assert_contains "$(on h1 tail -n 1 /var/log/docker.log; on h1 docker network ls)" weavemesh "Docker's networks"

  step "go on when it is launched as weft again"
  weave h1 stop
  launch h1 "${flags[@]}" h2
  wait_until 20 "every host reaches every other" all_reachable
  all_talk
  assert_equal "$(others_links weave) $(others_rules weave)" "0 0" "links and rules called weave"

  step "a host that has lost its state is known by its bridge, whatever that is called"
  on h1 docker rm -f one >/dev/null
  on h1 docker network rm weft-net >/dev/null
  name=$(on h1 weft status --json | jq -r .router.name)
  on h1 weft stop
  on h1 sh -c 'rm /var/lib/weft/*.db*'
  weave h1 launch ${password:+--password secret-of-the-lab} h2 >/dev/null
  assert_equal "$(weave h1 report -f '{{.Router.Name}}')" "$name" "its name"

  step "a reset by the other name leaves nothing"
  on h1 docker rm -f plain >/dev/null
  on h1 weft reset
  for link in weft weave vethw; do
    assert_equal "$(others_links "$link")" 0 "links that begin with $link"
  done
  assert_equal "$(others_rules weft) $(others_rules weave)" "0 0" "rules"
  assert_equal "$(on h1 sh -c 'ls /run/docker/plugins')" "" "plugins' sockets"
  on h1 ip link del br-lab-one
  on h2 docker rm -f two >/dev/null
  on h2 docker network rm weft-net >/dev/null
  weave h2 reset
  assert_equal "$(on h2 ip -br link | grep -c '^we' || true)" 0 "links of h2"
done

step "what a start left that failed by the kernel's refusal, as earlier versions did, is no obstacle"
launch_all
plain h1 plain
plain=$(on h1 weft attach plain)
on h1 weft stop
on h1 sh -ec "ip link add weave type bridge; ip link set weave alias weft address $(on h1 cat /sys/class/net/weft/address) up
  ip tuntap add weave-tap mode tap; ip link set weave-tap master weave"
weave h1 launch h2 >/dev/null
wait_until 20 "every host reaches every other" all_reachable
assert_contains "$(weave h1 ps plain)" "$plain/" "ps"
on h2 weft expose
on h2 ping -c 1 -W 5 "$plain" >/dev/null

step "a bridge of somebody else's by that name is told, and changes nothing"
weave h1 stop
on h1 ip link add weft type bridge
assert_contains "$(assert_fails launch h1 2>&1)" "containers are on the bridge weave of an earlier run" "a launch"
on h1 ip link del weft
launch h1 h2
on h2 ping -c 1 -W 5 "$plain" >/dev/null
