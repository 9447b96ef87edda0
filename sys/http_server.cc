#include "sys/http_server.h"

#include <chrono>
#include <map>
#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include "sys/http/http_connection.h"
#include "sys/http/listen_tcp.h"
#include "sys/http/unix_socket.h"
#include "sys/lifetime.h"
#include "sys/tls/tls_listener.h"

namespace weft::sys {
namespace {

namespace asio = boost::asio;

// After accept() fails, which it does when the process is out of descriptors: trying at once would
// spin until one is free.
constexpr std::chrono::milliseconds kAcceptRetry(100);

// On sockets of Protocol; how they come to listen is the caller's business.
template <class Protocol>
class StreamHttpServer final : public HttpServer, private HttpConnection::Owner {
 public:
  struct Limits {
    std::size_t connections_max = 0;
    std::chrono::milliseconds request_max{};
  };
  StreamHttpServer(asio::any_io_executor executor,
                   Limits limits,
                   OnRequest on_request,
                   OnHangup on_hangup)
      : limits_(limits),
        on_request_(std::move(on_request)),
        on_hangup_(std::move(on_hangup)),
        acceptor_(executor),
        retry_(executor) {}

  ~StreamHttpServer() override {
    for (const auto& [connection, held] : connections_) {
      held.connection->close();
    }
  }

  typename Protocol::acceptor& acceptor() { return acceptor_; }
  UnixSocketFile& file() { return file_; }
  // At connections_max, all of which wait for answers, we do not accept: further clients wait in
  // the backlog until one leaves or has its answer.
  void accept();

  void respond(RequestId id, HttpResponse response) override;
  HttpStats stats() const override;
  void refuse_strangers() { only_local_ = true; }
  // Instead of accept().
  Result<Ok> listen_tls(const Endpoint& address, const Certificate& certificate);

 private:
  struct Held {
    std::shared_ptr<HttpConnection> connection;
    std::uint64_t idle = 0;  // Its key in idle_; 0 from a request until its answer is taken.
  };

  bool is_full() const { return connections_.size() >= limits_.connections_max; }
  bool has_room() const { return !is_full() || !idle_.empty(); }
  void set_busy(HttpConnection& connection);
  bool evict_idle();
  void start(HttpConnection::Socket socket);
  bool is_stranger(const typename Protocol::socket& socket) const;
  void on_accepted(const boost::system::error_code& error, HttpConnection::Socket socket);
  void on_request(HttpConnection& from, HttpRequest request) override;
  void on_hangup(HttpConnection& from) override;
  void on_idle(HttpConnection& from) override;
  void on_late(HttpConnection&) override { ++stats_.late; }
  void on_closed(HttpConnection& from) override;

  Limits limits_;
  OnRequest on_request_;
  OnHangup on_hangup_;
  UnixSocketFile
      file_;  // If it is one. Removed after the acceptor has closed: a later member goes first.
  typename Protocol::acceptor acceptor_;
  std::optional<HttpConnection::Socket> waiting_;  // Accepted, and all others came to be busy.
  std::unique_ptr<TlsListener> tls_;
  asio::steady_timer retry_;
  bool accepting_ = false;
  bool only_local_ = false;
  // Nothing iterates these in an order that shows.
  std::map<HttpConnection*, Held> connections_;
  std::map<std::uint64_t, HttpConnection*> idle_;  // No request is unanswered; the longest first.
  std::uint64_t last_idle_ = 0;
  HttpStats stats_;
  std::map<RequestId, HttpConnection*> unanswered_;
  std::map<HttpConnection*, RequestId> request_of_;
  std::uint64_t last_id_ = 0;
  Lifetime lifetime_;
};

template <class Protocol>
void StreamHttpServer<Protocol>::accept() {
  if (waiting_ && has_room()) {
    start(*std::exchange(waiting_, std::nullopt));
  }
  if (tls_ || accepting_ || waiting_ || !has_room()) {
    return;
  }
  accepting_ = true;
  acceptor_.async_accept(lifetime_.guard(
      [this](const boost::system::error_code& error, typename Protocol::socket socket) {
        if (!error && is_stranger(socket)) {
          accepting_ = false;
          socket.close();
          accept();
          return;
        }
        on_accepted(error, std::move(socket));
      }));
}

// Twice as many places as there: one half may be taken by those who have not shaken hands yet.
template <class Protocol>
Result<Ok> StreamHttpServer<Protocol>::listen_tls(const Endpoint& address,
                                                  const Certificate& certificate) {
  tls_ = WEFT_TRY(TlsListener::listen(
      acceptor_.get_executor(),
      {.listen = address, .connections_max = 2 * limits_.connections_max},
      certificate,
      [this](TlsListener::Socket socket, const std::string&) { start(std::move(socket)); }));
  return Ok{};
}

template <class Protocol>
bool StreamHttpServer<Protocol>::is_stranger(const typename Protocol::socket& socket) const {
  if constexpr (std::is_same_v<Protocol, asio::ip::tcp>) {
    boost::system::error_code error;
    const auto remote = socket.remote_endpoint(error);
    return only_local_ && !error && !remote.address().is_loopback();
  } else {
    return false;
  }
}

template <class Protocol>
void StreamHttpServer<Protocol>::on_accepted(const boost::system::error_code& error,
                                             HttpConnection::Socket socket) {
  accepting_ = false;
  if (error == asio::error::operation_aborted) {
    return;
  }
  if (error) {
    retry_.expires_after(kAcceptRetry);
    retry_.async_wait(lifetime_.guard([this](const boost::system::error_code& cancelled) {
      if (!cancelled) {
        accept();
      }
    }));
    return;
  }
  waiting_.emplace(std::move(socket));
  accept();
}

template <class Protocol>
void StreamHttpServer<Protocol>::start(HttpConnection::Socket socket) {
  if (is_full() && !evict_idle()) {
    ++stats_.evicted;  // TLS has taken its hand already; all others wait for answers.
    return;
  }
  HttpConnection::Owner& owner = *this;
  auto connection = std::make_shared<HttpConnection>(std::move(socket), limits_.request_max, owner);
  connections_[connection.get()].connection = connection;
  connection->start();
}

template <class Protocol>
void StreamHttpServer<Protocol>::on_idle(HttpConnection& from) {
  Held& held = connections_.at(&from);
  WEFT_ASSERT(held.idle == 0);
  held.idle = ++last_idle_;
  idle_.emplace(held.idle, &from);
  accept();
}

template <class Protocol>
void StreamHttpServer<Protocol>::set_busy(HttpConnection& connection) {
  idle_.erase(std::exchange(connections_.at(&connection).idle, 0));
}

// False if there is none. Whoever is in the middle of a request counts as idle too: it has had its
// turn for longer than all others.
template <class Protocol>
bool StreamHttpServer<Protocol>::evict_idle() {
  if (idle_.empty()) {
    return false;
  }
  HttpConnection* const oldest = idle_.begin()->second;
  idle_.erase(idle_.begin());
  oldest->close();
  connections_.erase(oldest);
  ++stats_.evicted;
  return true;
}

template <class Protocol>
HttpStats StreamHttpServer<Protocol>::stats() const {
  HttpStats stats = stats_;
  stats.connections = connections_.size();
  return stats;
}

template <class Protocol>
void StreamHttpServer<Protocol>::on_request(HttpConnection& from, HttpRequest request) {
  set_busy(from);
  request.id = RequestId(++last_id_);
  unanswered_.emplace(request.id, &from);
  request_of_.emplace(&from, request.id);
  on_request_(std::move(request));
}

template <class Protocol>
void StreamHttpServer<Protocol>::respond(RequestId id, HttpResponse response) {
  const auto found = unanswered_.find(id);
  if (found == unanswered_.end()) {
    return;
  }
  HttpConnection* const connection = found->second;
  unanswered_.erase(found);
  request_of_.erase(connection);
  connection->answer(std::move(response));
}

template <class Protocol>
void StreamHttpServer<Protocol>::on_hangup(HttpConnection& from) {
  const auto found = request_of_.find(&from);
  WEFT_ASSERT(found != request_of_.end());
  const RequestId id = found->second;
  unanswered_.erase(id);
  request_of_.erase(found);
  on_hangup_(id);
}

template <class Protocol>
void StreamHttpServer<Protocol>::on_closed(HttpConnection& from) {
  const auto found = connections_.find(&from);
  WEFT_ASSERT(found != connections_.end());
  idle_.erase(found->second.idle);
  connections_.erase(found);
  accept();
}

}  // namespace

Result<std::unique_ptr<HttpServer>> listen_http(asio::any_io_executor executor,
                                                HttpServer::Options options,
                                                HttpServer::OnRequest on_request,
                                                HttpServer::OnHangup on_hangup) {
  auto server = std::make_unique<StreamHttpServer<asio::local::stream_protocol>>(
      std::move(executor),
      StreamHttpServer<asio::local::stream_protocol>::Limits{
          .connections_max = options.connections_max, .request_max = options.request_max},
      std::move(on_request),
      std::move(on_hangup));
  WEFT_TRY(UnixSocketFile::listen(server->acceptor(), options.path, options.group, server->file()));
  server->accept();
  return std::unique_ptr<HttpServer>(std::move(server));
}

Result<std::unique_ptr<HttpServer>> listen_http_tcp(asio::any_io_executor executor,
                                                    const HttpTcpOptions& options,
                                                    HttpServer::OnRequest on_request,
                                                    HttpServer::OnHangup on_hangup) {
  auto server = std::make_unique<StreamHttpServer<asio::ip::tcp>>(
      std::move(executor),
      StreamHttpServer<asio::ip::tcp>::Limits{.connections_max = options.connections_max,
                                              .request_max = options.request_max},
      std::move(on_request),
      std::move(on_hangup));
  if (options.only_local) {
    server->refuse_strangers();
  }
  if (options.certificate) {
    WEFT_TRY(server->listen_tls(options.address, *options.certificate));
    return std::unique_ptr<HttpServer>(std::move(server));
  }
  WEFT_TRY(listen_tcp(server->acceptor(), options.address));
  server->accept();
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace weft::sys
