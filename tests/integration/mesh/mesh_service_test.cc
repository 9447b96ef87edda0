// Several meshes in one process on loopback sockets and the real clock.
#include "router/io/mesh_service.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/entropy.h"
#include "base/rng.h"
#include "sys/clock.h"

namespace weft::router {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using testing::HasSubstr;

const Ip kLoopback = Ipv4(0x7f000001);

// A port nobody uses right now; taken again at once by the service that asked.
std::uint16_t free_port(asio::io_context& context) {
  const Tcp::acceptor probe(context, {asio::ip::address_v4::loopback(), 0});
  return probe.local_endpoint().port();
}

Psk psk_of(std::uint8_t fill) {
  Psk psk;
  psk.bytes().fill(fill);
  return psk;
}

// One host's mesh, and everything it told its owner.
struct Host {
  Host(asio::io_context& context,
       const sys::Clock& clock,
       std::uint8_t number,
       std::uint8_t password)
      : name(number),
        port(free_port(context)) {
    Mesh::Options options;
    options.name = name;
    options.incarnation = Incarnation(1);
    options.nickname = fmt::format("h{}", number);
    options.version = "test";
    options.key = KeyPair::generate(entropy);
    options.psk = psk_of(password);
    options.port = port;
    options.addresses = {kLoopback};
    auto started = MeshService::start(context.get_executor(),
                                      clock,
                                      {.host = kLoopback, .port = port},
                                      std::make_unique<Mesh>(options, Rng(number), entropy),
                                      [this](MeshAction action) { on_action(std::move(action)); });
    WEFT_ASSERT(started.ok());
    service = std::move(started).value();
  }

  void on_action(MeshAction action) {
    const auto* delivered = std::get_if<Deliver>(&action);
    actions.push_back(action);
    if (delivered != nullptr && delivered->payload == to_bytes("ping")) {
      // From within the callback, as every module does.
      service->send(
          GossipTo{.topic = Topic::Ipam, .to = delivered->from, .payload = to_bytes("pong")});
    }
  }

  std::string target() const { return fmt::format("127.0.0.1:{}", port); }

  bool saw(const MeshAction& wanted) const {
    return std::find(actions.begin(), actions.end(), wanted) != actions.end();
  }

  bool saw_event(const std::string& text) const {
    return std::any_of(actions.begin(), actions.end(), [&](const MeshAction& action) {
      const auto* event = std::get_if<MeshEvent>(&action);
      return event != nullptr && event->detail.find(text) != std::string::npos;
    });
  }

  bool neighbours_with(const Host& other) const {
    return saw(NeighbourUp{.peer = other.name, .underlay = kLoopback});
  }

  SystemEntropy entropy;
  PeerName name;
  std::uint16_t port;
  std::vector<MeshAction> actions;
  std::unique_ptr<MeshService> service;
};

class MeshServiceTest : public testing::Test {
 protected:
  std::unique_ptr<Host> host(std::uint8_t number, std::uint8_t password = 1) {
    return std::make_unique<Host>(context_, clock_, number, password);
  }

  // Runs handlers until `done`; false after 20 seconds, several times what any of this takes.
  bool run_until(const std::function<bool()>& done) {
    const TimePoint deadline = clock_.now() + std::chrono::seconds(20);
    while (!done() && clock_.now() < deadline) {
      context_.restart();
      context_.run_one_for(std::chrono::milliseconds(100));
    }
    return done();
  }

  sys::SystemClock clock_;
  asio::io_context context_;
};

TEST_F(MeshServiceTest, ThreePeersFindEachOtherKnowingOne) {
  const auto first = host(1);
  const auto second = host(2);
  const auto third = host(3);

  second->service->connect(first->target());
  third->service->connect(first->target());

  // Nobody told the second about the third.
  EXPECT_TRUE(run_until(
      [&] { return second->neighbours_with(*third) && third->neighbours_with(*second); }));
  EXPECT_TRUE(first->neighbours_with(*second));
  EXPECT_TRUE(first->neighbours_with(*third));
  for (const ConnectionStatus& connection : first->service->mesh().connections()) {
    EXPECT_TRUE(connection.authenticated);
  }
}

TEST_F(MeshServiceTest, RecordsReachEveryPeerAndCanBeTakenBack) {
  const auto first = host(1);
  const auto second = host(2);
  const auto third = host(3);
  const RecordKey key{.kind = RecordKind::Endpoint, .key = to_bytes("mac")};
  second->service->connect(first->target());
  third->service->connect(first->target());

  second->service->publish({.key = key, .value = to_bytes("address")});
  const RecordChanged stated{.origin = second->name, .key = key, .value = to_bytes("address")};
  ASSERT_TRUE(run_until([&] { return first->saw(stated) && third->saw(stated); }));

  second->service->publish({.key = key, .value = std::nullopt});
  const RecordChanged withdrawn{.origin = second->name, .key = key, .value = std::nullopt};
  EXPECT_TRUE(run_until([&] { return first->saw(withdrawn) && third->saw(withdrawn); }));
}

TEST_F(MeshServiceTest, PayloadIsDeliveredAndAnsweredFromTheCallback) {
  const auto first = host(1);
  const auto second = host(2);
  second->service->connect(first->target());
  ASSERT_TRUE(run_until([&] { return second->saw(PeerReachable{first->name}); }));

  second->service->send(
      GossipTo{.topic = Topic::Ipam, .to = first->name, .payload = to_bytes("ping")});

  EXPECT_TRUE(run_until([&] {
    return second->saw(
        Deliver{.from = first->name, .topic = Topic::Ipam, .payload = to_bytes("pong")});
  }));
}

TEST_F(MeshServiceTest, LargestPayloadArrivesWhole) {
  const auto first = host(1);
  const auto second = host(2);
  second->service->connect(first->target());
  ASSERT_TRUE(run_until([&] { return second->neighbours_with(*first); }));
  const Bytes payload(kGossipPayloadMax, 0x5a);

  second->service->send(
      GossipAll{.topic = Topic::Ring, .except = std::nullopt, .payload = payload});

  EXPECT_TRUE(run_until([&] {
    return first->saw(Deliver{.from = second->name, .topic = Topic::Ring, .payload = payload});
  }));
}

TEST_F(MeshServiceTest, OthersNoticeThatOneStopped) {
  const auto first = host(1);
  const auto second = host(2);
  auto third = host(3);
  second->service->connect(first->target());
  third->service->connect(first->target());
  ASSERT_TRUE(run_until(
      [&] { return second->neighbours_with(*third) && third->neighbours_with(*second); }));
  const PeerName gone = third->name;

  third.reset();

  EXPECT_TRUE(run_until(
      [&] { return first->saw(PeerUnreachable{gone}) && second->saw(PeerUnreachable{gone}); }));
  EXPECT_TRUE(first->saw(NeighbourDown{gone}));
  EXPECT_TRUE(second->saw(NeighbourDown{gone}));
}

TEST_F(MeshServiceTest, WrongPasswordIsRefusedAndNamedOnBothSides) {
  const auto first = host(1, 1);
  const auto second = host(2, 2);

  second->service->connect(first->target());

  EXPECT_TRUE(run_until(
      [&] { return first->saw_event("wrong password") && second->saw_event("wrong password"); }));
  EXPECT_FALSE(first->neighbours_with(*second));
  EXPECT_FALSE(second->neighbours_with(*first));
}

TEST_F(MeshServiceTest, PortInUseIsAnErrorThatNamesIt) {
  const auto first = host(1);
  SystemEntropy entropy;
  Mesh::Options options;
  options.name = PeerName(2);
  options.key = KeyPair::generate(entropy);

  const auto second = MeshService::start(context_.get_executor(),
                                         clock_,
                                         {.host = kLoopback, .port = first->port},
                                         std::make_unique<Mesh>(options, Rng(2), entropy),
                                         [](const MeshAction&) {});

  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, Errc::Os);
  EXPECT_THAT(second.error().what, HasSubstr(first->target()));
}

// Connects a plain socket to a listener on all addresses, over `address`.
bool accepts(asio::io_context& context, const asio::ip::address& address, std::uint16_t port) {
  Tcp::socket socket(context);
  boost::system::error_code error;
  socket.connect({address, port}, error);
  return !error;
}

// False on a machine without IPv6, where nobody can be reached over it.
bool has_v6(asio::io_context& context) {
  Tcp::acceptor acceptor(context);
  boost::system::error_code error;
  acceptor.open(Tcp::v6(), error);
  if (!error) {
    acceptor.bind({asio::ip::address_v6::loopback(), 0}, error);
  }
  return !error;
}

TEST_F(MeshServiceTest, ListensOnBothFamiliesUnlessToldOtherwise) {
  SystemEntropy entropy;
  Mesh::Options options;
  options.name = PeerName(1);
  options.key = KeyPair::generate(entropy);
  const std::uint16_t port = free_port(context_);

  const auto service = MeshService::start(context_.get_executor(),
                                          clock_,
                                          {.host = Ip(), .port = port},
                                          std::make_unique<Mesh>(options, Rng(1), entropy),
                                          [](const MeshAction&) {});

  ASSERT_TRUE(service.ok());
  EXPECT_TRUE(accepts(context_, asio::ip::address_v4::loopback(), port));
  EXPECT_EQ(accepts(context_, asio::ip::address_v6::loopback(), port), has_v6(context_));
}

TEST_F(MeshServiceTest, AFloodOfConnectionsHoldsNoMoreSocketsThanItsShare) {
  const auto alice = host(1);
  const auto bob = host(2);
  std::vector<std::unique_ptr<Tcp::socket>> flood;
  const auto open_files = [] {
    const std::filesystem::directory_iterator files("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(files), end(files)));
  };
  const std::size_t before = open_files();

  for (std::uint64_t i = 1; i <= 400; ++i) {
    flood.push_back(std::make_unique<Tcp::socket>(context_));
    flood.back()->connect({asio::ip::address_v4::loopback(), alice->port});
    ASSERT_TRUE(run_until([&] { return alice->service->stats().accepted == i; }));
  }

  // Ours, 16 strangers, and those that are being told why.
  EXPECT_LE(open_files(), before + flood.size() + 16 + 256 + 8);
  EXPECT_GE(alice->service->stats().farewells_skipped, 100U);
  const HandshakeStats stats = alice->service->mesh().stats().handshakes;
  EXPECT_EQ(stats.dh, 0U);
  EXPECT_EQ(stats.busy, 400U - 16U);
  flood.clear();
  bob->service->connect(alice->target());
  EXPECT_TRUE(run_until([&] { return bob->neighbours_with(*alice); }));
}

}  // namespace
}  // namespace weft::router
