#!/bin/bash
# With --expect-npc nothing gets into a container but what a policy controller has allowed. The controller
# here are the rules that Weave's writes, by iptables.
source "$(dirname "$0")/../lab/lib.sh"

serve() {  # HOST CONTAINER PORT
  on "$1" docker exec -d "$2" socat "TCP-LISTEN:$3,fork,reuseaddr" SYSTEM:'echo hello'
}
is_answered() { [[ $(inside "$1" "$2" timeout 3 socat -T 2 -t 2 - "TCP:$3,connect-timeout=1") == hello ]]; }
is_refused() { ! is_answered "$@"; }
mode() { on "$1" weft status --json | jq -r .datapath.mode; }
# Rules as weave-npc has them. OVERLAY is the port of the bridge that leads to other hosts.
control() {  # HOST OVERLAY
  on "$1" iptables -A WEAVE-NPC -m state --state RELATED,ESTABLISHED -j ACCEPT
  on "$1" iptables -A WEAVE-NPC -m physdev --physdev-is-bridged --physdev-out "$2" -j ACCEPT
  on "$1" iptables -N WEAVE-NPC-INGRESS
  on "$1" iptables -A WEAVE-NPC -m state --state NEW -j WEAVE-NPC-INGRESS
}
allow() { on "$1" iptables -A WEAVE-NPC-INGRESS -d "$2" -p tcp --dport "$3" -j ACCEPT; }
dropped() { on "$1" nft list chain ip filter FORWARD | grep -c 'log group 86' || true; }
hooks() { on "$1" iptables -S | grep -c WEAVE-NPC || true; }

lab_up 2 --docker

for password in "" sesame; do
  step "nothing gets through while no controller has spoken${password:+, encrypted}"
  arguments=(--expect-npc)
  overlay=weft-vx
  if [[ -n $password ]]; then
    echo "$password" >"$SCRATCH/password"
    arguments+=(--password-file "$SCRATCH/password")
    overlay=weft-sp
  fi
  launch_all "${arguments[@]}"
  assert_equal "$(mode h1)" bridge "the data path"
  if [[ -z $password ]]; then
    network_everywhere weft-net
    container h1 web weft-net
    container h1 near weft-net
    container h2 far weft-net
    for port in 80 81; do
      serve h1 web $port
    done
  fi
  web=$(address_of h1 web)
  is_refused h1 near "$web:80" || fail "a container of the same host gets in"
  is_refused h2 far "$web:80" || fail "a container of the other host gets in"
  assert_equal "$(dropped h1)" 1 "rules that tell the controller of what is dropped"

  step "what the controller allows gets through, and nothing else"
  for host in h1 h2; do
    control "$host" "$overlay"
  done
  allow h1 "$web" 80
  wait_until 5 "the same host gets in" is_answered h1 near "$web:80"
  wait_until 5 "the other host gets in" is_answered h2 far "$web:80"
  is_refused h1 near "$web:81" || fail "a port that no policy allows, from the same host"
  is_refused h2 far "$web:81" || fail "a port that no policy allows, from the other host"

  if [[ -z $password ]]; then
    step "the hooks are in front of what comes later, and outlive the agent"
    on h1 iptables -I FORWARD -j ACCEPT
    wait_until 5 "the hooks are in front again" is_refused h1 near "$web:81"
    everywhere weft stop
    is_refused h2 far "$web:81" || fail "without an agent everybody gets in"
    on h1 iptables -D FORWARD -j ACCEPT
  else
    everywhere weft stop
  fi
  everywhere iptables -F WEAVE-NPC
  everywhere iptables -F WEAVE-NPC-INGRESS
  everywhere iptables -X WEAVE-NPC-INGRESS
done

step "without the option everybody gets in, and nothing of the hooks is left"
launch_all --password-file "$SCRATCH/password"
wait_until 5 "the other host gets in" is_answered h2 far "$web:81"
wait_until 5 "the same host gets in" is_answered h1 near "$web:81"
assert_equal "$(hooks h1)" 0 "rules of policies"
assert_equal "$(mode h1)" bpf "the data path"
