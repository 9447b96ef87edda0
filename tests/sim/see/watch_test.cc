// Probes and apps of a cluster as agent/probe/wiring_probe.cc joins them, over a mesh that delays,
// reorders and loses what they say.
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/app.h"
#include "base/overloaded.h"
#include "probe/probe.h"
#include "tests/sim/world.h"

namespace weft::sim {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;

constexpr std::uint64_t kSeeds = 20;

struct Host {
  explicit Host(PeerName self)
      : name(self),
        probe({.self = self, .incarnation = Incarnation(1), .version = "0"}),
        app({.self = self, .version = "0", .hostname = "h"}) {}

  PeerName name;
  probe::Probe probe;
  app::App app;
  std::uint64_t samples = 0;
  // What a browser here has been told.
  std::string last_frame;
};

class Cluster {
 public:
  Cluster(std::uint64_t seed, std::uint64_t size) : world_(seed) {
    for (std::uint64_t i = 1; i <= size; ++i) {
      const PeerName name(i);
      hosts_.emplace(name, std::make_unique<Host>(name));
    }
    tick();
  }

  World& world() { return world_; }
  Host& host(std::uint64_t name) { return *hosts_.at(PeerName(name)); }
  void cut(std::uint64_t name) { cut_.insert(PeerName(name)); }
  void heal() { cut_.clear(); }

  void open_browser(Host& at) {
    feed_app(at, [&](app::AppActions& out) {
      EXPECT_TRUE(
          at.app.on_client(world_.now(), app::ClientId(1), "/api/topology/hosts/ws", out).ok());
    });
  }
  void close_browser(Host& at) { at.app.on_client_gone(app::ClientId(1)); }

  // Nodes of hosts in the present view, as a script would get them.
  std::string ask(Host& at) {
    std::string body;
    app::AppActions out;
    at.app.on_request(world_.now(), RequestId(1), "/api/topology/hosts", out);
    for (app::AppAction& action : out) {
      if (auto* answer = std::get_if<app::Respond>(&action)) {
        body = answer->body;
      }
    }
    return body;
  }

  std::uint64_t samples() const {
    std::uint64_t count = 0;
    for (const auto& [name, host] : hosts_) {
      count += host->samples;
    }
    return count;
  }

 private:
  // Fine enough for every deadline of the cores, and as coarse as a busy agent's loop.
  void tick() {
    for (auto& item : hosts_) {
      auto& host = *item.second;
      feed_probe(host,
                 [&](probe::ProbeActions& out) { host.probe.on_deadline(world_.now(), out); });
      feed_app(host, [&](app::AppActions& out) { host.app.on_deadline(world_.now(), out); });
      host.probe.check_invariants();
      host.app.check_invariants();
    }
    world_.after(20ms, [this] { tick(); });
  }

  template <class Input>
  void feed_probe(Host& host, Input input) {
    probe::ProbeActions out;
    input(out);
    for (probe::ProbeAction& action : out) {
      std::visit(overloaded{
                     [&](probe::TakeSample) { sample_later(host); },
                     [](probe::Rest) {},
                     [&](probe::Tell& tell) { send(host.name, tell.to, std::move(tell.message)); },
                 },
                 action);
    }
  }

  template <class Input>
  void feed_app(Host& host, Input input) {
    app::AppActions out;
    input(out);
    for (app::AppAction& action : out) {
      std::visit(
          overloaded{
              [](app::Respond&) {},
              [&](app::SendFrame& frame) { host.last_frame = *frame.frame; },
              [&](app::AskPeers) { world_.after(0ms, [this, &host] { tell_peers(host); }); },
              [&](app::SendWatch& watch) { send(host.name, watch.to, std::move(watch.message)); },
          },
          action);
    }
  }

  void tell_peers(Host& host) {
    std::vector<app::PeerFacts> peers;
    for (const auto& [name, other] : hosts_) {
      peers.push_back({.name = name, .nickname = "", .reachable = can_talk(host.name, name)});
    }
    feed_app(host, [&](app::AppActions& out) { host.app.on_peers(world_.now(), peers, out); });
  }

  void sample_later(Host& host) {
    ++host.samples;
    world_.after(5ms, [this, &host] {
      probe::Sample sample;
      sample.at = world_.now();
      sample.cost = 1ms;
      sample.host.name = fmt::format("host{}", host.name.number());
      sample.host.load1 = static_cast<double>(host.samples);
      feed_probe(host, [&](probe::ProbeActions& out) {
        host.probe.on_sample(world_.now(), sample, {}, out);
      });
    });
  }

  bool can_talk(PeerName a, PeerName b) const {
    return a == b || (!cut_.contains(a) && !cut_.contains(b));
  }

  void send(PeerName from, PeerName to, Bytes message) {
    const bool is_lost = from != to && world_.rng().chance(10);
    if (is_lost || !can_talk(from, to)) {
      return;
    }
    const Duration delay = from == to ? 0ms : std::chrono::milliseconds(1 + world_.rng().below(80));
    world_.after(delay, [this, from, to, message = std::move(message)] {
      deliver(from, *hosts_.at(to), message);
    });
  }

  void deliver(PeerName from, Host& to, const Bytes& message) {
    const auto decoded = probe::decode_message(message);
    ASSERT_TRUE(decoded.ok());
    if (const auto* watch = std::get_if<probe::Watch>(&decoded.value())) {
      feed_probe(to, [&](probe::ProbeActions& out) {
        to.probe.on_watch(world_.now(), from, *watch, out);
      });
      return;
    }
    feed_app(to, [&](app::AppActions& out) { to.app.on_report(world_.now(), from, message, out); });
  }

  World world_;
  std::map<PeerName, std::unique_ptr<Host>> hosts_;
  std::set<PeerName> cut_;
};

std::size_t hosts_in(const std::string& body) {
  std::size_t count = 0;
  for (std::size_t at = body.find(";<host>\",\"label\""); at != std::string::npos;
       at = body.find(";<host>\",\"label\"", at + 1)) {
    ++count;
  }
  return count;
}

TEST(WatchScenario, OneBrowserSeesAllHostsOverAMeshThatLosesATenth) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Cluster cluster(seed, 8);
    cluster.open_browser(cluster.host(3));

    cluster.world().run_for(12s);

    EXPECT_EQ(hosts_in(cluster.ask(cluster.host(3))), 8U) << "seed " << seed;
    EXPECT_FALSE(cluster.host(4).app.is_looking()) << "seed " << seed;
  }
}

TEST(WatchScenario, AHostThatIsCutOffIsShownAsLateAndComesBack) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Cluster cluster(seed, 5);
    cluster.open_browser(cluster.host(1));
    cluster.world().run_for(12s);

    cluster.cut(2);
    cluster.world().run_for(20s);
    EXPECT_THAT(cluster.ask(cluster.host(1)), testing::HasSubstr("\"stale\":")) << "seed " << seed;
    EXPECT_FALSE(cluster.host(2).probe.is_watched()) << "its lease has run out";

    cluster.heal();
    cluster.world().run_for(15s);
    EXPECT_THAT(cluster.ask(cluster.host(1)), testing::Not(testing::HasSubstr("\"stale\":")))
        << "seed " << seed;
  }
}

TEST(WatchScenario, NobodyLooksAtAnythingOnceTheLastBrowserHasGone) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Cluster cluster(seed, 5);
    cluster.open_browser(cluster.host(1));
    cluster.open_browser(cluster.host(2));
    cluster.world().run_for(10s);
    cluster.close_browser(cluster.host(1));
    cluster.close_browser(cluster.host(2));
    cluster.world().run_for(30s);
    const std::uint64_t before = cluster.samples();

    cluster.world().run_for(60s);

    EXPECT_GT(before, 0U);
    EXPECT_EQ(cluster.samples(), before) << "seed " << seed;
  }
}

}  // namespace
}  // namespace weft::sim
