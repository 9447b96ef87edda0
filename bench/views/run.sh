#!/bin/bash
# What it costs to show a cluster, on one core: merging a host's report, and making each view anew when one host told of
# changes. Reports are made up: as many hosts, containers, processes and connections as the targets name.
#   sudo ./run bench views
#     WEFT_BENCH_VIEWS_ROUNDS=20    changes per view
set -euo pipefail
here=$(readlink -f "$(dirname "$0")")
SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT
source "$here/../lib.sh"

ROUNDS=${WEFT_BENCH_VIEWS_ROUNDS:-20}
LOAD=$(dirname "${WEFT_BIN:?}")/../bench/views_load
VIEWS=(processes processes-by-name containers containers-by-image hosts weave)

measure() {  # NAME HOSTS CONTAINERS PROCESSES CONNECTIONS ROUNDS
  local name=$1 measure value
  shift
  "$LOAD" "$@" | while read -r measure value; do
    sample "$name" "$measure" "$value"
  done
}

figures() {  # NAME TITLE
  local view
  echo
  echo "views: $2"
  row "merge of a host's report (ms)" "$(spread "$1" merge 1 2)"
  for view in "${VIEWS[@]}"; do
    row "$view: change (ms)" "$(spread "$1" "$view.change" 1 1)"
    row "$view: details of the largest node; longest slice (ms)" "$(median "$1" "$view.details"), $(median "$1" "$view.details.slice")"
    row "$view: first frame, whole, longest slice (ms)" "$(median "$1" "$view.first_frame"), $(median "$1" "$view.whole"), $(median "$1" "$view.slice")"
  done
  row "the menu, with counts of all views; longest slice (ms)" "$(median "$1" menu), $(median "$1" menu.slice)"
  row "memory at most (MB)" "$(median "$1" megabytes)"
}

measure ten 10 50 200 500 "$ROUNDS"
measure thousand 1000 10 40 100 3
figures ten "10 hosts, each with 50 containers, 200 processes and 500 connections"
figures thousand "1,000 hosts, each with 10 containers, 40 processes and 100 connections"

sample budget merge 5
sample budget containers.change 5
sample budget processes.change 5
sample budget containers.first_frame 200
sample budget megabytes 1000
for view in "${VIEWS[@]}"; do
  sample budget "$view.details" 50
done
echo
for name in merge containers.change processes.change; do
  ratio ten budget "$name"
done
for name in containers.first_frame megabytes "${VIEWS[@]/%/.details}"; do
  ratio thousand budget "$name"
done
