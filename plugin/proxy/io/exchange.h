// One client's connection of the Docker API proxy, and the one to the engine behind it: requests
// and answers pass one after the other until either side ends, or the two become a stream of bytes
// both ways. Internal to the proxy's server.
#pragma once

#include <chrono>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/thread_pool.hpp>

#include "plugin/proxy/io/proxy_server.h"

namespace weft::plugin::proxy {

using Stream = boost::asio::generic::stream_protocol::socket;

struct ExchangeContext {
  const std::string& docker_socket;
  const ProxyServer::Hooks& hooks;
  boost::asio::thread_pool& workers;  // For the hooks.
  bool is_private;  // Who reaches it may open the socket's file, or has a certificate.
  std::chrono::milliseconds body_time_max;
};

// Ends when the connection has; throws nothing.
boost::asio::awaitable<void> serve_connection(Stream client, ExchangeContext context);

}  // namespace weft::plugin::proxy
