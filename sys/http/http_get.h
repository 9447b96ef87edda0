// One GET over a Unix socket, read as it arrives: an answer, or a stream that does not end
// (dockerd's events). Destroying it closes the connection; no handler runs after that.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>

namespace weft::sys {

class HttpGet {
 public:
  // Run on the executor, never within start_http_get(); on_end is the last. A handler may destroy
  // the HttpGet.
  struct Handlers {
    std::function<void(unsigned status)> on_head;
    std::function<void(std::string_view piece)> on_body;
    std::function<void(bool complete)> on_end;
  };
  struct Options {
    std::string socket_path;
    std::string target;
    std::chrono::milliseconds silence_max{};  // Zero: a stream may be silent for ever.
  };

  HttpGet() = default;
  HttpGet(const HttpGet&) = delete;
  HttpGet& operator=(const HttpGet&) = delete;
  virtual ~HttpGet() = default;
};

std::unique_ptr<HttpGet> start_http_get(const boost::asio::any_io_executor& executor,
                                        const HttpGet::Options& options,
                                        HttpGet::Handlers handlers);

}  // namespace weft::sys
