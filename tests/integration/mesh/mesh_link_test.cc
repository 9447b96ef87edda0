#include "router/io/mesh_link.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::router {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::size_t kQueueMax = 1U << 20U;

// A link, and everything it said.
struct Probe {
  Probe(asio::io_context& context, std::size_t queue_max = kQueueMax)
      : link(std::make_shared<MeshLink>(
          context.get_executor(),
          queue_max,
          MeshLink::Handlers{
              .on_connected =
                  [this](Endpoint local, Endpoint remote) {
                    connected = {local, remote};
                  },
              .on_bytes =
                  [this](ByteView bytes) {
                    received.insert(received.end(), bytes.begin(), bytes.end());
                  },
              .on_closed = [this](const std::string& reason) { closed.push_back(reason); }})) {}

  ~Probe() { link->abandon(); }

  std::shared_ptr<MeshLink> link;
  std::vector<Endpoint> connected;
  Bytes received;
  std::vector<std::string> closed;
};

class MeshLinkTest : public testing::Test {
 protected:
  MeshLinkTest() : acceptor_(context_, {asio::ip::address_v4::loopback(), 0}), peer_(context_) {}

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

  // Runs handlers until `done`; false after ten seconds.
  bool run_until(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!done() && std::chrono::steady_clock::now() < deadline) {
      context_.restart();
      context_.run_one_for(std::chrono::milliseconds(100));
    }
    return done();
  }

  // Joins `probe` with a plain socket of ours.
  void join(Probe& probe) {
    bool accepted = false;
    acceptor_.async_accept(peer_, [&](const boost::system::error_code&) { accepted = true; });
    probe.link->dial({.host = "127.0.0.1", .port = port()});
    ASSERT_TRUE(run_until([&] { return accepted && !probe.connected.empty(); }));
  }

  // What the plain socket reads until the other side says goodbye.
  std::string read_to_end() {
    std::string text;
    bool ended = false;
    asio::async_read(peer_,
                     asio::dynamic_buffer(text),
                     [&](const boost::system::error_code&, std::size_t) { ended = true; });
    EXPECT_TRUE(run_until([&] { return ended; }));
    return text;
  }

  asio::io_context context_;
  Tcp::acceptor acceptor_;
  Tcp::socket peer_;
};

TEST_F(MeshLinkTest, DialsAnAddressAndNamesBothEnds) {
  Probe probe(context_);

  join(probe);

  const Endpoint ours = from_asio(peer_.remote_endpoint());
  const Endpoint theirs = from_asio(peer_.local_endpoint());
  EXPECT_THAT(probe.connected, ElementsAre(ours, theirs));
  EXPECT_THAT(probe.closed, IsEmpty());
}

TEST_F(MeshLinkTest, DialsAName) {
  Probe probe(context_);
  acceptor_.async_accept(peer_, [](const boost::system::error_code&) {});

  probe.link->dial(
      {.host = "localhost", .port = port()});  // ::1 may come first, where nobody listens.

  EXPECT_TRUE(run_until([&] { return !probe.connected.empty(); }));
}

TEST_F(MeshLinkTest, SaysThatNobodyListens) {
  Probe probe(context_);
  const std::uint16_t free_port = port();
  acceptor_.close();

  probe.link->dial({.host = "127.0.0.1", .port = free_port});

  ASSERT_TRUE(run_until([&] { return !probe.closed.empty(); }));
  EXPECT_THAT(probe.closed, ElementsAre("connect: Connection refused"));
  EXPECT_THAT(probe.connected, IsEmpty());
}

TEST_F(MeshLinkTest, SaysThatANameDoesNotResolve) {
  Probe probe(context_);

  probe.link->dial({.host = "no such host", .port = 1});

  ASSERT_TRUE(run_until([&] { return !probe.closed.empty(); }));
  EXPECT_THAT(probe.closed, ElementsAre(HasSubstr("resolve: ")));
}

TEST_F(MeshLinkTest, CarriesBytesBothWays) {
  Probe probe(context_);
  join(probe);
  const Bytes large(300000, 7);

  probe.link->send(to_bytes("to the peer"));
  asio::async_write(
      peer_, asio::buffer(large), [](const boost::system::error_code&, std::size_t) {});
  ASSERT_TRUE(run_until([&] { return probe.received.size() == large.size(); }));
  probe.link->close();

  EXPECT_EQ(probe.received, large);
  EXPECT_EQ(read_to_end(), "to the peer");
}

// A new neighbour is greeted by modules that hear of it a few turns later.
TEST_F(MeshLinkTest, WhatIsSetOffBySomethingSaidTravelsWithIt) {
  Probe probe(context_);
  join(probe);

  probe.link->send(to_bytes("accept"));
  std::function<void(int)> greet_in = [&](int turns) {
    if (turns == 0) {
      probe.link->send(to_bytes("hi!"));
    } else {
      asio::post(context_, [&, turns] { greet_in(turns - 1); });
    }
  };
  asio::post(context_, [&] { greet_in(2); });
  ASSERT_TRUE(run_until([&] { return peer_.available() > 0; }));

  EXPECT_EQ(peer_.available(), std::string("accepthi!").size());
}

TEST_F(MeshLinkTest, CloseSendsWhatIsQueuedAndReportsNothing) {
  Probe probe(context_);
  join(probe);
  asio::write(peer_, asio::buffer("never read by the link", 22));

  probe.link->send(Bytes(200000, 'x'));
  probe.link->send(to_bytes("last words"));
  probe.link->close();
  const std::string text = read_to_end();

  EXPECT_THAT(text, SizeIs(200010));
  EXPECT_THAT(text, testing::EndsWith("last words"));
  EXPECT_THAT(probe.closed, IsEmpty());
}

TEST_F(MeshLinkTest, ReportsThatThePeerClosed) {
  Probe probe(context_);
  join(probe);

  peer_.close();

  ASSERT_TRUE(run_until([&] { return !probe.closed.empty(); }));
  EXPECT_THAT(probe.closed, ElementsAre("closed by the peer"));
}

TEST_F(MeshLinkTest, LosesAPeerThatDoesNotRead) {
  Probe probe(context_);
  join(probe);

  // The kernel's buffers take some of it; they end somewhere.
  const Bytes piece(kQueueMax / 4, 1);
  for (int i = 0; i < 1000 && probe.closed.empty(); ++i) {
    probe.link->send(piece);
    context_.restart();
    context_.poll();
  }

  EXPECT_THAT(probe.closed, ElementsAre(HasSubstr("send queue is full")));
}

TEST_F(MeshLinkTest, AnAbandonedDialIsNeverHeardOfAgain) {
  Probe probe(context_);
  probe.link->dial({.host = "127.0.0.1", .port = port()});

  probe.link->abandon();
  context_.run_for(std::chrono::milliseconds(50));

  EXPECT_THAT(probe.connected, IsEmpty());
  EXPECT_THAT(probe.closed, IsEmpty());
}

TEST(MeshLinkAddress, MappedIpv4IsIpv4) {
  EXPECT_EQ(from_asio(asio::ip::make_address("::ffff:10.1.2.3")), Ip::parse("10.1.2.3").value());
  EXPECT_EQ(from_asio(asio::ip::make_address("10.1.2.3")), Ip::parse("10.1.2.3").value());
  EXPECT_EQ(from_asio(asio::ip::make_address("fd00::1")), Ip::parse("fd00::1").value());
  EXPECT_EQ(to_asio(Ip::parse("fd00::1").value()), asio::ip::make_address("fd00::1"));
  EXPECT_EQ(to_asio(Ip::parse("10.1.2.3").value()), asio::ip::make_address("10.1.2.3"));
}

}  // namespace
}  // namespace weft::router
