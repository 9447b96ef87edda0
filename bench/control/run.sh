#!/bin/bash
# The control plane: clusters of real agents on one machine, started at once, beside memberlist and
# Weave's router, which take turns with it.
#   sudo ./run bench control
#     WEFT_BENCH_SIZES="10 25 50 100"  peers of the clusters
#     WEFT_BENCH_ROUNDS=3              starts of each cluster; the rest is measured in the last one
#     WEFT_BENCH_IDLE=15               seconds at rest
#     WEFT_BENCH_CONTENDERS="weft memberlist weave"
#     WEFT_BENCH_MEMBER=PATH           a ready build of bench/control/member; without it, it is built
#     WEFT_BENCH_WEAVER=PATH           a ready build of Weave's router; without it Weave is left out
set -euo pipefail
# shellcheck disable=SC2034  # Read by the library.
LAB_KIND=bench-control
here=$(dirname "$0")
source "$here/../../tests/lab/lib.sh"
source "$here/../lib.sh"

read -ra SIZES <<<"${WEFT_BENCH_SIZES:-10 25 50 100}"
ROUNDS=${WEFT_BENCH_ROUNDS:-3}
GO_SOURCES=/usr/share/gocode  # Where Debian's packages put Go libraries.
# What it is called in the samples, then for people.
MEASURES=(
  "ready_time all answer (s)"
  "settle_time all know all (s)"
  "settle_bytes sent by each until then (B)"
  "settle_cpu CPU of each until then (s)"
  "usable_time each has handed out an address (s)"
  "idle_bytes sent by each at rest (B/s)"
  "idle_cpu CPU of each at rest (% of a core)"
  "memory RSS of each (MB)"
  "record_time a new record is everywhere (s)"
  "kill_time a killed peer is missed everywhere (s)"
  "cut_time a silent peer is missed everywhere (s)"
)

# The boxes share the machine's files, so a program anywhere but in /etc, /run and /var will do.
find_member() {
  if [[ -n ${WEFT_BENCH_MEMBER:-} ]]; then
    export BENCH_MEMBER=$WEFT_BENCH_MEMBER
    return
  fi
  if ! command -v go >/dev/null || [[ ! -d $GO_SOURCES/src/github.com/hashicorp/memberlist ]]; then
    echo "memberlist: not measured, set WEFT_BENCH_MEMBER or install golang-go and golang-github-hashicorp-memberlist-dev"
    return
  fi
  BENCH_MEMBER=$SCRATCH/member
  (cd "$here/member" && GOPATH=$GO_SOURCES GO111MODULE=off GOCACHE=$SCRATCH/go go build -o "$BENCH_MEMBER" .)
  export BENCH_MEMBER
}

measured() { [[ -s $SCRATCH/$1.$2 ]]; }  # CONTENDER MEASURE

report() {
  local size line measure contender
  for size in "${SIZES[@]}"; do
    echo
    printf '%-46s %10s %12s %10s\n' "$size peers, medians" weft memberlist weave
    for line in "${MEASURES[@]}"; do
      measure=${line%% *}_$size
      printf '  %-44s' "${line#* }"
      for contender in weft memberlist weave; do
        if measured "$contender" "$measure"; then
          printf ' %11.4g' "$(median "$contender" "$measure")"
        else
          printf ' %11s' -
        fi
      done
      echo
    done
  done
  echo
  for size in "${SIZES[@]}"; do
    for line in "${MEASURES[@]}"; do
      for contender in memberlist weave; do
        if measured weft "${line%% *}_$size" && measured "$contender" "${line%% *}_$size"; then
          ratio weft "$contender" "${line%% *}_$size"
        fi
      done
    done
  done
}

[[ " ${WEFT_BENCH_CONTENDERS:-memberlist} " != *" memberlist "* ]] || find_member
[[ -n ${WEFT_BENCH_WEAVER:-} ]] || echo "weave: not measured, set WEFT_BENCH_WEAVER"
most=$(printf '%s\n' "${SIZES[@]}" | sort -n | tail -n 1)
echo "bench control: $most hosts" >&2
lab_up "$most"
export LAB_TOOL
"$here/control.py" "${WEFT_LAB_STATE:-/run/weft-lab}/$WEFT_LAB" "$SCRATCH" "$ROUNDS" "${SIZES[@]}"
report
