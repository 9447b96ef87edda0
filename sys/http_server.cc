#include "sys/http_server.h"

#include <chrono>
#include <map>
#include <utility>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include "sys/http/http_connection.h"
#include "sys/http/unix_socket.h"

namespace weft::sys {
namespace {

namespace asio = boost::asio;

// After accept() fails, which it does when the process is out of descriptors: trying at once would
// spin until one is free.
constexpr std::chrono::milliseconds kAcceptRetry(100);

class UnixHttpServer final : public HttpServer, private HttpConnection::Owner {
 public:
  UnixHttpServer(asio::any_io_executor executor,
                 Options options,
                 OnRequest on_request,
                 OnHangup on_hangup)
      : options_(std::move(options)),
        on_request_(std::move(on_request)),
        on_hangup_(std::move(on_hangup)),
        acceptor_(executor),
        retry_(executor) {}

  ~UnixHttpServer() override {
    for (const auto& [connection, held] : connections_) {
      connection->close();
    }
  }

  Result<Ok> listen() {
    WEFT_TRY(UnixSocketFile::listen(acceptor_, options_.path, options_.group, file_));
    accept();
    return Ok{};
  }

  void respond(RequestId id, HttpResponse response) override;

 private:
  struct Alive {};

  void accept();
  void on_accepted(const boost::system::error_code& error, HttpConnection::Socket socket);
  void on_request(HttpConnection& from, HttpRequest request) override;
  void on_hangup(HttpConnection& from) override;
  void on_closed(HttpConnection& from) override;

  Options options_;
  OnRequest on_request_;
  OnHangup on_hangup_;
  UnixSocketFile file_;  // Removed after the acceptor has closed: a later member goes first.
  asio::local::stream_protocol::acceptor acceptor_;
  asio::steady_timer retry_;
  bool accepting_ = false;
  // Nothing iterates these in an order that shows.
  std::map<HttpConnection*, std::shared_ptr<HttpConnection>> connections_;
  std::map<RequestId, HttpConnection*> unanswered_;
  std::map<HttpConnection*, RequestId> request_of_;
  std::uint64_t last_id_ = 0;
  // A handler that was due when we were destroyed still runs, and finds this gone.
  std::shared_ptr<const Alive> alive_ = std::make_shared<const Alive>();
};

// At connections_max we do not accept: further clients wait in the backlog until one leaves.
void UnixHttpServer::accept() {
  if (accepting_ || connections_.size() >= options_.connections_max) {
    return;
  }
  accepting_ = true;
  acceptor_.async_accept(
      [this, alive = std::weak_ptr<const Alive>(alive_)](const boost::system::error_code& error,
                                                         HttpConnection::Socket socket) {
        if (!alive.expired()) {
          on_accepted(error, std::move(socket));
        }
      });
}

void UnixHttpServer::on_accepted(const boost::system::error_code& error,
                                 HttpConnection::Socket socket) {
  accepting_ = false;
  if (error == asio::error::operation_aborted) {
    return;
  }
  if (error) {
    retry_.expires_after(kAcceptRetry);
    retry_.async_wait([this, alive = std::weak_ptr<const Alive>(alive_)](
                          const boost::system::error_code& cancelled) {
      if (!cancelled && !alive.expired()) {
        accept();
      }
    });
    return;
  }
  HttpConnection::Owner& owner = *this;
  auto connection = std::make_shared<HttpConnection>(std::move(socket), owner);
  connections_.emplace(connection.get(), connection);
  connection->start();
  accept();
}

void UnixHttpServer::on_request(HttpConnection& from, HttpRequest request) {
  request.id = RequestId(++last_id_);
  unanswered_.emplace(request.id, &from);
  request_of_.emplace(&from, request.id);
  on_request_(std::move(request));
}

void UnixHttpServer::respond(RequestId id, HttpResponse response) {
  const auto found = unanswered_.find(id);
  if (found == unanswered_.end()) {
    return;
  }
  HttpConnection* const connection = found->second;
  unanswered_.erase(found);
  request_of_.erase(connection);
  connection->answer(std::move(response));
}

void UnixHttpServer::on_hangup(HttpConnection& from) {
  const auto found = request_of_.find(&from);
  WEFT_ASSERT(found != request_of_.end());
  const RequestId id = found->second;
  unanswered_.erase(id);
  request_of_.erase(found);
  on_hangup_(id);
}

void UnixHttpServer::on_closed(HttpConnection& from) {
  connections_.erase(&from);
  accept();
}

}  // namespace

Result<std::unique_ptr<HttpServer>> listen_http(boost::asio::any_io_executor executor,
                                                HttpServer::Options options,
                                                HttpServer::OnRequest on_request,
                                                HttpServer::OnHangup on_hangup) {
  auto server = std::make_unique<UnixHttpServer>(
      std::move(executor), std::move(options), std::move(on_request), std::move(on_hangup));
  WEFT_TRY(server->listen());
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace weft::sys
