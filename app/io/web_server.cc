#include "app/io/web_server.h"

#include <chrono>
#include <map>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "app/io/web_connection.h"
#include "sys/http/listen_tcp.h"
#include "sys/tls/tls_listener.h"

namespace weft::app {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

// After accept() fails, which it does when the process is out of descriptors: trying at once would
// spin until one is free.
constexpr std::chrono::milliseconds kAcceptRetry(100);

// A socket of IPv6 that takes IPv4, too, has such clients as IPv4-mapped addresses (RFC 4291,
// section 2.5.5.2).
Ip address_of(const std::string& text) {
  constexpr std::string_view kMapped = "::ffff:";
  const bool is_mapped = text.starts_with(kMapped) && text.find('.') != std::string::npos;
  const auto address = Ip::parse(is_mapped ? text.substr(kMapped.size()) : text);
  return address.ok() ? address.value() : Ip();
}

}  // namespace

class WebServer::Impl final : public WebConnection::Owner,
                              public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::any_io_executor executor, const Options& options, Hooks hooks)
      : executor_(std::move(executor)),
        options_(options),
        hooks_(std::move(hooks)),
        acceptor_(executor_),
        retry_(executor_) {}

  Result<Ok> listen() {
    if (options_.certificate) {
      tls_ = WEFT_TRY(sys::TlsListener::listen(
          executor_,
          {.listen = options_.listen, .connections_max = options_.connections_max},
          *options_.certificate,
          [weak = weak_from_this()](WebConnection::Socket socket, std::string from) {
            if (const auto self = weak.lock()) {
              self->serve(std::move(socket), from);
            }
          }));
      return Ok{};
    }
    auto listening = sys::listen_tcp(acceptor_, options_.listen);
    if (!listening.ok()) {
      return std::move(listening).error().with_context("UI");
    }
    accept();
    return Ok{};
  }

  void stop() {
    hooks_ = {};
    tls_.reset();
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    retry_.cancel();
    for (const auto& [key, connection] : std::exchange(connections_, {})) {
      connection->close();
    }
  }

  void respond(RequestId id, unsigned status, std::string body) {
    const auto found = requests_.find(id);
    if (found != requests_.end()) {
      const auto connection = found->second.lock();
      requests_.erase(found);
      if (connection) {
        connection->answer(status, std::move(body));
      }
    }
  }

  void finish_login(RequestId id, const Result<std::string>& session) {
    const auto found = requests_.find(id);
    if (found != requests_.end()) {
      const auto connection = found->second.lock();
      requests_.erase(found);
      if (connection) {
        connection->finish_login(session);
      }
    }
  }

  void send(ClientId id, std::shared_ptr<const std::string> frame) {
    const auto found = clients_.find(id);
    if (found != clients_.end()) {
      const std::shared_ptr<WebConnection> connection = found->second;
      connection->send(std::move(frame));
    }
  }

  void close(ClientId id) {
    const auto found = clients_.find(id);
    if (found != clients_.end()) {
      const std::shared_ptr<WebConnection> connection = found->second;
      connection->close_when_sent();
    }
  }

  Endpoint endpoint() const {
    if (tls_) {
      return tls_->endpoint();
    }
    boost::system::error_code ignored;
    return {options_.listen.address, acceptor_.local_endpoint(ignored).port()};
  }

 private:
  // At connections_max we do not accept: further clients wait in the backlog until one leaves.
  void accept() {
    if (tls_ || is_accepting_ || connections_.size() >= options_.connections_max) {
      return;
    }
    is_accepting_ = true;
    acceptor_.async_accept(
        [self = shared_from_this()](const boost::system::error_code& error, tcp::socket socket) {
          self->is_accepting_ = false;
          self->on_accepted(error, std::move(socket));
        });
  }

  void on_accepted(const boost::system::error_code& error, tcp::socket socket) {
    if (!acceptor_.is_open()) {
      return;
    }
    if (error) {
      retry_.expires_after(kAcceptRetry);
      retry_.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
        if (!cancelled) {
          self->accept();
        }
      });
      return;
    }
    boost::system::error_code gone;
    const tcp::endpoint from = socket.remote_endpoint(gone);
    if (!gone) {
      serve(WebConnection::Socket(std::move(socket)), from.address().to_string());
    }
    accept();
  }

  void serve(WebConnection::Socket socket, const std::string& from) {
    auto connection = std::make_shared<WebConnection>(
        std::move(socket), address_of(from), *this, options_.send_queue_max);
    connections_.emplace(connection.get(), connection);
    connection->start();
  }

  void on_request(WebConnection& from, WebRequest request) override {
    request.id = expect_answer(from);
    hooks_.on_request(request);
  }

  RequestId expect_answer(WebConnection& from) {
    const RequestId id(++last_id_);
    requests_.emplace(id, from.weak_from_this());
    request_of_[&from] = id;
    return id;
  }

  Result<Ok> on_upgrade(WebConnection& from, const WebRequest& request) override {
    const ClientId id(++last_id_);
    clients_.emplace(id, from.shared_from_this());
    auto admitted = hooks_.on_client(id, request);
    if (admitted.ok()) {
      client_of_.emplace(&from, id);
    } else {
      clients_.erase(id);
    }
    return admitted;
  }

  void on_message(WebConnection& from, std::string_view data) override {
    if (const auto client = client_of_.find(&from); client != client_of_.end()) {
      hooks_.on_client_data(client->second, data);
    }
  }

  void on_drained(WebConnection& from) override {
    if (const auto client = client_of_.find(&from); client != client_of_.end()) {
      hooks_.on_client_drained(client->second);
    }
  }

  bool asks_for_login() const override { return static_cast<bool>(hooks_.on_login); }

  bool is_secure() const override { return options_.certificate.has_value(); }

  const std::vector<Cidr>& proxies() const override { return options_.proxies; }

  std::optional<Visitor> admits(const WebServer::Papers& papers) override {
    return hooks_.admits(papers);
  }

  void on_logout(std::string_view cookie) override { hooks_.on_logout(cookie); }

  void on_login(WebConnection& from, const Ip& client, std::string_view form) override {
    hooks_.on_login(expect_answer(from), client, form);
  }

  void on_closed(WebConnection& from) override {
    if (const auto request = request_of_.find(&from); request != request_of_.end()) {
      requests_.erase(request->second);
      request_of_.erase(request);
    }
    if (const auto client = client_of_.find(&from); client != client_of_.end()) {
      const ClientId id = client->second;
      client_of_.erase(client);
      clients_.erase(id);
      // Posted: it may be a frame to this very client that found it gone.
      asio::post(executor_, [self = shared_from_this(), id] {
        if (self->hooks_.on_client_gone) {
          self->hooks_.on_client_gone(id);
        }
      });
    }
    connections_.erase(&from);
    accept();
  }

  asio::any_io_executor executor_;
  Options options_;
  Hooks hooks_;
  std::unique_ptr<sys::TlsListener> tls_;  // Instead of the acceptor.
  tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  bool is_accepting_ = false;
  std::uint64_t last_id_ = 0;
  // Nothing iterates these in an order that shows.
  std::map<WebConnection*, std::shared_ptr<WebConnection>> connections_;
  std::map<RequestId, std::weak_ptr<WebConnection>> requests_;
  std::map<WebConnection*, RequestId> request_of_;
  std::map<ClientId, std::shared_ptr<WebConnection>> clients_;
  std::map<WebConnection*, ClientId> client_of_;
};

Result<std::unique_ptr<WebServer>> WebServer::listen(asio::any_io_executor executor,
                                                     const Options& options,
                                                     Hooks hooks) {
  auto impl = std::make_shared<Impl>(std::move(executor), options, std::move(hooks));
  WEFT_TRY(impl->listen());
  return std::unique_ptr<WebServer>(new WebServer(std::move(impl)));
}

WebServer::WebServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

WebServer::~WebServer() {
  impl_->stop();
}

void WebServer::respond(RequestId id, unsigned status, std::string body) {
  impl_->respond(id, status, std::move(body));
}

void WebServer::finish_login(RequestId id, const Result<std::string>& session) {
  impl_->finish_login(id, session);
}

void WebServer::send(ClientId id, std::shared_ptr<const std::string> frame) {
  impl_->send(id, std::move(frame));
}

void WebServer::close(ClientId id) {
  impl_->close(id);
}

Endpoint WebServer::endpoint() const {
  return impl_->endpoint();
}

}  // namespace weft::app
