// Addresses as Asio has them, and back. An IPv4 address mapped into IPv6 (::ffff:a.b.c.d) becomes
// the IPv4 address it is.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "base/address.h"

namespace weft::router {

Ip from_asio(const boost::asio::ip::address& address);
Endpoint from_asio(const boost::asio::ip::tcp::endpoint& endpoint);
boost::asio::ip::address to_asio(const Ip& ip);

}  // namespace weft::router
