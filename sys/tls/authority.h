// How a URL and the field Host name a server (RFC 3986, 3.2): an IPv6 address in brackets. Pure.
#pragma once

#include <string>

namespace weft::sys {

inline std::string authority_of(const std::string& host, const std::string& port) {
  const bool is_v6 = host.find(':') != std::string::npos;
  return (is_v6 ? "[" + host + "]" : host) + ":" + port;
}

}  // namespace weft::sys
