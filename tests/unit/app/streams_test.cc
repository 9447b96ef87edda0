// A large cluster as a client sees it come: a first frame of what there is, then the rest, and
// answers that are whole all the same.
#include "app/streams.h"

#include <algorithm>
#include <map>
#include <set>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/app.h"
#include "probe/report/codec.h"
#include "tests/unit/app/cluster.h"

namespace weft::app {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;
namespace json = boost::json;

constexpr std::uint32_t kHosts = 120;
constexpr std::uint32_t kContainers = 40;

std::string id_of(std::uint32_t host, std::uint32_t container) {
  return fmt::format("{:04x}{:04x}{:056x}", host, container, 0);
}

std::string address_of(std::uint32_t host, std::uint32_t container) {
  return fmt::format("10.32.{}.{}", host, container + 1);
}

// Each first container asks the one of the next host.
probe::HostReport report_of(std::uint32_t host, std::uint64_t sequence) {
  using enum probe::Direction;
  probe::HostReport report = empty_host(PeerName(host + 1), fmt::format("h{}", host), "192.0.2.1");
  report.sequence = sequence;
  report.host.networks = {};
  for (std::uint32_t i = 0; i < kContainers; ++i) {
    add_container(
        report, id_of(host, i), fmt::format("c{}", i), "nginx", address_of(host, i).c_str());
  }
  const std::uint32_t next = (host + 1) % kHosts;
  const std::uint32_t previous = (host + kHosts - 1) % kHosts;
  const std::string own = address_of(host, 0);
  const auto told = [&](probe::Direction direction, std::uint32_t other) -> probe::FlowFacts& {
    return report
        .flows[flow(direction, id_of(host, 0), 100, own.c_str(), address_of(other, 0).c_str(), 80)];
  };
  told(Outbound, next) = {.count = 1, .sent_per_second = sequence};
  told(Inbound, previous) = {.count = 1};
  return report;
}

// What a client knows after the frames that it was sent.
class Client {
 public:
  void hear(const std::string& text) {
    const json::value frame = json::parse(text);
    ++frames_;
    const bool is_reset = frame.as_object().contains("reset");
    EXPECT_EQ(is_reset, frames_ == 1) << "only the first";
    for (const char* const kind : {"add", "update"}) {
      if (!frame.at(kind).is_null()) {
        for (const json::value& node : frame.at(kind).as_array()) {
          const std::string id(node.at("id").as_string());
          EXPECT_EQ(nodes_.contains(id), std::string_view(kind) == "update") << id;
          nodes_[id] = node;
        }
      }
    }
    const auto* const loading = frame.as_object().if_contains("loading");
    hosts_.push_back(loading == nullptr ? kHosts : loading->at("hosts").to_number<std::uint32_t>());
    is_whole_ = loading == nullptr;
  }

  std::size_t frames() const { return frames_; }
  bool is_whole() const { return is_whole_; }
  const std::map<std::string, json::value>& nodes() const { return nodes_; }
  const std::vector<std::uint32_t>& hosts() const { return hosts_; }

 private:
  std::size_t frames_ = 0;
  bool is_whole_ = false;
  std::map<std::string, json::value> nodes_;
  std::vector<std::uint32_t> hosts_;  // That each frame says are shown.
};

class StreamsTest : public testing::Test {
 protected:
  void look(const std::string& target) {
    ASSERT_TRUE(app_.on_client(now_, ClientId(1), target, out_).ok());
    std::vector<PeerFacts> peers;
    for (std::uint32_t host = 0; host < kHosts; ++host) {
      peers.push_back({PeerName(host + 1), "", true});
    }
    app_.on_peers(now_, peers, out_);
  }

  void tell(std::uint32_t host, std::uint64_t sequence = 1) {
    const probe::HostReport report = report_of(host, sequence);
    app_.on_report(now_, report.origin, probe::encode_report(report), out_);
    hear();
  }
  void tell_all(std::uint64_t sequence = 1) {
    for (std::uint32_t host = 0; host < kHosts; ++host) {
      tell(host, sequence);
    }
  }

  void hear() {
    for (const AppAction& action : std::exchange(out_, {})) {
      if (const auto* const frame = std::get_if<SendFrame>(&action)) {
        client_.hear(*frame->frame);
      } else if (const auto* const answer = std::get_if<Respond>(&action)) {
        answers_.emplace(answer->request, *answer);
      }
    }
  }

  // What the agent's loop calls next, as often as it is due at once.
  std::size_t work() {
    std::size_t slices = 0;
    for (; app_.next_deadline() <= now_; ++slices) {
      app_.on_deadline(now_, out_);
      app_.check_invariants();
      hear();
    }
    return slices;
  }

  void pass(Duration duration) {
    for (const TimePoint end = now_ + duration; now_ < end;) {
      now_ = std::min(end, std::max(now_ + 1ms, app_.next_deadline()));
      (void)work();
    }
  }

  json::value answered(std::uint64_t request) {
    const auto found = answers_.find(RequestId(request));
    return found == answers_.end() ? json::value() : json::parse(found->second.body);
  }

  // The client knows what a request for the same is answered with.
  void expect_whole(const std::string& target) {
    app_.on_request(now_, RequestId(99), target, out_);
    hear();
    (void)work();
    const json::value answer = answered(99);
    ASSERT_FALSE(answer.is_null());
    const json::object& nodes = answer.at("nodes").as_object();
    ASSERT_EQ(client_.nodes().size(), nodes.size());
    for (const auto& [id, node] : client_.nodes()) {
      ASSERT_EQ(node, nodes.at(id));
    }
  }

  TimePoint now_{1000s};
  App app_{{.self = PeerName(1), .version = "", .hostname = ""}};
  AppActions out_;
  Client client_;
  std::map<RequestId, Respond> answers_;
};

TEST_F(StreamsTest, ShowsAPartAtOnceAndTheRestAsItIsMade) {
  look("/api/topology/containers/ws?t=5s");
  tell_all();
  ASSERT_EQ(client_.frames(), 1U) << "with the last answer";
  EXPECT_FALSE(client_.is_whole());
  EXPECT_FALSE(client_.nodes().empty());
  EXPECT_LT(client_.nodes().size(), kHosts * kContainers / 2);

  EXPECT_GT(work(), 3U) << "slices";
  pass(400ms);

  EXPECT_TRUE(client_.is_whole());
  EXPECT_TRUE(std::is_sorted(client_.hosts().begin(), client_.hosts().end()));
  expect_whole("/api/topology/containers?t=5s");
  EXPECT_EQ(client_.nodes().size(), kHosts * kContainers);
}

TEST_F(StreamsTest, ShowsWhatThereIsWhileAHostDoesNotAnswer) {
  look("/api/topology/hosts/ws");
  for (std::uint32_t host = 1; host < kHosts; ++host) {
    tell(host);
  }
  EXPECT_EQ(client_.frames(), 0U) << "the last may answer any moment";

  pass(150ms);
  EXPECT_EQ(client_.frames(), 1U);
  pass(200ms);
  EXPECT_EQ(client_.hosts().back(), kHosts - 1);
  EXPECT_FALSE(client_.is_whole());
  const auto& nodes = client_.nodes();
  EXPECT_TRUE(std::none_of(nodes.begin(), nodes.end(), [](const auto& node) {
    return node.second.as_object().contains("adjacency");
  })) << "where connections lead is not known before all have told";

  tell(0);
  pass(600ms);
  EXPECT_TRUE(client_.is_whole());
  expect_whole("/api/topology/hosts");
  EXPECT_TRUE(nodes.at(host_id(PeerName(1))).as_object().contains("adjacency"));
}

TEST_F(StreamsTest, AnswersAreWholeWhatIsAskedMeanwhileIsNotHeldUp) {
  look("/api/topology/containers/ws?t=5s");
  app_.on_request(now_, RequestId(1), "/api/topology/containers", out_);
  tell_all();
  app_.on_request(now_, RequestId(2), "/api/topology", out_);
  app_.on_request(now_, RequestId(3), "/api", out_);
  hear();
  EXPECT_TRUE(answered(1).is_null());
  EXPECT_TRUE(answered(2).is_null());
  EXPECT_EQ(answered(3).at("hosts").as_array().size(), kHosts);

  pass(600ms);

  EXPECT_EQ(answered(1).at("nodes").as_object().size(), kHosts * kContainers);
  const json::value menu = answered(2);
  const auto count = [](const json::value& topology) {
    return topology.at("stats").at("nonpseudo_node_count").to_number<std::uint32_t>();
  };
  EXPECT_EQ(count(menu.at(0)), kHosts * kContainers) << "processes";
  EXPECT_EQ(count(menu.at(1)), kHosts * kContainers) << "containers";
}

TEST_F(StreamsTest, IsWholeOnceThoughHostsNeverStopTelling) {
  look("/api/topology/containers/ws?t=5s");
  app_.on_request(now_, RequestId(1), "/api/topology/containers", out_);
  tell_all();
  std::uint64_t sequence = 1;
  for (int turn = 0; turn < 40 && (!client_.is_whole() || answered(1).is_null()); ++turn) {
    ++sequence;
    for (std::uint32_t host = 0; host < kHosts; ++host) {
      tell(host, sequence);
      now_ += 1ms;
      app_.on_deadline(now_, out_);  // Once, though more is due.
      hear();
    }
  }

  EXPECT_TRUE(client_.is_whole());
  EXPECT_FALSE(answered(1).is_null());
  pass(1s);
  expect_whole("/api/topology/containers?t=5s");
}

TEST_F(StreamsTest, WhoComesLaterKnowsWhatTheOthersKnow) {
  look("/api/topology/containers/ws?t=5s");
  tell_all();
  Client other;
  ASSERT_TRUE(app_.on_client(now_, ClientId(2), "/api/topology/containers/ws?t=5s", out_).ok());
  for (int slice = 0; slice < 1000 && !other.is_whole(); ++slice) {
    for (const AppAction& action : std::exchange(out_, {})) {
      const auto* const frame = std::get_if<SendFrame>(&action);
      if (frame != nullptr && frame->client == ClientId(2)) {
        other.hear(*frame->frame);
      } else if (frame != nullptr) {
        client_.hear(*frame->frame);
      }
    }
    now_ = std::max(now_, app_.next_deadline());
    app_.on_deadline(now_, out_);
  }

  EXPECT_TRUE(other.is_whole());
  EXPECT_EQ(other.nodes().size(), kHosts * kContainers);
  EXPECT_EQ(other.nodes(), client_.nodes());
}

}  // namespace
}  // namespace weft::app
