// The app on a real host: its core, its timer and its web server. Runs on one executor.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "app/app.h"
#include "app/io/web_server.h"
#include "app/login.h"
#include "app/routes.h"
#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"
#include "sys/clock.h"

namespace weft::app {

// Where browsers' wishes to change something go: POST /api/control/…, and /api/pipe/…
class Controls {
 public:
  Controls() = default;
  Controls(const Controls&) = delete;
  Controls& operator=(const Controls&) = delete;
  virtual ~Controls() = default;

  // Control, PipeCheck or PipeEnd. Answer with respond(), later. The path is decoded.
  virtual void on_request(const WebRequest& request,
                          Call call,
                          const std::vector<std::string>& path) = 0;
  // A WebSocket to a pipe; send() and close() reach it until it is gone.
  virtual Result<Ok> on_pipe(ClientId client,
                             const WebRequest& request,
                             const std::string& pipe) = 0;
  virtual void on_pipe_data(ClientId client, std::string_view data) = 0;
  virtual void on_pipe_drained(ClientId client) = 0;
  virtual void on_pipe_gone(ClientId client) = 0;
};

class AppService {
 public:
  struct Hooks {
    std::function<std::vector<PeerFacts>()> peers;
    std::function<void(SendWatch)> watch;  // May call the service again.
    Controls* controls = nullptr;          // Outlives the service; nothing: there are none.
  };

  using OnAnswer = std::function<void(unsigned status, std::string body)>;

  AppService(boost::asio::any_io_executor executor,
             const sys::Clock& clock,
             App::Options options,
             Hooks hooks);
  ~AppService();

  // Serves the UI there. On failure nothing listens, and ask() works all the same.
  Result<Ok> listen(const WebServer::Options& options, Access access);

  // For Controls.
  void respond(RequestId request, unsigned status, std::string body);
  void send(ClientId pipe, std::string data);
  void close(ClientId pipe);

  // What a GET of `target` (/api…) would be answered, for who asks otherwise. Answers once, later.
  void ask(const std::string& target, OnAnswer on_answer);

  void on_report(PeerName from, ByteView message);
  const App& app() const;
  Endpoint endpoint() const;  // Precondition: it listens.

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::app
