#!/bin/bash
# Questions answered per second by one agent, beside knot, nsd, unbound and dnsmasq with the same
# names, all in one namespace of their own, taking turns under dnsperf.
#   sudo ./run bench dns      WEFT_BENCH_ROUNDS=3, WEFT_BENCH_SECONDS=3 and
#                             WEFT_BENCH_NAMES="100 1000 10000 100000" and
#                             WEFT_BENCH_SERVERS="knot nsd unbound dnsmasq" are the defaults.
#     WEFT_BENCH_WEAVER=PATH  a ready build of Weave's router, which has a DNS; without it Weave is left out
# Needs the packages dnsperf knot nsd unbound dnsmasq-base; a peer that is missing is left out.
set -euo pipefail
here=$(readlink -f "$(dirname "$0")")
if [[ ${1:-} != inside ]]; then
  exec unshare --net --mount --propagation private "$here/run.sh" inside
fi
source "$here/../lib.sh"

WEFT_BIN=${WEFT_BIN:?names the weft program}
ROUNDS=${WEFT_BENCH_ROUNDS:-3}
SECONDS_EACH=${WEFT_BENCH_SECONDS:-3}
read -ra COUNTS <<<"${WEFT_BENCH_NAMES:-100 1000 10000 100000}"
SCRATCH=$(mktemp -d)
chmod 755 "$SCRATCH"
declare -A PORT=([weft]=5300 [knot]=5301 [nsd]=5302 [unbound]=5303 [dnsmasq]=5304 [weave]=5305)
WEAVER=${WEFT_BENCH_WEAVER:-}
WEAVE_NAMES_MAX=10000  # It would take minutes to learn more.
KNOWN=(weft)           # All that take part, and SERVERS those that do with the present number of names.
APART=()  # Puts who asks on a processor of its own.
PIDS=()

progress() { echo "bench dns: $*" >&2; }

stop_servers() {
  local pid
  for pid in "${PIDS[@]}"; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  PIDS=()
}
finish() {
  stop_servers
  rm -rf "$SCRATCH"
}
trap finish EXIT
trap 'exit 143' INT TERM

start() {  # LOG CMD…
  local log=$1
  shift
  "$@" >"$SCRATCH/$log.log" 2>&1 &
  PIDS+=($!)
}

wait_for() {  # SERVER NAME
  local tries
  for ((tries = 0; tries < 600; tries++)); do
    if [[ $(dig +short +tries=1 +time=1 -p "${PORT[$1]}" @127.0.0.1 "$2") == 10.* ]]; then return; fi
    sleep 0.1
  done
  tail -n 20 "$SCRATCH/$1.log" >&2
  echo "bench dns: $1 does not answer for $2" >&2
  exit 1
}

# hostN.weft.local, at addresses of their own.
make_names() {  # COUNT
  awk -v count="$1" 'BEGIN { for (n = 1; n <= count; n++)
    printf "host%d 10.%d.%d.%d\n", n, 32 + int(n / 65536), int(n / 256) % 256, n % 256 }' >"$SCRATCH/names"
  {
    printf '%s\n' "\$ORIGIN weft.local." "\$TTL 1"
    echo '@ SOA ns hostmaster 1 3600 3600 3600 1'
    echo '@ NS ns'
    echo 'ns A 127.0.0.1'
    awk '{ print $1, "A", $2 }' "$SCRATCH/names"
  } >"$SCRATCH/zone"
  awk '{ print $2, $1 ".weft.local" }' "$SCRATCH/names" >"$SCRATCH/hosts"
  awk '{ print $1 ".weft.local A" }' "$SCRATCH/names" | shuf --random-source=<(yes) >"$SCRATCH/questions"
  chmod 644 "$SCRATCH/zone" "$SCRATCH/hosts"
}

start_weft() {  # Names through the control API, as dns-add gives them.
  mkdir -p "$SCRATCH/run" "$SCRATCH/state"
  rm -rf "${SCRATCH:?}/state/"*
  start weft "$WEFT_BIN" agent --no-docker --no-bpf --run-dir "$SCRATCH/run" --state-dir "$SCRATCH/state" \
    --dns-listen-address "127.0.0.1:${PORT[weft]}" --ipalloc-range 10.240.0.0/16
  give_names "$SCRATCH/run/weft.sock"
}

give_names() {  # SOCKET of a control API
  python3 - "$1" "$SCRATCH/names" <<'PYTHON'
import http.client, socket, sys, time
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
for attempt in range(100):
    try:
        api = Unix("localhost"); api.connect(); break
    except OSError:
        time.sleep(0.1)
for line in open(sys.argv[2]):
    name, address = line.split()
    api.request("PUT", f"/name/weave:extern/{address}?fqdn={name}.weft.local")
    answer = api.getresponse()
    assert answer.status == 204, answer.read()
    answer.read()
PYTHON
}

# It sets up a bridge beside, keeps a file where it is started, and has no run folder but its own.
start_weave() {
  mkdir -p "$SCRATCH/weave"
  rm -rf "${SCRATCH:?}/weave/"*
  start weave env -C "$SCRATCH/weave" CHECKPOINT_DISABLE=1 "$WEAVER" --host 127.0.0.1 --port 6793 --name 02:00:00:00:00:01 \
    --nickname bench --no-fastdp --docker-api '' --token '' --db-prefix "$SCRATCH/weave/" --host-root "$SCRATCH/weave" \
    --http-addr "$SCRATCH/weave/api.sock" --dns-domain weft.local. --dns-listen-address "127.0.0.1:${PORT[weave]}"
  give_names "$SCRATCH/weave/api.sock"
}

start_knot() {
  rm -rf "$SCRATCH/knot"
  mkdir -p "$SCRATCH/knot"
  cat >"$SCRATCH/knot.conf" <<KNOT
server:
    rundir: "$SCRATCH/knot"
    listen: 127.0.0.1@${PORT[knot]}
    udp-workers: 2
database:
    storage: "$SCRATCH/knot"
zone:
  - domain: weft.local
    file: "$SCRATCH/zone"
    zonefile-sync: -1
    journal-content: none
KNOT
  start knot knotd -c "$SCRATCH/knot.conf"
}

start_nsd() {
  cat >"$SCRATCH/nsd.conf" <<NSD
server:
    server-count: 2
    reuseport: yes
    ip-address: 127.0.0.1@${PORT[nsd]}
    username: ""
    database: ""
    zonesdir: "$SCRATCH"
    pidfile: "$SCRATCH/nsd.pid"
    xfrdfile: "$SCRATCH/xfrd.state"
    zonelistfile: "$SCRATCH/zone.list"
remote-control:
    control-enable: no
zone:
    name: weft.local
    zonefile: "$SCRATCH/zone"
NSD
  start nsd nsd -d -c "$SCRATCH/nsd.conf"
}

start_unbound() {
  cat >"$SCRATCH/unbound.conf" <<UNBOUND
server:
    num-threads: 2
    so-reuseport: yes
    interface: 127.0.0.1@${PORT[unbound]}
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "$SCRATCH"
    pidfile: "$SCRATCH/unbound.pid"
    use-syslog: no
    module-config: "iterator"
auth-zone:
    name: "weft.local."
    zonefile: "$SCRATCH/zone"
    for-downstream: yes
    for-upstream: no
UNBOUND
  start unbound unbound -d -c "$SCRATCH/unbound.conf"
}

start_dnsmasq() {
  start dnsmasq dnsmasq --keep-in-foreground --no-resolv --no-hosts --addn-hosts="$SCRATCH/hosts" \
    --port="${PORT[dnsmasq]}" --listen-address=127.0.0.1 --bind-interfaces --user=root --pid-file=
}

# Every question once or more, as fast as they are answered, or at a rate: dnsperf's report.
ask() {  # SERVER [RATE]
  "${APART[@]}" dnsperf -f inet -s 127.0.0.1 -p "${PORT[$1]}" -d "$SCRATCH/questions" -l "$SECONDS_EACH" -c 16 -q 200 \
    ${2:+-Q "$2"} 2>/dev/null
}
per_second() { awk '/Queries per second/ { print $4 }'; }

# How fast servers answer that have all processors, which they share with who asks.
measure_rates() {  # COUNT
  local round server
  for ((round = 1; round <= ROUNDS; round++)); do
    for server in "${SERVERS[@]}"; do
      progress "$1 names, round $round of $ROUNDS: $server"
      ask "$server" >"$SCRATCH/report"
      sample "$server" "qps_$1" "$(per_second <"$SCRATCH/report")"
    done
  done
}

# How long a question waits at half of what its server can do: servers on one processor, who asks on another, as
# whoever shares one with the load is held up by it, time slice for time slice, and is no slower a server.
measure_waits() {  # COUNT
  local round server rate load pid
  if (($(nproc) > 1)); then
    for pid in "${PIDS[@]}" $(printf 'pgrep -P %d\n' "${PIDS[@]}" | bash); do
      taskset --all-tasks --cpu-list --pid 0 "$pid" >/dev/null
    done
    APART=(taskset --cpu-list 1)
  fi
  for ((round = 1; round <= ROUNDS; round++)); do
    for server in "${SERVERS[@]}"; do
      rate=$(ask "$server" | per_second | awk '{ print int($1 / 2) }')
      progress "$1 names, half load ($rate a second), round $round of $ROUNDS: $server"
      ask "$server" "$rate" >"$SCRATCH/report" &
      load=$!
      # dnsperf begins in less, and outlives who measures.
      sleep 0.2
      "${APART[@]}" "$here/wait.py" "${PORT[$server]}" "$(awk -v all="$SECONDS_EACH" 'BEGIN { print all - 0.4 }')" \
        "$SCRATCH/questions" >"$SCRATCH/wait"
      wait "$load"
      sample "$server" "p99_ms_$1" "$(cat "$SCRATCH/wait")"
    done
  done
  APART=()
}

for server in ${WEFT_BENCH_SERVERS-knot nsd unbound dnsmasq}; do
  program=$server
  [[ $server != knot ]] || program=knotd
  if command -v "$program" >/dev/null; then KNOWN+=("$server"); else progress "no $server, left out"; fi
done
if [[ -n $WEAVER ]]; then KNOWN+=(weave); else progress "no Weave (WEFT_BENCH_WEAVER), left out"; fi
ip link set lo up
# dnsperf looks addresses up as resolvers do: a host without any but the loopback's has no IPv4.
ip addr add 192.0.2.53/32 dev lo
take_part() {  # COUNT: chooses SERVERS.
  local server
  SERVERS=()
  for server in "${KNOWN[@]}"; do
    [[ $server == weave && $1 -gt $WEAVE_NAMES_MAX ]] || SERVERS+=("$server")
  done
}
for count in "${COUNTS[@]}"; do
  make_names "$count"
  take_part "$count"
  for server in "${SERVERS[@]}"; do
    progress "starting $server with $count names"
    "start_$server"
  done
  for server in "${SERVERS[@]}"; do
    wait_for "$server" "host$count.weft.local"
  done
  measure_rates "$count"
  measure_waits "$count"
  stop_servers
  "$WEFT_BIN" reset --run-dir "$SCRATCH/run" --state-dir "$SCRATCH/state" >/dev/null 2>&1 || true
done

echo
echo "questions answered per second, medians (least … most)"
for count in "${COUNTS[@]}"; do
  take_part "$count"
  echo "$count names"
  for server in "${SERVERS[@]}"; do
    row "$server" "$(spread "$server" "qps_$count" 1 0)"
  done
  echo "$count names, milliseconds that 99 of 100 questions wait at half of that server's rate"
  for server in "${SERVERS[@]}"; do
    row "$server" "$(spread "$server" "p99_ms_$count" 1 3)"
  done
done
echo
for count in "${COUNTS[@]}"; do
  take_part "$count"
  for server in "${SERVERS[@]:1}"; do
    ratio weft "$server" "qps_$count"
    ratio weft "$server" "p99_ms_$count"
  done
  sample budget "p99_ms_$count" 1
  ratio weft budget "p99_ms_$count"
done
first=${COUNTS[0]}
last=${COUNTS[-1]}
awk -v a="$(median weft "qps_$last")" -v b="$(median weft "qps_$first")" -v n="$last" -v m="$first" \
  'BEGIN { printf "ratio weft/weft qps_%s_to_%s %.3f\n", n, m, a / b }'
