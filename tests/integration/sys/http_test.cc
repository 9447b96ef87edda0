// sys/http_server.h over real Unix sockets, server and raw clients in one process.
#include <atomic>
#include <chrono>
#include <deque>
#include <fstream>
#include <map>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sys/http_server.h"
#include "tests/integration/sys/temp_dir.h"

namespace weft::sys {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;

constexpr auto kPatience = 5s;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// One that nobody listens on.
std::uint16_t free_port() {
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(probe, reinterpret_cast<const sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ::close(probe);
  return ntohs(address.sin_port);
}

// A client that says exactly what it is told to.
class RawClient {
 public:
  explicit RawClient(const std::string& path)
      : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  // On the loopback device.
  explicit RawClient(std::uint16_t port)
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in address = loopback(port);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient() { hang_up(); }

  void send(const std::string& text) {
    EXPECT_EQ(::send(socket_, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  void stop_sending() { ::shutdown(socket_, SHUT_WR); }
  void hang_up() {
    if (socket_ >= 0) {
      ::close(std::exchange(socket_, -1));
    }
  }
  // What has arrived by now; `closed` tells whether the server closed.
  const std::string& received() {
    char buffer[4096];
    ssize_t size = 0;
    while ((size = ::recv(socket_, buffer, sizeof buffer, MSG_DONTWAIT)) > 0) {
      received_.append(buffer, static_cast<std::size_t>(size));
    }
    closed_ = closed_ || size == 0;
    return received_;
  }
  bool closed() {
    received();
    return closed_;
  }

 private:
  int socket_;
  std::string received_;
  bool closed_ = false;
};

class HttpTest : public ::testing::Test {
 protected:
  void serve(HttpServer::Options options) {
    auto server = listen_http(
        context_.get_executor(),
        std::move(options),
        [this](HttpRequest request) {
          if (echo_) {
            server_->respond(request.id, {.body = request.method + " " + request.body});
          } else {
            requests_.push_back(std::move(request));
          }
        },
        [this](RequestId id) { hangups_.push_back(id); });
    ASSERT_TRUE(server.ok()) << server.error().what;
    server_ = std::move(server).value();
  }
  void serve() { serve({.path = path_, .group = "", .connections_max = 8}); }

  template <class Condition>
  bool eventually(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) {
        return false;
      }
      context_.run_one_for(10ms);
    }
    return true;
  }
  bool eventually_receives(RawClient& client, const std::string& text) {
    const bool arrived = eventually([&] { return client.received().find(text) != text.npos; });
    EXPECT_TRUE(arrived) << "got: " << client.received();
    return arrived;
  }

  TempDir dir_;
  std::string path_ = dir_.file("run/weft.sock");
  boost::asio::io_context context_{1};
  bool echo_ = true;
  std::deque<HttpRequest> requests_;
  std::vector<RequestId> hangups_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpTest, AnswersADockerPluginCall) {
  serve();
  RawClient client(path_);

  client.send(
      "POST /Plugin.Activate HTTP/1.1\r\nHost: weft\r\nUser-Agent: Go-http-client/1.1\r\n"
      "Accept: application/vnd.docker.plugins.v1.2+json\r\nContent-Length: 2\r\n\r\n{}");

  ASSERT_TRUE(eventually_receives(client, "POST {}"));
  EXPECT_THAT(client.received(), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(client.received(), HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_THAT(client.received(), HasSubstr("Content-Length: 7\r\n"));
}

TEST_F(HttpTest, TakesAChunkedBodyWithoutContentType) {
  serve();
  RawClient client(path_);

  client.send("POST /x HTTP/1.1\r\nHost: weft\r\nTransfer-Encoding: chunked\r\n\r\n");
  client.send("5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n");

  EXPECT_TRUE(eventually_receives(client, "POST hello!"));
}

TEST_F(HttpTest, KeepsAConnectionForFurtherRequests) {
  serve();
  RawClient client(path_);

  for (const char* body : {"a", "b", "c"}) {
    client.send(std::string("POST /x HTTP/1.1\r\nContent-Length: 1\r\n\r\n") + body);
    ASSERT_TRUE(eventually_receives(client, std::string("POST ") + body));
  }
  EXPECT_FALSE(client.closed());

  client.send("GET /x HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(eventually([&] { return client.closed(); }));
}

TEST_F(HttpTest, AnswersRequestsSentAheadInTheirOrder) {
  serve();
  RawClient client(path_);

  client.send("GET /1 HTTP/1.1\r\n\r\nPUT /2 HTTP/1.1\r\n\r\nPOST /3 HTTP/1.1\r\n\r\n");

  ASSERT_TRUE(eventually_receives(client, "POST "));
  EXPECT_LT(client.received().find("GET "), client.received().find("PUT "));
}

TEST_F(HttpTest, AnswersLaterAndOnlyOnce) {
  echo_ = false;
  serve();
  RawClient first(path_);
  RawClient second(path_);
  first.send("GET /first?a=1 HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return requests_.size() == 1; }));
  second.send("GET /second HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return requests_.size() == 2; }));
  EXPECT_EQ(requests_[0].target, "/first?a=1");
  EXPECT_NE(requests_[0].id, requests_[1].id);

  server_->respond(requests_[1].id, {.status = 404, .content_type = "text/plain", .body = "two"});
  server_->respond(requests_[0].id, {.body = "one"});
  server_->respond(requests_[0].id, {.body = "again"});
  server_->respond(RequestId(4711), {.body = "never asked"});

  EXPECT_TRUE(eventually_receives(second, "HTTP/1.1 404 Not Found"));
  EXPECT_TRUE(eventually_receives(first, "one"));
  EXPECT_THAT(first.received(), ::testing::Not(HasSubstr("again")));
}

TEST_F(HttpTest, TellsWhenAClientLeavesBeforeTheAnswer) {
  echo_ = false;
  serve();
  RawClient client(path_);
  client.send("GET /slow HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return requests_.size() == 1; }));

  client.hang_up();

  ASSERT_TRUE(eventually([&] { return !hangups_.empty(); }));
  EXPECT_THAT(hangups_, ElementsAre(requests_[0].id));
  server_->respond(requests_[0].id, {.body = "too late"});
}

TEST_F(HttpTest, StillAnswersAClientThatOnlyStoppedSending) {
  echo_ = false;
  serve();
  RawClient client(path_);
  client.send("GET /slow HTTP/1.1\r\n\r\n");
  client.stop_sending();
  ASSERT_TRUE(eventually([&] { return requests_.size() == 1; }));
  context_.run_for(20ms);

  server_->respond(requests_[0].id, {.body = "here"});

  EXPECT_TRUE(eventually_receives(client, "here"));
  EXPECT_TRUE(hangups_.empty());
}

TEST_F(HttpTest, RefusesABodyAboveTheLimitWithoutReadingIt) {
  serve();
  RawClient announced(path_);
  RawClient chunked(path_);

  announced.send("POST /x HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n");
  chunked.send("POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n");
  std::atomic<bool> sent = false;
  std::thread sender([&] {
    chunked.send(std::string(0x200000, 'x'));
    sent = true;
  });
  eventually_receives(announced, "HTTP/1.1 413 ");
  eventually_receives(chunked, "HTTP/1.1 413 ");
  EXPECT_TRUE(eventually([&] { return sent.load(); })) << "it is not cut while it sends";
  sender.join();

  announced.stop_sending();
  chunked.stop_sending();
  EXPECT_TRUE(eventually([&] { return announced.closed() && chunked.closed(); }));
}

TEST_F(HttpTest, TakesABodyOfJustTheLimit) {
  serve();
  const std::string body(1U << 20U, 'x');
  Result<HttpResponse> answer = Error{};

  std::atomic<bool> done = false;
  std::thread client([&] {
    answer = http_call(path_, "POST", "/x", body, 5);
    done = true;
  });
  eventually([&] { return done.load(); });
  client.join();

  ASSERT_TRUE(answer.ok()) << answer.error().what;
  EXPECT_EQ(answer.value().body, "POST " + body);
}

TEST_F(HttpTest, RefusesAHeaderAboveTheLimit) {
  serve();
  RawClient client(path_);

  client.send("GET /x HTTP/1.1\r\nX: " + std::string(20000, 'x') + "\r\n\r\n");

  EXPECT_TRUE(eventually_receives(client, "HTTP/1.1 431 "));
}

// What no limit of the parser's counts.
TEST_F(HttpTest, RefusesWhatStandsBetweenThePiecesOfABodyAboveTheLimit) {
  serve();
  const std::string head = "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  constexpr std::size_t kSize = 100 * 1024;

  for (const std::string& rest :
       {"1;" + std::string(kSize, 'x'), "0\r\nX: " + std::string(kSize, 'x')}) {
    RawClient client(path_);
    client.send(head + rest);

    EXPECT_TRUE(eventually_receives(client, "HTTP/1.1 431 "));
  }
}

TEST_F(HttpTest, RefusesWhatIsNotHttpAndServesOn) {
  serve();
  for (const char* text : {"nonsense\r\n\r\n",
                           "GET /x HTTP/9.9\r\n\r\n",
                           "GET  HTTP/1.1\r\n\r\n",
                           "POST /x HTTP/1.1\r\nContent-Length: many\r\n\r\n",
                           "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    RawClient client(path_);
    client.send(text);

    EXPECT_TRUE(eventually_receives(client, "HTTP/1.1 400 Bad Request")) << text;
    client.stop_sending();
    EXPECT_TRUE(eventually([&] { return client.closed(); }));
  }
  RawClient client(path_);
  client.send("GET /x HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(eventually_receives(client, "GET "));
}

TEST_F(HttpTest, LetsClientsBeyondTheLimitWaitWhileAllOthersWaitForAnswers) {
  echo_ = false;
  serve({.path = path_, .group = "", .connections_max = 2});
  auto first = std::make_unique<RawClient>(path_);
  auto second = std::make_unique<RawClient>(path_);
  first->send("GET /x HTTP/1.1\r\n\r\n");
  second->send("GET /x HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return requests_.size() == 2; }));
  RawClient third(path_);
  third.send("GET /y HTTP/1.1\r\n\r\n");
  context_.run_for(20ms);
  EXPECT_EQ(requests_.size(), 2U);

  first.reset();

  EXPECT_TRUE(eventually([&] { return requests_.size() == 3; }));
  EXPECT_FALSE(second->closed()) << "who waits for an answer keeps its place";
  EXPECT_EQ(server_->stats().evicted, 0U);
}

TEST_F(HttpTest, AnIdleClientMakesRoomForANewcomerTheLongestIdleFirst) {
  serve({.path = path_, .group = "", .connections_max = 3});
  RawClient silent(path_);
  RawClient stalled(path_);
  stalled.send("GET /x HTTP/1.1\r\n");
  RawClient served(path_);
  served.send("GET /x HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(eventually_receives(served, "GET "));

  std::vector<std::unique_ptr<RawClient>> newcomers;
  for (const auto* oldest : {&silent, &stalled}) {
    newcomers.push_back(std::make_unique<RawClient>(path_));
    newcomers.back()->send("GET /x HTTP/1.1\r\n\r\n");
    ASSERT_TRUE(eventually_receives(*newcomers.back(), "GET "));
    EXPECT_TRUE(const_cast<RawClient*>(oldest)->closed());
  }

  EXPECT_FALSE(served.closed());
  EXPECT_EQ(server_->stats().evicted, 2U);
  EXPECT_EQ(server_->stats().connections, 3U);
}

TEST_F(HttpTest, ARequestThatDoesNotArriveInTimeIsCut) {
  serve({.path = path_, .group = "", .connections_max = 8, .request_max = 50ms});
  RawClient header(path_);
  header.send("GET /x HTTP/1.1\r\nX: ");
  RawClient body(path_);
  body.send("POST /x HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf");
  RawClient idle(path_);
  idle.send("GET /x HTTP/1.1\r\n\r\n");

  EXPECT_TRUE(eventually([&] { return header.closed() && body.closed(); }));

  EXPECT_TRUE(eventually([&] { return server_->stats().late == 2; }));
  EXPECT_TRUE(eventually_receives(idle, "GET "));
  EXPECT_FALSE(idle.closed()) << "between two requests there is more time";
}

TEST_F(HttpTest, ServesManyConnectionsAtOnce) {
  serve({.path = path_, .group = "", .connections_max = 256});
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<RawClient>(path_));
  }

  for (const auto& client : clients) {
    client->send("GET /x HTTP/1.1\r\n\r\n");
  }

  for (const auto& client : clients) {
    ASSERT_TRUE(eventually_receives(*client, "GET "));
  }
}

TEST_F(HttpTest, TheSocketIsForItsOwnerOrForTheGroupThatExists) {
  serve({.path = path_, .group = "no-such-group"});
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  server_.reset();

  serve({.path = path_, .group = "daemon"});
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0660U);
  EXPECT_EQ(status.st_gid, 1U) << "group daemon";
}

TEST_F(HttpTest, ReplacesAStaleSocketAndRefusesALiveOne) {
  serve();
  const auto second = listen_http(context_.get_executor(), {.path = path_}, {}, {});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, Errc::Conflict);
  EXPECT_THAT(second.error().what, HasSubstr("served by another process"));

  const std::string stale = dir_.file("stale.sock");
  const int leftover = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  stale.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(leftover, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(leftover);

  EXPECT_TRUE(listen_http(context_.get_executor(), {.path = stale}, {}, {}).ok());
}

TEST_F(HttpTest, RefusesAPathThatIsNoSocketOrTooLong) {
  const std::string file = dir_.file("file");
  std::ofstream(file) << "precious";

  const auto occupied = listen_http(context_.get_executor(), {.path = file}, {}, {});
  const auto too_long =
      listen_http(context_.get_executor(), {.path = "/" + std::string(120, 'x')}, {}, {});

  ASSERT_FALSE(occupied.ok());
  EXPECT_EQ(occupied.error().code, Errc::Conflict);
  EXPECT_EQ(std::ifstream(file).peek(), 'p');
  ASSERT_FALSE(too_long.ok());
  EXPECT_EQ(too_long.error().code, Errc::Invalid);
}

TEST_F(HttpTest, LeavesNothingBehind) {
  echo_ = false;
  serve();
  RawClient client(path_);
  client.send("GET /slow HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return requests_.size() == 1; }));

  server_.reset();
  context_.run_for(20ms);

  EXPECT_TRUE(client.closed());
  EXPECT_TRUE(hangups_.empty()) << "nobody is told by a server that is gone";
  EXPECT_NE(::access(path_.c_str(), F_OK), 0);
}

TEST_F(HttpTest, ServesTcpToNoMoreClientsThanItsLimit) {
  const std::uint16_t port = free_port();
  auto server = listen_http_tcp(
      context_.get_executor(),
      {.address = {Ip::parse("127.0.0.1").value(), port}, .connections_max = 1},
      [this](HttpRequest request) { requests_.push_back(std::move(request)); },
      [](RequestId) {});
  ASSERT_TRUE(server.ok()) << server.error().what;
  server_ = std::move(server).value();
  RawClient first(port);
  first.send("GET /first HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return requests_.size() == 1; }));
  RawClient second(port);

  second.send("GET /second HTTP/1.1\r\n\r\n");
  context_.run_for(50ms);
  EXPECT_EQ(requests_.size(), 1U);
  server_->respond(requests_.front().id, {.body = "done"});

  EXPECT_TRUE(eventually([&] { return requests_.size() == 2; }));
}

TEST_F(HttpTest, SaysThatATcpPortIsTaken) {
  const std::uint16_t port = free_port();
  const HttpTcpOptions options{.address = {Ip::parse("127.0.0.1").value(), port}};
  const auto listen = [&] {
    return listen_http_tcp(
        context_.get_executor(), options, [](const HttpRequest&) {}, [](RequestId) {});
  };
  const auto first = listen();
  ASSERT_TRUE(first.ok());

  const auto second = listen();

  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().os, EADDRINUSE);
}

TEST_F(HttpTest, ACallReturnsTheAnswer) {
  serve();
  Result<HttpResponse> answer = Error{};
  std::atomic<bool> done = false;

  std::thread client([&] {
    answer = http_call(path_, "POST", "/x?y", "body", 5);
    done = true;
  });
  eventually([&] { return done.load(); });
  client.join();

  ASSERT_TRUE(answer.ok()) << answer.error().what;
  EXPECT_EQ(answer.value().status, 200U);
  EXPECT_EQ(answer.value().content_type, "application/json");
  EXPECT_EQ(answer.value().body, "POST body");
}

TEST_F(HttpTest, ACallSaysWhyThereIsNoAnswer) {
  const auto absent = http_call(path_, "GET", "/", "", 1);
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().code, Errc::Unavailable);
  EXPECT_THAT(absent.error().what, HasSubstr("nothing listens on " + path_));

  echo_ = false;
  serve();
  const auto silent = http_call(path_, "GET", "/", "", 1);
  ASSERT_FALSE(silent.ok());
  EXPECT_EQ(silent.error().code, Errc::Unavailable);
  EXPECT_THAT(silent.error().what, HasSubstr("within 1 s"));
}

}  // namespace
}  // namespace weft::sys
