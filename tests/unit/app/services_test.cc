#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/facts.h"
#include "app/picture/picture.h"
#include "app/raw/raw_report.h"
#include "tests/unit/app/cluster.h"

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
