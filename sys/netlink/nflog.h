// Packets that a firewall's rules handed to a group of NFLOG, from their IP headers on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <boost/asio/any_io_executor.hpp>

#include "base/bytes.h"
#include "base/result.h"

namespace weft::sys {

class Nflog {
 public:
  using OnPacket = std::function<void(ByteView head)>;

  // Errc::Conflict where somebody else listens to that group already.
  static Result<std::unique_ptr<Nflog>> listen(boost::asio::any_io_executor executor,
                                               std::uint16_t group,
                                               OnPacket on_packet);
  Nflog(const Nflog&) = delete;
  Nflog& operator=(const Nflog&) = delete;
  ~Nflog();

  // Times that packets came faster than they were read, and some were lost.
  std::uint64_t overruns() const;

 private:
  class Impl;
  explicit Nflog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::sys
