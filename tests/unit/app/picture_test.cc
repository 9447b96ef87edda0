// What is kept as reports come is what is made of the same reports at once: thousands of random
// changes of small, quarrelsome clusters, whose hosts claim each other's addresses.
#include "app/picture/picture.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/picture/edge_book.h"
#include "base/rng.h"
#include "tests/unit/app/chosen.h"
#include "tests/unit/app/cluster.h"

namespace weft::app {
namespace {

using probe::ContainerFacts;
using probe::FlowKey;
using probe::HostReport;
using testing::SizeIs;

constexpr std::uint32_t kHosts = 4;

// Few of each, so that they meet.
class Chance {
 public:
  explicit Chance(std::uint64_t seed) : rng_(seed) {}

  std::uint32_t below(std::uint32_t count) { return static_cast<std::uint32_t>(rng_.below(count)); }
  bool one_in(std::uint32_t count) { return below(count) == 0; }
  PeerName host() { return PeerName(1 + below(kHosts)); }

  Ip address() {
    switch (below(8)) {
      case 0:
        return ip("127.0.0.1");
      case 1:
        return ip("0.0.0.0");
      case 2:
        return Ip::parse(fmt::format("198.51.100.{}", below(2))).value();  // Outside.
      case 3:
        return Ip::parse(fmt::format("192.0.2.{}", 1 + below(kHosts))).value();  // A host.
      case 4:
        return Ip::parse(fmt::format("fd00::{}", below(3))).value();
      default:
        return Ip::parse(fmt::format("10.32.0.{}", below(5))).value();
    }
  }

  std::string container() {
    return one_in(3) ? "" : std::string(64, static_cast<char>('a' + below(5)));
  }
  std::uint16_t port() { return static_cast<std::uint16_t>(80 + below(2)); }
  Transport transport() { return one_in(3) ? Transport::Udp : Transport::Tcp; }

  ContainerFacts container_facts(const std::string& id) {
    ContainerFacts facts;
    facts.id = id;
    facts.name = id.substr(0, 2 + below(2));
    facts.image = one_in(2) ? "nginx:1" : "pause";
    facts.hostname = one_in(2) ? "web" : one_in(4) ? "service-s3.amazonaws.com" : "";
    facts.state = one_in(4) ? probe::ContainerState::Exited : probe::ContainerState::Running;
    facts.host_network = one_in(5);
    facts.usage = {.cpu_percent = double(below(3)), .memory_bytes = below(3)};
    facts.addresses = {address(), address()};
    facts.networks = {one_in(2) ? "weft-net" : "bridge"};
    if (one_in(3)) {
      facts.labels = {{"com.docker.swarm.service.id", one_in(2) ? "s1" : "s2"},
                      {"com.docker.swarm.service.name", "web"},
                      {"com.docker.stack.namespace", one_in(2) ? "shop" : "shelf"}};
    }
    if (one_in(2)) {
      facts.ports = {
          {.outside = {ip("0.0.0.0"), port()}, .inside = port(), .transport = transport()}};
    }
    return facts;
  }

  void change_flow(HostReport& report) {
    FlowKey key{.transport = transport(),
                .direction = one_in(2) ? probe::Direction::Inbound : probe::Direction::Outbound,
                .netns = below(2),
                .container = container(),
                .pid = one_in(3) ? 0 : 2 + below(3),
                .local = address(),
                .remote = address(),
                .port = port()};
    report.flows[key] = {.count = 1 + below(3),
                         .sent_per_second = below(3),
                         .received_per_second = below(3),
                         .rtt_us = below(100),
                         .opened = below(9),
                         .sent = below(3)};
    if (report.flows.size() > 12 || one_in(4)) {
      report.flows.erase(
          std::next(report.flows.begin(), below(std::uint32_t(report.flows.size()))));
    }
  }

  void change_container(HostReport& report) {
    const std::string id(64, static_cast<char>('a' + below(5)));
    const bool was_there =
        std::erase_if(report.containers, [&](const auto& c) { return c.id == id; }) > 0;
    if (!was_there || one_in(2)) {
      report.containers.push_back(container_facts(id));
    }
    std::sort(report.containers.begin(), report.containers.end(), [](const auto& a, const auto& b) {
      return a.id < b.id;
    });
  }

  void change_process(HostReport& report) {
    const std::uint32_t pid = 2 + below(3);
    const bool was_there =
        std::erase_if(report.processes, [&](const auto& p) { return p.pid == pid; }) > 0;
    if (!was_there || one_in(2)) {
      report.processes.push_back({.pid = pid,
                                  .parent = below(4),
                                  .name = one_in(2) ? "httpd" : "sh",
                                  .container = container()});
    }
    std::sort(report.processes.begin(), report.processes.end(), [](const auto& a, const auto& b) {
      return a.pid < b.pid;
    });
  }

  void change_name(HostReport& report) {
    const char* const names[] = {"s3.amazonaws.com", "a.googleapis.com", "example.org"};
    const Ip named = address();
    report.names.erase(named);
    if (!one_in(3)) {
      report.names.emplace(named, names[below(3)]);
    }
  }

  void change(HostReport& report) {
    switch (below(10)) {
      case 0:
        return change_container(report);
      case 1:
        return change_process(report);
      case 2:
        report.overlay.endpoints = {{.mac = Mac(), .addresses = {address(), address()}}};
        return;
      case 3:
        report.host.networks = {Cidr(address(), 24), Cidr(address(), 30)};
        report.overlay.range = one_in(2) ? "10.32.0.0/12" : "";
        return;
      case 9:
        return change_name(report);
      case 4:
        report.host.name = one_in(2) ? "one" : "two";
        report.overlay.links = {{.address = "",
                                 .peer = 1 + below(kHosts),
                                 .outbound = true,
                                 .state = "established",
                                 .reason = ""}};
        return;
      default:
        return change_flow(report);
    }
  }

 private:
  Rng rng_;
};

std::vector<Choice> choices() {
  return {{},
          {{"unconnected", "hide"}, {"stopped", "running"}},
          {{"system", "application"}, {"pseudo", "hide"}},
          {{"system", "system"}, {"stopped", "stopped"}, {"unconnected", "hide"}},
          {{"namespace", "shop,other"}, {"pseudo", "hide"}}};
}

bool offers(const TopologySpec& spec, std::string_view group) {
  return (group == kStackGroup && spec.has_stacks)
         || std::any_of(spec.options.begin(), spec.options.end(), [&](const OptionGroup& offered) {
              return offered.id == group;
            });
}

// Somebody who is told of changes alone.
class Follower {
 public:
  Follower(TopologyId topology, Choice choice) : topology_(topology), choice_(std::move(choice)) {}

  TopologyId topology() const { return topology_; }
  const View& shown() const { return shown_; }

  void hear(const ViewBook& view, const std::set<std::string>& changed) {
    for (const std::string& id : changed) {
      shown_.erase(id);
      const Filter filter(choice_);
      if (const Node* const node = view.shown(id, filter)) {
        Node& copy = shown_.emplace(id, *node).first->second;
        std::erase_if(copy.links,
                      [&](const auto& link) { return !view.is_listed(link.first, filter); });
      }
    }
  }

  void forget() { shown_.clear(); }

  View expected(View all) const {
    (void)apply_choice(choice_, all);
    return all;
  }

 private:
  TopologyId topology_;
  Choice choice_;
  View shown_;
};

class Followed {
 public:
  explicit Followed(std::uint64_t seed) : chance_(seed), seed_(seed) {
    for (const TopologySpec& spec : topologies()) {
      for (Choice choice : choices()) {
        std::erase_if(choice, [&](const auto& item) { return !offers(spec, item.first); });
        followers_.emplace_back(spec.id, choice);
      }
    }
  }

  // Several hosts may tell before somebody asks.
  void step() {
    for (std::uint32_t i = 0; i <= chance_.below(3); ++i) {
      change_a_host();
      do_a_part();
    }
  }

  // Views are made a part at a time, and dropped at any time.
  void do_a_part() {
    const std::span<const TopologySpec> all = topologies();
    if (chance_.one_in(8)) {
      const TopologyId kept = all[chance_.below(std::uint32_t(all.size()))].id;
      picture_.keep_only({kept});
      for (Follower& follower : followers_) {
        if (follower.topology() != kept) {
          follower.forget();
        }
      }
    }
    if (chance_.one_in(4)) {
      picture_.want(all[chance_.below(std::uint32_t(all.size()))].id);
    }
    using enum Picture::Stage;
    for (std::uint32_t i = chance_.below(4); i > 0; --i) {
      std::size_t work = 1 + chance_.below(12);
      picture_.advance(work, chance_.one_in(4) ? Nodes : All);
    }
  }

  void change_a_host() {
    const PeerName name = chance_.host();
    if (chance_.one_in(12)) {
      report_.forget(name);
    } else {
      const HostReport* const before = report_.find(name);
      HostReport report = before == nullptr ? HostReport() : *before;
      report.origin = name;
      ++report.sequence;
      for (std::uint32_t i = 0; i <= chance_.below(3); ++i) {
        chance_.change(report);
      }
      report_.merge(report);
    }
    picture_.update(name);
  }

  void check() {
    Picture fresh(report_);
    ASSERT_EQ(picture_.scene().edges, fresh.scene().edges) << "seed " << seed_;
    ASSERT_TRUE(picture_.is_done(Picture::Stage::All));
    for (const TopologySpec& spec : topologies()) {
      ViewBook& view = picture_.view(spec.id);
      const View& expected = fresh.view(spec.id).view();
      ASSERT_EQ(view.view(), expected) << spec.path << ", seed " << seed_;
      const std::set<std::string> changed = view.take_changed();
      for (Follower& follower : followers_) {
        if (follower.topology() == spec.id) {
          follower.hear(view, changed);
          ASSERT_EQ(follower.shown(), follower.expected(expected))
              << spec.path << ", seed " << seed_;
        }
      }
    }
  }

 private:
  Chance chance_;
  std::uint64_t seed_;
  probe::Report report_;
  Picture picture_{report_};
  std::vector<Follower> followers_;
};

TEST(Picture, IsAfterAnyChangesWhatAllReportsComeTo) {
  constexpr std::uint64_t kSeeds = 40;
  constexpr int kSteps = 60;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Followed followed(seed);
    for (int step = 0; step < kSteps && !testing::Test::HasFatalFailure(); ++step) {
      followed.step();
      followed.check();
    }
  }
}

TEST(Picture, TellsOnlyOfWhatChanged) {
  probe::Report report = cluster();
  Picture picture(report);
  (void)picture.view(TopologyId::Containers).take_changed();
  HostReport one = *report.find(kHost1);
  ++one.sequence;
  one.containers[0].usage.cpu_percent = 99;
  report.merge(one);

  picture.update(kHost1);

  EXPECT_THAT(picture.view(TopologyId::Containers).take_changed(),
              testing::ElementsAre(container_id(kWeb)));
}

TEST(Picture, ForgetsTheHostThatAFullReportDropped) {
  probe::Report report = cluster();
  Picture picture(report);
  ASSERT_THAT(picture.view(TopologyId::Hosts).view(), SizeIs(5));  // And the Internet, local ones.
  report.forget(kHost2);

  picture.update(kHost1);

  EXPECT_THAT(picture.view(TopologyId::Hosts).view(), SizeIs(4));
}

}  // namespace
}  // namespace weft::app
