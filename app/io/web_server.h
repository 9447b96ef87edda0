// HTTP and WebSocket for the web UI, on TCP. Serves the embedded files itself, hands requests below
// /api and WebSocket clients to its hooks.
//
// Built on Boost.Beast. Answers GET and HEAD, and the login form's POST, only; refuses names and
// origins that are not its own (app/request.h); every answer carries strict headers. Limits: header
// 16 KiB, no bodies but the form's, connections_max, 60 s idle, what waits for a slow client. Runs
// on one executor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>

#include "app/app.h"
#include "base/address.h"
#include "base/request.h"
#include "base/result.h"

namespace weft::app {

class WebServer {
 public:
  struct Options {
    Endpoint listen;
    std::size_t connections_max = 512;
    // Bytes waiting for a slow WebSocket client before it is cut: it comes back to a fresh picture.
    std::size_t send_queue_max = 16U << 20U;
  };
  struct Hooks {
    std::function<void(RequestId id, const std::string& target)> on_request;  // GET of /api…
    std::function<Result<Ok>(ClientId id, const std::string& target)> on_client;
    std::function<void(ClientId id)> on_client_gone;
    // With a login: whether these headers (Cookie, Authorization) admit; what a form's body earns.
    // Nothing: everybody is let in.
    std::function<bool(std::string_view cookie, std::string_view authorization)> admits{};
    std::function<Result<std::string>(std::string_view form)> on_login{};
  };

  static Result<std::unique_ptr<WebServer>> listen(boost::asio::any_io_executor executor,
                                                   const Options& options,
                                                   Hooks hooks);
  ~WebServer();  // Cuts everybody.

  void respond(RequestId id, unsigned status, std::string body);
  void send(ClientId id, std::shared_ptr<const std::string> frame);
  Endpoint endpoint() const;  // Where it listens, with the port that was given for 0.

 private:
  class Impl;
  explicit WebServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace weft::app
