#include "sys/tls/tls_listener.h"

#include <array>
#include <chrono>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>
#include <openssl/ssl.h>

#include "sys/http/listen_tcp.h"

namespace weft::sys {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;

// A phone far away needs two seconds; who says nothing holds a place.
constexpr std::chrono::seconds kHandshakeMax(10);

// Somebody who does not answer to a goodbye.
constexpr std::chrono::seconds kGoodbyeMax(2);

// After accept() fails, which it does when the process is out of descriptors: trying at once would
// spin until one is free.
constexpr std::chrono::milliseconds kAcceptRetry(100);

// One TLS record.
constexpr std::size_t kBufferSize = 16 * 1024;

// One connection: TLS on one side, our end of the pair on the other. Held by its operations.
class Junction : public std::enable_shared_from_this<Junction> {
 public:
  Junction(tcp::socket socket, ssl::context& context, std::shared_ptr<void> place)
      : tls_(std::move(socket), context),
        plain_(tls_.get_executor()),
        timer_(tls_.get_executor()),
        place_(std::move(place)) {}

  template <class OnReady>
  void start(OnReady on_ready) {
    limit(kHandshakeMax);
    tls_.async_handshake(
        ssl::stream_base::server,
        [self = shared_from_this(), on_ready = std::move(on_ready)](const error_code& error) {
          self->timer_.cancel();
          asio::local::stream_protocol::socket theirs(self->tls_.get_executor());
          error_code failed = error;
          if (!failed) {
            asio::local::connect_pair(self->plain_, theirs, failed);
          }
          if (failed) {
            return self->cut();
          }
          self->read_tls();
          self->read_plain();
          on_ready(TlsListener::Socket(std::move(theirs)));
        });
  }

 private:
  void limit(std::chrono::seconds time) {
    timer_.expires_after(time);
    timer_.async_wait([weak = weak_from_this()](const error_code& cancelled) {
      if (const auto self = weak.lock(); self && !cancelled) {
        self->cut();
      }
    });
  }

  void cut() {
    error_code ignored;
    timer_.cancel();
    tls_.lowest_layer().close(ignored);
    plain_.close(ignored);
  }

  void read_tls() {
    tls_.async_read_some(asio::buffer(inward_),
                         [self = shared_from_this()](const error_code& error, std::size_t size) {
                           if (error == asio::error::eof) {
                             return self->end_inward();
                           }
                           error ? self->cut() : self->write_plain(size);
                         });
  }

  void write_plain(std::size_t size) {
    asio::async_write(plain_,
                      asio::buffer(inward_, size),
                      [self = shared_from_this()](const error_code& error, std::size_t) {
                        error ? self->cut() : self->read_tls();
                      });
  }

  // The client has said goodbye: what serves it finds out, says what it still has to say, and
  // closes. Who is gone without one is told nothing more.
  void end_inward() {
    error_code ignored;
    plain_.shutdown(asio::socket_base::shutdown_send, ignored);
  }

  void read_plain() {
    plain_.async_read_some(asio::buffer(outward_),
                           [self = shared_from_this()](const error_code& error, std::size_t size) {
                             if (error) {
                               return self->say_goodbye();
                             }
                             self->write_tls(size);
                           });
  }

  void write_tls(std::size_t size) {
    asio::async_write(tls_,
                      asio::buffer(outward_, size),
                      [self = shared_from_this()](const error_code& error, std::size_t) {
                        error ? self->cut() : self->read_plain();
                      });
  }

  void say_goodbye() {
    limit(kGoodbyeMax);
    tls_.async_shutdown([self = shared_from_this()](const error_code&) { self->cut(); });
  }

  ssl::stream<tcp::socket> tls_;
  asio::local::stream_protocol::socket plain_;
  asio::steady_timer timer_;
  std::shared_ptr<void> place_;  // One of connections_max; free when this goes.
  std::array<char, kBufferSize> inward_{};
  std::array<char, kBufferSize> outward_{};
};

}  // namespace

class TlsListener::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(const asio::any_io_executor& executor, const Options& options, OnConnection on_connection)
      : options_(options),
        on_connection_(std::move(on_connection)),
        context_(ssl::context::tls_server),
        acceptor_(executor),
        retry_(executor) {}

  Result<Ok> listen(const Certificate& certificate) {
    error_code error;
    context_.set_options(ssl::context::default_workarounds | ssl::context::no_sslv2
                             | ssl::context::no_sslv3 | ssl::context::no_tlsv1
                             | ssl::context::no_tlsv1_1 | ssl::context::no_compression,
                         error);
    if (!error) {
      context_.use_certificate_chain(asio::buffer(certificate.chain), error);
    }
    if (!error) {
      context_.use_private_key(asio::buffer(certificate.key), ssl::context::pem, error);
    }
    if (error) {
      return Error{Errc::Invalid, fmt::format("certificate: {}", error.message())};
    }
    WEFT_TRY(ask_for_certificates());
    WEFT_TRY(listen_tcp(acceptor_, options_.listen));
    accept();
    return Ok{};
  }

  void stop() {
    on_connection_ = nullptr;
    error_code ignored;
    acceptor_.close(ignored);
    retry_.cancel();
  }

  Endpoint endpoint() const {
    error_code ignored;
    return {options_.listen.address, acceptor_.local_endpoint(ignored).port()};
  }

 private:
  Result<Ok> ask_for_certificates() {
    if (options_.client_authorities.empty()) {
      return Ok{};
    }
    error_code error;
    context_.load_verify_file(options_.client_authorities, error);
    if (!error) {
      context_.set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert, error);
    }
    // Whoever comes again shows it again: sessions are not resumed.
    SSL_CTX_set_session_cache_mode(context_.native_handle(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context_.native_handle(), SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_num_tickets(context_.native_handle(), 0);
    return error ? Error{Errc::Invalid,
                         fmt::format("authorities of clients in {}: {}",
                                     options_.client_authorities,
                                     error.message())}
                 : Result<Ok>(Ok{});
  }

  void accept() {
    if (is_accepting_ || !acceptor_.is_open() || taken_ >= options_.connections_max) {
      return;
    }
    is_accepting_ = true;
    acceptor_.async_accept(
        [self = shared_from_this()](const error_code& error, tcp::socket socket) {
          self->is_accepting_ = false;
          self->on_accepted(error, std::move(socket));
        });
  }

  void on_accepted(const error_code& error, tcp::socket socket) {
    if (!acceptor_.is_open()) {
      return;
    }
    if (error) {
      retry_.expires_after(kAcceptRetry);
      retry_.async_wait([self = shared_from_this()](const error_code& cancelled) {
        if (!cancelled) {
          self->accept();
        }
      });
      return;
    }
    error_code gone;
    const tcp::endpoint from = socket.remote_endpoint(gone);
    if (!gone) {
      auto junction = std::make_shared<Junction>(std::move(socket), context_, take_place());
      junction->start([self = shared_from_this(), text = from.address().to_string()](Socket plain) {
        if (self->on_connection_) {
          self->on_connection_(std::move(plain), text);
        }
      });
    }
    accept();
  }

  std::shared_ptr<void> take_place() {
    ++taken_;
    return {nullptr, [weak = weak_from_this()](void*) {
              if (const auto self = weak.lock()) {
                --self->taken_;
                self->accept();
              }
            }};
  }

  Options options_;
  OnConnection on_connection_;
  ssl::context context_;
  tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  bool is_accepting_ = false;
  std::size_t taken_ = 0;
};

Result<std::unique_ptr<TlsListener>> TlsListener::listen(asio::any_io_executor executor,
                                                         const Options& options,
                                                         const Certificate& certificate,
                                                         OnConnection on_connection) {
  auto impl = std::make_shared<Impl>(executor, options, std::move(on_connection));
  WEFT_TRY(impl->listen(certificate));
  return std::unique_ptr<TlsListener>(new TlsListener(std::move(impl)));
}

TlsListener::TlsListener(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

TlsListener::~TlsListener() {
  impl_->stop();
}

Endpoint TlsListener::endpoint() const {
  return impl_->endpoint();
}

}  // namespace weft::sys
