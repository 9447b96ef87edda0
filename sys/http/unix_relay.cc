#include "sys/http/unix_relay.h"

#include <chrono>
#include <exception>
#include <string_view>
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

#include "sys/http/unix_socket.h"

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
    co_await (pour(client, server) && pour(server, client));
  }

  const Options options_;
  Tcp::endpoint to_;
  asio::io_context io_{1};
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
