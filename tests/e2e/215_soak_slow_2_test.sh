#!/bin/bash
# Nothing grows under load: two encrypted hosts carry bulk and small packets both ways while containers come
# and go and join groups; memory, descriptors, threads and
# kernel objects of each are what they were after the warm-up.
#   WEFT_SOAK_MINUTES=10 ctest -C slow -R soak
source "$(dirname "$0")/../lab/lib.sh"

MINUTES=${WEFT_SOAK_MINUTES:-5}
# What an allocator may keep beyond what it had after the warm-up; a leak of 64 octets per frame is megabytes a second.
RSS_GROWTH_MAX_KB=4096

# One line: what there is on a host when no short-lived guest is.
measure() {  # HOST
  local pid
  pid=$(agent_process "$1")
  on "$1" sh -c "
    awk '/VmRSS/ { printf \"rss %s \", \$2 } /Threads/ { printf \"threads %s \", \$2 }' /proc/$pid/status
    echo descriptors \$(ls /proc/$pid/fd | wc -l) bpf \$(ls -l /proc/$pid/fd | grep -c bpf) \
      links \$(ip -o link | wc -l) routes \$(ip route show table all | wc -l) rules \$(nft list ruleset | wc -l) \
      neighbours \$(bridge fdb | wc -l) filters \$(for link in \$(ls /sys/class/net); do tc filter show dev \$link ingress; done 2>/dev/null | wc -l)"
}

value() {  # LINE NAME
  awk -v name="$2" '{ for (i = 1; i < NF; i++) if ($i == name) print $(i + 1) }' <<<"$1"
}

churn() {  # HOST NUMBER: a guest comes, says something, joins a group, and goes.
  guest "$1" "x$2" "$2" "10.34.0.$((100 + $2))/24"
  guest_does "$1" "x$2" ping -c 1 -W 1 10.34.0.1 >/dev/null || true
  guest_does "$1" "x$2" timeout 0.3 socat -u UDP4-RECV:9999,ip-add-membership=239.1.1."$2":eth0 - || true
  on "$1" ip netns delete "x$2"
  plugin_call "$1" NetworkDriver.Leave "{\"NetworkID\":\"$(long_id 1)\",\"EndpointID\":\"$(long_id "$2")\"}" >/dev/null
  plugin_call "$1" NetworkDriver.DeleteEndpoint "{\"NetworkID\":\"$(long_id 1)\",\"EndpointID\":\"$(long_id "$2")\"}" >/dev/null
}

load() {  # SECONDS
  guest_does h2 g iperf3 -s -1 -p 5201 >/dev/null &
  guest_does h1 g iperf3 -s -1 -p 5202 >/dev/null &
  wait_until 5 "iperf3 listens" guest_does h1 g sh -c 'ss -tln | grep -q :5202'
  wait_until 5 "iperf3 listens" guest_does h2 g sh -c 'ss -tln | grep -q :5201'
  guest_does h1 g iperf3 -c 10.34.0.2 -p 5201 -t "$1" >"$SCRATCH/forth" &
  LOADS=($!)
  guest_does h2 g iperf3 -u -b 50M -l 200 -c 10.34.0.1 -p 5202 -t "$1" >"$SCRATCH/back" &
  LOADS+=($!)
}

lab_up 2
everywhere sh -c 'umask 077; echo "correct horse battery" >/etc/weft-password'
launch_all --password-file /etc/weft-password
for host in h1 h2; do
  guest_network "$host" 10.34.0.254/24
  guest "$host" g 1 "10.34.0.${host#h}/24"
done
wait_until 10 "guests reach each other" guest_does h1 g ping -c 1 -W 1 10.34.0.2

step "warm-up"
load 10
for number in 2 3 4; do
  churn h1 "$number"
  churn h2 "$number"
done
wait "${LOADS[@]}"
sleep 6  # Pairs of links go a while after Docker has had its answer.
declare -A first
for host in h1 h2; do
  first[$host]=$(measure "$host")
  echo "$host: ${first[$host]}"
done

step "$MINUTES minutes of load"
end=$((SECONDS + MINUTES * 60))
while ((SECONDS < end)); do
  load 20
  for number in 2 3 4 5; do
    churn h1 "$number"
    churn h2 "$number"
  done
  wait "${LOADS[@]}" || fail "the load broke: $(tail -n 3 "$SCRATCH/forth" "$SCRATCH/back")"
done
sleep 6

step "what has grown"
for host in h1 h2; do
  last=$(measure "$host")
  echo "$host: $last"
  grown=$(($(value "$last" rss) - $(value "${first[$host]}" rss)))
  ((grown <= RSS_GROWTH_MAX_KB)) || fail "memory of $host grew by $grown kB"
  for what in threads descriptors bpf links routes rules neighbours filters; do
    assert_equal "$(value "$last" $what)" "$(value "${first[$host]}" $what)" "$what of $host"
  done
done
