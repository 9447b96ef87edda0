#include "router/io/vxlan_sender.h"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace weft::router {
namespace {

using boost::asio::ip::udp;

constexpr std::uint32_t kFlagVni = 0x08000000;

udp::endpoint endpoint_of(const Ip& address, std::uint16_t port) {
  if (address.is_v4()) {
    return {boost::asio::ip::address_v4(address.v4().number()), port};
  }
  return {boost::asio::ip::address_v6(address.v6().octets()), port};
}

boost::system::error_code open_socket(udp::socket& socket, const udp& protocol) {
  boost::system::error_code error;
  socket.open(protocol, error);
  if (!error) {
    socket.non_blocking(true, error);
  }
  return error;
}

// The IPv6 constants have the same values.
void set_discovery(udp::socket& socket, const Ip& peer, int how) {
  static_assert(IP_PMTUDISC_PROBE == IPV6_PMTUDISC_PROBE && IP_PMTUDISC_WANT == IPV6_PMTUDISC_WANT);
  const int level = peer.is_v4() ? IPPROTO_IP : IPPROTO_IPV6;
  const int option = peer.is_v4() ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER;
  // If it fails, probes of sizes that do not fit are fragmented, and the path's limit is believed.
  (void)::setsockopt(socket.native_handle(), level, option, &how, sizeof how);
}

}  // namespace

VxlanSender::VxlanSender(Options options, Socket v4, std::optional<Socket> v6)
    : options_(options),
      v4_(std::move(v4)),
      v6_(std::move(v6)) {}

Result<std::unique_ptr<VxlanSender>> VxlanSender::open(const boost::asio::any_io_executor& executor,
                                                       Options options) {
  Socket v4(executor);
  if (const auto error = open_socket(v4, udp::v4())) {
    return Error{Errc::Os, fmt::format("UDP socket: {}", error.message()), error.value()};
  }
  std::optional<Socket> v6(executor);
  if (open_socket(*v6, udp::v6())) {
    v6.reset();
  }
  return std::unique_ptr<VxlanSender>(new VxlanSender(options, std::move(v4), std::move(v6)));
}

VxlanSender::Socket* VxlanSender::socket_for(const Ip& peer) {
  if (peer.is_v4()) {
    return &v4_;
  }
  return v6_ ? &*v6_ : nullptr;
}

void VxlanSender::send_whole(ByteView frame, const Ip& peer) {
  Socket* socket = socket_for(peer);
  if (socket == nullptr) {
    ++dropped_;
    return;
  }
  // Whatever the kernel believes of the path: the answer decides.
  set_discovery(*socket, peer, IP_PMTUDISC_PROBE);
  send(frame, {peer});
  set_discovery(*socket, peer, IP_PMTUDISC_WANT);
}

void VxlanSender::send(ByteView frame, const std::vector<Ip>& peers) {
  Writer writer;
  writer.u32(kFlagVni).u32(options_.vni << 8U);
  const Bytes header = writer.take();
  const std::array<boost::asio::const_buffer, 2> buffers{
      boost::asio::buffer(header), boost::asio::buffer(frame.data(), frame.size())};
  for (const Ip& peer : peers) {
    Socket* socket = socket_for(peer);
    boost::system::error_code error;
    if (socket != nullptr) {
      socket->send_to(buffers, endpoint_of(peer, options_.port), 0, error);
    }
    if (socket == nullptr || error) {
      ++dropped_;
    }
  }
}

}  // namespace weft::router
