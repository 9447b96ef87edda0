#!/bin/bash
# How soon the page is there and how smoothly a large graph moves: the built page in a Chromium that renders in
# software, fed by a server of the bench's own with as many nodes as asked for.
#   sudo ./run bench ui
#     WEFT_BENCH_UI_NODES="500 5000"    sizes of the graph
#     WEFT_BENCH_UI_ROUNDS=5            loads of the page, of which the first has nothing cached
set -euo pipefail
here=$(readlink -f "$(dirname "$0")")
SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
source "$here/../../tests/ui/lib.sh"
source "$here/../lib.sh"

read -ra SIZES <<<"${WEFT_BENCH_UI_NODES:-500 5000}"
ROUNDS=${WEFT_BENCH_UI_ROUNDS:-5}
# Presets below one build folder share the page (cmake/Ui.cmake).
PAGE=$(dirname "${WEFT_BIN:?}")/../../ui/dist
[[ -s $PAGE/index.html ]] || fail "no built page in $PAGE"

install_playwright
cp "$here"/*.mjs "$BUILD"
for size in "${SIZES[@]}"; do
  node "$BUILD/measure.mjs" "$PAGE" "$CHROMIUM" "$size" "$ROUNDS" "$SCRATCH" | while read -r name value; do
    sample weft "$name" "$value"
  done
done
sample budget first_paint 1000
sample budget compressed 500

figure() { row "$1" "$(spread weft "$2" 1 "$3")"; }  # TITLE MEASURE DECIMALS
echo
echo "ui: the page"
figure "compressed (kB)" compressed 0
figure "first contentful paint (ms)" first_paint 0
for size in "${SIZES[@]}"; do
  echo
  echo "ui: $size nodes, rendered in software"
  figure "shown after (ms)" "shown_$size" 0
  figure "placed and drawn after (ms)" "placed_$size" 0
  figure "panned (frames per second)" "pan_$size" 1
  figure "zoomed (frames per second)" "zoom_$size" 1
  figure "longest frame while moving (ms)" "longest_$size" 0
done
echo
ratio weft budget first_paint
ratio weft budget compressed
