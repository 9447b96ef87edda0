#!/bin/bash
# The demo of the README runs by itself, reports its figures in its last line and leaves nothing.
source "$(dirname "$0")/../lab/lib.sh"

# Under a name of its own: somebody may be looking around in a demo that was kept.
LAB_NAME=$WEFT_LAB "$(dirname "$0")/../lab/demo.sh" --check >"$SCRATCH/demo" || {
  cat "$SCRATCH/demo"
  fail "the demo failed"
}
last=$(tail -n 1 "$SCRATCH/demo")
echo "$last"
[[ $last =~ ^demo:\ ok\ pairs=30\ loss=[0-9.]+%\ rtt=[0-9]+us\ tcp=[0-9.]+Gbit/s\ rss=[0-9.]+MB\ launch=[0-9.]+s ]] ||
  fail "last line: '$last'"
[[ ! -e /run/weft-lab/$WEFT_LAB ]] || fail "the demo's lab is still there"
