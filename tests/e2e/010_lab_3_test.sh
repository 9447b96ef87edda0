#!/bin/bash
# The lab gives hosts that are apart, cuts and heals their wires, and leaves nothing behind.
source "$(dirname "$0")/../lab/lib.sh"

leftovers() {
  local pid name
  find /sys/fs/cgroup -maxdepth 3 -type d -path "*weft-lab/$WEFT_LAB"
  find /run/weft-lab /var/lib/weft-lab -maxdepth 1 -name "$WEFT_LAB*" 2>/dev/null || true
  # Whoever is a process of the lab has it in its environment.
  for name in /proc/[0-9]*/environ; do
    pid=${name#/proc/}
    pid=${pid%/environ}
    if [[ $pid != "$$" ]] && tr '\0' '\n' 2>/dev/null <"$name" | grep -qx "WEFT_LAB=$WEFT_LAB" &&
      grep -qa 'weft-lab' "/proc/$pid/cmdline" 2>/dev/null; then
      echo "process $pid: $(tr '\0' ' ' <"/proc/$pid/cmdline")"
    fi
  done
  cut -d ' ' -f 5 /proc/self/mountinfo | grep "/weft-lab/$WEFT_LAB" || true
}

assert_no_leftovers() { [[ -z $(leftovers) ]] || fail "left behind: $(leftovers)"; }

pings_host() { on "$1" ping -c 1 -W 1 "$2"; }

step "three hosts with engines"
before=$(ip -br link; nft list ruleset)
started=$SECONDS
lab_up 3 --docker --mtu 9000
echo "up after $((SECONDS - started)) s"

step "hosts have names, files, processes and devices of their own"
assert_equal "$(on h2 hostname)" h2 "host name"
on h1 touch /run/mine /var/lib/mine /etc/mine
assert_fails on h2 ls /run/mine >/dev/null
assert_fails on h2 ls /var/lib/mine >/dev/null
assert_fails on h2 ls /etc/mine >/dev/null
[[ ! -e /run/mine && ! -e /etc/mine ]] || fail "a host's file is visible outside"
assert_equal "$(on h1 ls /sys/class/net | xargs)" "docker0 eth0 lo" "devices in sysfs"
assert_equal "$(on h1 ip -j link show eth0 | jq .[0].mtu)" 9000 "mtu"
pings_host h1 h3 >/dev/null
on h1 ping -c 1 -W 1 -M 'do' -s 8972 h2 >/dev/null
everywhere docker run --rm busybox true

step "partitions cut only between their groups, and heal"
lab partition h1,h2 h3
pings_host h1 h2 >/dev/null
assert_fails pings_host h1 h3 >/dev/null
assert_fails pings_host h3 h2 >/dev/null
lab heal
pings_host h3 h2 >/dev/null

step "total loss loses everything, healing ends it"
lab loss h2 100%
assert_fails pings_host h1 h2 >/dev/null
lab heal
pings_host h1 h2 >/dev/null

step "a host behind a router reaches out under its outer address"
lab nat h3
pings_host h3 h1 >/dev/null
assert_equal "$(on h3 ip -j -4 addr show eth0 | jq -r .[0].addr_info[0].local)" 192.168.3.2 "inner address"

step "a power-off loses what runs and keeps the disk"
on h1 sh -c 'echo kept >/var/lib/kept'
lab kill h1
assert_fails on h1 true >/dev/null
assert_fails pings_host h2 h1 >/dev/null
lab start h1
assert_equal "$(on h1 cat /var/lib/kept)" kept "file on the disk"
assert_fails on h1 ls /run/mine >/dev/null
pings_host h2 h1 >/dev/null
on h1 docker run --rm busybox true

step "an engine that gives up is started again"
lab engine h2 stop
on h2 sh -c "printf '#!/bin/sh\nrm \"\$0\"\nexit 1\n' >/run/lab/bin/dockerd && chmod +x /run/lab/bin/dockerd"
lab engine h2 start
on h2 docker run --rm busybox true
assert_fails on h2 ls /run/lab/bin/dockerd >/dev/null

step "mistakes are errors that change nothing"
assert_contains "$(assert_fails lab exec h9 true)" "no host 'h9'" "unknown host"
assert_contains "$(assert_fails lab up 2)" "is up already" "second up"
assert_contains "$(assert_fails lab loss h1 many)" "not a percentage" "loss"

step "nothing is left after down, and down may be repeated"
lab down
lab down
assert_no_leftovers
assert_equal "$(ip -br link; nft list ruleset)" "$before" "links and rules outside"

step "nothing is left after a crash at any moment of up"
for moment in 0.1 0.4 0.9 1.3; do
  setsid "$LAB_TOOL" up 3 --docker >"$SCRATCH/up" 2>&1 &
  victim=$!
  sleep "$moment"
  kill -KILL "$victim" 2>/dev/null || true
  wait "$victim" 2>/dev/null || true
  lab down
  assert_no_leftovers
done
