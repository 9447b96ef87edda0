// Hears Ethernet frames of one kind that are meant for one device: a packet socket (packet(7)) that
// the kernel filters, so that nothing else wakes the process.
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

// UDP from 0.0.0.0 to the port: packets that no stack takes. Each frame has its virtio_net_hdr of
// 10 octets in front, which says whether its checksum is still to be computed.
Result<std::unique_ptr<EthertypeSocket>> listen_unrouted_udp(boost::asio::any_io_executor executor,
                                                             std::uint32_t ifindex,
                                                             std::uint16_t port,
                                                             EthertypeSocket::OnFrame on_frame);

// Sends one frame on the device as a container would, its virtio_net_hdr in front: a checksum that
// is asked for there is the device's to compute. `mark` is what filters see as __sk_buff.mark.
Result<Ok> send_with_offload(std::uint32_t ifindex, ByteView frame, std::uint32_t mark);

}  // namespace weft::sys
