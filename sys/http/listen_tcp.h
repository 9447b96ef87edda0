// Where servers over TCP wait for clients.
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include "base/address.h"
#include "base/result.h"

namespace weft::sys {

// Binds the acceptor, which is not open yet, also where connections of a server before still linger
// (SO_REUSEADDR), and listens. Errc::Os names the address.
Result<Ok> listen_tcp(boost::asio::ip::tcp::acceptor& acceptor, const Endpoint& address);

}  // namespace weft::sys
