#!/bin/bash
# Five hundred allocations on five hosts over partitions and kills.
source "$(dirname "$0")/allocations.sh"

allocations_story 500 10.32.0.0/22
