// HTTP and WebSocket for the web UI, on TCP, with TLS where it has a certificate. Serves the
// embedded files itself, hands requests below /api and WebSocket clients to its hooks.
//
// Built on Boost.Beast. Answers GET and HEAD, the login form's POST, and what changes something
// below /api/control and /api/pipe, only; refuses names and
// origins that are not its own (app/request.h); every answer carries strict headers. Limits: header
// 16 KiB, no bodies but the form's, connections_max, 60 s idle, what waits for a slow client. Runs
// on one executor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "app/app.h"
#include "app/login.h"
#include "base/address.h"
#include "base/request.h"
#include "base/result.h"
#include "sys/tls/certificate.h"

namespace weft::app {

// A request below /api from somebody who may be here.
struct WebRequest {
  RequestId id{};
  std::string method{};
  std::string target{};
  std::string body{};
  Ip from{};  // The address it came from; behind a proxy that we trust, who asked that.
  Visitor visitor{};
};

class WebServer {
 public:
  struct Options {
    Endpoint listen;
    std::optional<sys::Certificate> certificate{};  // Nothing: no TLS.
    std::size_t connections_max = 512;
    // Bytes waiting for a slow WebSocket client before it is cut: it comes back to a fresh picture.
    std::size_t send_queue_max = 16U << 20U;
    // Whose X-Forwarded-… headers say who asks, by which name and over TLS.
    std::vector<Cidr> proxies{};
  };
  struct Papers {  // Headers that show who asks.
    Ip from{};
    std::string cookie{};
    std::string authorization{};
  };
  struct Hooks {
    std::function<void(const WebRequest& request)> on_request;
    std::function<Result<Ok>(ClientId id, const WebRequest& request)> on_client;
    std::function<void(ClientId id, std::string_view data)> on_client_data;
    std::function<void(ClientId id)> on_client_drained;  // All that was sent has left.
    std::function<void(ClientId id)> on_client_gone;
    std::function<std::optional<Visitor>(const Papers& papers)> admits;  // Nobody: log in first.
    // Where there is a login: a form, to be answered with finish_login(), and the end of a session.
    std::function<void(RequestId id, const Ip& from, std::string_view form)> on_login{};
    std::function<void(std::string_view cookie)> on_logout{};
  };

  static Result<std::unique_ptr<WebServer>> listen(boost::asio::any_io_executor executor,
                                                   const Options& options,
                                                   Hooks hooks);
  ~WebServer();  // Cuts everybody.

  void respond(RequestId id, unsigned status, std::string body);
  void finish_login(RequestId id, const Result<std::string>& session);
  void send(ClientId id, std::shared_ptr<const std::string> frame);
  void close(ClientId id);    // When what was sent has left.
  Endpoint endpoint() const;  // Where it listens, with the port that was given for 0.

 private:
  class Impl;
  explicit WebServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace weft::app
