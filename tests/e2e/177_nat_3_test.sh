#!/bin/bash
# A host behind NAT takes part with an encrypted path: the others learn the address and port they see
# it at. Where neither of two hosts can be reached, a third passes frames on.
source "$(dirname "$0")/../lab/lib.sh"

lab_up 3
everywhere sh -c 'umask 077; echo "correct horse battery" >/etc/weft-password'
lab nat h3

path_is() {  # HOST PEER PATH
  status_is "$1" ".datapath.paths[] | select(.nickname == \"$2\") | .path == \"$3\" and .lost == false"
}
guest_pings() { guest_does "$1" "$2" ping -c 1 -W 1 "$3"; }

assert_all_talk() {
  local from to
  for from in 1 2 3; do
    for to in 1 2 3; do
      ((from == to)) || wait_until 15 "h$from reaches h$to" guest_pings "h$from" g "10.32.0.1$to"
    done
  done
}

step "one host behind NAT"
launch_all --password-file /etc/weft-password
for n in 1 2 3; do
  guest_network "h$n" 10.32.0.0/24
  guest "h$n" g "$n" "10.32.0.1$n/24"
done
assert_all_talk
path_is h3 h1 sealed || fail "h3 does not go straight: $(on h3 weft status connections -v)"

step "two hosts behind NAT reach each other through the third"
everywhere weft stop
lab nat h2
launch_all --password-file /etc/weft-password
assert_all_talk
path_is h3 h2 "relay h1" || fail "h3 goes another way to h2: $(on h3 weft status connections -v)"
