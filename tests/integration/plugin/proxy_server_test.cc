// The Docker API proxy between a client and an engine, both of which are this test: octets on
// sockets.
#include "plugin/proxy/io/proxy_server.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

namespace weft::plugin::proxy {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Protocol = boost::asio::local::stream_protocol;

// Either end of a conversation. What does not come within ten seconds does not come.
class Talker {
 public:
  explicit Talker(Protocol::socket socket) : socket_(std::move(socket)) {
    timeval limit{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }

  void say(std::string_view text) { boost::asio::write(socket_, boost::asio::buffer(text)); }
  void end() { socket_.shutdown(Protocol::socket::shutdown_send); }
  void leave() { socket_.close(); }
  std::string hear(std::size_t size) {
    std::string text(size, '\0');
    std::size_t heard = 0;
    ssize_t more = 1;
    while (heard < size && more > 0) {
      more = ::recv(socket_.native_handle(), text.data() + heard, size - heard, 0);
      heard += more > 0 ? static_cast<std::size_t>(more) : 0;
    }
    EXPECT_FALSE(more < 0 && errno == EAGAIN) << "neither octets nor their end came";
    text.resize(heard);
    return text;
  }
  Protocol::socket& socket() { return socket_; }
  // Until the other side ends.
  std::string hear_all() { return hear(1U << 20U); }
  // The other side says no more.
  bool hears_the_end() {
    char octet = 0;
    return ::recv(socket_.native_handle(), &octet, 1, 0) == 0;
  }
  // This and nothing else.
  void expect(std::string_view text) { EXPECT_EQ(hear(text.size()), text); }

 private:
  Protocol::socket socket_;
};

class ProxyServerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "weft-proxy-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    acceptor_.open(Protocol());
    acceptor_.bind(Protocol::endpoint(engine_path()));
    acceptor_.listen();
    start(std::chrono::seconds(60));
  }
  void start(std::chrono::milliseconds body_time_max) {
    auto server = ProxyServer::start(
        {.places = {{.tcp = {}, .path = proxy_path()}},
         .docker_socket = engine_path(),
         .body_time_max = body_time_max},
        {.on_create = [this](const Call& call,
                             const std::string& body) { return on_create_(call, body); },
         .on_started = [this](const std::string& id) { return on_started_(id); },
         .on_exec = [this](const std::string& id) { return on_exec_(id); }});
    ASSERT_TRUE(server.ok()) << server.error().what;
    server_ = std::move(server).value();
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::string engine_path() const { return folder_ / "engine.sock"; }
  std::string proxy_path() const { return folder_ / "proxy.sock"; }
  Talker client() {
    Protocol::socket socket(io_);
    socket.connect(Protocol::endpoint(proxy_path()));
    return Talker(std::move(socket));
  }
  Talker engine() { return Talker(acceptor_.accept()); }

  std::filesystem::path folder_;
  boost::asio::io_context io_;
  Protocol::acceptor acceptor_{io_};
  std::function<Result<std::string>(const Call&, const std::string&)> on_create_;
  std::function<Result<Ok>(const std::string&)> on_started_;
  std::function<Result<Ok>(const std::string&)> on_exec_;
  std::unique_ptr<ProxyServer> server_;
};

TEST_F(ProxyServerTest, PassesRequestsAndAnswersOctetByOctet) {
  Talker client = this->client();
  client.say("PUT /v1.41/x?a=%20 HTTP/1.1\r\nhost:  /var/run/docker.sock\r\nX-Odd:\t1\r\n");
  client.say("Transfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n");
  Talker engine = this->engine();
  engine.expect(
      "PUT /v1.41/x?a=%20 HTTP/1.1\r\nhost:  /var/run/docker.sock\r\nX-Odd:\t1\r\n"
      "Transfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n");
  client.say("0\r\nTrailer: t\r\n\r\nGET /next HTTP/1.1\r\n\r\n");
  engine.expect("0\r\nTrailer: t\r\n\r\n");

  const std::string answer = "HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n";
  engine.say(answer);
  client.expect(answer);  // Each piece as it comes.
  engine.say("2\r\nyz\r\n0\r\n\r\n");
  client.expect("2\r\nyz\r\n0\r\n\r\n");
  engine.expect("GET /next HTTP/1.1\r\n\r\n");
  engine.say("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n");
  client.expect("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n");
  client.say("HEAD /_ping HTTP/1.1\r\n\r\n");
  engine.expect("HEAD /_ping HTTP/1.1\r\n\r\n");
  engine.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
  client.expect("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
  client.say("GET /eof HTTP/1.1\r\n\r\n");
  engine.expect("GET /eof HTTP/1.1\r\n\r\n");
  engine.say("HTTP/1.1 200 OK\r\n\r\nuntil the end");
  engine.leave();
  EXPECT_EQ(client.hear_all(), "HTTP/1.1 200 OK\r\n\r\nuntil the end");
}

TEST_F(ProxyServerTest, HandsOnOnceWhatComesBehindAChunkedRequest) {
  const std::string first =
      "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n";
  const std::string second = "POST /next HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
  const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  Talker client = this->client();
  client.say(first + second);
  client.end();
  Talker engine = this->engine();
  engine.expect(first);
  engine.say(answer);
  engine.expect(second);
  engine.say(answer);
  EXPECT_EQ(engine.hear_all(), "");
  EXPECT_EQ(client.hear_all(), answer + answer);
}

TEST_F(ProxyServerTest, CarriesStreamsBothWaysAndTheirEnds) {
  for (const char* const head : {"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\n\r\n",
                                 "HTTP/1.1 200 OK\r\nContent-Type: application/raw\r\n\r\n"}) {
    Talker client = this->client();
    const std::string request = "POST /containers/x/attach HTTP/1.1\r\nHost: h\r\n\r\n";
    client.say(request + "early");
    Talker engine = this->engine();
    engine.expect(request);
    engine.say(std::string(head) + "first");
    client.expect(std::string(head) + "first");
    engine.expect("early");
    client.say("in");
    engine.expect("in");
    client.end();
    EXPECT_EQ(engine.hear_all(), "");
    engine.say("after the end of input");
    engine.leave();
    EXPECT_EQ(client.hear_all(), "after the end of input");
  }
}

TEST_F(ProxyServerTest, AStreamLosesNothingOfWhatComesTogetherWithItsEnd) {
  for (int i = 0; i < 100; ++i) {
    Talker client = this->client();
    client.say("POST /containers/x/attach HTTP/1.1\r\n\r\n");
    Talker engine = this->engine();
    engine.expect("POST /containers/x/attach HTTP/1.1\r\n\r\n");
    engine.say("HTTP/1.1 101 UPGRADED\r\n\r\n");
    client.expect("HTTP/1.1 101 UPGRADED\r\n\r\n");
    client.say("in");
    client.end();
    ASSERT_EQ(engine.hear_all(), "in") << i;
    engine.say("out");
    engine.leave();
    ASSERT_EQ(client.hear_all(), "out") << i;
  }
}

TEST_F(ProxyServerTest, AStreamBeginsBehindARequestThatIsNotOver) {
  const std::string begun =
      "POST /containers/x/attach HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  Talker client = this->client();
  client.say(begun);
  Talker engine = this->engine();
  engine.expect(begun);
  engine.say("HTTP/1.1 101 UPGRADED\r\n\r\n");
  client.expect("HTTP/1.1 101 UPGRADED\r\n\r\n");

  client.say("5");  // Half of a chunk's head.
  engine.expect("5");
  client.say("\r\nabcde\r\n0\r\n\r\nraw");
  engine.expect("\r\nabcde\r\n0\r\n\r\nraw");
  engine.say("out");
  client.expect("out");
  client.end();
  EXPECT_TRUE(engine.hears_the_end());
}

// Where nothing happens, `docker events` and `docker wait` would be under way for ever.
TEST_F(ProxyServerTest, TellsTheEngineThatNobodyListensAnyMore) {
  for (const char* const said : {"", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    Talker client = this->client();
    client.say("GET /first HTTP/1.1\r\n\r\n");
    Talker engine = this->engine();
    engine.expect("GET /first HTTP/1.1\r\n\r\n");
    engine.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    client.expect("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    client.say("GET /events HTTP/1.1\r\n\r\n");
    engine.expect("GET /events HTTP/1.1\r\n\r\n");
    engine.say(said);
    client.expect(said);

    client.leave();
    EXPECT_TRUE(engine.hears_the_end());
  }
}

TEST_F(ProxyServerTest, AsksBeforeAContainerIsCreated) {
  on_create_ = [](const Call& call, const std::string& body) -> Result<std::string> {
    if (body == "{}") {
      return Error{Errc::Invalid, "not \"this\""};
    }
    return call.name + ":" + body;
  };
  Talker client = this->client();
  client.say(
      "POST /containers/create?name=web HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
      "Transfer-Encoding: chunked\r\n\r\n");
  Talker engine = this->engine();
  client.expect("HTTP/1.1 100 Continue\r\n\r\n");
  client.say("2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
  engine.expect(
      "POST /containers/create?name=web HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\nweb:abc");
  engine.say("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
  client.expect("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
  client.say("POST /containers/create HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}");
  const std::string refused = client.hear_all();
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 500 "));
  EXPECT_THAT(refused, HasSubstr(R"({"message":"not \"this\""})"));
}

TEST_F(ProxyServerTest, HoldsTheAnswerBackUntilAContainerIsAttached) {
  std::promise<void> attached;
  std::promise<std::string> asked;
  on_started_ = [&](const std::string& container) -> Result<Ok> {
    asked.set_value(container);
    attached.get_future().wait();
    return Ok{};
  };
  Talker client = this->client();
  client.say("POST /v1.41/containers/web/start HTTP/1.1\r\n\r\n");
  Talker engine = this->engine();
  engine.expect("POST /v1.41/containers/web/start HTTP/1.1\r\n\r\n");
  engine.say("HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(asked.get_future().get(), "web");
  Talker other = this->client();  // Meanwhile others are served.
  other.say("GET /_ping HTTP/1.1\r\n\r\n");
  Talker another_engine = this->engine();
  another_engine.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  other.expect("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  attached.set_value();
  client.expect("HTTP/1.1 204 No Content\r\n\r\n");

  on_started_ = [](const std::string&) -> Result<Ok> { return Error{Errc::Exhausted, "no space"}; };
  client.say("POST /containers/web/restart HTTP/1.1\r\n\r\n");
  engine.hear(std::string_view("POST /containers/web/restart HTTP/1.1\r\n\r\n").size());
  engine.say("HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_THAT(client.hear_all(), HasSubstr(R"({"message":"no space"})"));
}

TEST_F(ProxyServerTest, AsksBeforeMoreIsRunInAContainer) {
  const std::string request =
      "POST /containers/web/exec HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n\r\n{}";
  std::promise<void> attached;
  std::atomic<bool> is_asked = false;
  on_exec_ = [&](const std::string& container) -> Result<Ok> {
    EXPECT_EQ(container, "web");
    is_asked = true;
    attached.get_future().wait();
    return Ok{};
  };
  Talker client = this->client();
  client.say(request);
  Talker engine = this->engine();
  while (!is_asked) {
    std::this_thread::yield();
  }
  EXPECT_EQ(::recv(engine.socket().native_handle(), nullptr, 0, MSG_DONTWAIT | MSG_PEEK), -1);
  attached.set_value();
  engine.expect(request);
  engine.say("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
  client.expect("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");

  on_exec_ = [](const std::string&) -> Result<Ok> { return Error{Errc::Exhausted, "no space"}; };
  client.say(request);
  EXPECT_THAT(client.hear_all(), HasSubstr("no space"));
}

TEST_F(ProxyServerTest, TellsTheAnswerThatComesBeforeTheRequestIsThere) {
  Talker client = this->client();
  client.say("POST /build HTTP/1.1\r\nContent-Length: 1000000\r\n\r\nbegun");
  Talker engine = this->engine();
  engine.expect("POST /build HTTP/1.1\r\nContent-Length: 1000000\r\n\r\nbegun");
  engine.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno");
  EXPECT_EQ(client.hear_all(), "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno");
}

TEST_F(ProxyServerTest, RefusesWhatIsNoRequestAndServesTheNext) {
  const std::string long_field = "GET / HTTP/1.1\r\nA: " + std::string(70'000, 'a');
  for (const auto& [request, status] : {std::pair<std::string, std::string>{"\x16\x03\x01", "400"},
                                        {"GET / HTTP/1.1\r\nA\r\n\r\n", "400"},
                                        {"GET / HTTP/9.9\r\n\r\n", "400"},
                                        {long_field, "431"}}) {
    Talker client = this->client();
    client.say(request);
    client.end();
    EXPECT_THAT(client.hear_all(), StartsWith("HTTP/1.1 " + status)) << request.substr(0, 40);
  }
  on_create_ = [](const Call&, const std::string& body) -> Result<std::string> { return body; };
  Talker large = this->client();
  large.say("POST /containers/create HTTP/1.1\r\nContent-Length: 4194305\r\n\r\n");
  large.say(std::string(4'194'305, ' '));
  EXPECT_THAT(large.hear_all(), StartsWith("HTTP/1.1 413 "));
  Talker broken = this->client();
  broken.say("POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
  EXPECT_THAT(broken.hear_all(), StartsWith("HTTP/1.1 400 "));
  Talker half = this->client();
  half.say("POST /containers/create HTTP/1.1\r\nContent-Length: 10\r\n\r\n{");
  half.leave();
  Talker client = this->client();
  client.say("GET /_ping HTTP/1.1\r\nConnection: close\r\n\r\n");
  Talker engine = this->engine();
  for (int i = 0; i < 3; ++i) {  // Those of the refused ones come first.
    if (engine.hear(1) == "G") {
      break;
    }
    engine = this->engine();
  }
  engine.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(client.hear_all(), StartsWith("HTTP/1.1 200 OK"));
}

TEST_F(ProxyServerTest, DoesNotWaitForEverForWhatDescribesAContainer) {
  server_.reset();
  start(std::chrono::milliseconds(200));
  for (const char* framing :
       {"Content-Length: 10\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n1\r\n{"}) {
    Talker client = this->client();
    client.say(std::string("POST /containers/create HTTP/1.1\r\n") + framing);
    EXPECT_THAT(client.hear_all(), StartsWith("HTTP/1.1 408 ")) << framing;
  }
  on_create_ = [](const Call&, const std::string& body) -> Result<std::string> { return body; };
  Talker client = this->client();
  client.say("POST /containers/create HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}");
  for (int refused = 0; refused < 2; ++refused) {
    EXPECT_TRUE(engine().hears_the_end());
  }
  Talker engine = this->engine();
  engine.expect("POST /containers/create HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}");
  boost::asio::steady_timer(io_, std::chrono::milliseconds(300)).wait();  // It may take its time.
  engine.say("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
  client.expect("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
}

TEST_F(ProxyServerTest, SaysThatTheEngineIsAway) {
  acceptor_.close();
  Talker client = this->client();
  client.say("GET /_ping HTTP/1.1\r\n\r\n");
  EXPECT_THAT(client.hear_all(), StartsWith("HTTP/1.1 502 "));
}

TEST_F(ProxyServerTest, EndsWhileClientsAreConnected) {
  std::promise<void> asked;
  on_started_ = [&](const std::string&) -> Result<Ok> {
    asked.set_value();
    return Ok{};
  };
  Talker idle = this->client();
  Talker client = this->client();
  client.say("POST /containers/web/start HTTP/1.1\r\n\r\n");
  Talker engine = this->engine();
  engine.say("HTTP/1.1 204 No Content\r\n\r\n");
  asked.get_future().wait();

  server_.reset();

  EXPECT_EQ(idle.hear_all(), "");
  EXPECT_FALSE(std::filesystem::exists(proxy_path()));
}

}  // namespace
}  // namespace weft::plugin::proxy
