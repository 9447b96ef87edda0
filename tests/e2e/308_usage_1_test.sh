#!/bin/bash
# What containers use, from their control groups, beside what these say themselves: programs that are too short to be
# seen count, limits and waiting are shown.
source "$(dirname "$0")/../lab/lib.sh"

api() { on h1 curl -sf --unix-socket /run/weft/weft.sock "http://weft$1"; }
container() { api /api/topology/containers | jq -c --arg name "$1" '.nodes[] | select(.label == $name)'; }
row() { container "$1" | jq -r --arg id "$2" '.metadata[] | select(.id == $id).value'; }
metric() { container "$1" | jq -e --arg id "$2" ".metrics[] | select(.id == \$id) | $3"; }
has_row() { [[ $(row "$1" "$2") == "$3" ]]; }
sum_over_processes() {  # CONTAINER
  api /api/topology/processes |
    jq --arg name "$1" '[.nodes[] | select(any(.parents[]?; .label == $name)) | .metrics[] | select(.id == "process_cpu_usage_percent").value] | add // 0'
}
used_us() {  # CONTAINER'S-ID: by its control group, of either version
  local file
  for file in /sys/fs/cgroup/cpuacct*/"weft-lab/$WEFT_LAB/h1/$1/cpuacct.usage" /sys/fs/cgroup/"weft-lab/$WEFT_LAB/h1/$1/cpu.stat"; do
    case $file in
      *cpuacct.usage) [[ ! -e $file ]] || { echo $(($(<"$file") / 1000)); return; } ;;
      *) sed -n 's/^usage_usec //p' "$file"; return ;;
    esac
  done
}

lab_up 1 --docker
launch h1

step "a container that starts one short program after the other"
forker=$(on h1 docker run -d --name forker --cpus 0.1 --memory 64m busybox sh -c 'while :; do /bin/busybox true; done')
wait_until 20 "its usage is its control group's" has_row forker weft_usage_source cgroup
begun=$(date +%s%N)
before=$(used_us "$forker")
shown=0
count=0
summed=0
for _ in {1..20}; do
  shown=$(jq -n "$shown + $(metric forker docker_cpu_total_usage .value)")
  summed=$(jq -n "$summed + $(sum_over_processes forker)")
  ((++count))
  sleep 0.3
done
used=$(jq -n "($(used_us "$forker") - $before) * 100000 / ($(date +%s%N) - $begun) * 10 | round / 10")  # In percent of one CPU.
shown=$(jq -n "$shown / $count * 10 | round / 10")
summed=$(jq -n "$summed / $count * 10 | round / 10")
echo "its control group says $used %, weft $shown %, the sum over its processes $summed %"
jq -en "$used > 0" >/dev/null || fail "it used nothing"
jq -en "2 * $shown >= $used and $shown <= 2 * $used" >/dev/null || fail "weft says $shown % where the control group says $used %"

step "its limit, and that it waited for CPU"
metric forker docker_memory_usage '.max == 67108864' >/dev/null || fail "the limit is not shown: $(container forker)"
metric forker docker_memory_usage '.value > 0 and .value < .max' >/dev/null || fail "memory: $(container forker)"
waited() { metric forker weft_cpu_throttled '.value > 0' >/dev/null; }
wait_until 30 "it has been throttled" waited

step "in metrics, too"
scrape() { on h1 curl -sf --unix-socket /run/weft/weft.sock http://weft/metrics; }
in_metrics() { scrape | grep -q "^$1{container=\"forker\"} $2"; }
wait_until 20 "the limit" in_metrics weft_container_memory_limit_bytes 67108864
wait_until 20 "its CPU, which is nothing where a look falls between two shares" in_metrics weft_container_cpu_cores 0.[0-9]
scrape | grep -q '^weft_probe_source_up{source="cgroup"} 1' || fail "the source is not said to work"
