// TLS in front of whatever serves sockets: what passes, what does not, and the certificates.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sys/tls/certificate.h"
#include "sys/tls/tls_listener.h"
#include "tests/integration/sys/command.h"
#include "tests/integration/sys/temp_dir.h"

namespace weft::sys {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;
using testing::HasSubstr;
using testing::MatchesRegex;

class TlsTest : public testing::Test {
 protected:
  // Serves what says "hello" to each, repeats what it hears, and closes after a line.
  void listen(std::size_t connections_max = 8, const std::string& authorities = "") {
    listener_ =
        TlsListener::listen(io_.get_executor(),
                            {.listen = Endpoint::parse("127.0.0.1:0").value(),
                             .connections_max = connections_max,
                             .client_authorities = authorities},
                            ensure_certificate(dir_.file("state"), {"h1", "127.0.0.1"}).value(),
                            [this](TlsListener::Socket socket, const std::string& from) {
                              from_ = from;
                              auto held = std::make_shared<TlsListener::Socket>(std::move(socket));
                              asio::write(*held, asio::buffer(std::string("hello ")));
                              echo(held);
                            })
            .value();
  }

  static void echo(const std::shared_ptr<TlsListener::Socket>& socket) {
    auto data = std::make_shared<std::string>(kLong, '\0');
    socket->async_read_some(asio::buffer(*data),
                            [socket, data](const error_code& error, std::size_t size) {
                              if (error) {
                                return;
                              }
                              asio::write(*socket, asio::buffer(*data, size));
                              if (data->find('\n') == std::string::npos) {
                                echo(socket);
                              }
                            });
  }

  // What a client that trusts the certificate hears after saying `said`, until it is cut.
  std::string talk(const std::string& said,
                   const std::string& trusted,
                   const std::string& shown_from = "") {
    ssl::context context(ssl::context::tls_client);
    if (!shown_from.empty()) {
      context.use_certificate_chain_file(shown_from + "/tls-cert.pem");
      context.use_private_key_file(shown_from + "/tls-key.pem", ssl::context::pem);
    }
    context.set_verify_mode(ssl::verify_peer);
    context.load_verify_file(trusted);
    ssl::stream<tcp::socket> client(io_, context);
    client.lowest_layer().connect({asio::ip::address_v4::loopback(), listener_->endpoint().port});
    std::string heard;
    std::optional<error_code> done;
    std::string buffer(kLong, '\0');
    std::function<void()> read = [&] {
      client.async_read_some(asio::buffer(buffer), [&](const error_code& error, std::size_t size) {
        heard.append(buffer, 0, size);
        error ? void(done = error) : read();
      });
    };
    client.async_handshake(ssl::stream_base::client, [&](const error_code& error) {
      if (error) {
        done = error;
        return;
      }
      asio::async_write(client, asio::buffer(said), [&](const error_code&, std::size_t) {});
      read();
    });
    run_until([&] { return done.has_value(); });
    return heard;
  }

  template <class Condition>
  bool run_until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      io_.restart();
      io_.run_for(std::chrono::milliseconds(5));
    }
    return condition();
  }

  std::string own_certificate() { return dir_.file("state") + "/tls-cert.pem"; }

  static constexpr std::size_t kLong = 4096;

  TempDir dir_;
  asio::io_context io_;
  std::string from_;
  std::unique_ptr<TlsListener> listener_;
};

TEST_F(TlsTest, CarriesBytesBothWaysAndTheGoodbye) {
  listen();

  EXPECT_EQ(talk("one line\n", own_certificate()), "hello one line\n");
  EXPECT_EQ(from_, "127.0.0.1");
}

TEST_F(TlsTest, ServesThoseAloneWhoseCertificatesAreSignedAsItWasTold) {
  for (const char* client : {"known", "stranger"}) {
    const std::string folder = dir_.file(client);
    std::filesystem::create_directory(folder);
    run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "
        "/CN=client -keyout "
        + folder + "/tls-key.pem -out " + folder + "/tls-cert.pem");
  }
  listen(8, dir_.file("known") + "/tls-cert.pem");

  for (int i = 0; i < 2; ++i) {  // Who comes again shows it again.
    EXPECT_EQ(talk("x\n", own_certificate(), dir_.file("known")), "hello x\n");
  }
  from_.clear();
  EXPECT_EQ(talk("x\n", own_certificate(), dir_.file("stranger")), "");
  EXPECT_EQ(talk("x\n", own_certificate()), "");
  EXPECT_EQ(from_, "");
}

TEST_F(TlsTest, NeedsAuthoritiesThatAreThere) {
  EXPECT_FALSE(TlsListener::listen(io_.get_executor(),
                                   {.listen = Endpoint::parse("127.0.0.1:0").value(),
                                    .client_authorities = dir_.file("none.pem")},
                                   ensure_certificate(dir_.file("state"), {"127.0.0.1"}).value(),
                                   [](TlsListener::Socket, const std::string&) {})
                   .ok());
}

TEST_F(TlsTest, CarriesMoreThanItsBuffers) {
  listen();
  const std::string much(1U << 20U, 'x');

  EXPECT_EQ(talk(much + "\n", own_certificate()), "hello " + much + "\n");
}

TEST_F(TlsTest, IsNotTrustedByWhoKnowsAnotherCertificate) {
  listen();
  ASSERT_TRUE(ensure_certificate(dir_.file("other"), {"h1"}).ok());

  EXPECT_EQ(talk("secret\n", dir_.file("other") + "/tls-cert.pem"), "");
  EXPECT_EQ(from_, "");
}

TEST_F(TlsTest, HandsOnNothingThatIsNoTls) {
  listen();
  tcp::socket client(io_);
  client.connect({asio::ip::address_v4::loopback(), listener_->endpoint().port});

  asio::write(client, asio::buffer(std::string("GET / HTTP/1.1\r\n\r\n")));
  bool is_cut = false;
  std::string said(kLong, '\0');
  std::function<void()> read = [&] {
    client.async_read_some(asio::buffer(said), [&](const error_code& error, std::size_t) {
      error ? void(is_cut = true) : read();
    });
  };
  read();

  EXPECT_TRUE(run_until([&] { return is_cut; }));
  EXPECT_EQ(from_, "");
}

TEST_F(TlsTest, TakesNoMoreThanItsLimitUntilOneLeaves) {
  listen(1);
  std::optional<tcp::socket> silent(io_);
  silent->connect({asio::ip::address_v4::loopback(), listener_->endpoint().port});
  std::string heard;
  asio::steady_timer leaves(io_, std::chrono::milliseconds(300));
  leaves.async_wait([&](const error_code&) {
    EXPECT_EQ(from_, "") << "served beside the one that has the only place";
    silent.reset();
  });

  EXPECT_EQ(talk("x\n", own_certificate()), "hello x\n");
  EXPECT_FALSE(silent.has_value());
}

TEST(Certificate, IsMadeOnceForTheOwnerAlone) {
  const TempDir dir;
  const Certificate made = ensure_certificate(dir.file("a"), {"h1", "::1"}).value();

  EXPECT_EQ(ensure_certificate(dir.file("a"), {"another"}).value(), made);
  EXPECT_THAT(made.fingerprint, MatchesRegex("([0-9A-F][0-9A-F]:)+[0-9A-F][0-9A-F]"));
  EXPECT_EQ(made.fingerprint.size(), 32U * 3 - 1);
  const auto mode = std::filesystem::status(dir.file("a") + "/tls-key.pem").permissions();
  EXPECT_EQ(mode, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST(Certificate, IsRefusedWithAnothersKeyOrWhereThereIsNone) {
  const TempDir dir;
  (void)ensure_certificate(dir.file("a"), {"a"}).value();
  (void)ensure_certificate(dir.file("b"), {"b"}).value();
  std::ofstream(dir.file("text")) << "no certificate";

  EXPECT_THAT(load_certificate(dir.file("a") + "/tls-cert.pem", dir.file("b") + "/tls-key.pem")
                  .error()
                  .what,
              HasSubstr("not the certificate's"));
  EXPECT_EQ(load_certificate(dir.file("text"), dir.file("text")).error().code, Errc::Invalid);
  EXPECT_EQ(load_certificate(dir.file("none"), dir.file("none")).error().code, Errc::Os);
}

}  // namespace
}  // namespace weft::sys
