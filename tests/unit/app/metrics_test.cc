#include "app/metrics.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/app/cluster.h"

namespace weft::app {
namespace {

using testing::HasSubstr;
using testing::Not;

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
    ++found;
  }
  return found;
}

TEST(TopologyMetrics, TellOfContainersAndOfEdgesUnderTheNamesOfServiceGraphs) {
  probe::Report report = cluster();
  probe::HostReport host = *report.find(kHost1);
  for (auto& [key, facts] : host.flows) {
    facts.opened = key.port == 443 ? 7 : 0;
    facts.failed = key.port == 443 ? 2 : 0;
  }

  const std::string text = metrics_text(host);

  EXPECT_THAT(text, HasSubstr("weft_container_memory_bytes{container=\"web\"}"));
  EXPECT_THAT(text, HasSubstr("weft_container_file_descriptors{container=\"web\"} 12\n"));
  EXPECT_THAT(
      text, HasSubstr("traces_service_graph_request_total{client=\"web\",server=\"internet\"} 7"));
  EXPECT_THAT(
      text,
      HasSubstr("traces_service_graph_request_failed_total{client=\"web\",server=\"internet\"} 2"));
  EXPECT_THAT(text, HasSubstr("client=\"internet\",server=\"web\""));
}

TEST(TopologyMetrics, NameALimitedNumberOfContainersAndSumUpTheRest) {
  probe::HostReport host;
  for (std::size_t i = 0; i < kSeriesMax + 10; ++i) {
    probe::ContainerFacts container;
    container.id = container.name = fmt::format("c{}", i);
    container.process_count = 1;
    host.containers.push_back(container);
  }

  const std::string text = metrics_text(host);

  EXPECT_EQ(count(text, "weft_container_processes{"), kSeriesMax + 1);
  EXPECT_THAT(text, HasSubstr("weft_container_processes{container=\"other\"} 10\n"));
}

TEST(TopologyMetrics, EscapeWhatNamesMayHold) {
  probe::HostReport host;
  probe::ContainerFacts container;
  container.id = "a";
  container.name = "x\"} 1\\";
  host.containers.push_back(container);

  EXPECT_THAT(metrics_text(host), HasSubstr("{container=\"x\\\"} 1\\\\\"}"));
}

}  // namespace
}  // namespace weft::app
