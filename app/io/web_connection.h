// One browser's connection: HTTP requests one after the other, maybe ending in a WebSocket.
// Internal to app/io; the server (web_server.cc) owns it through Owner's callbacks.
//
// Held by shared_ptr because Beast's operations use its buffers until their handlers have run.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "app/io/assets.h"
#include "base/result.h"

namespace weft::app {

class WebConnection : public std::enable_shared_from_this<WebConnection> {
 public:
  class Owner {
   public:
    Owner() = default;
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    virtual ~Owner() = default;
    virtual void on_request(WebConnection& from, const std::string& target) = 0;
    virtual Result<Ok> on_upgrade(WebConnection& from, const std::string& target) = 0;
    virtual void on_closed(WebConnection& from) = 0;
    virtual bool asks_for_login() const = 0;
    virtual bool admits(std::string_view cookie, std::string_view authorization) = 0;
    // A session, for the body of the login form.
    virtual Result<std::string> on_login(std::string_view form) = 0;
  };

  WebConnection(boost::asio::ip::tcp::socket socket, Owner& owner, std::size_t send_queue_max);

  void start() { read(); }
  // Of the request that was handed to the owner.
  void answer(unsigned status, std::string body);
  void send(std::shared_ptr<const std::string> frame);
  void close();

 private:
  using Error = boost::system::error_code;
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using Request = boost::beast::http::request<boost::beast::http::string_body>;
  using TextResponse = boost::beast::http::response<boost::beast::http::string_body>;
  using AssetResponse =
      boost::beast::http::response<boost::beast::http::span_body<const std::uint8_t>>;
  using WebSocket = boost::beast::websocket::stream<boost::beast::tcp_stream>;

  void read();
  void on_read(const Error& error);
  void handle();
  bool is_admitted();
  void log_in();
  void show_login(unsigned status, std::string_view why);
  void serve(const Asset& asset);
  void refuse(unsigned status, std::string_view why);
  void upgrade();
  template <class Response>
  void write(Response& response);
  void on_written(const Error& error);

  void read_frames();
  void write_frame();
  void finish();

  std::optional<boost::beast::tcp_stream> stream_;  // Until the upgrade.
  std::optional<WebSocket> socket_;                 // From then on.
  Owner* owner_;                                    // Null once closed.
  std::size_t send_queue_max_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  Request request_;
  std::optional<TextResponse> text_;
  std::optional<AssetResponse> asset_;
  bool is_open_ = false;     // The WebSocket's handshake is done.
  bool is_writing_ = false;  // A frame is on its way.
  std::deque<std::shared_ptr<const std::string>> frames_;
  std::size_t queued_ = 0;  // Bytes of them.
};

}  // namespace weft::app
