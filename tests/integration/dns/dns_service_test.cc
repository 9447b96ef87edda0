// DNS with real sockets: questions over UDP and TCP, other servers, resolv.conf.
#include "dns/io/dns_service.h"

#include <chrono>
#include <fstream>
#include <functional>
#include <thread>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dns/io/convert.h"
#include "tests/integration/sys/temp_dir.h"

namespace weft::dns {
namespace {

namespace asio = boost::asio;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

Name name(std::string_view text) {
  return Name::parse(text).value();
}

// A server of somebody else's, at an address of the loopback network that nobody else uses.
class OtherServer {
 public:
  OtherServer(asio::io_context& io, const char* address)
      : socket_(io, {asio::ip::make_address(address), kPort}) {
    receive();
  }
  std::size_t asked() const { return asked_; }

 private:
  void receive() {
    socket_.async_receive_from(asio::buffer(buffer_),
                               from_,
                               [this](const boost::system::error_code& error, std::size_t size) {
                                 if (error) {
                                   return;
                                 }
                                 ++asked_;
                                 Bytes answer(buffer_.begin(),
                                              buffer_.begin() + static_cast<std::ptrdiff_t>(size));
                                 answer[2] |= 0x80;
                                 answer[7] = 1;
                                 constexpr std::array<std::uint8_t, 16> kRecord{
                                     0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 192, 0, 2, 99};
                                 answer.insert(answer.end(), kRecord.begin(), kRecord.end());
                                 socket_.send_to(asio::buffer(answer), from_);
                                 receive();
                               });
  }

  asio::ip::udp::socket socket_;
  asio::ip::udp::endpoint from_;
  std::array<std::uint8_t, 512> buffer_{};
  std::size_t asked_ = 0;
};

class DnsServiceTest : public testing::Test {
 protected:
  DnsServiceTest() {
    write_resolv_conf("nameserver 127.53.0.2\n");
    service_ = DnsService::start(io_.get_executor(),
                                 clock_,
                                 {.self = PeerName(1),
                                  .run = 1,
                                  .zone = {.domain = name("weft.local")},
                                  .resolv_conf = resolv_conf(),
                                  .upstream_timeout = seconds(1),
                                  .seed = 1},
                                 [this](PublishRecord record) { published_.push_back(record); })
                   .value();
    const auto listening = service_->listen({Ipv4(0x7f350001), 0});
    EXPECT_TRUE(listening.ok()) << listening.error().what;
    server_ = *service_->status().address;
  }

  std::string resolv_conf() const { return folder_.file("resolv.conf"); }
  void write_resolv_conf(const std::string& text) {
    const std::string next = resolv_conf() + ".new";
    std::ofstream(next) << text;
    std::filesystem::rename(next, resolv_conf());
  }

  void add(std::string_view host, std::uint32_t address) {
    const auto added =
        service_->add("weave:extern", {.name = name(host), .address = Ipv4(address)});
    EXPECT_TRUE(added.ok());
    io_.poll();
  }

  bool run_until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + seconds(10);
    while (!done() && std::chrono::steady_clock::now() < end) {
      io_.run_for(std::chrono::milliseconds(1));
      io_.restart();
    }
    return done();
  }

  // The answer, while the service runs.
  Message ask_udp(std::string_view host, std::optional<Edns> edns = {}) {
    asio::ip::udp::socket socket(io_, {to_asio(Ipv4(0x7f350003)), 0});
    socket.connect({to_asio(server_.address), server_.port});
    socket.send(asio::buffer(write_query(7, {.name = name(host), .type = kA}, edns)));
    Bytes answer(kUdpSizeMax);
    bool is_here = false;
    socket.async_receive(asio::buffer(answer), [&](const auto&, std::size_t size) {
      answer.resize(size);
      is_here = true;
    });
    EXPECT_TRUE(run_until([&] { return is_here; }));
    return read_message(answer).value();
  }
  Message ask_tcp(std::string_view host) {
    asio::ip::tcp::socket socket(io_);
    socket.connect({to_asio(server_.address), server_.port});
    const Bytes query = write_query(7, {.name = name(host), .type = kA}, {});
    Bytes framed{0, static_cast<std::uint8_t>(query.size())};
    framed.insert(framed.end(), query.begin(), query.end());
    asio::write(socket, asio::buffer(framed));
    std::array<std::uint8_t, 2> size{};
    Bytes answer;
    bool is_here = false;
    asio::async_read(socket, asio::buffer(size), [&](const auto&, std::size_t) {
      answer.resize((std::size_t{size[0]} << 8U) | size[1]);
      asio::async_read(
          socket, asio::buffer(answer), [&](const auto&, std::size_t) { is_here = true; });
    });
    EXPECT_TRUE(run_until([&] { return is_here; }));
    return read_message(answer).value();
  }

  // One client's questions, all at once and then its FIN; the identifiers of the answers as they
  // come, until the server ends the connection. A question's identifier is its place, from 1.
  std::vector<std::uint16_t> ask_tcp_and_half_close(const std::vector<std::string_view>& hosts) {
    asio::ip::tcp::socket socket(io_);
    socket.connect({to_asio(server_.address), server_.port});
    Bytes framed;
    std::uint16_t id = 0;
    for (const std::string_view host : hosts) {
      const Bytes query = write_query(++id, {.name = name(host), .type = kA}, {});
      framed.insert(framed.end(), {0, static_cast<std::uint8_t>(query.size())});
      framed.insert(framed.end(), query.begin(), query.end());
    }
    asio::write(socket, asio::buffer(framed));
    socket.shutdown(asio::ip::tcp::socket::shutdown_send);
    Bytes answers;
    bool is_over = false;
    asio::async_read(
        socket, asio::dynamic_buffer(answers), [&](const auto&, std::size_t) { is_over = true; });
    EXPECT_TRUE(run_until([&] { return is_over; }));
    std::vector<std::uint16_t> ids;
    for (std::size_t at = 0; at + 4 <= answers.size();) {
      ids.push_back(static_cast<std::uint16_t>((answers[at + 2] << 8U) | answers[at + 3]));
      at += 2 + ((std::size_t{answers[at]} << 8U) | answers[at + 1]);
    }
    return ids;
  }

  sys::TempDir folder_;
  asio::io_context io_{1};
  sys::SystemClock clock_;
  std::vector<PublishRecord> published_;
  std::unique_ptr<DnsService> service_;
  Endpoint server_;
};

TEST_F(DnsServiceTest, AnswersNamesFromTheMomentTheyAreAdded) {
  EXPECT_EQ(ask_udp("web.weft.local").rcode(), Rcode::NameError);
  add("web.weft.local", 0x0a200001);
  EXPECT_THAT(ask_udp("WEB.weft.local").records, SizeIs(1));
  EXPECT_THAT(ask_tcp("web").records, SizeIs(1));
  EXPECT_THAT(published_, SizeIs(2));  // The run, and the name.
  EXPECT_EQ(service_->remove({}), 1U);
  io_.poll();
  EXPECT_EQ(ask_udp("web.weft.local").rcode(), Rcode::NameError);
  EXPECT_EQ(service_->status().queries.queries, 4U);
}

TEST_F(DnsServiceTest, AnswersForAPeerThatIsReachableAndGivesNoWord) {
  Names peer({.self = PeerName(2), .run = 1, .zone = {.domain = name("weft.local")}});
  NamesActions said;
  ASSERT_TRUE(
      peer.add(kExternOwner, {.name = name("far.weft.local"), .address = Ipv4(0x0a200009)}, said)
          .ok());
  service_->on_peer_reachable(PeerName(2));
  service_->on_record(
      {.origin = PeerName(2), .key = said.front().key, .value = said.front().value});
  EXPECT_EQ(ask_udp("far.weft.local").rcode(), Rcode::NameError);
  EXPECT_TRUE(run_until([&] { return service_->status().stats.entries == 1; }));
  io_.restart();
  io_.poll();
  EXPECT_THAT(ask_udp("far.weft.local").records, SizeIs(1));
}

TEST_F(DnsServiceTest, TellsWhoTakesLittleToComeBackOverTcp) {
  for (std::uint32_t i = 0; i < 300; ++i) {
    add("web.weft.local", 0x0a200000 + i);
  }
  const Message cut = ask_udp("web.weft.local");
  EXPECT_NE(cut.flags & kTruncated, 0);
  EXPECT_LT(cut.records.size(), 40U);
  EXPECT_THAT(ask_tcp("web.weft.local").records, SizeIs(300));
}

TEST_F(DnsServiceTest, AnswersQuestionsOfOneConnectionAsAnswersComeAndAfterItsFin) {
  add("web.weft.local", 0x0a200001);
  // Whom the kernel connects with, and who says nothing.
  const asio::ip::tcp::acceptor silent(io_, {asio::ip::make_address("127.53.0.2"), kPort});
  EXPECT_THAT(ask_tcp_and_half_close({"slow.example.com", "web.weft.local", "web"}),
              ElementsAre(2, 3, 1));
}

TEST_F(DnsServiceTest, AnswersMoreQuestionsOfOneConnectionThanItWorksOnAtOnce) {
  constexpr std::size_t kQuestions = 500;
  for (std::uint32_t i = 0; i < 100; ++i) {
    add("web.weft.local", 0x0a200000 + i);
  }
  EXPECT_THAT(ask_tcp_and_half_close(std::vector<std::string_view>(kQuestions, "web")),
              SizeIs(kQuestions));
}

TEST_F(DnsServiceTest, AsksOthersAndRemembersTheAnswer) {
  OtherServer other(io_, "127.53.0.2");
  EXPECT_THAT(ask_udp("example.com").records, SizeIs(1));
  EXPECT_THAT(ask_udp("example.com").records, SizeIs(1));
  EXPECT_THAT(ask_tcp("EXAMPLE.com").records, SizeIs(1));
  EXPECT_EQ(other.asked(), 1U);
  EXPECT_EQ(service_->status().forwarded.cached, 2U);
}

TEST_F(DnsServiceTest, FollowsResolvConf) {
  EXPECT_THAT(service_->status().upstream, ElementsAre(Endpoint::parse("127.53.0.2:53").value()));
  EXPECT_EQ(ask_udp("example.com").rcode(), Rcode::ServerFailure);  // Nobody is there.
  OtherServer other(io_, "127.53.0.4");
  write_resolv_conf("nameserver 127.53.0.4\n");
  ASSERT_TRUE(run_until([&] {
    return service_->status().upstream == std::vector{Endpoint::parse("127.53.0.4:53").value()};
  }));
  EXPECT_THAT(ask_udp("example.com").records, SizeIs(1));
  std::filesystem::remove(resolv_conf());
  EXPECT_TRUE(run_until([&] { return service_->status().upstream.empty(); }));
  EXPECT_EQ(ask_udp("example.org").rcode(), Rcode::ServerFailure);
}

TEST_F(DnsServiceTest, RefusesAnAddressThatIsTaken) {
  asio::ip::udp::socket taken(io_, {to_asio(Ipv4(0x7f350001)), 0});
  const auto second = service_->listen({Ipv4(0x7f350001), taken.local_endpoint().port()});
  EXPECT_EQ(second.error().os, EADDRINUSE);
}

}  // namespace
}  // namespace weft::dns
