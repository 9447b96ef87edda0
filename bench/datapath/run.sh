#!/bin/bash
# The data path between two hosts: weft in clear and encrypted beside the kernel's own VXLAN, other encrypting
# overlays and the bare wire, in turns. Prints tables and ratio lines; table.md, chart.svg and all samples go to
# WEFT_BENCH_OUT. What is measured and how is in datapath.py.
#   sudo ./run bench datapath
#     WEFT_BENCH_CONTENDERS="veth vxlan clear encrypted wireguard-go nebula openvpn fastd tinc docker weave"
#     WEFT_BENCH_MODES="one split wire"     WEFT_BENCH_MTUS="1500 9000"     WEFT_BENCH_ROUNDS=3
#     WEFT_BENCH_MEASURES="tcp1 tcp4 udp64 udp1300 rtt loaded"              WEFT_BENCH_SECONDS=2
#     WEFT_BENCH_OUT=build/bench-datapath
#     WEFT_BENCH_WIREGUARD_GO=PATH, WEFT_BENCH_WEAVER=PATH    ready builds; without the latter Weave is left out
#   In two minutes: WEFT_BENCH_CONTENDERS="vxlan clear encrypted wireguard-go" WEFT_BENCH_MTUS=1500 WEFT_BENCH_ROUNDS=1
#     WEFT_BENCH_SECONDS=1
set -euo pipefail
# shellcheck disable=SC2034  # Read by the library.
LAB_KIND=bench-datapath
here=$(dirname "$0")
source "$here/../../tests/lab/lib.sh"

OUT=${WEFT_BENCH_OUT:-$here/../../build/bench-datapath}
LOAD=$(readlink -f "$(dirname "$WEFT_BIN")/../bench/packet_load")
engines=()
if [[ " ${WEFT_BENCH_CONTENDERS-docker} " == *" docker "* ]]; then
  engines=(--docker)
  export BENCH_DOCKER=1
fi
mkdir -p "$OUT"
"$(dirname "$LOAD")/seal_speed"
lab_up 2 "${engines[@]}"
PYTHONDONTWRITEBYTECODE=1 "$here/datapath.py" "${WEFT_LAB_STATE:-/run/weft-lab}/$WEFT_LAB" "$LOAD" "$OUT"
