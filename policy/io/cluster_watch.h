// Follows a Kubernetes cluster's namespaces, pods and network policies over its API, and keeps a
// compiler (policy/compile.h) told of them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "policy/compile.h"
#include "policy/reflector.h"
#include "sys/clock.h"

namespace weft::policy {

struct ApiServer {
  bool has_tls = true;
  std::string host;
  std::string port;
  std::string token_file{};  // Read for each request: Kubernetes replaces it within the hour.
  std::string authorities{};

  std::string to_string() const;
};

// "https://host:port", or with http.
Result<ApiServer> parse_api_server(const std::string& text);

class ClusterWatch {
 public:
  struct Handlers {
    // Something is different, and everything has been listed at least once.
    std::function<void()> on_change;
    std::function<void(const Problem& problem)> on_problem;
  };

  // Begins at once; without a server it keeps trying. The compiler outlives this.
  ClusterWatch(boost::asio::any_io_executor executor,
               const sys::Clock& clock,
               ApiServer server,
               std::uint64_t seed,
               Compiler& compiler,
               Handlers handlers);
  ClusterWatch(const ClusterWatch&) = delete;
  ClusterWatch& operator=(const ClusterWatch&) = delete;
  ~ClusterWatch();

  bool is_listed() const;
  bool is_watching() const;  // All of them, right now.
  Reflector::Stats stats() const;

 private:
  class Follower;
  void on_action(const ReflectorAction& action);

  Compiler& compiler_;
  const Handlers handlers_;
  std::array<std::unique_ptr<Follower>, 3> followers_;
};

}  // namespace weft::policy
