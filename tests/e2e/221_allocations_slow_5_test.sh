#!/bin/bash
# Ten thousand allocations on five hosts over partitions and kills.
source "$(dirname "$0")/allocations.sh"

allocations_story 10000 10.32.0.0/18
