// The web server on a real socket: what browsers get, and what hostile clients get.
#include "app/io/app_service.h"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/io/assets.h"
#include "app/login.h"
#include "app/password_hash.h"
#include "probe/report/codec.h"
#include "tests/unit/app/cluster.h"

namespace weft::app {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using testing::HasSubstr;
using testing::StartsWith;

class AppServiceTest : public testing::Test {
 protected:
  AppServiceTest() { start({}); }

  // Writes down what is wished for, and lets everybody to a pipe who may be here at all.
  class Desk final : public Controls {
   public:
    explicit Desk(AppServiceTest& test) : test_(test) {}
    void on_request(const WebRequest& request,
                    Call,
                    const std::vector<std::string>& path) override {
      wishes.push_back(request.method + " " + path.back() + " " + request.body + " by "
                       + request.visitor.name + " of role "
                       + std::string(control::text_of(request.visitor.role)));
      test_.service_->respond(request.id, 200, "{}");
    }
    Result<Ok> on_pipe(ClientId client, const WebRequest&, const std::string& pipe) override {
      if (pipe != "pipe-1") {
        return Error{Errc::NotFound, "no such pipe"};
      }
      client_ = client;
      return Ok{};
    }
    void on_pipe_data(ClientId client, std::string_view data) override {
      test_.service_->send(client, "you said " + std::string(data));
    }
    void on_pipe_drained(ClientId client) override {
      ++drained;
      test_.service_->close(client);
    }
    void on_pipe_gone(ClientId client) override { gone += client == client_ ? 1 : 0; }

    std::vector<std::string> wishes;
    int drained = 0;
    int gone = 0;

   private:
    AppServiceTest& test_;
    ClientId client_;
  };

  void start(Access access, std::vector<Cidr> proxies = {}) {
    service_ = std::make_unique<AppService>(
        io_.get_executor(),
        clock_,
        App::Options{.self = kHost1, .version = "0.1.0", .hostname = "h1"},
        AppService::Hooks{.peers =
                              [] {
                                return std::vector<PeerFacts>{{kHost1, "h1", true}};
                              },
                          .watch =
                              [this](const SendWatch&) {
                                ++watches_;
                                service_->on_report(kHost1,
                                                    probe::encode_report(*cluster().find(kHost1)));
                              },
                          .controls = &desk_});
    EXPECT_TRUE(service_
                    ->listen({.listen = Endpoint::parse("127.0.0.1:0").value(),
                              .proxies = std::move(proxies)},
                             std::move(access))
                    .ok());
  }

  static std::string login_request(const std::string& form, const std::string& headers = "") {
    return "POST /login HTTP/1.1\r\nHost: weft.example\r\nConnection: close\r\n" + headers
           + "Content-Length: " + std::to_string(form.size()) + "\r\n\r\n" + form;
  }

  std::string log_in(const std::string& token, const std::string& headers = "") {
    return say(login_request("token=" + token, headers));
  }

  tcp::socket connect() {
    tcp::socket socket(client_);
    socket.connect({asio::ip::address_v4::loopback(), service_->endpoint().port});
    return socket;
  }

  // Sends bytes, then serves until the server has closed the connection or answered; what it said.
  std::string say(const std::string& bytes) {
    tcp::socket socket = connect();
    asio::write(socket, asio::buffer(bytes));
    socket.shutdown(tcp::socket::shutdown_send);
    std::string said;
    socket.non_blocking(true);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < deadline) {
      io_.run_for(std::chrono::milliseconds(2));
      char buffer[4096];
      boost::system::error_code error;
      const std::size_t size = socket.read_some(asio::buffer(buffer), error);
      said.append(buffer, size);
      if (error && error != asio::error::would_block) {
        return said;
      }
    }
    return said + " (and did not close)";
  }

  std::string get(const std::string& target, const std::string& headers = "") {
    return say("GET " + target + " HTTP/1.1\r\nHost: 127.0.0.1:4040\r\nConnection: close\r\n"
               + headers + "\r\n");
  }

  asio::io_context io_;
  asio::io_context client_;
  sys::SystemClock clock_;
  int watches_ = 0;
  bool reading_ = false;
  Desk desk_{*this};
  std::unique_ptr<AppService> service_;
};

TEST_F(AppServiceTest, ServesThePageWithStrictHeaders) {
  const std::string said = get("/");

  EXPECT_THAT(said, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(said, HasSubstr("Content-Encoding: gzip"));
  EXPECT_THAT(said, HasSubstr("Content-Security-Policy: default-src 'none'"));
  EXPECT_THAT(said, HasSubstr("X-Content-Type-Options: nosniff"));
  EXPECT_THAT(said, HasSubstr("Cache-Control: no-cache"));
}

TEST_F(AppServiceTest, ServesAFileOnceToWhoKeepsIt) {
  for (const Asset& asset : assets()) {
    const std::string path(asset.path);
    EXPECT_THAT(get(path), StartsWith("HTTP/1.1 200")) << path;
    const std::string again = get(path, "If-None-Match: " + std::string(asset.etag) + "\r\n");
    EXPECT_THAT(again, StartsWith("HTTP/1.1 304")) << path;
  }
}

TEST_F(AppServiceTest, AnswersTheApiFromWhatTheProbeReports) {
  const std::string said = get("/api/topology/containers");

  EXPECT_THAT(said, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(said, HasSubstr("\"label\":\"web\""));
  EXPECT_EQ(watches_, 1);
}

TEST_F(AppServiceTest, RefusesOtherNamesOriginsAndMethods) {
  EXPECT_THAT(say("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(say("GET / HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(get("/api", "Origin: http://evil.example\r\n"), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(say("DELETE /api HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(get("/api/topology/hosts/ws",
                  "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
                  "AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                  "Origin: http://evil.example\r\n"),
              StartsWith("HTTP/1.1 403"));
}

TEST_F(AppServiceTest, OutlivesHostileBytes) {
  EXPECT_THAT(say("\x16\x03\x01 what is this\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(
      say("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n"),
      StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(say("POST /api HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(get("/../../etc/passwd"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(get("/api/topology/%"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(get("/api/" + std::string(5000, 'a')),
              testing::AnyOf(StartsWith("HTTP/1.1 400"), StartsWith("HTTP/1.1 503")));
  EXPECT_EQ(say(""), "");
  EXPECT_THAT(get("/"), StartsWith("HTTP/1.1 200"));
}

TEST_F(AppServiceTest, StreamsAViewOverAWebSocket) {
  boost::beast::websocket::stream<tcp::socket> socket(connect());
  std::optional<boost::system::error_code> shaken;
  socket.async_handshake("127.0.0.1:4040",
                         "/api/topology/containers/ws?t=5s",
                         [&](const auto& error) { shaken = error; });
  boost::beast::flat_buffer buffer;
  std::optional<boost::system::error_code> read;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!read && std::chrono::steady_clock::now() < deadline) {
    io_.run_for(std::chrono::milliseconds(2));
    client_.restart();
    client_.run_for(std::chrono::milliseconds(2));
    if (shaken && !*shaken && buffer.size() == 0 && !reading_) {
      reading_ = true;
      socket.async_read(buffer, [&](const auto& error, std::size_t) { read = error; });
    }
  }

  ASSERT_TRUE(read.has_value());
  ASSERT_FALSE(*read) << read->message();
  const std::string frame = boost::beast::buffers_to_string(buffer.data());
  EXPECT_THAT(frame, HasSubstr("\"label\":\"web\""));
  EXPECT_THAT(frame, HasSubstr("\"reset\":true"));
}

TEST_F(AppServiceTest, TakesWishesOfWhoIsHereWithoutALoginForAViewers) {
  say("POST /api/control/p/n%2Fm/c HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");

  EXPECT_THAT(desk_.wishes, testing::ElementsAre("POST c  by anybody of role viewer"));
}

TEST_F(AppServiceTest, JoinsAWebSocketToAPipeAndSaysWhenAllHasLeft) {
  boost::beast::websocket::stream<tcp::socket> socket(connect());
  std::string said;
  boost::beast::flat_buffer buffer;
  bool is_closed = false;
  socket.async_handshake("127.0.0.1:4040", "/api/pipe/pipe-1", [&](const auto& failed) {
    ASSERT_FALSE(failed) << failed.message();
    socket.async_write(asio::buffer("hello", 5), [&](const auto&, std::size_t) {
      socket.async_read(buffer, [&](const auto& error, std::size_t) {
        said = error ? error.message() : boost::beast::buffers_to_string(buffer.data());
        buffer.clear();
        socket.async_read(buffer, [&](const auto&, std::size_t) { is_closed = true; });
      });
    });
  });
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (desk_.gone == 0 && std::chrono::steady_clock::now() < deadline) {
    io_.run_for(std::chrono::milliseconds(2));
    client_.restart();
    client_.run_for(std::chrono::milliseconds(2));
  }

  EXPECT_EQ(said, "you said hello");
  EXPECT_TRUE(is_closed);
  EXPECT_EQ(desk_.drained, 1);
  EXPECT_EQ(desk_.gone, 1);
}

TEST_F(AppServiceTest, AnswersWhoAsksWithoutABrowser) {
  std::string body;
  service_->ask("/api/topology/containers", [&](unsigned status, std::string answer) {
    EXPECT_EQ(status, 200U);
    body = std::move(answer);
  });
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (body.empty() && std::chrono::steady_clock::now() < deadline) {
    io_.run_for(std::chrono::milliseconds(2));
  }

  EXPECT_THAT(body, HasSubstr("\"label\":\"web\""));
}

class AppLoginTest : public AppServiceTest {
 protected:
  AppLoginTest() { start({.token = kToken}); }

  static std::string cookie_of(const std::string& said) {
    const std::size_t at = said.find("Set-Cookie: ");
    return said.substr(at + 12, said.find(';', at) - at - 12);
  }

  const std::string kToken = "sixteen characters";
  const std::string kSpelled = "sixteen+characters";
};

TEST_F(AppLoginTest, ShowsOnlyTheLoginPageToStrangers) {
  const std::string page = get("/");

  EXPECT_THAT(page, StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(page, HasSubstr("action=\"login\""));
  EXPECT_THAT(page, HasSubstr("form-action 'self'"));
  // With no-referrer a browser would call the form's origin "null", and be refused.
  EXPECT_THAT(page, HasSubstr("Referrer-Policy: same-origin"));
  EXPECT_THAT(get("/api/topology/containers"), StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(get("/api/topology/hosts/ws",
                  "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
                  "AAAAAAAAAAAAAAAAAAAAAA==\r\n"),
              StartsWith("HTTP/1.1 401"));
  EXPECT_EQ(watches_, 0);
}

TEST_F(AppLoginTest, LetsInWhoHasTheTokenByCookieOrHeader) {
  const std::string said = log_in(kSpelled);

  EXPECT_THAT(said, StartsWith("HTTP/1.1 303"));
  EXPECT_THAT(said, HasSubstr("HttpOnly; SameSite=Strict"));
  EXPECT_THAT(get("/api", "Cookie: a=b; " + cookie_of(said) + "\r\n"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(get("/api", "Authorization: Bearer " + kToken + "\r\n"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(get("/api", "Cookie: weft_session=0\r\n"), StartsWith("HTTP/1.1 401"));
}

TEST_F(AppLoginTest, StopsGuessing) {
  for (int i = 0; i < kAttemptsMax; ++i) {
    EXPECT_THAT(log_in("wrong"), StartsWith("HTTP/1.1 401"));
  }

  EXPECT_THAT(log_in(kSpelled), StartsWith("HTTP/1.1 429"));
}

TEST_F(AppLoginTest, SendsTheCookieOnlyWhereTheProxyHasUs) {
  EXPECT_THAT(log_in(kSpelled), testing::Not(HasSubstr("Path=")));
}

TEST_F(AppLoginTest, BelievesHeadersOfAProxyOnlyWhereItIsTold) {
  const std::string forwarded =
      "Origin: https://tools.example\r\nX-Forwarded-Host: tools.example\r\n"
      "X-Forwarded-Proto: https\r\n";
  EXPECT_THAT(log_in(kSpelled, forwarded), StartsWith("HTTP/1.1 403"));

  start({.token = kToken}, {Cidr::parse("127.0.0.0/8").value()});

  const std::string said = log_in(kSpelled, forwarded);
  EXPECT_THAT(said, StartsWith("HTTP/1.1 303"));
  EXPECT_THAT(said, HasSubstr("; Secure"));
  EXPECT_THAT(
      log_in(kSpelled, "Origin: https://evil.example\r\nX-Forwarded-Host: tools.example\r\n"),
      StartsWith("HTTP/1.1 403"));
}

TEST_F(AppLoginTest, LocksOutWhoGuessesAndNobodyElseBehindTheSameProxy) {
  start({.token = kToken}, {Cidr::parse("127.0.0.0/8").value()});
  for (int i = 0; i < kAttemptsMax; ++i) {
    EXPECT_THAT(log_in("wrong", "X-Forwarded-For: 192.0.2.1\r\n"), StartsWith("HTTP/1.1 401"));
  }

  EXPECT_THAT(log_in(kSpelled, "X-Forwarded-For: 192.0.2.1\r\n"), StartsWith("HTTP/1.1 429"));
  EXPECT_THAT(log_in(kSpelled, "X-Forwarded-For: 192.0.2.2\r\n"), StartsWith("HTTP/1.1 303"));
}

TEST_F(AppLoginTest, AnswersOthersWhilePasswordsAreCompared) {
  const std::string hash = hash_password("correct horse").value();
  start({.accounts = parse_accounts("ann:operator:" + hash).value()});
  std::vector<tcp::socket> people;
  for (int i = 0; i < kAttemptsMax; ++i) {
    people.push_back(connect());
    asio::write(people.back(), asio::buffer(login_request("name=ann&token=wrong")));
  }

  EXPECT_THAT(get("/api"), StartsWith("HTTP/1.1 401"));

  EXPECT_EQ(people.back().available(), 0U) << "its password was compared before others were served";
  // As many as may be tried; the right one waits for a minute.
  EXPECT_THAT(say(login_request("name=ann&token=correct+horse")), StartsWith("HTTP/1.1 429"));
}

TEST_F(AppLoginTest, LetsPeopleInByNameAndPassword) {
  const std::string hash = hash_password("correct horse").value();
  start({.accounts = parse_accounts("ann:operator:" + hash).value()});

  EXPECT_THAT(say(login_request("name=ann&token=wrong")), StartsWith("HTTP/1.1 401"));
  const std::string cookie =
      "Cookie: " + cookie_of(say(login_request("name=ann&token=correct+horse"))) + "\r\n";

  EXPECT_THAT(get("/api/visitor", cookie), HasSubstr(R"("name":"ann","role":"operator")"));
}

TEST_F(AppLoginTest, RefusesFormsOfOtherPagesAndOtherBodies) {
  EXPECT_THAT(say("POST /login HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\nContent-Length: "
                  "3\r\nConnection: close\r\n\r\na=b"),
              StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(say("POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na=b"),
              StartsWith("HTTP/1.1 401"));
}

TEST_F(AppLoginTest, EndsASessionForGood) {
  const std::string cookie = "Cookie: " + cookie_of(log_in(kSpelled)) + "\r\n";

  const std::string left =
      say("POST /logout HTTP/1.1\r\nHost: weft.example\r\nConnection: close\r\n" + cookie + "\r\n");

  EXPECT_THAT(left, HasSubstr("Max-Age=0"));
  EXPECT_THAT(get("/api", cookie), StartsWith("HTTP/1.1 401"));
}

TEST_F(AppLoginTest, SaysWhoSomebodyIsAndPassesItOnWithAWish) {
  const std::string bearer = "Authorization: Bearer " + kToken + "\r\n";

  EXPECT_THAT(get("/api/visitor", bearer),
              HasSubstr(R"({"name":"token","role":"admin","login":true})"));
  EXPECT_THAT(say("POST /api/control/p/n/c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + bearer
                  + "Content-Length: 2\r\n\r\n{}"),
              StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(desk_.wishes, testing::ElementsAre("POST c {} by token of role admin"));
}

TEST_F(AppLoginTest, LetsNoStrangerNorAnotherPageWish) {
  const std::string wish = "POST /api/control/p/n/c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
  EXPECT_THAT(say(wish + "\r\n"), StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(say(wish + "Origin: http://b\r\nAuthorization: Bearer " + kToken + "\r\n\r\n"),
              StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(desk_.wishes, testing::IsEmpty());
}

}  // namespace
}  // namespace weft::app
