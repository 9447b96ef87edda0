// The app on a real host: its core, its timer and its web server. Runs on one executor.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "app/app.h"
#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"
#include "sys/clock.h"

namespace weft::app {

// Errc::Denied unless the address is loopback: there is no login yet, and who sees the UI sees
// every command line of the cluster.
Result<Ok> check_listen(const Endpoint& listen);

class AppService {
 public:
  struct Hooks {
    std::function<std::vector<PeerFacts>()> peers;
    std::function<void(SendWatch)> watch;  // May call the service again.
  };

  static Result<std::unique_ptr<AppService>> start(boost::asio::any_io_executor executor,
                                                   const sys::Clock& clock,
                                                   App::Options options,
                                                   const Endpoint& listen,
                                                   Hooks hooks);
  ~AppService();

  void on_report(PeerName from, ByteView message);
  const App& app() const;
  Endpoint endpoint() const;

 private:
  class Impl;
  explicit AppService(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::app
