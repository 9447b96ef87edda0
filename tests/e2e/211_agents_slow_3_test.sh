#!/bin/bash
# 3 agents, a quarter of them frozen for a minute.
source "$(dirname "$0")/agents.sh"

agents_story 3 60
