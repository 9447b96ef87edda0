#include "sys/http_server.h"

#include <chrono>
#include <map>
#include <type_traits>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include "sys/http/http_connection.h"
#include "sys/http/listen_tcp.h"
#include "sys/http/unix_socket.h"
#include "sys/lifetime.h"

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
  StreamHttpServer(asio::any_io_executor executor,
                   std::size_t connections_max,
                   OnRequest on_request,
                   OnHangup on_hangup)
      : connections_max_(connections_max),
        on_request_(std::move(on_request)),
        on_hangup_(std::move(on_hangup)),
        acceptor_(executor),
        retry_(executor) {}

  ~StreamHttpServer() override {
    for (const auto& [connection, held] : connections_) {
      connection->close();
    }
  }

  typename Protocol::acceptor& acceptor() { return acceptor_; }
  UnixSocketFile& file() { return file_; }
  // At connections_max we do not accept: further clients wait in the backlog until one leaves.
  void accept();

  void respond(RequestId id, HttpResponse response) override;
  void refuse_strangers() { only_local_ = true; }

 private:
  bool is_stranger(const typename Protocol::socket& socket) const;
  void on_accepted(const boost::system::error_code& error, HttpConnection::Socket socket);
  void on_request(HttpConnection& from, HttpRequest request) override;
  void on_hangup(HttpConnection& from) override;
  void on_closed(HttpConnection& from) override;

  std::size_t connections_max_;
  OnRequest on_request_;
  OnHangup on_hangup_;
  UnixSocketFile
      file_;  // If it is one. Removed after the acceptor has closed: a later member goes first.
  typename Protocol::acceptor acceptor_;
  asio::steady_timer retry_;
  bool accepting_ = false;
  bool only_local_ = false;
  // Nothing iterates these in an order that shows.
  std::map<HttpConnection*, std::shared_ptr<HttpConnection>> connections_;
  std::map<RequestId, HttpConnection*> unanswered_;
  std::map<HttpConnection*, RequestId> request_of_;
  std::uint64_t last_id_ = 0;
  Lifetime lifetime_;
};

template <class Protocol>
void StreamHttpServer<Protocol>::accept() {
  if (accepting_ || connections_.size() >= connections_max_) {
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
  HttpConnection::Owner& owner = *this;
  auto connection = std::make_shared<HttpConnection>(std::move(socket), owner);
  connections_.emplace(connection.get(), connection);
  connection->start();
  accept();
}

template <class Protocol>
void StreamHttpServer<Protocol>::on_request(HttpConnection& from, HttpRequest request) {
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
  connections_.erase(&from);
  accept();
}

}  // namespace

Result<std::unique_ptr<HttpServer>> listen_http(asio::any_io_executor executor,
                                                HttpServer::Options options,
                                                HttpServer::OnRequest on_request,
                                                HttpServer::OnHangup on_hangup) {
  auto server = std::make_unique<StreamHttpServer<asio::local::stream_protocol>>(
      std::move(executor), options.connections_max, std::move(on_request), std::move(on_hangup));
  WEFT_TRY(UnixSocketFile::listen(server->acceptor(), options.path, options.group, server->file()));
  server->accept();
  return std::unique_ptr<HttpServer>(std::move(server));
}

Result<std::unique_ptr<HttpServer>> listen_http_tcp(asio::any_io_executor executor,
                                                    const HttpTcpOptions& options,
                                                    HttpServer::OnRequest on_request,
                                                    HttpServer::OnHangup on_hangup) {
  auto server = std::make_unique<StreamHttpServer<asio::ip::tcp>>(
      std::move(executor), options.connections_max, std::move(on_request), std::move(on_hangup));
  if (options.only_local) {
    server->refuse_strangers();
  }
  WEFT_TRY(listen_tcp(server->acceptor(), options.address));
  server->accept();
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace weft::sys
