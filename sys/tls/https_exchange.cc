#include "sys/tls/https_exchange.h"

#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/log.h"

namespace weft::sys {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;

// A server that is there answers a connection, and a handshake, within a few round trips.
constexpr std::chrono::seconds kConnectMax{10};

// Finds out within half a minute that the other host is gone, while a stream is silent.
void probe_while_silent(tcp::socket& socket) {
  const auto set = [&socket](int level, int option, int value) {
    (void)::setsockopt(socket.native_handle(), level, option, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 15);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
}

// Held by shared_ptr because Beast's operations use its buffers until their handlers have run.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(const asio::any_io_executor& executor,
           HttpsRequest request,
           HttpExchange::Handlers handlers)
      : wanted_(std::move(request)),
        handlers_(std::move(handlers)),
        resolver_(executor),
        stream_(executor, tls_) {
    constexpr unsigned kHttp11 = 11;
    request_.version(kHttp11);
    request_.method(http::verb::get);
    request_.target(wanted_.target);
    request_.set(http::field::host, fmt::format("{}:{}", wanted_.host, wanted_.port));
    request_.set(http::field::accept, "application/json");
    request_.set(http::field::user_agent, "weft");
    if (!wanted_.token.empty()) {
      request_.set(http::field::authorization, "Bearer " + wanted_.token);
    }
    request_.keep_alive(false);
    parser_.body_limit(boost::none);
  }

  void start() {
    error_code error;
    if (wanted_.has_tls) {
      wanted_.authorities.empty() ? tls_.set_default_verify_paths(error)
                                  : tls_.load_verify_file(wanted_.authorities, error);
    }
    if (error) {
      asio::post(stream_.get_executor(),
                 [self = shared_from_this(), error] { self->fail(error, "certificates"); });
      return;
    }
    limit(kConnectMax);
    resolver_.async_resolve(
        wanted_.host,
        wanted_.port,
        [self = shared_from_this()](const error_code& failed, const auto& found) {
          if (failed) {
            self->fail(failed, "resolve");
            return;
          }
          self->socket().async_connect(found, [self](const error_code& refused, const auto&) {
            refused ? self->fail(refused, "connect") : self->on_connected();
          });
        });
  }

  void close() {
    handlers_.reset();
    resolver_.cancel();
    socket().close();
  }

  void hold(bool is_held) {
    is_held_ = is_held;
    if (!is_held && std::exchange(is_waiting_, false)) {
      asio::post(stream_.get_executor(), [self = shared_from_this()] { self->read_body(); });
    }
  }

 private:
  beast::tcp_stream& socket() { return beast::get_lowest_layer(stream_); }

  void limit(std::chrono::milliseconds time) {
    time.count() > 0 ? socket().expires_after(time) : socket().expires_never();
  }

  // Calls `use` with what is to be read from and written to.
  template <class Use>
  void on_stream(Use use) {
    wanted_.has_tls ? use(stream_) : use(stream_.next_layer());
  }

  void on_connected() {
    probe_while_silent(socket().socket());
    if (!wanted_.has_tls) {
      send_request();
      return;
    }
    error_code error;
    stream_.set_verify_mode(ssl::verify_peer, error);
    stream_.set_verify_callback(ssl::host_name_verification(wanted_.host), error);
    if (!Ip::parse(wanted_.host).ok()) {
      (void)SSL_set_tlsext_host_name(stream_.native_handle(), wanted_.host.c_str());
    }
    stream_.async_handshake(ssl::stream_base::client,
                            [self = shared_from_this()](const error_code& failed) {
                              failed ? self->fail(failed, "TLS") : self->send_request();
                            });
  }

  void send_request() {
    limit(wanted_.silence_max);
    on_stream([this](auto& stream) {
      http::async_write(
          stream, request_, [self = shared_from_this()](const error_code& error, std::size_t) {
            error ? self->fail(error, "send") : self->read_head();
          });
    });
  }

  void read_head() {
    on_stream([this](auto& stream) {
      http::async_read_header(stream,
                              buffer_,
                              parser_,
                              [self = shared_from_this()](const error_code& error, std::size_t) {
                                error ? self->fail(error, "receive") : self->on_head();
                              });
    });
  }

  void on_head() {
    if (handlers_) {
      const auto tell = handlers_->on_head;
      tell(parser_.get().result_int());
    }
    read_body();
  }

  void read_body() {
    if (!handlers_) {
      return;
    }
    if (is_held_) {
      is_waiting_ = true;
      return;
    }
    if (parser_.is_done()) {
      end(true);
      return;
    }
    limit(wanted_.silence_max);
    parser_.get().body().data = piece_.data();
    parser_.get().body().size = piece_.size();
    on_stream([this](auto& stream) {
      http::async_read_some(stream,
                            buffer_,
                            parser_,
                            [self = shared_from_this()](const error_code& error, std::size_t) {
                              self->on_piece(error);
                            });
    });
  }

  void on_piece(const error_code& error) {
    const std::string_view piece(piece_.data(), piece_.size() - parser_.get().body().size);
    if (!piece.empty() && handlers_) {
      const auto tell = handlers_->on_body;
      tell(piece);
    }
    if (error && error != http::error::need_buffer) {
      fail(error, "receive");
      return;
    }
    read_body();
  }

  void fail(const error_code& error, std::string_view doing) {
    if (handlers_) {
      log::debug("HTTP request failed",
                 {"host", wanted_.host},
                 {"target", wanted_.target},
                 {"at", doing},
                 {"error", error.message()});
    }
    end(false);
  }

  void end(bool complete) {
    if (auto handlers = std::exchange(handlers_, std::nullopt)) {
      handlers->on_end(complete);
    }
  }

  const HttpsRequest wanted_;
  std::optional<HttpExchange::Handlers> handlers_;  // Nothing once ended.
  ssl::context tls_{ssl::context::tls_client};
  tcp::resolver resolver_;
  beast::ssl_stream<beast::tcp_stream> stream_;
  beast::flat_buffer buffer_;
  http::request<http::empty_body> request_;
  http::response_parser<http::buffer_body> parser_;
  std::array<char, 16384> piece_{};
  bool is_held_ = false;
  bool is_waiting_ = false;  // Reading goes on when it is held no more.
};

class TcpHttpExchange final : public HttpExchange {
 public:
  explicit TcpHttpExchange(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~TcpHttpExchange() override { exchange_->close(); }

  void write(std::string_view) override {}  // A GET has no more to say.
  void hold(bool is_held) override { exchange_->hold(is_held); }

 private:
  std::shared_ptr<Exchange> exchange_;
};

}  // namespace

std::unique_ptr<HttpExchange> start_https_exchange(const asio::any_io_executor& executor,
                                                   const HttpsRequest& request,
                                                   HttpExchange::Handlers handlers) {
  auto exchange = std::make_shared<Exchange>(executor, request, std::move(handlers));
  exchange->start();
  return std::make_unique<TcpHttpExchange>(std::move(exchange));
}

}  // namespace weft::sys
