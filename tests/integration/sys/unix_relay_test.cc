// sys/http/unix_relay.h between a client at its Unix socket and a server at a TCP port, both of
// which are this test.
#include "sys/http/unix_relay.h"

#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "sys/tls/certificate.h"
#include "sys/tls/tls_listener.h"
#include "tests/integration/sys/temp_dir.h"

namespace weft::sys {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::local::stream_protocol;
using testing::AllOf;
using testing::HasSubstr;

class UnixRelayTest : public testing::Test {
 protected:
  void start(std::size_t connections_max = 200) {
    const Endpoint to{Ip::parse("127.0.0.1").value(), acceptor_.local_endpoint().port()};
    auto relay = UnixRelay::start({.path = path_, .to = to, .connections_max = connections_max});
    ASSERT_TRUE(relay.ok()) << relay.error().what;
    relay_ = std::move(relay).value();
  }
  stream_protocol::socket connect() {
    stream_protocol::socket client(io_);
    client.connect(stream_protocol::endpoint(path_));
    return client;
  }
  template <class Socket>
  static std::string hear(Socket& socket, std::size_t size) {
    std::string text(size, '\0');
    boost::system::error_code error;
    text.resize(asio::read(socket, asio::buffer(text), error));
    return text;
  }
  // What is still to come, until the other side ends.
  template <class Socket>
  static std::string hear_all(Socket& socket) {
    return hear(socket, 4U << 20U);
  }

  TempDir dir_;
  const std::string path_ = dir_.file("engine.sock");
  asio::io_context io_;
  tcp::acceptor acceptor_{io_, tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0)};
  std::unique_ptr<UnixRelay> relay_;
};

TEST_F(UnixRelayTest, CarriesStreamsBothWaysAndTheirEnds) {
  start();
  auto client = connect();
  asio::write(client, asio::buffer(std::string("question")));
  tcp::socket server = acceptor_.accept();
  EXPECT_EQ(hear(server, 8), "question");
  client.shutdown(stream_protocol::socket::shutdown_send);
  EXPECT_EQ(hear_all(server), "");  // And its answer is still to come.
  const std::string large(1U << 20U, 'x');
  asio::write(server, asio::buffer(large));
  server.close();
  EXPECT_EQ(hear_all(client), large);
}

TEST_F(UnixRelayTest, IsForRootAlone) {
  start();
  struct stat file {};
  ASSERT_EQ(::stat(path_.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777U, 0600U);
  relay_.reset();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(UnixRelayTest, HangsUpWhereNobodyAnswersAndServesTheNext) {
  start();
  const tcp::endpoint place = acceptor_.local_endpoint();
  acceptor_.close();
  auto refused = connect();
  EXPECT_EQ(hear_all(refused), "");
  acceptor_.open(tcp::v4());
  acceptor_.set_option(tcp::acceptor::reuse_address(true));
  acceptor_.bind(place);
  acceptor_.listen();
  auto client = connect();
  tcp::socket server = acceptor_.accept();
  asio::write(server, asio::buffer(std::string("hello")));
  EXPECT_EQ(hear(client, 5), "hello");
}

TEST_F(UnixRelayTest, RefusesMoreConnectionsThanItsLimit) {
  start(1);
  auto first = connect();
  tcp::socket server = acceptor_.accept();
  auto second = connect();
  EXPECT_EQ(hear_all(second), "");
  asio::write(server, asio::buffer(std::string("hello")));
  EXPECT_EQ(hear(first, 5), "hello");
}

// A server that speaks TLS: it hears all that is said, and then says it again.
class UnixRelayTlsTest : public testing::Test {
 protected:
  UnixRelayTlsTest() {
    (void)ensure_certificate(dir_.file("client"), {"client"}).value();
    listener_ =
        TlsListener::listen(io_.get_executor(),
                            {.listen = Endpoint::parse("127.0.0.1:0").value()},
                            certificate_,
                            [this](TlsListener::Socket socket, const std::string&) {
                              repeat(std::make_shared<TlsListener::Socket>(std::move(socket)));
                            })
            .value();
    thread_ = std::thread([this] { io_.run(); });
  }
  ~UnixRelayTlsTest() override {
    io_.stop();
    thread_.join();
  }

  static void repeat(const std::shared_ptr<TlsListener::Socket>& socket) {
    const auto heard = std::make_shared<std::string>();
    asio::async_read(*socket,
                     asio::dynamic_buffer(*heard),
                     [socket, heard](const boost::system::error_code&, std::size_t) {
                       asio::async_write(
                           *socket,
                           asio::buffer(*heard),
                           [socket, heard](const boost::system::error_code&, std::size_t) {});
                     });
  }
  TlsTrust trust() const {
    return {.authorities = dir_.file("state") + "/tls-cert.pem",
            .name = "127.0.0.1",
            .chain = dir_.file("client") + "/tls-cert.pem",
            .key = dir_.file("client") + "/tls-key.pem"};
  }
  // What a client hears that says this and then nothing more.
  std::string talk(const TlsTrust& trust, const std::string& said) {
    const auto relay =
        UnixRelay::start({.path = path_, .to = listener_->endpoint(), .tls = trust}).value();
    stream_protocol::socket client(client_io_);
    client.connect(stream_protocol::endpoint(path_));
    boost::system::error_code gone;
    asio::write(client, asio::buffer(said), gone);
    client.shutdown(stream_protocol::socket::shutdown_send, gone);
    std::string heard;
    asio::read(client, asio::dynamic_buffer(heard), gone);
    return heard;
  }
  std::string error_of(const TlsTrust& trust) {
    return UnixRelay::start({.path = path_, .to = listener_->endpoint(), .tls = trust})
        .error()
        .what;
  }

  TempDir dir_;
  const std::string path_ = dir_.file("engine.sock");
  const Certificate certificate_ =
      ensure_certificate(dir_.file("state"), {"h1", "127.0.0.1"}).value();
  asio::io_context io_;
  asio::io_context client_io_;
  std::unique_ptr<TlsListener> listener_;
  std::thread thread_;
};

TEST_F(UnixRelayTlsTest, CarriesStreamsAndEachSidesEnd) {
  const std::string large(1U << 20U, 'x');
  EXPECT_EQ(talk(trust(), large), large);
}

TEST_F(UnixRelayTlsTest, SaysWhyTheServerIsNotSpokenTo) {
  TlsTrust wrong = trust();
  wrong.authorities = dir_.file("client") + "/tls-cert.pem";
  EXPECT_THAT(
      talk(wrong, "hello"),
      AllOf(HasSubstr("502 Bad Gateway"), HasSubstr("its certificate is not to be believed")));
  TlsTrust other = trust();
  other.name = "elsewhere";
  EXPECT_THAT(talk(other, "hello"), HasSubstr("hostname mismatch"));
}

TEST_F(UnixRelayTlsTest, NamesTheFileThatIsWrong) {
  TlsTrust missing = trust();
  missing.authorities = dir_.file("none.pem");
  EXPECT_THAT(error_of(missing), HasSubstr("none.pem: No such file"));
  TlsTrust swapped = trust();
  swapped.authorities = swapped.key;
  EXPECT_THAT(error_of(swapped), HasSubstr("expected certificates of authorities"));
  TlsTrust other = trust();
  other.key = dir_.file("state") + "/tls-key.pem";
  EXPECT_THAT(error_of(other), HasSubstr("expected the key of"));
}

}  // namespace
}  // namespace weft::sys
