// The status of an agent in the text format of Prometheus, for GET /metrics. Pure.
//
// Names that begin with weave_ are those of Weave Net and mean the same, so that dashboards and
// alerts go on; docs/METRICS.md lists all.
#pragma once

#include <string>
#include <string_view>

#include "agent/status.h"

namespace weft::agent {

inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

std::string metrics_text(const AgentStatus& status);

}  // namespace weft::agent
