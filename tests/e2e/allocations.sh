# shellcheck shell=bash
# What the tests of many allocations tell: five hosts take and give back addresses over partitions,
# restarts and kills; at the end all namespaces and all agents' books are compared.
#   allocations_story ADDRESSES RANGE
source "$(dirname "$0")/../lab/lib.sh"

# What each host was answered, as "ADDRESS OWNER" lines in $SCRATCH/held.HOST; an owner whose call was
# not answered is in $SCRATCH/asked.HOST alone. The address is then really there, in a namespace.

# One curl for many calls, so that the agents and not the asking are what is busy.
api() { on "$1" curl -s --max-time "$2" --unix-socket /run/weft/weft.sock "${@:3}"; }  # HOST SECONDS ARGUMENTS

take() {  # HOST ROUND COUNT
  local host=$1 round=$2 count=$3 number
  for ((number = 1; number <= count; number++)); do
    echo "$host-$round-$number"
  done >>"$SCRATCH/asked.$host"
  # Who waits for space that is behind a partition gives up after a while.
  api "$host" 2 --fail -X POST -w ' %{http_code} %{url}\n' "http://weft/ip/$host-$round-[1-$count]" |
    awk '$2 == 200 { sub(".*/", "", $3); print $1, $3 }' >"$SCRATCH/taken.$host" || true
  cat "$SCRATCH/taken.$host" >>"$SCRATCH/held.$host"
  awk '{ sub("/.*", "", $1); print "addr add " $1 "/32 dev lo" }' "$SCRATCH/taken.$host" | on "$host" ip -n holder -batch -
}

# Gives back every third of what the last round took.
give_back() {  # HOST
  local host=$1 address owner
  awk 'NR % 3 == 0' "$SCRATCH/taken.$host" >"$SCRATCH/given.$host"
  awk '{ sub("/.*", "", $1); print "addr del " $1 "/32 dev lo" }' "$SCRATCH/given.$host" | on "$host" ip -n holder -batch -
  awk '{ print "url = \"http://weft/ip/" $2 "\"\n-X DELETE\n-o /dev/null" }' "$SCRATCH/given.$host" >"$SCRATCH/calls.$host"
  api "$host" 30 --fail --config "$SCRATCH/calls.$host"
  while read -r address owner; do
    echo "$address $owner"
  done <"$SCRATCH/given.$host" | sort >"$SCRATCH/gone.$host"
  sort "$SCRATCH/held.$host" | comm -23 - "$SCRATCH/gone.$host" >"$SCRATCH/rest.$host"
  mv "$SCRATCH/rest.$host" "$SCRATCH/held.$host"
  cut -d ' ' -f 2 "$SCRATCH/given.$host" >>"$SCRATCH/returned.$host"
}

take_everywhere() {  # ROUND COUNT
  local host job jobs=()
  for host in "${HOSTS[@]}"; do
    take "$host" "$1" "$2" &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do
    wait "$job"
  done
  echo "held: $(cat "$SCRATCH"/held.* | wc -l)"
}

give_back_all() {  # HOST...
  local host
  for host in "$@"; do
    give_back "$host"
  done
}

addresses_in_namespaces() {  # HOST
  on "$1" ip -n holder -o -4 addr show dev lo scope global | awk '{ sub("/32", "", $4); print $4 }'
}

assert_no_duplicates() {
  local host
  for host in "${HOSTS[@]}"; do
    addresses_in_namespaces "$host"
  done | sort >"$SCRATCH/all"
  assert_equal "$(uniq -d "$SCRATCH/all" | xargs)" "" "addresses in two namespaces"
  assert_equal "$(wc -l <"$SCRATCH/all")" "$(cat "$SCRATCH"/held.* | wc -l)" "addresses in namespaces"
}

books() { api "$1" 30 "http://weft/ip" | jq -r '.owned // [] | .[] | "\(.addrs[0]) \(.containerid)"' | grep " $1-" | sort || true; }  # HOST

# What was answered is held, and what is held was answered, given back or at least asked for.
assert_books_are_right() {
  local host
  for host in "${HOSTS[@]}"; do
    books "$host" >"$SCRATCH/books.$host"
    sort "$SCRATCH/held.$host" >"$SCRATCH/sorted"
    assert_equal "$(comm -13 "$SCRATCH/books.$host" "$SCRATCH/sorted" | head -n 3 | xargs)" "" "answered on $host, and forgotten"
    comm -23 "$SCRATCH/books.$host" "$SCRATCH/sorted" | cut -d ' ' -f 2 | sort >"$SCRATCH/unanswered"
    cut -d ' ' -f 2 "$SCRATCH/sorted" | sort - "$SCRATCH/returned.$host" | uniq >"$SCRATCH/answered"
    assert_equal "$(comm -12 "$SCRATCH/unanswered" "$SCRATCH/answered" | head -n 3 | xargs)" "" "given back on $host, and kept"
    echo "$host: $(wc -l <"$SCRATCH/books.$host") held, $(wc -l <"$SCRATCH/unanswered") of them never answered"
  done
  cat "$SCRATCH"/books.* | cut -d ' ' -f 1 | sort | uniq -d >"$SCRATCH/twice"
  assert_equal "$(xargs <"$SCRATCH/twice")" "" "addresses in two agents' books"
}

release_everything() {
  local host
  for host in "${HOSTS[@]}"; do
    awk '{ print "url = \"http://weft/ip/" $2 "\"\n-X DELETE\n-o /dev/null" }' "$SCRATCH/books.$host" >"$SCRATCH/calls.$host"
    api "$host" 30 --fail --config "$SCRATCH/calls.$host"
  done
}

revive() { launch "$1" "${LAUNCH_OPTIONS[@]}" >/dev/null; }  # HOST

allocations_story() {  # ADDRESSES RANGE
  local each=$(($1 / 5 / 5)) host
  step "five hosts share $2"
  lab_up 5
  LAUNCH_OPTIONS=(--no-docker --ipalloc-range "$2" --ipalloc-init consensus=5)
  launch_all "${LAUNCH_OPTIONS[@]}" >/dev/null
  for host in "${HOSTS[@]}"; do
    on "$host" ip netns add holder
    on "$host" ip -n holder link set lo up
    : >"$SCRATCH/held.$host"
    : >"$SCRATCH/returned.$host"
  done
  take_everywhere whole "$each"

  step "over a partition of two and three"
  lab partition h1,h2 h3,h4,h5
  take_everywhere parted "$each"
  give_back_all "${HOSTS[@]}"
  assert_no_duplicates

  step "while an agent is killed and one restarts"
  lab heal
  take_everywhere killed "$each" &
  kill_agent h2
  revive h2
  on h4 weft stop
  revive h4
  wait $!
  assert_no_duplicates

  step "over a partition of one and four, in which another agent is killed"
  lab partition h5 h1,h2,h3,h4
  take_everywhere alone "$each"
  kill_agent h3
  revive h3
  give_back_all h1 h2 h3 h4
  # Alone, h5 is no majority, and may have been allowed to hand out next to nothing.
  [ "$(wc -l <"$SCRATCH/taken.h5")" -lt 3 ] || give_back_all h5
  lab heal
  wait_until 60 "every host reaches every other" all_reachable
  take_everywhere healed "$each"

  step "no address is in two places, and every book is right"
  assert_no_duplicates
  assert_books_are_right

  step "nothing is left when all is given back"
  release_everything
  for host in "${HOSTS[@]}"; do
    assert_equal "$(books "$host" | wc -l)" 0 "addresses left on $host"
  done
}
