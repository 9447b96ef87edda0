#!/bin/bash
# A real Prometheus scrapes two agents: Weave's metrics are there under Weave's names and labels, and
# every expression of charts/ is one Prometheus takes, about metrics that exist.
source "$(dirname "$0")/../lab/lib.sh"

CHARTS=$(readlink -f "$(dirname "$0")/../../charts")

query() {  # EXPRESSION: what Prometheus answers.
  on h1 curl -sfG --data-urlencode "query=$1" http://127.0.0.1:9090/api/v1/query
}
count_of() { query "$1" | jq '.data.result | length'; }
has_both() { [[ $(count_of 'up == 1') == 2 && $(count_of weft_connection_rtt_seconds) == 2 ]]; }
expressions() {  # Of the dashboard, with its variables filled in, and of the alerts.
  jq -r '.panels[].targets[]?.expr' "$CHARTS/dashboards/weft.json" |
    sed -e 's/\$__rate_interval/1m/g' -e 's/\$instance/.*/g'
  on h1 curl -sf http://127.0.0.1:9090/api/v1/rules | jq -r '.data.groups[].rules[].query'
}
names() {  # The metrics an expression is about, on stdin.
  grep -oE '\b(weave|weft|process)_[a-z_]+' | sort -u
}

lab_up 2
on h1 weft launch --status-addr 198.18.0.1:6782
on h2 weft launch --status-addr 198.18.0.2:6782 h1

assert_equal "$(on h1 curl -s http://127.0.0.1:6784/ip)" '{"owned":null}' "addresses where there are none"

step "promtool accepts the rules"
promtool check rules "$CHARTS/alerts.yaml" >/dev/null

step "Prometheus scrapes both agents"
cat >"$SCRATCH/prometheus.yml" <<EOF
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [$CHARTS/alerts.yaml]
scrape_configs:
  - job_name: weft
    static_configs: [{targets: ['198.18.0.1:6782', '198.18.0.2:6782']}]
EOF
promtool check config "$SCRATCH/prometheus.yml" >/dev/null
on h1 prometheus --config.file="$SCRATCH/prometheus.yml" --storage.tsdb.path="$SCRATCH/data" \
  --web.listen-address=127.0.0.1:9090 >"$SCRATCH/prometheus.log" 2>&1 &
on h1 weft prime
wait_until 30 "both are scraped" has_both

step "promtool finds nothing wrong with a scrape"
on h1 curl -sf http://198.18.0.1:6782/metrics >"$SCRATCH/metrics"
metrics_findings "$SCRATCH/metrics" >"$SCRATCH/lint"
# Names of Weave's end in "_count", and are kept.
grep -v 'weave_ipam_unreachable_count' "$SCRATCH/lint" >"$SCRATCH/lint.ours" || true
assert_equal "$(cat "$SCRATCH/lint.ours")" "" "what promtool would name otherwise"

step "Weave's metrics have Weave's names and labels"
has_two() { [[ $(count_of "$1") == 2 ]]; }
on h1 weft dns-add 192.0.2.7 -h printer
for metric in 'weave_connections{state="established",type="fastdp",encryption=""} == 1' \
  'weave_connections{state="established",type="fastdp",encryption="yes"} == 0' \
  weave_connection_terminations_total 'weave_ips{state="local-used"}' 'weave_max_ips == 1048576' weave_dns_entries weave_ipam_unreachable_count \
  weave_ipam_unreachable_percentage weave_ipam_pending_allocates weave_ipam_pending_claims \
  process_resident_memory_bytes process_cpu_seconds_total; do
  wait_until 10 "two series of $metric" has_two "$metric"
done

step "every expression of the dashboard and the rules is about metrics that exist"
expressions >"$SCRATCH/expressions"
assert_equal "$(($(wc -l <"$SCRATCH/expressions") > 30))" 1 "more than 30 expressions"
while read -r expression; do
  query "$expression" >"$SCRATCH/answer" || fail "Prometheus refuses: $expression"
done <"$SCRATCH/expressions"
on h1 curl -sf http://198.18.0.1:6782/metrics | sed -n 's/^# TYPE \([a-z_]*\) .*/\1/p' | sort >"$SCRATCH/known"
# Names' metrics are there with DNS, which listens without Docker, too.
assert_equal "$(names <"$SCRATCH/expressions" | comm -23 - "$SCRATCH/known" | xargs)" "" "metrics that are not there"

step "an agent that is away raises its alert"
kill_agent h2
is_alerting() {
  on h1 curl -sf http://127.0.0.1:9090/api/v1/alerts | jq -e '.data.alerts[] | select(.labels.alertname == "WeftAgentDown")'
}
wait_until 20 "the alert is pending" is_alerting
