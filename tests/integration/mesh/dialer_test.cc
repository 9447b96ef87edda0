// Several addresses of one peer, on the loopback device: 127.0.0.0/8 and ::1.
#include "router/io/dialer.h"

#include <chrono>
#include <optional>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/io/asio_address.h"

namespace weft::router {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

Ip ip(const char* text) {
  return Ip::parse(text).value();
}

TEST(DialOrder, LetsTheFamiliesTakeTurns) {
  const Endpoint a{ip("192.0.2.1"), 1};
  const Endpoint b{ip("192.0.2.2"), 1};
  const Endpoint c{ip("192.0.2.3"), 1};
  const Endpoint x{ip("2001:db8::1"), 1};
  const Endpoint y{ip("2001:db8::2"), 1};

  EXPECT_THAT(in_dial_order({a, b, c, x, y}, Ip()), ElementsAre(a, x, b, y, c));
  EXPECT_THAT(in_dial_order({x, a, b}, Ip()), ElementsAre(x, a, b));
  EXPECT_THAT(in_dial_order({a, a, x, a}, Ip()), ElementsAre(a, x));
}

TEST(DialOrder, LeavesOutWhatCannotBeReachedFromTheSource) {
  const Endpoint v4{ip("192.0.2.1"), 1};
  const Endpoint v6{ip("2001:db8::1"), 1};

  EXPECT_THAT(in_dial_order({v6, v4}, ip("192.0.2.9")), ElementsAre(v4));
  EXPECT_THAT(in_dial_order({v6, v4}, ip("2001:db8::9")), ElementsAre(v6));
}

TEST(DialOrder, HasALimit) {
  std::vector<Endpoint> many;
  for (std::uint16_t port = 1; port <= 100; ++port) {
    many.push_back({ip("192.0.2.1"), port});
  }

  EXPECT_THAT(in_dial_order(many, Ip()), SizeIs(8));
}

class DialerTest : public testing::Test {
 protected:
  Tcp::acceptor listen(const char* address) {
    return {context_, {asio::ip::make_address(address), 0}};
  }

  // The address that answered, or the reason why none did.
  std::string dial(Dialer::Options options) {
    std::string outcome;
    const auto dialer = Dialer::dial(
        context_.get_executor(), std::move(options), [&](Result<Tcp::socket> connected) {
          outcome = connected.ok() ? from_asio(connected.value().remote_endpoint()).to_string()
                                   : connected.error().what;
          if (connected.ok()) {
            local_ = from_asio(connected.value().local_endpoint()).address;
          }
        });
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (outcome.empty() && std::chrono::steady_clock::now() < deadline) {
      context_.restart();
      context_.run_one_for(std::chrono::milliseconds(100));
    }
    return outcome;
  }

  asio::io_context context_;
  Ip local_;
};

TEST_F(DialerTest, GoesOnToTheNextAddressWhenOneRefuses) {
  Tcp::acceptor listener = listen("127.0.0.2");
  const Endpoint there = from_asio(listener.local_endpoint());

  EXPECT_EQ(dial({.host = "127.0.0.3", .port = there.port, .others = {there}}), there.to_string());
}

TEST_F(DialerTest, GoesOnToTheNextAddressWhenOneDoesNotAnswer) {
  // A backlog of none that is full answers nobody.
  Tcp::acceptor mute(context_);
  mute.open(Tcp::v4());
  mute.bind({asio::ip::make_address("127.0.0.4"), 0});
  mute.listen(0);
  const std::uint16_t mute_port = mute.local_endpoint().port();
  std::vector<Tcp::socket> waiting;
  for (int i = 0; i < 3; ++i) {
    waiting.emplace_back(context_);
    waiting.back().async_connect(mute.local_endpoint(), [](const boost::system::error_code&) {});
  }
  Tcp::acceptor listener = listen("127.0.0.2");
  const Endpoint there = from_asio(listener.local_endpoint());

  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(dial({.host = "127.0.0.4", .port = mute_port, .others = {there}}), there.to_string());
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(240));
}

TEST_F(DialerTest, SaysWhyThePreferredAddressFailedWhenAllDo) {
  EXPECT_EQ(dial({.host = "127.0.0.3", .port = 1, .others = {{ip("127.0.0.2"), 1}}}),
            "connect: Connection refused");
}

TEST_F(DialerTest, FallsBackToOtherAddressesWhenTheNameIsGone) {
  Tcp::acceptor listener = listen("127.0.0.2");
  const Endpoint there = from_asio(listener.local_endpoint());

  EXPECT_EQ(dial({.host = "no such host", .port = 1, .others = {there}}), there.to_string());
  EXPECT_THAT(dial({.host = "no such host", .port = 1}), HasSubstr("resolve: "));
}

TEST_F(DialerTest, DialsFromTheAddressItWasGiven) {
  Tcp::acceptor listener = listen("127.0.0.2");
  const Endpoint there = from_asio(listener.local_endpoint());

  EXPECT_EQ(dial({.host = "127.0.0.2", .port = there.port, .source = ip("127.0.0.9")}),
            there.to_string());
  EXPECT_EQ(local_, ip("127.0.0.9"));
  EXPECT_THAT(dial({.host = "127.0.0.2", .port = there.port, .source = ip("::1")}),
              HasSubstr("no address of the family"));
}

TEST_F(DialerTest, SaysNothingOnceCancelled) {
  Tcp::acceptor listener = listen("127.0.0.2");
  bool said = false;
  const auto dialer = Dialer::dial(context_.get_executor(),
                                   {.host = "127.0.0.2", .port = listener.local_endpoint().port()},
                                   [&](const Result<Tcp::socket>&) { said = true; });

  dialer->cancel();
  context_.run_for(std::chrono::milliseconds(50));

  EXPECT_FALSE(said);
}

}  // namespace
}  // namespace weft::router
