// What an error of reading an HTTP request means.
#pragma once

#include <boost/beast/http/error.hpp>
#include <boost/system/error_code.hpp>

namespace weft::sys {

// What came is no HTTP: worth a 400. Not a client that left, idled or was cut; bodies and headers
// over their limits have answers of their own, so ask for those first.
inline bool is_malformed_request(const boost::system::error_code& error) {
  namespace http = boost::beast::http;
  return error && error != http::error::end_of_stream && error != http::error::partial_message
         && error.category() == http::make_error_code(http::error::bad_method).category();
}

}  // namespace weft::sys
