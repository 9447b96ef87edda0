#!/bin/bash
# The probe's sources under another kernel (run by in_vm): what they promise, held by control groups of version 2, by BPF's
# counts of connections and datagrams, sock_diag and /proc there.
set -euo pipefail

PROGRAMS=$(dirname "$WEFT_BIN")/../tests/integration/probe

echo "kernel $(uname -r)"
"$PROGRAMS/probe_groups_test" --gtest_brief=1
"$PROGRAMS/probe_sources_test" --gtest_brief=1
"$PROGRAMS/probe_openers_test" --gtest_brief=1
"$PROGRAMS/probe_counters_test" --gtest_brief=1
