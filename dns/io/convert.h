// Addresses between this project's types and Asio's.
#pragma once

#include <boost/asio/ip/address.hpp>

#include "base/address.h"

namespace weft::dns {

inline boost::asio::ip::address to_asio(const Ip& ip) {
  if (ip.is_v4()) {
    return boost::asio::ip::address_v4(ip.v4().number());
  }
  return boost::asio::ip::address_v6(ip.v6().octets());
}

inline Ip from_asio(const boost::asio::ip::address& address) {
  return address.is_v4() ? Ip(Ipv4(address.to_v4().to_uint()))
                         : Ip(Ipv6(address.to_v6().to_bytes()));
}

}  // namespace weft::dns
