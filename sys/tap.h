// A TAP device: Ethernet frames in and out of user space (Documentation/networking/tuntap.rst).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "base/bytes.h"
#include "base/result.h"

namespace weft::sys {

class Tap {
 public:
  using OnFrame = std::function<void(ByteView frame)>;

  Tap() = default;
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;
  virtual ~Tap() = default;

  virtual std::uint32_t ifindex() const = 0;
  // Dropped and counted when the device's queue is full.
  virtual void write(ByteView frame) = 0;
  virtual std::uint64_t dropped() const = 0;
};

// Creates the device (up, kLinkAlias) or takes over one of that name; `on_frame` runs on the
// executor.
Result<std::unique_ptr<Tap>> open_tap(boost::asio::any_io_executor executor,
                                      const std::string& name,
                                      std::uint32_t mtu,
                                      Tap::OnFrame on_frame);

}  // namespace weft::sys
