// Says when the host's network has changed behind our back, so that nobody has to look in vain.
//
// Listens to rtnetlink and nf_tables in the network namespace watch() was called in. News that come
// close together are told once, a moment after the first.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <boost/asio/any_io_executor.hpp>

#include "base/result.h"

namespace weft::sys {

struct NetworkChange {
  bool links = false;     // One of those watched.
  bool routes = false;    // Or addresses, but for link-local ones: every veth pair has some.
  bool firewall = false;  // Any rule, chain or table.

  friend bool operator==(const NetworkChange&, const NetworkChange&) = default;
};

class NetworkWatch {
 public:
  using OnChange = std::function<void(const NetworkChange& change)>;
  // Asked for the index of a link something was said of: containers' come and go all the time.
  using IsWatched = std::function<bool(std::uint32_t index)>;

  // Both run on the executor.
  static Result<std::unique_ptr<NetworkWatch>> watch(boost::asio::any_io_executor executor,
                                                     IsWatched is_watched,
                                                     OnChange on_change);
  ~NetworkWatch();

 private:
  class Impl;
  explicit NetworkWatch(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::sys
