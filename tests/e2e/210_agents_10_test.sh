#!/bin/bash
# Ten agents on few cores: what goes wrong with some leaves the others alone.
source "$(dirname "$0")/agents.sh"

agents_story 10 10
