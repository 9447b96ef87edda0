#!/bin/bash
# weft as a CNI plugin, called as the specification says: every verb, version and code, beside Docker's containers and
# others' plugins.
source "$(dirname "$0")/../lab/lib.sh"

PLUGINS=$SCRATCH/plugins  # On every host: /tmp is the machine's.
CNI_PATH=$PLUGINS:/usr/lib/cni
RANGES=10.32.0.0/12,fd00:32::/48

# ---- As a runtime: the plugin by its name, its environment and its configuration --------------------

network() {  # JQ-CHANGE: weft's network as a runtime would give it to the plugin, changed.
  jq -cn "{cniVersion: \"1.1.0\", name: \"mesh\", type: \"weft-net\"} | ${1:-.}"
}
cni() {  # HOST VERB CONTAINER [CONFIGURATION [PLUGIN [INTERFACE]]]
  local host=$1 verb=$2 container=$3 text=${4:-$(network)} plugin=${5:-weft-net} interface=${6:-eth0} netns=/run/netns/$3
  [[ $verb != GC && $verb != STATUS && $verb != VERSION ]] || container='' netns='' interface=''
  printf '%s' "$text" | on "$host" env CNI_COMMAND="$verb" CNI_CONTAINERID="$container" CNI_NETNS="$netns" \
    CNI_IFNAME="$interface" CNI_PATH="$CNI_PATH" CNI_ARGS="${ARGS:-}" "$PLUGINS/$plugin" 2>>"$SCRATCH/cni.log"
}
refused() {  # CODE PART WORDS OF cni…: the error object it answers with.
  local code=$1 part=$2 out
  shift 2
  if out=$(cni "$@"); then fail "cni $* succeeded: $out"; fi
  assert_equal "$(jq .code <<<"$out")" "$code" "the code of $out"
  assert_contains "$(jq -r .msg <<<"$out")" "$part" "the message"
}
with() { jq -cn --argjson network "$1" --argjson result "$2" '$network + {prevResult: $result}'; }
box() { on "$1" ip netns add "$2"; }  # HOST NAME: a container that no engine made.
in_box() { on "$1" ip netns exec "${@:2}"; }
address_in() { jq -r '.ips[0].address' <<<"$1"; }
box_pings() { in_box "$1" "$2" ping -c 1 -W 1 "$3"; }
owners() { on "$1" curl -s 127.0.0.1:6784/ip | jq -r '.owned[]?.containerid'; }

lab_up 2 --docker
launch_all --ipalloc-range "$RANGES"
everywhere weft setup-cni --cni-plugin-dir "$PLUGINS"

step "versions, and the result of ADD in the form of each"
assert_equal "$(cni h1 VERSION - | jq -r '.supportedVersions | first + " " + last')" "0.1.0 1.1.0" "versions"
box h1 one
first=$(cni h1 ADD one)
assert_equal "$(jq -r '.interfaces[1] | .name + " " + .sandbox' <<<"$first")" "eth0 /run/netns/one" "the interface"
assert_equal "$(in_box h1 one cat /sys/class/net/eth0/address)" "$(jq -r '.interfaces[1].mac' <<<"$first")" "its MAC"
assert_contains "$(in_box h1 one ip route)" "default via $(jq -r '.ips[0].gateway' <<<"$first")" "its routes"
for version in 0.1.0 0.2.0 0.3.0 0.3.1 0.4.0 1.0.0; do
  again=$(cni h1 ADD one "$(network ".cniVersion = \"$version\"")")
  assert_equal "$(jq -r '.ip4.ip // .ips[0].address' <<<"$again")" "$(address_in "$first")" "the address in $version"
done
refused 1 "2.0.0" h1 ADD one "$(network '.cniVersion = "2.0.0"')"
refused 1 "no such command" h1 GC - "$(network '.cniVersion = "1.0.0"')"
refused 2 "isGateway" h1 ADD one "$(network '.isGateway = true')"
refused 2 "ipMasq" h1 ADD one "$(network '.ipMasq = true')"
refused 3 "/run/netns/none" h1 ADD none
refused 4 "CNI_IFNAME" h1 ADD one "$(network)" weft-net a/b
refused 6 "JSON" h1 ADD one "{"
refused 7 "name" h1 ADD one "$(network 'del(.name)')"
on h1 sh -c 'touch /run/netns/host && mount --bind /proc/self/ns/net /run/netns/host'
refused 100 "host's own" h1 ADD host
on h1 umount /run/netns/host

step "two attachments on two hosts, and a container of Docker's, reach each other"
on h2 docker run -d --name docker --net none weft-tools sleep 1000000 >/dev/null
docker=$(on h2 weft attach docker)
box h2 two
second=$(address_in "$(cni h2 ADD two)")
wait_until 5 "one pings two" box_pings h1 one "${second%/*}"
wait_until 5 "two pings one" box_pings h2 two "$(address_in "$first" | cut -d/ -f1)"
wait_until 5 "one pings Docker's" box_pings h1 one "$docker"
assert_ping h2 docker "$(address_in "$first" | cut -d/ -f1)"
wait_until 5 "one reaches the other host through its own" box_pings h1 one 198.18.0.2
assert_contains "$(on h1 weft ps one)" "$(address_in "$first")" "ps"
assert_equal "$(on h1 weft dns-lookup one)" "" "a name of one"

step "CHECK sees what is missing"
cni h1 CHECK one "$(with "$(network)" "$first")"
in_box h1 one ip route del default
refused 100 "route 0.0.0.0/0" h1 CHECK one "$(with "$(network)" "$first")"
in_box h1 one ip addr flush dev eth0
refused 100 "address $(address_in "$first")" h1 CHECK one "$(with "$(network)" "$first")"
in_box h1 one ip link del eth0
refused 100 "eth0" h1 CHECK one "$(with "$(network)" "$first")"
assert_contains "$(owners h1)" "one:cni:mesh:eth0" "owners once the interface is gone"
assert_equal "$(address_in "$(cni h1 ADD one)")" "$(address_in "$first")" "the address after that"

step "what a network and a runtime may ask for"
box h1 three
config=$(network '.mtu = 1200 | .dns = {nameservers: ["10.0.0.1"]} | .hairpinMode = false
  | .ipam = {type: "weft-ipam", subnet: "10.40.1.0/24", routes: [{dst: "10.0.0.0/8", gw: "10.40.1.9"}]}')
third=$(cni h1 ADD three "$config")
assert_contains "$(address_in "$third")" "10.40.1." "an address of the subnet"
assert_equal "$(jq -r '.dns.nameservers[0]' <<<"$third")" 10.0.0.1 "DNS in the result"
assert_equal "$(in_box h1 three cat /sys/class/net/eth0/mtu)" 1200 "its MTU"
assert_equal "$(in_box h1 three ip route | grep -c -e default -e '10.0.0.0/8 via 10.40.1.9')" 1 "its routes"
port=$(jq -r '.interfaces[0].name' <<<"$third")
assert_equal "$(on h1 cat "/sys/class/net/$port/brport/hairpin_mode")" 0 "its hairpin mode"
port=$(cni h1 ADD one | jq -r '.interfaces[0].name')
assert_equal "$(on h1 cat "/sys/class/net/$port/brport/hairpin_mode")" 1 "that of the first, which said nothing"
box h1 four
fixed=$(ARGS='IgnoreUnknown=1;IP=10.40.9.7' cni h1 ADD four \
  "$(network '.ipam = {subnet: "10.40.9.0/24", routes: []} | .runtimeConfig = {mac: "0a:11:22:33:44:55"}')")
assert_equal "$(address_in "$fixed")" 10.40.9.7/24 "the address that was asked for"
assert_equal "$(in_box h1 four cat /sys/class/net/eth0/address)" 0a:11:22:33:44:55 "the MAC that was asked for"
assert_equal "$(in_box h1 four ip route | grep -vc '10.40.9.0/24' || true)" 0 "routes where an empty list says none"
box h2 five
refused 100 "10.40.9.7" h2 ADD five "$(network '.runtimeConfig = {ips: ["10.40.9.7/24"]}')"
second_interface=$(cni h1 ADD four "$(network)" weft-net net1)
assert_equal "$(in_box h1 four ip -4 -o addr show net1 | grep -c "$(address_in "$second_interface")")" 1 "a second interface"

step "addresses of both families"
both='.ipam = {subnets: ["10.42.0.0/16", "fd00:32:0:1::/64"]}'
box h1 seven
box h2 eight
out=$(cni h1 ADD seven "$(network "$both")")
assert_contains "$(jq -r '.ips[1].address' <<<"$out")" fd00:32:0:1: "an IPv6 address"
assert_contains "$(in_box h1 seven ip -6 route)" "default via $(jq -r '.ips[1].gateway' <<<"$out")" "its IPv6 routes"
eighth=$(cni h2 ADD eight "$(network "$both")" | jq -r '.ips[1].address')
wait_until 5 "seven pings eight" box_pings h1 seven "${eighth%/*}"
cni h1 CHECK seven "$(with "$(network "$both")" "$out")"

step "addresses of others' plugins, and ours for others' plugins"
box h1 foreign
local=$(network '.cniVersion = "1.0.0" | .ipam = {type: "host-local", subnet: "10.77.0.0/24", dataDir: "/run/host-local"}')
out=$(cni h1 ADD foreign "$local")
assert_contains "$(address_in "$out")" "10.77.0." "an address of host-local"
cni h1 DEL foreign "$local"
assert_equal "$(on h1 ls /run/host-local/mesh | grep -c '^10' || true)" 0 "addresses host-local keeps"
refused 100 "no plugin nobody" h1 ADD foreign "$(network '.ipam = {type: "nobody"}')"
bridge='{"cniVersion":"1.0.0","name":"bridged","type":"bridge","bridge":"other0","ipam":{"type":"weft-ipam","subnet":"10.41.0.0/16"}}'
ln -sfn /usr/lib/cni/bridge "$PLUGINS/bridge"
out=$(cni h1 ADD foreign "$bridge" bridge)
assert_contains "$(address_in "$out")" "10.41." "weft's address under bridge"
assert_contains "$(owners h1)" "foreign:cni:bridged:eth0" "who holds it"
cni h1 CHECK foreign "$(with "$bridge" "$out")" bridge
cni h1 DEL foreign "$bridge" bridge
assert_equal "$(owners h1 | grep -c bridged || true)" 0 "addresses after DEL"

step "STATUS, and an agent that is away: DEL fails and is tried again, addresses stay"
cni h1 STATUS -
kill_agent h1
refused 51 "weft.sock" h1 STATUS -
refused 11 "weft.sock" h1 ADD three "$config"
refused 11 "weft.sock" h1 DEL three "$config"
box_pings h1 one "${second%/*}" || fail "no ping while no agent runs"
launch h1 --ipalloc-range "$RANGES"
wait_until 5 "one still pings two" box_pings h1 one "${second%/*}"
assert_equal "$(address_in "$(cni h1 ADD one)")" "$(address_in "$first")" "the address after a restart"
cni h1 CHECK one "$(with "$(network)" "$(cni h1 ADD one)")"

step "DEL, twice, with a namespace and without, and whose container has died"
cni h1 DEL three "$config"
cni h1 DEL three "$config"
assert_equal "$(in_box h1 three ip -o link | grep -c eth0 || true)" 0 "interfaces after DEL"
on h1 ip netns del four
are_forgotten() { [[ $(on h1 weft ps) != *0a:11:22:33:44:55* ]]; }
wait_until 5 "the interfaces of four are forgotten" are_forgotten
assert_equal "$(owners h1 | grep -c '^four:')" 2 "holders of four's addresses, which only DEL frees"

step "GC frees what the runtime has no more, and nothing of other networks"
box h1 six
cni h1 ADD six "$(network '.name = "other"')" >/dev/null
refused 100 "valid-attachments" h1 GC -
cni h1 GC - "$(network '."cni.dev/valid-attachments" = [{containerID: "one", ifname: "eth0"}]')"
assert_equal "$(owners h1 | grep cni: | sort | tr '\n' ' ')" "one:cni:mesh:eth0 six:cni:other:eth0 " "who holds addresses"
wait_until 5 "one still pings two" box_pings h1 one "${second%/*}"

step "an interface of ours that nobody remembers goes with DEL"
cni h1 DEL one "$(network '.name = "forgotten"')"
assert_equal "$(in_box h1 one ip -o link | grep -c eth0 || true)" 0 "interfaces of one"
cni h1 DEL one

step "setup-cni writes a network once, where runtimes look"
on h1 mkdir -p /etc/cni/net.d
on h1 rm -f /etc/cni/net.d/10-weft.conflist
assert_contains "$(on h1 weft setup-cni --cni-plugin-dir "$PLUGINS")" "/etc/cni/net.d/10-weft.conflist is the network, new" "what it did"
assert_equal "$(on h1 jq -r '.plugins[0].type' /etc/cni/net.d/10-weft.conflist)" weft-net "the network"
on h1 sh -c 'echo mine >/etc/cni/net.d/10-weft.conflist'
out=$(on h1 weft setup-cni --cni-plugin-dir "$PLUGINS")
assert_contains "$out" "$PLUGINS/weft-net and $PLUGINS/weft-ipam are weft's CNI plugins" "what it did"
assert_contains "$out" "10-weft.conflist is as it was" "what it did not"
assert_equal "$(on h1 cat /etc/cni/net.d/10-weft.conflist)" mine "a network that was there"
on h1 rm /etc/cni/net.d/10-weft.conflist
ln -s "$WEFT_BIN" "$SCRATCH/weave"
on h1 env WEAVE_CNI_PLUGIN_DIR="$PLUGINS/weave" HAIRPIN_MODE=false "$SCRATCH/weave" setup-cni
assert_equal "$(on h1 jq -c '.plugins[0] | [.type, .hairpinMode]' /etc/cni/net.d/10-weave.conflist)" '["weave-net",false]' \
  "the network of weave setup-cni"
assert_equal "$(jq -r .code < <(echo '{}' | on h1 env CNI_COMMAND=ADD "$PLUGINS/weave/weave-ipam" || true))" 4 "the plugin's other name"
