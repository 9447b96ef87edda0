// Names over a real mesh: who knows a container's name, and for how long.
#include "dns/names.h"

#include <chrono>
#include <deque>
#include <map>
#include <set>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/overloaded.h"
#include "tests/sim/mesh/cluster.h"

namespace weft::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A mesh whose nodes run containers. After every step no node answers a name again that it had
// stopped to answer because its container died.
class NamesCluster {
 public:
  explicit NamesCluster(std::size_t peers, std::uint64_t seed, std::uint32_t loss_percent = 0)
      : cluster_({.peers = peers, .seed = seed, .loss_percent = loss_percent}) {
    names_.resize(peers);
    for (std::size_t i = 0; i < peers; ++i) {
      cluster_.node(i).set_listener([this, i](const router::MeshAction& action) { on(i, action); });
    }
  }

  Cluster& cluster() { return cluster_; }
  World& world() { return cluster_.world(); }

  void form() {
    cluster_.net().options().latency_max = milliseconds(1);
    for (std::size_t i = 0; i < names_.size(); ++i) {
      start(i);
      if (i > 0) {
        cluster_.node(i).connect(Cluster::target(0));
      }
    }
    EXPECT_TRUE(cluster_.converges_within(seconds(30)));
  }
  void start(std::size_t host) {
    cluster_.node(host).start();
    names_[host] = std::make_unique<dns::Names>(
        dns::Names::Options{.self = cluster_.node(host).name(),
                            .run = cluster_.node(host).identity().incarnation,
                            .zone = {.domain = dns::Name::parse("weft.local").value()},
                            .seed = 1});
    dns::NamesActions out;
    names_[host]->start(out);
    publish(host, out);
  }
  void crash(std::size_t host) {
    cluster_.node(host).stop(Net::Death::Machine);
    names_[host].reset();
    for (const std::string& name : running_[host]) {
      dead_.insert(name);
    }
    running_[host].clear();
  }

  std::string run_container(std::size_t host) {
    const std::string name = fmt::format("c{}", ++count_);
    dns::NamesActions out;
    const auto watched = names_[host]->watch(owner(name), {entry(name)}, out);
    EXPECT_TRUE(watched.ok());
    publish(host, out);
    running_[host].insert(name);
    return name;
  }
  void kill_container(std::size_t host, const std::string& name) {
    dns::NamesActions out;
    EXPECT_EQ(names_[host]->remove({.owner = owner(name), .address = {}, .name = {}}, out), 1U);
    publish(host, out);
    running_[host].erase(name);
    dead_.insert(name);
  }

  bool knows(std::size_t host, const std::string& name) {
    return names_[host]->zone()->find(entry(name).name.folded()).has_value();
  }
  bool known_to(const std::set<std::size_t>& hosts, const std::string& name) {
    return std::all_of(
        hosts.begin(), hosts.end(), [&](std::size_t host) { return knows(host, name); });
  }
  bool unknown_to(const std::set<std::size_t>& hosts, const std::string& name) {
    return std::none_of(
        hosts.begin(), hosts.end(), [&](std::size_t host) { return knows(host, name); });
  }
  // Everybody who runs knows exactly the containers that run.
  bool settled() {
    for (std::size_t host = 0; host < names_.size(); ++host) {
      if (names_[host] == nullptr) {
        continue;
      }
      for (const auto& [origin, names] : running_) {
        for (const std::string& name : names) {
          if (!knows(host, name)) {
            return false;
          }
        }
      }
      if (std::any_of(
              dead_.begin(), dead_.end(), [&](const auto& name) { return knows(host, name); })) {
        return false;
      }
    }
    return true;
  }

  // How long until `done`, in steps of a millisecond; `limit` if it is not.
  template <class Done>
  Duration time_until(Duration limit, Done done) {
    const TimePoint begin = world().now();
    while (!done() && world().now() - begin < limit) {
      world().run_for(milliseconds(1));
      run_timers();
      check();
    }
    return world().now() - begin;
  }

  void run_timers() {
    for (std::size_t host = 0; host < names_.size(); ++host) {
      if (names_[host] != nullptr && names_[host]->next_deadline() <= world().now()) {
        dns::NamesActions out;
        names_[host]->on_deadline(world().now(), out);
        publish(host, out);
      }
    }
  }
  void check() {
    for (std::size_t host = 0; host < names_.size(); ++host) {
      if (names_[host] == nullptr) {
        continue;
      }
      names_[host]->check_invariants();
      for (const std::string& name : dead_) {
        if (!knows(host, name)) {
          if (seen_[host].contains(name)) {
            forgotten_[host].insert(name);
          }
        } else {
          seen_[host].insert(name);
          ASSERT_FALSE(forgotten_[host].contains(name)) << name << " came back at " << host;
        }
      }
    }
  }

  static std::set<std::size_t> range(std::size_t first, std::size_t last) {
    std::set<std::size_t> hosts;
    for (std::size_t i = first; i <= last; ++i) {
      hosts.insert(i);
    }
    return hosts;
  }

 private:
  static std::string owner(const std::string& name) { return "container-" + name; }
  static dns::NameEntry entry(const std::string& name) {
    return {.name = dns::Name::parse(name + ".weft.local").value(), .address = Ipv4(0x0a200001)};
  }

  void publish(std::size_t host, const dns::NamesActions& actions) {
    for (const PublishRecord& record : actions) {
      cluster_.node(host).publish(record);
    }
  }

  void on(std::size_t host, const router::MeshAction& action) {
    if (names_[host] == nullptr) {
      return;  // Its mesh is only just starting.
    }
    std::visit(overloaded{
                   [&](const RecordChanged& change) { names_[host]->on_record(change); },
                   [&](const router::PeerReachable& peer) {
                     names_[host]->on_peer_reachable(world().now(), peer.peer);
                   },
                   [&](const router::PeerUnreachable& peer) {
                     names_[host]->on_peer_unreachable(peer.peer);
                   },
                   [](const auto&) {},
               },
               action);
  }

  Cluster cluster_;
  std::vector<std::unique_ptr<dns::Names>> names_;
  std::map<std::size_t, std::set<std::string>> running_;
  std::set<std::string> dead_;
  std::map<std::size_t, std::set<std::string>> seen_;
  std::map<std::size_t, std::set<std::string>> forgotten_;
  int count_ = 0;
};

// Also where the host has just dropped the connection that its news travelled on (115, 125 and 130
// of the seeds).
TEST(NamesScenario, ANameIsKnownEverywhereWithinMillisecondsAndGoneAsFast) {
  for (const std::uint64_t seed : {seed_or(1), seed_or(115), seed_or(125), seed_or(130)}) {
    SCOPED_TRACE(seed);
    NamesCluster cluster(12, seed);
    cluster.form();
    const auto all = NamesCluster::range(0, 11);

    const std::string web = cluster.run_container(3);
    EXPECT_LE(cluster.time_until(seconds(5), [&] { return cluster.known_to(all, web); }),
              milliseconds(5));
    (void)cluster.time_until(seconds(1), [] { return false; });
    cluster.kill_container(3, web);
    EXPECT_LE(cluster.time_until(seconds(5), [&] { return cluster.unknown_to(all, web); }),
              milliseconds(5));
  }
}

TEST(NamesScenario, APartitionHidesNamesAndItsEndBringsBackThoseThatStillHold) {
  NamesCluster cluster(8, seed_or(2));
  cluster.form();
  const std::string stays = cluster.run_container(0);
  const std::string dies = cluster.run_container(1);
  EXPECT_LT(cluster.time_until(seconds(5), [&] { return cluster.settled(); }), seconds(1));

  std::set<Ip> here;
  std::set<Ip> there;
  for (std::size_t i = 0; i < 8; ++i) {
    (i < 4 ? here : there).insert(Cluster::address(i));
  }
  cluster.cluster().net().partition(here, there);
  const auto far = NamesCluster::range(4, 7);
  EXPECT_LT(cluster.time_until(seconds(20), [&] { return cluster.unknown_to(far, stays); }),
            seconds(10));
  EXPECT_TRUE(cluster.known_to(NamesCluster::range(0, 3), stays));
  cluster.kill_container(1, dies);
  (void)cluster.run_container(2);
  (void)cluster.run_container(5);
  (void)cluster.time_until(seconds(20), [] { return false; });
  cluster.cluster().net().heal();

  EXPECT_LT(cluster.time_until(seconds(90), [&] { return cluster.settled(); }), seconds(90));
}

TEST(NamesScenario, AHostThatComesBackEmptyDoesNotBringItsOldNames) {
  NamesCluster cluster(6, seed_or(3));
  cluster.form();
  const std::string old = cluster.run_container(2);
  EXPECT_LT(cluster.time_until(seconds(5), [&] { return cluster.settled(); }), seconds(1));
  const auto others = std::set<std::size_t>{0, 1, 3, 4, 5};

  cluster.crash(2);
  EXPECT_LT(cluster.time_until(seconds(20), [&] { return cluster.unknown_to(others, old); }),
            seconds(10));
  cluster.start(2);
  cluster.cluster().node(2).connect(Cluster::target(0));
  const std::string fresh = cluster.run_container(2);
  EXPECT_LT(cluster.time_until(seconds(60), [&] { return cluster.known_to(others, fresh); }),
            seconds(60));
  (void)cluster.time_until(seconds(5), [] { return false; });
  EXPECT_TRUE(cluster.settled());
}

TEST(NamesScenario, ContainersThatComeAndGoOnALossyNetworkEndUpKnownToAll) {
  const std::uint64_t seed = seed_or(4);
  NamesCluster cluster(6, seed, 5);
  cluster.form();
  std::deque<std::pair<std::size_t, std::string>> running;
  Rng rng(seed);
  for (int i = 0; i < 60; ++i) {
    if (!running.empty() && rng.chance(45)) {
      cluster.kill_container(running.front().first, running.front().second);
      running.pop_front();
    } else {
      const std::size_t host = rng.below(6);
      running.emplace_back(host, cluster.run_container(host));
    }
    (void)cluster.time_until(milliseconds(rng.below(40)), [] { return false; });
  }
  EXPECT_LT(cluster.time_until(seconds(60), [&] { return cluster.settled(); }), seconds(60));
}

}  // namespace
}  // namespace weft::sim
