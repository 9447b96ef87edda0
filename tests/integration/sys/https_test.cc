// The HTTP server behind TLS, and the client of the CLI before it.
#include <algorithm>
#include <cctype>
#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sys/http_server.h"
#include "sys/tls/certificate.h"
#include "sys/tls/https_client.h"
#include "sys/tls/https_exchange.h"
#include "tests/integration/sys/temp_dir.h"

namespace weft::sys {
namespace {

using boost::asio::ip::tcp;
using testing::HasSubstr;

class HttpsTest : public testing::Test {
 protected:
  // Answers with what it was asked and by whom.
  void serve(const std::optional<Certificate>& certificate) {
    port_ =
        tcp::acceptor(io_, {boost::asio::ip::address_v4::loopback(), 0}).local_endpoint().port();
    server_ = listen_http_tcp(
                  io_.get_executor(),
                  {.address = Endpoint{Ip::parse("127.0.0.1").value(), port_},
                   .certificate = certificate},
                  [this](const HttpRequest& request) {
                    server_->respond(request.id,
                                     {.body = request.method + " " + request.target + " "
                                              + request.body + " " + request.authorization});
                  },
                  [](RequestId) {})
                  .value();
  }

  HttpsServer place() const { return {.host = "127.0.0.1", .port = std::to_string(port_)}; }

  Result<HttpResponse> call(const HttpsServer& server) {
    auto answer = std::async(std::launch::async, [&] {
      return https_call(server, "POST", "/x?y", "body", kPatienceSeconds);
    });
    while (answer.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
      io_.restart();
      io_.run_for(std::chrono::milliseconds(5));
    }
    return answer.get();
  }

  static constexpr int kPatienceSeconds = 10;

  TempDir dir_;
  Certificate certificate_ = ensure_certificate(dir_.file("a"), {"h1", "127.0.0.1"}).value();
  boost::asio::io_context io_;
  std::uint16_t port_ = 0;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpsTest, AnswersWhoKnowsWhoSignedItsCertificate) {
  serve(certificate_);
  HttpsServer server = place();
  server.authorities = dir_.file("a") + "/tls-cert.pem";
  server.token = "secret";

  const auto answer = call(server);

  ASSERT_TRUE(answer.ok()) << answer.error().what;
  EXPECT_EQ(answer.value().status, 200U);
  EXPECT_EQ(answer.value().body, "POST /x?y body Bearer secret");
}

TEST_F(HttpsTest, AnswersWhoKnowsItsFingerprint) {
  serve(certificate_);
  HttpsServer server = place();
  server.fingerprint = certificate_.fingerprint;
  std::transform(server.fingerprint.begin(),
                 server.fingerprint.end(),
                 server.fingerprint.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });

  EXPECT_TRUE(call(server).ok());
}

TEST_F(HttpsTest, IsNotBelievedByOthersWhoAreToldItsFingerprint) {
  serve(certificate_);
  const Certificate another = ensure_certificate(dir_.file("b"), {"127.0.0.1"}).value();
  HttpsServer stranger = place();
  HttpsServer misled = place();
  misled.fingerprint = another.fingerprint;
  HttpsServer mistaken = place();
  mistaken.authorities = dir_.file("b") + "/tls-cert.pem";

  for (const HttpsServer& server : {stranger, misled, mistaken}) {
    const auto answer = call(server);

    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, Errc::Denied);
    EXPECT_THAT(answer.error().what, HasSubstr(certificate_.fingerprint));
  }
}

TEST_F(HttpsTest, IsNotBelievedUnderAnotherName) {
  certificate_ = ensure_certificate(dir_.file("c"), {"h1"}).value();
  serve(certificate_);
  HttpsServer server = place();
  server.authorities = dir_.file("c") + "/tls-cert.pem";

  EXPECT_EQ(call(server).error().code, Errc::Denied);
}

TEST_F(HttpsTest, SaysWhereNobodyListensAndWhereNoTlsIsSpoken) {
  serve(std::nullopt);
  HttpsServer server = place();
  server.fingerprint = certificate_.fingerprint;

  EXPECT_EQ(call(server).error().code, Errc::Os);
  server_.reset();
  EXPECT_EQ(call(server).error().code, Errc::Unavailable);
  server.authorities = dir_.file("none");
  EXPECT_THAT(call(server).error().what, HasSubstr("none"));
}

TEST_F(HttpsTest, SilentClientsDoNotKeepOthersOut) {
  serve(certificate_);  // 16 places, and as many for handshakes.
  std::vector<tcp::socket> silent;
  for (int i = 0; i < 16; ++i) {
    silent.emplace_back(io_).connect({boost::asio::ip::address_v4::loopback(), port_});
  }
  HttpsServer server = place();
  server.fingerprint = certificate_.fingerprint;

  EXPECT_TRUE(call(server).ok());
}

// The same server, asked piece by piece.
class HttpsExchangeTest : public HttpsTest {
 protected:
  struct Heard {
    unsigned status = 0;
    std::string body{};
    std::optional<bool> complete{};
  };

  HttpsRequest question() const {
    return {.host = "127.0.0.1",
            .port = std::to_string(port_),
            .target = "/x?y",
            .authorities = dir_.file("a") + "/tls-cert.pem",
            .token = "secret"};
  }

  Heard ask(const HttpsRequest& request) {
    Heard heard;
    const auto exchange = start_https_exchange(
        io_.get_executor(),
        request,
        {.on_head = [&heard](unsigned status) { heard.status = status; },
         .on_body = [&heard](std::string_view piece) { heard.body.append(piece); },
         .on_end = [&heard](bool complete) { heard.complete = complete; }});
    for (int turn = 0; turn < 2'000 && !heard.complete; ++turn) {
      io_.restart();
      io_.run_for(std::chrono::milliseconds(5));
    }
    return heard;
  }
};

TEST_F(HttpsExchangeTest, TellsWhatItHearsOverTlsAndWithout) {
  serve(certificate_);
  const Heard sealed = ask(question());
  serve(std::nullopt);
  HttpsRequest plain = question();
  plain.has_tls = false;
  const Heard open = ask(plain);

  for (const Heard& heard : {sealed, open}) {
    EXPECT_EQ(heard.status, 200U);
    EXPECT_EQ(heard.body, "GET /x?y  Bearer secret");
    EXPECT_EQ(heard.complete, true);
  }
}

TEST_F(HttpsExchangeTest, PutsAnIpv6AddressInBrackets) {
  std::string host;
  port_ = tcp::acceptor(io_, {boost::asio::ip::address_v6::loopback(), 0}).local_endpoint().port();
  server_ = listen_http_tcp(
                io_.get_executor(),
                {.address = Endpoint{Ip::parse("::1").value(), port_}},
                [&](const HttpRequest& request) {
                  host = request.host;
                  server_->respond(request.id, {.body = ""});
                },
                [](RequestId) {})
                .value();
  HttpsRequest plain = question();
  plain.host = "::1";
  plain.has_tls = false;

  EXPECT_EQ(ask(plain).status, 200U);
  EXPECT_EQ(host, "[::1]:" + std::to_string(port_));
}

TEST_F(HttpsExchangeTest, SaysNothingToAServerThatItDoesNotBelieve) {
  serve(certificate_);
  HttpsRequest stranger = question();
  stranger.authorities = "";
  HttpsRequest misnamed = question();
  misnamed.host = "localhost";  // Not in the certificate.
  HttpsRequest unreadable = question();
  unreadable.authorities = dir_.file("none");

  for (const HttpsRequest& request : {stranger, misnamed, unreadable}) {
    const Heard heard = ask(request);
    EXPECT_EQ(heard.status, 0U);
    EXPECT_EQ(heard.complete, false);
  }
}

TEST_F(HttpsExchangeTest, EndsWhereNobodyListensAndWhenItIsGivenUp) {
  serve(certificate_);
  server_.reset();
  EXPECT_EQ(ask(question()).complete, false);

  serve(certificate_);
  bool was_called = false;
  {
    const auto exchange =
        start_https_exchange(io_.get_executor(),
                             question(),
                             {.on_head = [&was_called](unsigned) { was_called = true; },
                              .on_body = [&was_called](std::string_view) { was_called = true; },
                              .on_end = [&was_called](bool) { was_called = true; }});
    io_.restart();
    io_.poll();
  }
  was_called = false;  // What it was in time for does not count.
  io_.restart();
  io_.run_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(was_called);
}

}  // namespace
}  // namespace weft::sys
