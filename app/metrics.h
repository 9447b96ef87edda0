// What one host says of itself, in the text format of Prometheus. Pure.
//
// Cardinality is bounded: kSeriesMax containers and as many edges, the busiest; the rest is summed
// up as "other". Edges bear the names of Grafana's service graph, a connection being a request.
#pragma once

#include <cstddef>
#include <string>

#include "probe/report/report.h"

namespace weft::app {

// A Prometheus with a hundred such hosts stays below a million series.
inline constexpr std::size_t kSeriesMax = 500;

std::string metrics_text(const probe::HostReport& host);

}  // namespace weft::app
