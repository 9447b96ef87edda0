# shellcheck shell=bash
# What the tests of many agents tell, for any number of hosts: they start at once and all know all;
# a quarter of them freezes, one is killed, one is cut off; meanwhile no healthy pair loses a packet.
#   agents_story HOSTS SECONDS-FROZEN
source "$(dirname "$0")/../lab/lib.sh"

# Seconds that many agents on few cores may take where one pair would take two.
SETTLE_SECONDS_MAX=60
NOTICE_SECONDS_MAX=30

# Every host is told of two others, the way a cluster is rolled out from a list.
launch_at_once() {
  local index started=$SECONDS jobs=() job
  for index in "${!HOSTS[@]}"; do
    launch "${HOSTS[index]}" "${HOSTS[(index + 1) % ${#HOSTS[@]}]}" "${HOSTS[(index + ${#HOSTS[@]} / 2) % ${#HOSTS[@]}]}" >/dev/null &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do
    wait "$job"
  done
  echo "launched in $((SECONDS - started)) s"
}

# One host after the other: what one has seen, it does not have to be asked again.
wait_for_count() {  # SECONDS COUNT HOST…
  local seconds=$1 count=$2 started=$SECONDS host
  shift 2
  for host in "$@"; do
    wait_until "$seconds" "$host reaches $count peers" reaches "$host" "$count"
  done
  echo "all reach $count after $((SECONDS - started)) s"
}

take_address() {  # HOST OWNER
  on "$1" curl -sf --max-time 30 --unix-socket /run/weft/weft.sock -X POST "http://weft/ip/$2"
}

declare -A ADDRESS

attach_guests() {  # HOST…
  local host
  for host in "$@"; do
    guest_network "$host" 10.32.0.0/12
    ADDRESS[$host]=$(take_address "$host" "guest-$host")
    guest "$host" guest 2 "${ADDRESS[$host]}"
  done
}

guest_reaches() { guest_does "$1" guest ping -q -c 1 -W 1 "${ADDRESS[$2]%/*}"; }

# The guest of one host pings that of another until assert_nothing_lost interrupts and reads it.
start_ping() {  # FROM TO
  wait_until 30 "the guest of $1 reaches that of $2" guest_reaches "$1" "$2"
  # shellcheck disable=SC2016  # Expanded on the host.
  guest_does "$1" guest sh -c 'echo $$ >/run/ping.pid; exec ping -i 0.1 "$0"' "${ADDRESS[$2]%/*}" >"$SCRATCH/ping.$1" 2>&1 &
}

assert_nothing_lost() {  # HOST…: from which pings were started.
  local host line last
  for host in "$@"; do
    # shellcheck disable=SC2016  # Expanded on the host.
    on "$host" sh -c 'kill -INT "$(cat /run/ping.pid)"'
    wait_until 5 "the ping of $host has counted" grep -q 'packets transmitted' "$SCRATCH/ping.$host"
    line=$(grep 'packets transmitted' "$SCRATCH/ping.$host")
    last=$(sed -n 's/.*icmp_seq=\([0-9]*\) .*/\1/p' "$SCRATCH/ping.$host" | sort -n | tail -n 1)
    echo "$host: $line, the last answer to number $last"
    # Answers to the last ones may be on their way: for two seconds, where everything waits for a processor.
    awk -v last="$last" '{ exit !($1 > 50 && last - $4 <= 0 && $1 - last <= 20) }' <<<"$line" || fail "the guest of $host lost packets: $line"
  done
}

signal_agent() { on "$1" kill "-$2" "$(cat "$SCRATCH/pid.$1")"; }  # HOST SIGNAL

agents_story() {  # HOSTS SECONDS-FROZEN
  local count=$1 seconds=$2 quarter=$(($1 < 8 ? 1 : $1 / 4)) host healthy unwell last guests index
  step "$count agents start at once, and all know all"
  lab_up "$count"
  launch_at_once
  wait_for_count $SETTLE_SECONDS_MAX "$count" "${HOSTS[@]}"
  healthy=("${HOSTS[@]:0:count-quarter}")
  unwell=("${HOSTS[@]:count-quarter}")
  last=${unwell[-1]}
  guests=("${healthy[@]:0:4}")
  attach_guests "${guests[@]}" "$last"
  for index in "${!guests[@]}"; do
    start_ping "${guests[index]}" "${guests[(index + 1) % ${#guests[@]}]}"
  done
  start_ping "$last" h1

  step "a quarter freezes for $seconds s; their containers go on talking"
  for host in "${unwell[@]}"; do
    agent_process "$host" >"$SCRATCH/pid.$host"
    signal_agent "$host" STOP
  done
  sleep "$seconds"
  for host in "${unwell[@]}"; do
    signal_agent "$host" CONT
  done
  wait_for_count $SETTLE_SECONDS_MAX "$count" "${HOSTS[@]}"

  step "a killed agent is missed by all, and comes back"
  kill_agent "$last"
  wait_for_count $NOTICE_SECONDS_MAX $((count - 1)) "${HOSTS[@]:0:count-1}"
  launch "$last" h1 >/dev/null
  wait_for_count $SETTLE_SECONDS_MAX "$count" "${HOSTS[@]}"

  assert_nothing_lost "$last"

  step "a host cut off silently is missed by all, and comes back"
  lab loss "$last" 100%
  wait_for_count $NOTICE_SECONDS_MAX $((count - 1)) "${HOSTS[@]:0:count-1}"
  lab heal
  wait_for_count $SETTLE_SECONDS_MAX "$count" "${HOSTS[@]}"
  wait_until 10 "the guest of $last is reached again" guest_reaches h1 "$last"

  step "nobody healthy lost a packet meanwhile"
  assert_nothing_lost "${guests[@]}"
}
