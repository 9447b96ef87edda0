// Controls on a real host: both cores (requester.h, performer.h), the Docker engine's streams and
// the host's shells. Runs on one executor.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "base/bytes.h"
#include "base/entropy.h"
#include "base/peer_name.h"
#include "base/request.h"
#include "base/result.h"
#include "control/performer.h"
#include "control/requester.h"
#include "sys/clock.h"
#include "sys/posix/host_paths.h"

namespace weft::control {

class ControlService {
 public:
  struct Options {
    Performer::Options performer;
    std::string engine_socket;  // Empty: no engine.
    sys::HostPaths host{};      // Whose shells are opened.
  };
  // May call the service again.
  struct Hooks {
    std::function<void(PeerName to, Bytes message)> send;
    std::function<void(Answer)> answer;
    std::function<void(BrowserId, Bytes)> to_browser;
    std::function<void(BrowserId, std::string reason)> close_browser;
  };

  // The entropy must outlive it.
  ControlService(boost::asio::any_io_executor executor,
                 const sys::Clock& clock,
                 Entropy& entropy,
                 Options options,
                 Hooks hooks);
  ~ControlService();

  // A message of a peer, or our own; one that is malformed is dropped.
  void on_message(PeerName from, ByteView message);

  void on_wish(RequestId request, const Person& person, const Wish& wish);
  void on_delete(const std::string& pipe);
  bool may_be_open(std::string_view pipe) const;
  Result<Ok> on_browser(BrowserId browser, const Person& person, const std::string& pipe);
  void on_browser_bytes(BrowserId browser, ByteView data);
  void on_browser_drained(BrowserId browser);
  void on_browser_gone(BrowserId browser);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::control
