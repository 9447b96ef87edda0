#include "sys/link/ethertype_socket.h"

#include <array>
#include <cerrno>
#include <utility>

#include <arpa/inet.h>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/lifetime.h"
#include "sys/netlink/netdev_kernel.h"
#include "sys/posix/descriptor.h"

namespace weft::sys {
namespace {

// The largest MTU with its Ethernet header and virtio_net_hdr.
constexpr std::size_t kFrameMax = 65535 + 14 + 10;
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

template <class Value>
bool set_option(int descriptor, int level, int name, const Value& value) {
  return ::setsockopt(descriptor, level, name, &value, sizeof value) == 0;
}

// Without a protocol: it hears nothing until it is bound to a device.
int packet_socket() {
  return ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

Result<Ok> bind_to(int descriptor, std::uint32_t ifindex, std::uint16_t ethertype) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ethertype);
  address.sll_ifindex = static_cast<int>(ifindex);
  if (::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    const int error = errno;
    return os_error(fmt::format("listen for ethertype {:04x} on device {}", ethertype, ifindex),
                    error);
  }
  return Ok{};
}

}  // namespace

Result<std::unique_ptr<EthertypeSocket>> listen_ethertype(boost::asio::any_io_executor executor,
                                                          std::uint32_t ifindex,
                                                          std::uint16_t ethertype,
                                                          EthertypeSocket::OnFrame on_frame) {
  Descriptor file(packet_socket());
  if (file.get() < 0) {
    const int error = errno;
    return os_error("packet socket", error);
  }
  WEFT_TRY(bind_to(file.get(), ifindex, ethertype));
  return std::unique_ptr<EthertypeSocket>(std::make_unique<PacketListener>(
      std::move(executor), file.release(), ifindex, std::move(on_frame)));
}

Result<std::unique_ptr<EthertypeSocket>> listen_unrouted_udp(boost::asio::any_io_executor executor,
                                                             std::uint32_t ifindex,
                                                             std::uint16_t port,
                                                             EthertypeSocket::OnFrame on_frame) {
  constexpr std::uint16_t kIpv4 = 0x0800;
  // Behind Ethernet, and an IPv4 header without options.
  constexpr std::uint32_t kVersionAt = 14;
  constexpr std::uint32_t kProtocolAt = 14 + 9;
  constexpr std::uint32_t kSourceAt = 14 + 12;
  constexpr std::uint32_t kPortAt = 14 + 20 + 2;
  std::array<sock_filter, 10> program{
      sock_filter{BPF_LD | BPF_B | BPF_ABS, 0, 0, kVersionAt},
      sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 7, 0x45},
      sock_filter{BPF_LD | BPF_B | BPF_ABS, 0, 0, kProtocolAt},
      sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 5, IPPROTO_UDP},
      sock_filter{BPF_LD | BPF_W | BPF_ABS, 0, 0, kSourceAt},
      sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0},
      sock_filter{BPF_LD | BPF_H | BPF_ABS, 0, 0, kPortAt},
      sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, port},
      sock_filter{BPF_RET | BPF_K, 0, 0, ~0U},
      sock_filter{BPF_RET | BPF_K, 0, 0, 0},
  };
  const sock_fprog whole{.len = program.size(), .filter = program.data()};
  Descriptor file(packet_socket());
  if (file.get() < 0 || !set_option(file.get(), SOL_SOCKET, SO_ATTACH_FILTER, whole)
      || !set_option(file.get(), SOL_PACKET, PACKET_VNET_HDR, int{1})) {
    const int error = errno;
    return os_error("packet socket with metadata", error);
  }
  WEFT_TRY(bind_to(file.get(), ifindex, kIpv4));
  return std::unique_ptr<EthertypeSocket>(std::make_unique<PacketListener>(
      std::move(executor), file.release(), ifindex, std::move(on_frame)));
}

Result<Ok> send_with_offload(std::uint32_t ifindex, ByteView frame, std::uint32_t mark) {
  const Descriptor file(packet_socket());
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(ifindex);
  if (file.get() < 0 || !set_option(file.get(), SOL_PACKET, PACKET_VNET_HDR, int{1})
      || !set_option(file.get(), SOL_SOCKET, SO_MARK, mark)
      || ::sendto(file.get(),
                  frame.data(),
                  frame.size(),
                  MSG_DONTWAIT,
                  reinterpret_cast<const sockaddr*>(&to),
                  sizeof to)
             < 0) {
    const int error = errno;
    return os_error(fmt::format("send on device {}", ifindex), error);
  }
  return Ok{};
}

}  // namespace weft::sys
