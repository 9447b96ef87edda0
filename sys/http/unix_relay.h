// A Unix socket in front of a TCP address: who connects to it speaks with whoever listens there,
// octet by octet and both ways. So that a service which is not on a Unix socket of its own can be
// reached like those that are; also one that speaks TLS, by those that do not. Who speaks HTTP is
// told by a 502 why it is not spoken to.
//
// Runs on a thread of its own. Root's alone, 0600. Limit: connections_max.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "base/address.h"
#include "base/result.h"
#include "sys/tls/tls_trust.h"

namespace weft::sys {

class UnixRelay {
 public:
  struct Options {
    std::string path;
    Endpoint to;
    std::optional<TlsTrust> tls{};  // Nothing: without TLS.
    // Two descriptors each, of the 1,024 that a process has where nobody says otherwise.
    std::size_t connections_max = 200;
  };

  static Result<std::unique_ptr<UnixRelay>> start(const Options& options);
  UnixRelay(const UnixRelay&) = delete;
  UnixRelay& operator=(const UnixRelay&) = delete;
  ~UnixRelay();

 private:
  class Impl;
  explicit UnixRelay(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::sys
