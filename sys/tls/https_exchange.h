// One GET over TCP, with TLS (1.2 or 1.3) or without, its answer read as it arrives: a body, or a
// stream that does not end. As sys/http/http_exchange.h, which is for Unix sockets.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "sys/http/http_exchange.h"

namespace weft::sys {

struct HttpsRequest {
  std::string host;  // A name or an address; what the certificate has to be of.
  std::string port;
  std::string target;
  bool has_tls = true;
  std::string authorities{};  // A file of theirs (PEM); empty: whom the system trusts.
  std::string token{};        // Sent as "Authorization: Bearer …"; empty: none.
  // A stream may be silent for so long; that the other host is gone is found out earlier.
  std::chrono::milliseconds silence_max{};
};

// Where there was no answer, the reason is logged as a debug line.
std::unique_ptr<HttpExchange> start_https_exchange(const boost::asio::any_io_executor& executor,
                                                   const HttpsRequest& request,
                                                   HttpExchange::Handlers handlers);

}  // namespace weft::sys
