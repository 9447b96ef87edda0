#include "router/io/vxlan_sender.h"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <fmt/format.h>

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

void VxlanSender::send(ByteView frame, const std::vector<Ip>& peers) {
  Writer writer;
  writer.u32(kFlagVni).u32(options_.vni << 8U);
  const Bytes header = writer.take();
  const std::array<boost::asio::const_buffer, 2> buffers{
      boost::asio::buffer(header), boost::asio::buffer(frame.data(), frame.size())};
  for (const Ip& peer : peers) {
    Socket* socket = &v4_;
    if (!peer.is_v4()) {
      socket = v6_ ? &*v6_ : nullptr;
    }
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
