#include "sys/tls/https_exchange.h"

#include <string_view>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/log.h"
#include "sys/http/exchange_base.h"
#include "sys/tls/authority.h"

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

class Exchange : public ExchangeBase<Exchange> {
 public:
  Exchange(const asio::any_io_executor& executor,
           HttpsRequest request,
           HttpExchange::Handlers handlers)
      : ExchangeBase(executor, std::move(handlers)),
        wanted_(std::move(request)),
        resolver_(executor),
        stream_(executor, tls_) {
    constexpr unsigned kHttp11 = 11;
    request_.version(kHttp11);
    request_.method(http::verb::get);
    request_.target(wanted_.target);
    request_.set(http::field::host, authority_of(wanted_.host, wanted_.port));
    request_.set(http::field::accept, "application/json");
    request_.set(http::field::user_agent, "weft");
    if (!wanted_.token.empty()) {
      request_.set(http::field::authorization, "Bearer " + wanted_.token);
    }
    request_.keep_alive(false);
  }

  void start() {
    error_code error;
    if (wanted_.has_tls) {
      wanted_.authorities.empty() ? tls_.set_default_verify_paths(error)
                                  : tls_.load_verify_file(wanted_.authorities, error);
    }
    if (error) {
      asio::post(executor_,
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
    forsake();
    resolver_.cancel();
    socket().close();
  }

 private:
  friend ExchangeBase<Exchange>;

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
            error ? self->fail(error, "send") : self->on_sent();
          });
    });
  }

  void on_sent() {
    on_stream([this](auto& stream) { read_head(stream); });
  }

  void on_head() {
    tell_head(parser_.get().result_int());
    go_on();
  }

  void go_on() {
    if (may_read()) {
      limit(wanted_.silence_max);
      on_stream([this](auto& stream) { read_body(stream); });
    }
  }

  void fail(const error_code& error, std::string_view doing) {
    if (is_heard()) {
      log::debug("HTTP request failed",
                 {"host", wanted_.host},
                 {"target", wanted_.target},
                 {"at", doing},
                 {"error", error.message()});
    }
    end(false);
  }

  const HttpsRequest wanted_;
  ssl::context tls_{ssl::context::tls_client};
  tcp::resolver resolver_;
  beast::ssl_stream<beast::tcp_stream> stream_;
  http::request<http::empty_body> request_;
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
