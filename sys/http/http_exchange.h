// One request over a Unix socket, its answer read as it arrives: a body, a stream that does not end
// (dockerd's events), or bytes both ways (dockerd's terminals: the answer is 101 and the connection
// changes hands). Destroying it closes the connection; no handler runs after that.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>

namespace weft::sys {

class HttpExchange {
 public:
  // Run on the executor, never within start_http_exchange(); on_end is the last. A handler may
  // destroy the HttpExchange.
  struct Handlers {
    std::function<void(unsigned status)> on_head;
    std::function<void(std::string_view piece)> on_body;
    std::function<void(bool complete)> on_end;
    std::function<void(std::size_t count)> on_written{};  // Of what write() was given.
  };
  struct Options {
    std::string socket_path;
    std::string target;
    std::chrono::milliseconds silence_max{};  // Zero: a stream may be silent for ever.
    std::string method = "GET";
    std::string body{};    // JSON.
    bool upgrade = false;  // Ask for bytes both ways.
  };

  HttpExchange() = default;
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;
  virtual ~HttpExchange() = default;

  // Where bytes go both ways; before the head has come, what is written waits.
  virtual void write(std::string_view data) = 0;
  // Read no more until told otherwise: what the other side sends waits in the kernel.
  virtual void hold(bool is_held) = 0;
};

std::unique_ptr<HttpExchange> start_http_exchange(const boost::asio::any_io_executor& executor,
                                                  const HttpExchange::Options& options,
                                                  HttpExchange::Handlers handlers);

}  // namespace weft::sys
