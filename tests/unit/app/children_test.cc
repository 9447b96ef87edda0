#include "app/picture/children.h"

#include <limits>

#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "app/facts.h"
#include "app/picture/picture.h"
#include "tests/unit/app/cluster.h"

namespace weft::app {
namespace {

namespace json = boost::json;

constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();
constexpr std::uint64_t kHosts = 100;
constexpr std::uint64_t kOfEach = 8;

// Hosts with containers of one image, each as busy as its number, and a process in each.
probe::Report many() {
  probe::Report report;
  for (std::uint64_t h = 0; h < kHosts; ++h) {
    probe::HostReport host =
        empty_host(PeerName(0x7a0000000000 + h), fmt::format("h{}", h), "192.0.2.1");
    for (std::uint64_t i = 0; i < kOfEach; ++i) {
      const std::uint64_t number = (i * kHosts + h) * 7919 % (kHosts * kOfEach);
      const std::string id = fmt::format("{:08x}{:056x}", i, number);
      add_container(host, id, fmt::format("c{}", number), "shop/web:2", "10.32.0.1");
      host.containers.back().usage.cpu_percent = static_cast<double>(number);
    }
    report.merge(host);
  }
  return report;
}

std::int64_t age_of(PeerName) {
  return 0;
}

// In slices of so much work.
json::array groups_of(const probe::Report& report,
                      std::size_t slice,
                      std::size_t* slices = nullptr) {
  Picture picture(report);
  const View& view = picture.view(TopologyId::ContainersByImage).view();
  Children children(TopologyId::ContainersByImage, view.at(image_id("shop/web")), report);
  std::size_t count = 0;
  for (std::size_t work = slice; !children.advance(work); work = slice) {
    ++count;
  }
  if (slices != nullptr) {
    *slices = count;
  }
  return json::parse("[" + children.text(age_of) + "]").as_array();
}

TEST(Children, AreTheBusiestOfThoseThatAreTooMany) {
  const json::array groups = groups_of(many(), kAll);

  ASSERT_EQ(groups.size(), 2U);
  const json::object& containers = groups[0].as_object();
  EXPECT_EQ(containers.at("topologyId"), "containers");
  EXPECT_EQ(containers.at("nodes").as_array().size(), Children::kShownMax);
  EXPECT_EQ(containers.at("more").to_number<std::uint64_t>(),
            kHosts * kOfEach - Children::kShownMax);
  for (const json::value& node : containers.at("nodes").as_array()) {
    EXPECT_GE(node.at("metrics").at(0).at("value").to_number<double>(),
              static_cast<double>(kHosts * kOfEach - Children::kShownMax));
  }
  EXPECT_EQ(groups[1].at("topologyId"), "processes");
}

TEST(Children, AreSoughtAHostAtATime) {
  const probe::Report report = many();
  std::size_t slices = 0;

  const json::array in_slices = groups_of(report, 1, &slices);

  EXPECT_EQ(in_slices, groups_of(report, kAll));
  EXPECT_EQ(slices, 2 * kHosts - 1) << "of containers and of processes";
}

TEST(Children, OfHostsThatAreForgottenMeanwhileAreLeftOut) {
  probe::Report report = many();
  Picture picture(report);
  const Node parent = picture.view(TopologyId::ContainersByImage).view().at(image_id("shop/web"));
  Children children(TopologyId::ContainersByImage, parent, report);
  std::size_t work = 1;
  EXPECT_FALSE(children.advance(work));

  for (std::uint64_t h = 0; h < kHosts; ++h) {
    report.forget(PeerName(0x7a0000000000 + h));
  }
  work = kAll;

  EXPECT_TRUE(children.advance(work));
  const json::array groups = json::parse("[" + children.text(age_of) + "]").as_array();
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0].at("nodes").as_array().size(), kOfEach) << "what was found before";
}

}  // namespace
}  // namespace weft::app
