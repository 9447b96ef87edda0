#include "plugin/proxy/io/proxy_server.h"

#include <chrono>
#include <exception>
#include <list>
#include <thread>
#include <type_traits>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "plugin/proxy/io/exchange.h"
#include "sys/http/listen_tcp.h"
#include "sys/http/unix_socket.h"
#include "sys/tls/tls_listener.h"

namespace weft::plugin::proxy {

namespace asio = boost::asio;

namespace {

// Hooks wait for the engine and for addresses, not for a processor.
constexpr std::size_t kWorkers = 16;

// Without descriptors there is nothing to be done but to wait for some.
constexpr std::chrono::milliseconds kAcceptPause(100);

// What listens at one place.
struct Listener {
  explicit Listener(asio::io_context& io) : tcp(io), local(io) {}

  asio::ip::tcp::acceptor tcp;
  asio::local::stream_protocol::acceptor local;
  sys::UnixSocketFile file;
  std::unique_ptr<sys::TlsListener> tls;
};

// Listening on a loopback address does not see to it where the kernel routes it.
bool is_from_this_host(const asio::ip::tcp::socket& socket) {
  boost::system::error_code error;
  const auto from = socket.remote_endpoint(error);
  return !error && from.address().is_loopback();
}

}  // namespace

class ProxyServer::Impl {
 public:
  Impl(Options options, Hooks hooks) : options_(std::move(options)), hooks_(std::move(hooks)) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  ~Impl() {
    io_.stop();
    if (thread_.joinable()) {
      thread_.join();
    }
    // Those that run use what connections hold, which goes with the io_context.
    workers_.stop();
    workers_.join();
  }

  Result<Ok> start() {
    for (const Place& place : options_.places) {
      Listener& listener = listeners_.emplace_back(io_);
      if (place.tcp && options_.tls) {
        listener.tls = WEFT_TRY(
            sys::TlsListener::listen(io_.get_executor(),
                                     {.listen = *place.tcp,
                                      .connections_max = options_.connections_max,
                                      .client_authorities = options_.tls->client_authorities},
                                     options_.tls->certificate,
                                     [this](Stream socket, const std::string& /*from*/) {
                                       serve(std::move(socket), true);
                                     }));
      } else if (place.tcp) {
        WEFT_TRY(sys::listen_tcp(listener.tcp, *place.tcp));
        asio::co_spawn(io_, accept(listener.tcp, false), asio::detached);
      } else {
        WEFT_TRY(
            sys::UnixSocketFile::listen(listener.local, place.path, options_.group, listener.file));
        asio::co_spawn(io_, accept(listener.local, true), asio::detached);
      }
    }
    thread_ = std::thread([this] { io_.run(); });
    return Ok{};
  }

  std::vector<std::string> addresses() const {
    std::vector<std::string> all;
    for (const Place& place : options_.places) {
      all.push_back(place.to_string());
    }
    return all;
  }

  void work(std::function<void()> job) { asio::post(workers_, std::move(job)); }

 private:
  template <class Acceptor>
  asio::awaitable<void> accept(Acceptor& acceptor, bool is_private) {
    asio::steady_timer pause(io_);
    for (;;) {
      typename Acceptor::protocol_type::socket socket(io_);
      const auto [error] =
          co_await acceptor.async_accept(socket, asio::as_tuple(asio::use_awaitable));
      if (error) {
        pause.expires_after(kAcceptPause);
        co_await pause.async_wait(asio::use_awaitable);
        continue;
      }
      if constexpr (std::is_same_v<Acceptor, asio::ip::tcp::acceptor>) {
        if (!is_from_this_host(socket)) {
          continue;
        }
      }
      serve(Stream(std::move(socket)), is_private);
    }
  }

  void serve(Stream socket, bool is_private) {
    if (connections_ >= options_.connections_max) {
      return;  // Closed: to wait would keep those from being served that are here.
    }
    ++connections_;
    asio::co_spawn(io_,
                   serve_connection(std::move(socket),
                                    {.docker_socket = options_.docker_socket,
                                     .hooks = hooks_,
                                     .workers = workers_,
                                     .is_private = is_private,
                                     .body_time_max = options_.body_time_max}),
                   [this](const std::exception_ptr& /*none*/) { --connections_; });
  }

  const Options options_;
  const Hooks hooks_;
  asio::io_context io_;
  asio::thread_pool workers_{kWorkers};
  std::list<Listener> listeners_;
  std::size_t connections_ = 0;
  std::thread thread_;
};

Result<std::unique_ptr<ProxyServer>> ProxyServer::start(Options options, Hooks hooks) {
  auto impl = std::make_unique<Impl>(std::move(options), std::move(hooks));
  WEFT_TRY(impl->start());
  return std::unique_ptr<ProxyServer>(new ProxyServer(std::move(impl)));
}

ProxyServer::ProxyServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ProxyServer::~ProxyServer() = default;

std::vector<std::string> ProxyServer::addresses() const {
  return impl_->addresses();
}

void ProxyServer::work(std::function<void()> job) {
  impl_->work(std::move(job));
}

}  // namespace weft::plugin::proxy
