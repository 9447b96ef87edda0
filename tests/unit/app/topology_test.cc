#include "app/topology.h"

#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>

#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/picture/children.h"
#include "app/picture/picture.h"
#include "app/render.h"
#include "tests/unit/app/chosen.h"
#include "tests/unit/app/cluster.h"

namespace weft::app {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::Key;
using testing::Not;

class TopologyTest : public testing::Test {
 protected:
  View view(TopologyId id) const { return Picture(report_).view(id).view(); }
  boost::json::value details(TopologyId id, const std::string& node) const {
    Picture picture(report_);
    const ViewBook& book = picture.view(id);
    const auto fresh = [](PeerName) { return 0; };
    Children children(id, book.view().at(node), report_);
    std::size_t work = std::numeric_limits<std::size_t>::max();
    EXPECT_TRUE(children.advance(work));
    return boost::json::parse(
        details_text(book.view().at(node), id, book, children.text(fresh), fresh));
  }

  probe::Report report_ = cluster();
};

std::string pretty(const View& view) {
  std::string text;
  for (const auto& [id, node] : view) {
    text += summary_text(node, [](PeerName) { return 0; }) + "\n";
  }
  return text;
}

// WEFT_GOLDEN_UPDATE=1 writes what is rendered; look at the difference before you commit it.
TEST_F(TopologyTest, RendersEveryViewAsBefore) {
  for (const TopologySpec& spec : topologies()) {
    const std::string path = std::string(WEFT_GOLDEN) + "/" + std::string(spec.path) + ".jsonl";
    View rendered = view(spec.id);
    (void)apply_choice({}, rendered);
    if (std::getenv("WEFT_GOLDEN_UPDATE") != nullptr) {
      std::ofstream(path) << pretty(rendered);
    }
    std::ifstream file(path);
    std::ostringstream golden;
    golden << file.rdbuf();
    EXPECT_EQ(pretty(rendered), golden.str()) << path;
  }
}

TEST_F(TopologyTest, LinksLeadOnlyToNodesOfTheirView) {
  for (const TopologySpec& spec : topologies()) {
    for (const Choice& choice : {Choice{},
                                 Choice{{"pseudo", "hide"}, {"unconnected", "hide"}},
                                 Choice{{"system", "system"}}}) {
      View rendered = view(spec.id);
      (void)apply_choice(choice, rendered);
      for (const auto& [id, node] : rendered) {
        for (const auto& [to, link] : node.links) {
          EXPECT_THAT(rendered, Contains(Key(to))) << spec.path;
        }
      }
    }
  }
}

TEST_F(TopologyTest, TellsOfEveryPathOfAPeerAndItsHealth) {
  probe::HostReport host = *report_.find(kHost1);
  host.overlay.paths = {{.peer = kHost2,
                         .way = "relay",
                         .via = kHost2,
                         .encrypted = true,
                         .lost = true,
                         .rtt_us = 2900,
                         .mtu = 1500,
                         .carried = {.sent_per_second = 1'234'567, .received_per_second = 20}},
                        {.peer = PeerName(1), .way = "clear", .via = {}, .rtt_us = 400}};
  ++host.sequence;
  report_.merge(host);

  const View rendered = view(TopologyId::Weave);

  const Table& paths = rendered.at("#" + kHost1.to_string()).tables.back();
  using Row = std::map<std::string, std::string>;
  EXPECT_EQ(paths.id, "weft_paths");
  const Link& link = rendered.at("#" + kHost1.to_string()).links.at("#" + kHost2.to_string());
  EXPECT_EQ(link.facts.sent_per_second, 1'234'567U);
  EXPECT_EQ(link.facts.rtt_us, 2900U);
  EXPECT_EQ(link.facts.count, 1U);
  EXPECT_THAT(paths.rows,
              ElementsAre(Row{{"peer", "h2.example.org"},
                              {"path", "relay h2.example.org"},
                              {"encrypted", "yes"},
                              {"state", "nothing answers"},
                              {"rtt", "2 ms"},
                              {"sent", "1.2 MB/s"},
                              {"received", "20 B/s"},
                              {"mtu", "1500"}},
                          Row{{"peer", "00:00:00:00:00:01"},
                              {"path", "clear"},
                              {"encrypted", "no"},
                              {"state", "in use"},
                              {"rtt", "under 1 ms"},
                              {"sent", ""},
                              {"received", ""},
                              {"mtu", ""}}));
}

TEST_F(TopologyTest, ListsANetworkThatSeveralInterfacesAreOnOnce) {
  probe::HostReport host = *report_.find(kHost1);
  host.host.networks = {Cidr::parse("fe80::1/64").value(),
                        Cidr::parse("10.0.0.7/24").value(),
                        Cidr::parse("fe80::2/64").value(),
                        Cidr::parse("10.0.0.8/24").value()};
  ++host.sequence;
  report_.merge(host);

  const View rendered = view(TopologyId::Hosts);

  const std::vector<Row>& rows = rendered.at(host_id(kHost1)).metadata;
  EXPECT_THAT(rows,
              Contains(AllOf(Field(&Row::id, "local_networks"),
                             Field(&Row::value, "10.0.0.0/24, fe80::/64"))));
}

TEST_F(TopologyTest, HidesStoppedContainersWhereRunningOnesAreChosen) {
  probe::HostReport host = *report_.find(kHost1);
  host.containers[0].state = probe::ContainerState::Exited;
  ++host.sequence;
  report_.merge(host);
  View rendered = view(TopologyId::Containers);

  const std::size_t dropped = apply_choice({{"stopped", "running"}}, rendered);

  EXPECT_THAT(rendered, Not(Contains(Key(container_id(kWeb)))));
  EXPECT_THAT(rendered, Contains(Key(container_id(kDb))));
  EXPECT_EQ(dropped, 1U);
}

TEST_F(TopologyTest, DropsPseudoNodesThatTalkToNobody) {
  View rendered = view(TopologyId::Containers);
  ASSERT_THAT(rendered, Contains(Key("pseudo:uncontained:" + kHost1.to_string())));

  (void)apply_choice({}, rendered);

  EXPECT_THAT(rendered, Not(Contains(Key("pseudo:uncontained:" + kHost1.to_string()))));
  EXPECT_THAT(rendered, Contains(Key(std::string(kInternetIn))));
}

TEST_F(TopologyTest, ShowsAKnownServiceByItsNameAndNamesWhatElseIsAsked) {
  probe::HostReport host = *report_.find(kHost1);
  host.names = {{ip("203.0.113.9"), "s3.amazonaws.com"}, {ip("203.0.113.10"), "example.org"}};
  host.flows[flow(probe::Direction::Outbound, kWeb, 100, "10.32.0.1", "203.0.113.10", 443)] = {
      .count = 1};
  ++host.sequence;
  report_.merge(host);

  const View rendered = view(TopologyId::Containers);

  const auto& links = rendered.at(container_id(kWeb)).links;
  EXPECT_EQ(rendered.at("service-s3.amazonaws.com").label, "s3.amazonaws.com");
  EXPECT_TRUE(rendered.at("service-s3.amazonaws.com").pseudo);
  EXPECT_THAT(links, Contains(Key("service-s3.amazonaws.com")));
  EXPECT_THAT(links.at(std::string(kInternetOut)).names, ElementsAre("example.org"));
}

TEST_F(TopologyTest, TakesNobodysMachinesForServices) {
  probe::HostReport host = *report_.find(kHost1);
  host.names = {{ip("203.0.113.9"), "ec2-203-0-113-9.compute.amazonaws.com"}};
  ++host.sequence;
  report_.merge(host);

  const View rendered = view(TopologyId::Containers);

  EXPECT_THAT(rendered.at(container_id(kWeb)).links, Contains(Key(std::string(kInternetOut))));
  for (const auto& [id, node] : rendered) {
    EXPECT_THAT(id, Not(testing::StartsWith("service-")));
  }
}

TEST_F(TopologyTest, KeepsSoManyNamesOfALink) {
  probe::HostReport host = *report_.find(kHost1);
  for (int i = 0; i < 40; ++i) {
    const std::string address = fmt::format("203.0.113.{}", 100 + i);
    host.names[ip(address.c_str())] = fmt::format("{}.example.org", 100 + i);
    host.flows[flow(probe::Direction::Outbound, kWeb, 100, "10.32.0.1", address.c_str(), 443)] = {
        .count = 1};
  }
  ++host.sequence;
  report_.merge(host);

  const View rendered = view(TopologyId::Containers);

  const Link& link = rendered.at(container_id(kWeb)).links.at(std::string(kInternetOut));
  EXPECT_THAT(link.names, testing::SizeIs(kNamesOfLink));
  EXPECT_EQ(*link.names.begin(), "100.example.org");
  EXPECT_EQ(link.facts.count, 41U);
}

TEST_F(TopologyTest, GroupsContainersByImage) {
  const View rendered = view(TopologyId::ContainersByImage);

  ASSERT_THAT(rendered, Contains(Key("shop/web;<container_image>")));
  const Node& web = rendered.at("shop/web;<container_image>");
  EXPECT_EQ(web.label_minor, "1 container");
  EXPECT_TRUE(web.links.contains("postgres;<container_image>"));
}

TEST_F(TopologyTest, GroupsContainersByTheNetworksTheyAreOn) {
  probe::HostReport host = *report_.find(kHost1);
  add_container(host, std::string(64, 'c'), "gateway", "nginx", "172.17.0.2");
  host.containers.back().networks = {"weft-net", "bridge"};
  host.flows[flow(
      probe::Direction::Outbound, std::string(64, 'c'), 101, "10.32.0.9", "10.32.0.1", 80)] = {
      .count = 1};
  ++host.sequence;
  report_.merge(host);

  const View rendered = view(TopologyId::ContainersByNetwork);

  const Node& net = rendered.at("weft-net;<network>");
  EXPECT_EQ(net.label_minor, "2 containers");
  EXPECT_EQ(net.metadata.back().value, "10.32.0.0/12");
  EXPECT_TRUE(net.busy);
  const Node& gateway = rendered.at("bridge, weft-net;<network>");
  EXPECT_EQ(gateway.metadata.back().value, "172.17.0.0/16");
  EXPECT_TRUE(gateway.links.contains(net.id));
  const boost::json::value details = this->details(TopologyId::ContainersByNetwork, net.id);
  EXPECT_EQ(details.at("children").at(0).at("nodes").as_array().size(), 2U);
}

TEST_F(TopologyTest, TellsOfANodeWhoAsksItAndWhomItAsks) {
  const boost::json::value web = details(TopologyId::Containers, container_id(kWeb));
  const boost::json::value peer = details(TopologyId::Weave, "#" + kHost2.to_string());

  const auto ids = [](const boost::json::value& of, std::size_t table) {
    std::vector<std::string> found;
    for (const boost::json::value& one :
         of.at("connections").at(table).at("connections").as_array()) {
      found.emplace_back(one.at("nodeId").as_string());
    }
    return found;
  };
  EXPECT_THAT(ids(web, 0), ElementsAre(std::string(kInternetIn)));
  EXPECT_THAT(ids(web, 1), ElementsAre(container_id(kDb), std::string(kInternetOut)));
  EXPECT_THAT(ids(peer, 0), ElementsAre("#" + kHost1.to_string()));
}

TEST(ImageName, IsWithoutRegistryTagAndDigest) {
  EXPECT_EQ(image_name("registry.example.org:5000/library/nginx:1.25@sha256:ab"), "library/nginx");
  EXPECT_EQ(image_name("localhost/nginx"), "nginx");
  EXPECT_EQ(image_name("team/nginx:1"), "team/nginx");
  EXPECT_EQ(image_name("nginx"), "nginx");
  EXPECT_EQ(image_name(""), "");
}

TEST(Frames, SayWhatChanged) {
  const Rendered all{{"a", "1"}, {"b", "2"}, {"c", "3"}};

  EXPECT_EQ(delta_frame({.added = {"5"}, .updated = {"4"}, .removed = {"a"}}),
            R"({"add":[5],"update":[4],"remove":["a"]})");
  EXPECT_EQ(delta_frame({}), R"({"add":null,"update":null,"remove":null})");
  EXPECT_EQ(reset_frame(all), R"({"add":[1,2,3],"update":null,"remove":null,"reset":true})");
}

}  // namespace
}  // namespace weft::app
