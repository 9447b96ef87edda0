// Serves Docker's API and hands it on to the engine, octet by octet and both ways at once, but for
// the calls of plugin/proxy/call.h: of those a request may be changed, or its answer held back.
//
// Runs on threads of its own, so that an image that is loaded keeps nobody waiting. Who may connect
// commands the engine: Unix sockets are owned by root:`group`, 0660; at addresses either TLS is
// spoken with clients that show certificates, or they are loopback ones, where others than this
// host's are cut off and web pages refused. Limits: connections_max, heads of 64 KiB, bodies that
// are looked into of 4 MiB, and the time both may take.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "plugin/proxy/call.h"
#include "plugin/proxy/place.h"
#include "sys/tls/certificate.h"

namespace weft::plugin::proxy {

class ProxyServer {
 public:
  struct Tls {
    sys::Certificate certificate;
    std::string client_authorities;  // A PEM file of those that sign clients' certificates.
  };
  struct Options {
    std::vector<Place> places;
    std::optional<Tls> tls{};  // At all addresses.
    std::string docker_socket;
    std::string group = "docker";
    // Two descriptors each, of the 1,024 that a process has where nobody says otherwise.
    std::size_t connections_max = 200;
    // For a body that is looked into: 4 MiB through a line of a megabit take half a minute.
    std::chrono::milliseconds body_time_max{60'000};
  };
  // Run on threads of the proxy, several at a time; may block.
  struct Hooks {
    // The body to hand on; an Error is the client's answer.
    std::function<Result<std::string>(const Call& call, const std::string& body)> on_create;
    // The container runs; whoever started it hears so when this returns.
    std::function<Result<Ok>(const std::string& container)> on_started;
    // Something more is to run in it, once this returns.
    std::function<Result<Ok>(const std::string& container)> on_exec;
  };

  static Result<std::unique_ptr<ProxyServer>> start(Options options, Hooks hooks);
  ProxyServer(const ProxyServer&) = delete;
  ProxyServer& operator=(const ProxyServer&) = delete;
  ~ProxyServer();  // Waits for hooks that run.

  std::vector<std::string> addresses() const;
  // On one of the threads that hooks run on, as they do.
  void work(std::function<void()> job);

 private:
  class Impl;
  explicit ProxyServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::plugin::proxy
