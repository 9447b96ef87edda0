#include "app/raw/raw_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/app/cluster.h"
#include "tests/unit/app/raw.h"

namespace weft::app {
namespace {

namespace json = boost::json;

probe::Report small_cluster() {
  probe::Report report;
  probe::HostReport first = empty_host(kHost1, "h1", "10.0.0.1");
  add_container(first, kWeb, "web", "library/nginx:1.25", "10.32.0.2");
  first.flows[flow(probe::Direction::Outbound, kWeb, 100, "10.32.0.2", "10.32.0.3", 5432)] = {
      .count = 3};
  probe::HostReport second = empty_host(kHost2, "h2", "10.0.0.2");
  add_container(second, kDb, "db", "postgres:16", "10.32.0.3");
  second.flows[flow(probe::Direction::Inbound, kDb, 100, "10.32.0.3", "10.32.0.2", 5432)] = {
      .count = 3};
  second.flows[flow(probe::Direction::Inbound, kDb, 100, "10.32.0.3", "203.0.113.9", 5432)] = {
      .count = 1};
  (void)report.merge(first);
  (void)report.merge(second);
  return report;
}

std::string latest(const json::value& node, const char* key) {
  return std::string(node.at("latest").at(key).at("value").as_string());
}

TEST(RawReport, HasHostsContainersImagesAndProcessesUnderScopesNames) {
  const json::object raw = raw_report_json(small_cluster());

  const json::value& container = raw.at("Container").at("nodes").at(kWeb + ";<container>");
  EXPECT_EQ(latest(container, "docker_container_name"), "web");
  EXPECT_EQ(latest(container, "docker_label_tier"), "web");
  EXPECT_EQ(container.at("sets").at("docker_container_ips"), json::value(json::array{"10.32.0.2"}));
  EXPECT_EQ(container.at("parents").at("container_image"),
            json::value(json::array{"library/nginx;<container_image>"}));
  EXPECT_EQ(container.at("parents").at("host"),
            json::value(json::array{kHost1.to_string() + ";<host>"}));
  EXPECT_TRUE(
      raw.at("ContainerImage").at("nodes").as_object().contains("postgres;<container_image>"));
  const json::value& process = raw.at("Process").at("nodes").at(kHost1.to_string() + ";100");
  EXPECT_EQ(latest(process, "cmdline"), "webd --serve");
  const json::value& host = raw.at("Host").at("nodes").at(kHost2.to_string() + ";<host>");
  EXPECT_EQ(latest(host, "host_name"), "h2");
  EXPECT_THAT(host.at("sets").at("local_networks").as_array(), testing::SizeIs(2));
}

TEST(RawReport, IsTheSameWhenItIsWrittenInParts) {
  const probe::Report report = small_cluster();
  RawReport raw(report);
  std::size_t parts = 1;
  for (std::size_t work = 1; !raw.advance(work); work = 1) {
    EXPECT_EQ(work, 0U);
    ++parts;
  }

  EXPECT_EQ(raw.take(), raw_text(report));
  EXPECT_GT(parts, report.hosts().size());
}

TEST(RawReport, HasTheNamesOfWhomProgramsAsk) {
  probe::Report report = small_cluster();
  probe::HostReport host = *report.find(kHost1);
  host.names = {{ip("203.0.113.9"), "example.org"}};
  ++host.sequence;
  (void)report.merge(host);

  const json::object raw = raw_report_json(report);

  EXPECT_EQ(raw.at("DNS"),
            json::value(json::object{
                {"203.0.113.9", json::object{{"forward", json::array{"example.org"}}}}}));
}

TEST(RawReport, ExplainsEveryKeyThatViewsShow) {
  const json::object raw = raw_report_json(small_cluster());

  const json::value& process = raw.at("Process");
  EXPECT_EQ(process.at("metadata_templates").at("cmdline").at("from"), "latest");
  EXPECT_EQ(process.at("metric_templates").at("process_cpu_usage_percent").at("format"), "percent");
  EXPECT_EQ(raw.at("Host").at("metadata_templates").at("local_networks").at("from"), "sets");
  EXPECT_EQ(raw.at("Container").at("table_templates").at("docker_label_").at("prefix"),
            "docker_label_");
}

TEST(RawReport, LeadsFromClientsToTheEndpointsThatServe) {
  const json::object raw = raw_report_json(small_cluster());
  const json::object& ends = raw.at("Endpoint").at("nodes").as_object();

  EXPECT_EQ(ends.at(";10.32.0.2;p100").at("adjacency"),
            json::value(json::array{";10.32.0.3;5432"}));
  EXPECT_EQ(latest(ends.at(";10.32.0.2;p100"), "conn_count"), "3");
  EXPECT_EQ(latest(ends.at(";10.32.0.3;5432"), "pid"), "100");
  EXPECT_EQ(ends.at(";203.0.113.9;p0").at("adjacency"), json::value(json::array{";10.32.0.3;5432"}))
      << "who reports nothing is known by whom it asks";
  EXPECT_FALSE(ends.contains(";10.32.0.2;p0")) << "its own host tells of it";
}

TEST(RawReport, KeepsTheLoopbackOfEachNamespaceApart) {
  probe::Report report;
  probe::HostReport host = empty_host(kHost1, "h1", "10.0.0.1");
  probe::FlowKey one = flow(probe::Direction::Outbound, "", 7, "127.0.0.1", "127.0.0.1", 80);
  one.netns = 5;
  host.flows[one] = {.count = 1};
  one.netns = 6;
  host.flows[one] = {.count = 1};
  (void)report.merge(host);

  const json::object raw = raw_report_json(report);

  EXPECT_THAT(raw.at("Endpoint").at("nodes").as_object(), testing::SizeIs(2));
}

}  // namespace
}  // namespace weft::app
