#include "app/picture/measured.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::app {
namespace {

using testing::ElementsAre;

std::vector<std::string_view> ids(const std::vector<Metric>& metrics) {
  std::vector<std::string_view> all;
  for (const Metric& metric : metrics) {
    all.push_back(metric.id);
  }
  return all;
}

class MeasuredContainer : public testing::Test {
 protected:
  MeasuredContainer() {
    host_.cpu_count = 2;
    host_.memory_total_bytes = 8000;
    container_.usage = {.cpu_percent = 10, .memory_bytes = 500};
  }

  probe::HostFacts host_;
  probe::ContainerFacts container_;
};

TEST_F(MeasuredContainer, HasWhatEveryOneHas) {
  const auto metrics = container_metrics(host_, container_);

  EXPECT_THAT(ids(metrics),
              ElementsAre("docker_cpu_total_usage", "docker_memory_usage", "open_files_count"));
  EXPECT_EQ(metrics[0].max, 200);
  EXPECT_EQ(metrics[1].max, 8000) << "of the host";
}

TEST_F(MeasuredContainer, HasItsLimitWhereThatIsLessThanTheHostHas) {
  container_.group.memory_limit_bytes = 1000;
  EXPECT_EQ(container_metrics(host_, container_)[1].max, 1000);

  container_.group.memory_limit_bytes = 9000;
  EXPECT_EQ(container_metrics(host_, container_)[1].max, 8000);
}

TEST_F(MeasuredContainer, ShowsThrottlingAndDisksWhereThereWereAny) {
  container_.group.throttled_percent = 5;
  container_.group.disk_written_bytes = 100;

  const auto metrics = container_metrics(host_, container_);

  EXPECT_THAT(ids(metrics),
              ElementsAre("docker_cpu_total_usage",
                          "docker_memory_usage",
                          "open_files_count",
                          "weft_cpu_throttled",
                          "weft_disk_written"));
  EXPECT_EQ(metrics[3].value, 5);
  EXPECT_EQ(metrics[4].value, 0) << "none now";
  EXPECT_EQ(metrics[4].priority, 5);
}

TEST(UsageSource, SaysWhatIsASum) {
  EXPECT_EQ(usage_source({.counts_cpu = true, .counts_memory = true}), "cgroup");
  EXPECT_EQ(usage_source({.counts_cpu = true}), "cgroup, memory of its processes");
  EXPECT_EQ(usage_source({.counts_memory = true}), "cgroup, CPU of its processes");
  EXPECT_EQ(usage_source({}), "its processes");
}

}  // namespace
}  // namespace weft::app
