#include "dns/io/tcp_server.h"

#include <array>
#include <chrono>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include "dns/io/convert.h"

namespace weft::dns {

namespace asio = boost::asio;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;

namespace {

// How long a client may leave its connection without a question (RFC 7766, section 6.2.3: a few
// seconds), and a question without an answer: longer than all servers take to fail.
constexpr std::chrono::seconds kIdleMax{30};
constexpr std::chrono::milliseconds kAcceptRetry{100};
constexpr std::size_t kSizeSize = 2;

}  // namespace

class TcpServer::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, TcpServer& server)
      : socket_(std::move(socket)),
        timer_(socket_.get_executor()),
        server_(&server) {
    ErrorCode error;
    const auto remote = socket_.remote_endpoint(error);
    peer_ = {from_asio(remote.address()), remote.port()};
  }

  void start() { read_size(); }
  const Endpoint& peer() const { return peer_; }

  void answer(ByteView message) {
    if (server_ == nullptr) {
      return;
    }
    if (message.empty()) {
      close();
      return;
    }
    out_ = {static_cast<std::uint8_t>(message.size() >> 8U),
            static_cast<std::uint8_t>(message.size())};
    out_.insert(out_.end(), message.begin(), message.end());
    asio::async_write(socket_,
                      asio::buffer(out_),
                      [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                        error ? self->close() : self->read_size();
                      });
  }

  void close() {
    if (TcpServer* server = std::exchange(server_, nullptr)) {
      ErrorCode ignored;
      socket_.close(ignored);
      timer_.cancel();
      server->connections_.erase(shared_from_this());
    }
  }

 private:
  void read_size() {
    watch_idle();
    asio::async_read(socket_,
                     asio::buffer(size_),
                     [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                       error ? self->close() : self->read_message();
                     });
  }

  void read_message() {
    in_.resize((static_cast<std::size_t>(size_[0]) << 8U) | size_[1]);
    asio::async_read(socket_,
                     asio::buffer(in_),
                     [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                       if (error || self->server_ == nullptr) {
                         self->close();
                         return;
                       }
                       self->server_->on_question_(self, self->in_);
                     });
  }

  void watch_idle() {
    timer_.expires_after(kIdleMax);
    timer_.async_wait([self = weak_from_this()](const ErrorCode& error) {
      if (const auto connection = self.lock(); connection && !error) {
        connection->close();
      }
    });
  }

  tcp::socket socket_;
  asio::steady_timer timer_;
  TcpServer* server_;  // Null once closed.
  Endpoint peer_;
  std::array<std::uint8_t, kSizeSize> size_{};
  Bytes in_;
  Bytes out_;
};

TcpServer::TcpServer(asio::any_io_executor executor, OnQuestion on_question)
    : on_question_(std::move(on_question)),
      acceptor_(executor),
      retry_(executor) {}

TcpServer::~TcpServer() {
  for (const auto& connection : std::exchange(connections_, {})) {
    connection->close();
  }
}

Result<std::unique_ptr<TcpServer>> TcpServer::start(asio::any_io_executor executor,
                                                    const Endpoint& listen,
                                                    OnQuestion on_question) {
  std::unique_ptr<TcpServer> server(new TcpServer(std::move(executor), std::move(on_question)));
  const tcp::endpoint endpoint(to_asio(listen.address), listen.port);
  tcp::acceptor& acceptor = server->acceptor_;
  ErrorCode error;
  acceptor.open(endpoint.protocol(), error);
  if (!error && endpoint.address().is_v6()) {
    acceptor.set_option(asio::ip::v6_only(true), error);
  }
  if (!error) {
    acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  }
  if (!error) {
    acceptor.bind(endpoint, error);
  }
  if (!error) {
    acceptor.listen(asio::socket_base::max_listen_connections, error);
  }
  if (error) {
    return Error{
        Errc::Os, fmt::format("TCP {}: {}", listen.to_string(), error.message()), error.value()};
  }
  server->accept();
  return server;
}

void TcpServer::accept() {
  acceptor_.async_accept(lifetime_.guard([this](const ErrorCode& error, tcp::socket socket) {
    if (error == asio::error::operation_aborted) {
      return;
    }
    if (error) {
      // Out of descriptors: trying at once would spin until one is free.
      retry_.expires_after(kAcceptRetry);
      retry_.async_wait(lifetime_.guard([this](const ErrorCode& cancelled) {
        if (!cancelled) {
          accept();
        }
      }));
      return;
    }
    if (connections_.size() >= kConnectionsMax) {
      ++refused_;
    } else {
      const auto connection = std::make_shared<Connection>(std::move(socket), *this);
      connections_.insert(connection);
      connection->start();
    }
    accept();
  }));
}

void TcpServer::answer(const std::shared_ptr<Connection>& to, ByteView message) {
  to->answer(message);
}

Endpoint TcpServer::peer(const Connection& connection) {
  return connection.peer();
}

}  // namespace weft::dns
