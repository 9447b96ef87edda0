#!/bin/bash
# What is packaged beside the program: the systemd unit is well-formed and as closed as it claims, and
# completion completes.
source "$(dirname "$0")/../lab/lib.sh"

PACKAGING=$(readlink -f "$(dirname "$0")/../../packaging")

step "systemd accepts the unit, and finds it confined"
sed "s#/usr/bin/weft#$WEFT_BIN#" "$PACKAGING/weft.service" >"$SCRATCH/weft.service"
assert_equal "$(systemd-analyze verify "$SCRATCH/weft.service" 2>&1)" "" "what systemd says of the unit"
# 4.3 of 10 as measured; what is left are the capabilities a data path needs.
systemd-analyze security --offline=true --threshold=45 "$SCRATCH/weft.service" >"$SCRATCH/security" ||
  fail "$(tail -n 1 "$SCRATCH/security")"

step "bash completes commands and flags"
"$WEFT_BIN" completion bash >"$SCRATCH/completion"
completed() {  # WORDS…: what bash offers for the last one.
  (
    # shellcheck source=/dev/null
    source "$SCRATCH/completion"
    COMP_WORDS=("$@")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _weft
    echo "${COMPREPLY[*]}"
  )
}
assert_equal "$(completed weft dns-l)" dns-lookup "dns-l"
assert_equal "$(completed weft launch --ipalloc-r)" --ipalloc-range "launch --ipalloc-r"
assert_equal "$(completed weft expose --without-m)" --without-masquerade "expose --without-m"
assert_contains "$("$WEFT_BIN" completion zsh)" --without-masquerade "completion of zsh"
assert_contains "$("$WEFT_BIN" completion fish)" "-l without-masquerade" "completion of fish"

step "the Kubernetes manifest refers to what is there, and runs what there is"
"$(dirname "$0")/manifest.py" "$PACKAGING/kubernetes/weft.yaml" >"$SCRATCH/commands"
assert_contains "$(cat "$SCRATCH/commands")" "weft-npc /usr/bin/weft npc" "what the second container runs"
for flag in $(grep -o -e '--[a-z-]*' "$SCRATCH/commands"); do
  assert_contains "$("$WEFT_BIN" help agent)" "$flag" "flags of the agent"
done
