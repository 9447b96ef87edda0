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
#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"
#include "sys/clock.h"

namespace weft::app {

class AppService {
 public:
  struct Hooks {
    std::function<std::vector<PeerFacts>()> peers;
    std::function<void(SendWatch)> watch;  // May call the service again.
  };

  using OnAnswer = std::function<void(unsigned status, std::string body)>;

  AppService(boost::asio::any_io_executor executor,
             const sys::Clock& clock,
             App::Options options,
             Hooks hooks);
  ~AppService();

  // Serves the UI there, with a token (app/login.h) to who has it. On failure nothing listens, and
  // ask() works all the same.
  Result<Ok> listen(const WebServer::Options& options, const std::optional<std::string>& token);

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
