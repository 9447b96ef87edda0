#include "router/io/asio_address.h"

namespace weft::router {

namespace asio = boost::asio;

Ip from_asio(const asio::ip::address& address) {
  if (address.is_v4()) {
    return Ipv4(address.to_v4().to_uint());
  }
  const asio::ip::address_v6 v6 = address.to_v6();
  if (v6.is_v4_mapped()) {
    return Ipv4(asio::ip::make_address_v4(asio::ip::v4_mapped, v6).to_uint());
  }
  return Ipv6(v6.to_bytes());
}

Endpoint from_asio(const asio::ip::tcp::endpoint& endpoint) {
  return {.address = from_asio(endpoint.address()), .port = endpoint.port()};
}

asio::ip::address to_asio(const Ip& ip) {
  if (ip.is_v4()) {
    return asio::ip::address_v4(ip.v4().number());
  }
  return asio::ip::address_v6(ip.v6().octets());
}

}  // namespace weft::router
