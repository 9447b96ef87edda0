// One client's connection of the HTTP server: reads a request, waits for its answer, writes it,
// reads the next. Internal to sys; the server (http_server.cc) owns it through Owner's callbacks.
//
// Held by shared_ptr because Beast's operations use its buffers until their handlers have run.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>

#include "sys/http_server.h"

namespace weft::sys {

class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  // The server, as the connection sees it. Not called after close().
  class Owner {
   public:
    Owner() = default;
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    virtual ~Owner() = default;
    virtual void on_request(HttpConnection& from, HttpRequest request) = 0;  // Its id is not set.
    virtual void on_hangup(HttpConnection& from) = 0;  // While a request is unanswered.
    virtual void on_idle(HttpConnection& from) = 0;    // Waits for a request. May close it.
    virtual void on_late(HttpConnection& from) = 0;    // A request did not arrive in time.
    virtual void on_closed(HttpConnection& from) = 0;
  };
  using Socket = boost::asio::generic::stream_protocol::socket;  // Unix or TCP.

  // `request_max`: for a request to arrive whole, once it has begun, and for its answer to be
  // taken.
  HttpConnection(Socket socket, std::chrono::milliseconds request_max, Owner& owner);

  void start() { await(); }
  // Precondition: a request is unanswered.
  void answer(HttpResponse response);
  void close();

 private:
  using Error = boost::system::error_code;
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using Response = boost::beast::http::response<boost::beast::http::string_body>;
  using Serializer = boost::beast::http::response_serializer<boost::beast::http::string_body>;

  void await();
  void on_first(const Error& error, std::size_t size);
  void begin_request();
  void read();
  void on_read(const Error& error);
  void watch_for_hangup(std::uint64_t request_number);
  void on_readable(std::uint64_t request_number);
  void refuse(unsigned status, const std::string& reason);
  void write(HttpResponse response, bool keep_alive);
  void on_written(const Error& error);
  void drain();
  void on_drained(const Error& error, std::size_t size);
  void finish();

  boost::beast::basic_stream<boost::asio::generic::stream_protocol> stream_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::optional<Response> response_;
  std::optional<Serializer> unwritten_;  // What is still to be written of it.
  std::chrono::milliseconds request_max_;
  Owner* owner_;                      // Null once closed.
  std::uint64_t request_number_ = 0;  // Tells the hang-up watch of an earlier request apart.
  bool awaiting_answer_ = false;
  bool keep_alive_ = false;
  std::size_t drained_ = 0;
};

}  // namespace weft::sys
