// Hears Ethernet frames of one type that are meant for one device: a packet socket (packet(7)) that
// the kernel filters by type, so that nothing else wakes the process.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <boost/asio/any_io_executor.hpp>

#include "base/bytes.h"
#include "base/result.h"

namespace weft::sys {

class EthertypeSocket {
 public:
  using OnFrame = std::function<void(ByteView frame)>;

  EthertypeSocket() = default;
  EthertypeSocket(const EthertypeSocket&) = delete;
  EthertypeSocket& operator=(const EthertypeSocket&) = delete;
  virtual ~EthertypeSocket() = default;

  virtual std::uint32_t ifindex() const = 0;
};

// `on_frame` runs on the executor; what it does not keep up with is dropped by the kernel.
Result<std::unique_ptr<EthertypeSocket>> listen_ethertype(boost::asio::any_io_executor executor,
                                                          std::uint32_t ifindex,
                                                          std::uint16_t ethertype,
                                                          EthertypeSocket::OnFrame on_frame);

}  // namespace weft::sys
