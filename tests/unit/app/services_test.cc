#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/facts.h"
#include "app/picture/picture.h"
#include "app/render.h"
#include "tests/unit/app/cluster.h"
#include "tests/unit/app/raw.h"

namespace weft::app {
namespace {

using testing::Contains;
using testing::Field;
using testing::Key;
using testing::Not;

void make_task(probe::HostReport& host, const std::string& id, const std::string& name) {
  host.containers[0].labels["com.docker.swarm.service.id"] = id;
  host.containers[0].labels["com.docker.swarm.service.name"] = name;
  host.containers[0].labels["com.docker.stack.namespace"] = "shop";
  ++host.sequence;
}

// The web container is a task of one service of a stack, the database of another.
probe::Report swarm() {
  probe::Report report = cluster();
  probe::HostReport one = *report.find(kHost1);
  probe::HostReport two = *report.find(kHost2);
  make_task(one, "s1", "shop_web");
  make_task(two, "s2", "shop_db");
  report.merge(one);
  report.merge(two);
  return report;
}

TEST(Services, AreNamedWithoutTheirStack) {
  probe::ContainerFacts task;
  EXPECT_FALSE(service_of(task));
  task.labels["com.docker.swarm.service.id"] = "s1";
  EXPECT_FALSE(service_of(task)) << "without a name";
  task.labels["com.docker.swarm.service.name"] = "shop_web";
  EXPECT_EQ(service_of(task)->label, "shop_web");
  task.labels["com.docker.stack.namespace"] = "shop";
  EXPECT_EQ(service_of(task)->label, "web");
  task.labels["com.docker.stack.namespace"] = "shop_web";
  EXPECT_EQ(service_of(task)->label, "shop_web") << "nothing would be left";
}

TEST(Services, OfASwarmAreShownWithWhoAsksWhom) {
  const probe::Report report = swarm();

  const View view = Picture(report).view(TopologyId::SwarmServices).view();

  ASSERT_THAT(view, Contains(Key("s1;<swarm_service>")));
  const Node& web = view.at("s1;<swarm_service>");
  EXPECT_EQ(web.label, "web");
  EXPECT_EQ(web.label_minor, "1 container");
  EXPECT_THAT(web.links, Contains(Key("s2;<swarm_service>")));
  EXPECT_THAT(view, Not(Contains(Key("pseudo:uncontained:" + kHost1.to_string()))));
}

TEST(Services, AreShownWithTheRestOfTheirHosts) {
  probe::Report report = swarm();
  probe::HostReport one = *report.find(kHost1);
  add_container(one, std::string(64, 'c'), "other", "other", "10.32.0.7");
  one.flows[flow(
      probe::Direction::Outbound, std::string(64, 'c'), 101, "10.32.0.7", "10.32.0.1", 80)] = {
      .count = 1};
  ++one.sequence;
  report.merge(one);

  const View view = Picture(report).view(TopologyId::SwarmServices).view();

  const Node& rest = view.at("pseudo:unmanaged:" + kHost1.to_string());
  EXPECT_TRUE(rest.pseudo);
  EXPECT_THAT(rest.links, Contains(Key("s1;<swarm_service>")));
  EXPECT_TRUE(Filter(Choice{{"pseudo", "hide"}}).hides(rest));
  EXPECT_FALSE(Filter(Choice{{"pseudo", "show"}}).hides(rest));
}

TEST(Services, AreChosenByTheirStacks) {
  probe::Report report = swarm();
  probe::HostReport two = *report.find(kHost2);
  two.containers[0].labels["com.docker.stack.namespace"] = "shelf";
  ++two.sequence;
  report.merge(two);
  Picture picture(report);
  const TopologySpec& spec = *find_topology("containers-by-image");

  const Choice choice = choice_of(spec, {{"namespace", "shelf,none"}, {"pseudo", "hide"}});
  ViewBook& images = picture.view(spec.id);

  EXPECT_THAT(images.stats(Filter(Choice{})).stacks, testing::ElementsAre("shelf", "shop"));
  EXPECT_EQ(images.shown(image_id("shop/web"), Filter(choice)), nullptr);
  EXPECT_NE(images.shown(image_id("postgres"), Filter(choice)), nullptr);
  EXPECT_FALSE(choice_of(*find_topology("hosts"), {{"namespace", "shelf"}}).contains("namespace"));
}

// Longer than what a std::string keeps within itself.
TEST(Services, AreChosenByStacksOfLongNames) {
  const Filter filter(
      Choice{{std::string(kStackGroup), "a-shop-with-a-long-name,a-shelf-with-one-too"}});
  Node node;
  node.stacks = {"a-shop-with-a-long-name"};
  EXPECT_FALSE(filter.hides(node));
  node.stacks = {"a-shelf-with-one-too"};
  EXPECT_FALSE(filter.hides(node));
  node.stacks = {"a-shop"};
  EXPECT_TRUE(filter.hides(node));
}

TEST(Services, OfferTheStacksThatThereAre) {
  const auto menu_of = [](const std::set<std::string>& stacks) {
    const boost::json::array menu = topologies_json([&](const TopologySpec& spec) {
      return ViewStats{.stacks =
                           spec.id == TopologyId::SwarmServices ? stacks : std::set<std::string>()};
    });
    for (const boost::json::value& item : menu) {
      if (item.at("url") == "/api/topology/swarm-services") {
        return item.at("options").as_array();
      }
    }
    return boost::json::array();
  };

  EXPECT_EQ(menu_of({}).size(), 1U) << "whether what is unmanaged is shown";
  const boost::json::array groups = menu_of({"shelf", "shop"});
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[1].at("id"), "namespace");
  EXPECT_EQ(groups[1].at("selectType"), "union");
  EXPECT_EQ(groups[1].at("noneLabel"), "All Stacks");
  EXPECT_EQ(groups[1].at("options").at(1),
            (boost::json::value{{"value", "shop"}, {"label", "shop"}}));
}

TEST(Services, AreParentsOfTheirTasks) {
  const probe::Report report = swarm();

  const View view = Picture(report).view(TopologyId::Containers).view();

  EXPECT_THAT(view.at(container_id(kWeb)).parents,
              Contains(Parent{"s1;<swarm_service>", "web", "swarm-services"}));
  const auto raw = raw_report_json(report);
  EXPECT_EQ(
      raw.at("Container").at("nodes").at(container_id(kWeb)).at("parents").at("swarm_service"),
      boost::json::value(boost::json::array{"s1;<swarm_service>"}));
}

TEST(Services, AreNotThereWithoutASwarm) {
  const View view = Picture(cluster()).view(TopologyId::SwarmServices).view();

  for (const auto& [id, node] : view) {
    EXPECT_TRUE(node.pseudo) << id;
  }
}

}  // namespace
}  // namespace weft::app
