#include "sys/link/ethertype_socket.h"

#include <array>
#include <cerrno>
#include <utility>

#include <arpa/inet.h>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <fmt/format.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/lifetime.h"
#include "sys/netlink/netdev_kernel.h"

namespace weft::sys {
namespace {

// The largest MTU with its Ethernet header.
constexpr std::size_t kFrameMax = 65535 + 14;
// Frames read in one turn of the executor, so that timers and connections keep their turn.
constexpr int kFramesPerTurnMax = 64;

class PacketListener final : public EthertypeSocket {
 public:
  PacketListener(boost::asio::any_io_executor executor,
                 int file,
                 std::uint32_t ifindex,
                 OnFrame on_frame)
      : socket_(std::move(executor), file),
        ifindex_(ifindex),
        on_frame_(std::move(on_frame)) {
    wait();
  }

  std::uint32_t ifindex() const override { return ifindex_; }

 private:
  void wait() {
    socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                       lifetime_.guard([this](const boost::system::error_code& error) {
                         if (!error) {
                           read_burst();
                         }
                       }));
  }

  void read_burst() {
    for (int frames = 0; frames < kFramesPerTurnMax; ++frames) {
      sockaddr_ll from{};
      socklen_t size = sizeof from;
      const ssize_t count = ::recvfrom(socket_.native_handle(),
                                       frame_.data(),
                                       frame_.size(),
                                       MSG_DONTWAIT,
                                       reinterpret_cast<sockaddr*>(&from),
                                       &size);
      if (count < 0 && errno != EAGAIN && errno != EINTR && errno != ENETDOWN) {
        return;
      }
      if (count <= 0) {
        break;
      }
      if (from.sll_pkttype == PACKET_HOST) {
        on_frame_({frame_.data(), static_cast<std::size_t>(count)});
      }
    }
    wait();
  }

  boost::asio::posix::stream_descriptor socket_;
  std::uint32_t ifindex_;
  OnFrame on_frame_;
  std::array<std::uint8_t, kFrameMax> frame_{};
  Lifetime lifetime_;
};

}  // namespace

Result<std::unique_ptr<EthertypeSocket>> listen_ethertype(boost::asio::any_io_executor executor,
                                                          std::uint32_t ifindex,
                                                          std::uint16_t ethertype,
                                                          EthertypeSocket::OnFrame on_frame) {
  // Without a protocol it hears nothing until it is bound to the device.
  const int file = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (file < 0) {
    const int error = errno;
    return os_error("packet socket", error);
  }
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ethertype);
  address.sll_ifindex = static_cast<int>(ifindex);
  if (::bind(file, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    const int error = errno;
    ::close(file);
    return os_error(fmt::format("listen for ethertype {:04x} on device {}", ethertype, ifindex),
                    error);
  }
  return std::unique_ptr<EthertypeSocket>(
      std::make_unique<PacketListener>(std::move(executor), file, ifindex, std::move(on_frame)));
}

}  // namespace weft::sys
