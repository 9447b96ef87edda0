#include "dns/io/tcp_server.h"

#include <array>
#include <chrono>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include "base/assert.h"
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
// Questions of one client that wait for answers, and octets of answers that wait to be sent: then
// no more is read of it. A resolver sends a pair at once (A and AAAA), a busy one some tens.
constexpr std::size_t kWaitingMax = 32;
constexpr std::size_t kUnsentMax = 64 * 1024;

}  // namespace

// Questions of one client are worked on at the same time and answered as the answers come (RFC
// 7766, sections 6.2.1.1 and 7): one that other servers are slow to answer holds up no other. Who
// has sent a FIN may still be reading, and gets the answers it is owed; who has gone altogether
// answers those with a reset.
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

  void start() {
    watch_idle();
    read_size();
  }
  const Endpoint& peer() const { return peer_; }

  void answer(ByteView message) {
    if (server_ == nullptr) {
      return;
    }
    WEFT_ASSERT(waiting_ > 0);
    --waiting_;
    if (message.empty()) {
      close();
      return;
    }
    out_.push_back(static_cast<std::uint8_t>(message.size() >> 8U));
    out_.push_back(static_cast<std::uint8_t>(message.size()));
    out_.insert(out_.end(), message.begin(), message.end());
    send();
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
  enum class Reading : std::uint8_t { Yes, Paused, Over };

  void read_size() {
    asio::async_read(socket_,
                     asio::buffer(size_),
                     [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                       error ? self->on_end(error) : self->read_message();
                     });
  }

  void read_message() {
    in_.resize((static_cast<std::size_t>(size_[0]) << 8U) | size_[1]);
    asio::async_read(socket_,
                     asio::buffer(in_),
                     [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                       error ? self->on_end(error) : self->on_message();
                     });
  }

  void on_message() {
    if (server_ == nullptr) {
      return;
    }
    watch_idle();
    ++waiting_;
    reading_ = Reading::Paused;
    server_->on_question_(shared_from_this(), in_);
    go_on();
  }

  void on_end(const ErrorCode& error) {
    reading_ = Reading::Over;
    if (error != asio::error::eof) {
      close();
      return;
    }
    go_on();
  }

  void send() {
    if (!sending_.empty()) {
      return;
    }
    sending_.swap(out_);
    asio::async_write(socket_,
                      asio::buffer(sending_),
                      [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                        error ? self->close() : self->on_sent();
                      });
  }

  void on_sent() {
    sending_.clear();
    if (server_ == nullptr) {
      return;
    }
    watch_idle();
    if (!out_.empty()) {
      send();
    }
    go_on();
  }

  // Reads on where there is room, and ends where nothing is to come either way.
  void go_on() {
    if (server_ == nullptr) {
      return;
    }
    const bool owes_nothing = waiting_ == 0 && sending_.empty();
    if (reading_ == Reading::Over && owes_nothing) {
      close();
    } else if (reading_ == Reading::Paused && waiting_ < kWaitingMax
               && out_.size() + sending_.size() < kUnsentMax) {
      reading_ = Reading::Yes;
      read_size();
    }
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
  Reading reading_ = Reading::Yes;
  std::size_t waiting_ = 0;  // Questions without an answer.
  Bytes out_;                // Answers behind those that are being sent.
  Bytes sending_;
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
