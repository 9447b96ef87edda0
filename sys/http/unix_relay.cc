#include "sys/http/unix_relay.h"

#include <chrono>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include "base/log.h"
#include "sys/http/unix_socket.h"
#include "sys/tls/tls_stream.h"

namespace weft::sys {

namespace asio = boost::asio;
using asio::use_awaitable;
using asio::experimental::awaitable_operators::operator&&;

namespace {

using Local = asio::local::stream_protocol;
using Tcp = asio::ip::tcp;

constexpr std::size_t kPieceSize = 64 * 1024;

// Without descriptors there is nothing to be done but to wait for some.
constexpr std::chrono::milliseconds kAcceptPause(100);

// A server that is there answers within a few round trips.
constexpr std::chrono::seconds kHandshakeMax(10);

// Docker's clients show a text as it is.
std::string bad_gateway(const std::string& why) {
  return fmt::format(
      "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\n"
      "Content-Length: {}\r\nConnection: close\r\n\r\n{}",
      why.size(),
      why);
}

// All that comes from one end goes to the other, and so does its end. Throws if either has gone.
template <class From, class To>
asio::awaitable<void> pour(From& from, To& to) {
  std::vector<char> piece(kPieceSize);
  for (;;) {
    const auto [error, size] =
        co_await from.async_read_some(asio::buffer(piece), asio::as_tuple(use_awaitable));
    if (error == asio::error::eof) {
      break;
    }
    if (error) {
      throw boost::system::system_error(error);
    }
    co_await asio::async_write(to, asio::buffer(piece.data(), size), use_awaitable);
  }
  boost::system::error_code ignored;  // It may have gone itself.
  to.shutdown(To::shutdown_send, ignored);
}

// Of two that belong together the one that failed first is to blame.
std::string text_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const asio::multiple_exceptions& both) {
    return text_of(both.first_exception());
  } catch (const std::exception& error) {
    return error.what();
  }
}

asio::awaitable<void> pour_in(Local::socket& from, TlsStream& to) {
  std::vector<char> piece(kPieceSize);
  for (;;) {
    const auto [error, size] =
        co_await from.async_read_some(asio::buffer(piece), asio::as_tuple(use_awaitable));
    if (error == asio::error::eof) {
      break;
    }
    if (error) {
      throw boost::system::system_error(error);
    }
    co_await to.write(std::span(piece).first(size));
  }
  co_await to.end();
}

asio::awaitable<void> pour_out(TlsStream& from, Local::socket& to, bool& has_answered) {
  std::vector<char> piece(kPieceSize);
  for (;;) {
    const std::size_t size = co_await from.read_some(piece);
    if (size == 0) {
      break;
    }
    has_answered = true;
    co_await asio::async_write(to, asio::buffer(piece.data(), size), use_awaitable);
  }
  boost::system::error_code ignored;  // It may have gone itself.
  to.shutdown(Local::socket::shutdown_send, ignored);
}

}  // namespace

class UnixRelay::Impl {
 public:
  explicit Impl(const Options& options) : options_(options) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  ~Impl() {
    io_.stop();
    if (thread_.joinable()) {
      thread_.join();
    }
  }

  Result<Ok> start() {
    if (options_.tls) {
      tls_ = WEFT_TRY(TlsContext::create(*options_.tls));
    }
    WEFT_TRY(UnixSocketFile::listen(acceptor_, options_.path, "", file_));
    const Ip& ip = options_.to.address;
    to_ = Tcp::endpoint(asio::ip::make_address(ip.to_string()), options_.to.port);
    asio::co_spawn(io_, accept(), asio::detached);
    thread_ = std::thread([this] { io_.run(); });
    return Ok{};
  }

 private:
  asio::awaitable<void> accept() {
    asio::steady_timer pause(io_);
    for (;;) {
      Local::socket client(io_);
      const auto [error] = co_await acceptor_.async_accept(client, asio::as_tuple(use_awaitable));
      if (error) {
        pause.expires_after(kAcceptPause);
        (void)co_await pause.async_wait(asio::as_tuple(use_awaitable));  // Cancelled by nobody.
        continue;
      }
      if (connections_ >= options_.connections_max) {
        continue;  // Closed: to wait would keep those from being served that are here.
      }
      ++connections_;
      asio::co_spawn(io_, relay(std::move(client)), [this](const std::exception_ptr& /*gone*/) {
        --connections_;
      });
    }
  }

  asio::awaitable<void> relay(Local::socket client) {
    Tcp::socket server(io_);
    co_await server.async_connect(to_, use_awaitable);
    if (!tls_) {
      co_await (pour(client, server) && pour(server, client));
      co_return;
    }
    const auto stream = std::make_shared<TlsStream>(std::move(server), *tls_);
    bool has_answered = false;
    std::string why;
    try {
      asio::steady_timer limit(io_, kHandshakeMax);
      limit.async_wait([weak = std::weak_ptr(stream)](const boost::system::error_code& answered) {
        if (const auto waiting = weak.lock(); waiting && !answered) {
          waiting->cut();
        }
      });
      co_await stream->handshake();
      limit.cancel();
      co_await (pour_in(client, *stream) && pour_out(*stream, client, has_answered));
    } catch (...) {
      why = text_of(std::current_exception());
    }
    if (has_answered) {
      told_.clear();
    } else if (!why.empty()) {
      co_await refuse(client, why);
    }
  }

  // With TLS 1.3 a server that wants a certificate says so only after the handshake, or hangs up.
  asio::awaitable<void> refuse(Local::socket& client, std::string why) {
    if (options_.tls->chain.empty() && why.find("certificate") == std::string::npos) {
      why += " (perhaps it wants a certificate: it is shown none)";
    }
    if (std::exchange(told_, why) != why) {
      log::warning(
          "the Docker engine is not spoken to", {"at", options_.to.to_string()}, {"why", why});
    }
    const std::string answer = bad_gateway("no word with the engine: " + why);
    (void)co_await asio::async_write(
        client, asio::buffer(answer), asio::as_tuple(use_awaitable));  // It may have gone.
  }

  const Options options_;
  Tcp::endpoint to_;
  asio::io_context io_{1};
  std::unique_ptr<TlsContext> tls_;
  std::string told_;  // Why not, as it was logged last.
  Local::acceptor acceptor_{io_};
  UnixSocketFile file_;
  std::size_t connections_ = 0;
  std::thread thread_;
};

UnixRelay::UnixRelay(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
UnixRelay::~UnixRelay() = default;

Result<std::unique_ptr<UnixRelay>> UnixRelay::start(const Options& options) {
  auto impl = std::make_unique<Impl>(options);
  WEFT_TRY(impl->start());
  return std::unique_ptr<UnixRelay>(new UnixRelay(std::move(impl)));
}

}  // namespace weft::sys
