// Listens for TLS (1.2 and 1.3) and hands each connection on as a plain stream, so that whatever
// serves sockets (the web UI, the control API) serves TLS without knowing it.
//
// Behind each connection stands a pair of sockets, one end of which is handed on; bytes are moved
// between the other end and TLS, one buffer each way, so that who does not read stops who writes.
// Limits: connections_max at once (further ones wait in the backlog), ten seconds for a handshake.
// Runs on one executor.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>

#include "base/address.h"
#include "base/result.h"
#include "sys/tls/certificate.h"

namespace weft::sys {

class TlsListener {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;
  // A connection after its handshake, and the address it came from.
  using OnConnection = std::function<void(Socket socket, std::string from)>;
  struct Options {
    Endpoint listen;
    std::size_t connections_max = 512;
    // A PEM file: clients show a certificate that one of these has signed. Empty: they show none.
    std::string client_authorities{};
  };

  static Result<std::unique_ptr<TlsListener>> listen(boost::asio::any_io_executor executor,
                                                     const Options& options,
                                                     const Certificate& certificate,
                                                     OnConnection on_connection);
  TlsListener(const TlsListener&) = delete;
  TlsListener& operator=(const TlsListener&) = delete;
  ~TlsListener();  // Accepts no more. Connections end with what serves them.

  Endpoint endpoint() const;  // With the port that was given for 0.

 private:
  class Impl;
  explicit TlsListener(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace weft::sys
