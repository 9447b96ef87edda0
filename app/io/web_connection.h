// One browser's connection: HTTP requests one after the other, maybe ending in a WebSocket.
// Internal to app/io; the server (web_server.cc) owns it through Owner's callbacks.
//
// Held by shared_ptr because Beast's operations use its buffers until their handlers have run.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "app/io/assets.h"
#include "app/io/web_server.h"
#include "app/login.h"
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
    virtual void on_request(WebConnection& from, WebRequest request) = 0;  // Its id is not set.
    virtual Result<Ok> on_upgrade(WebConnection& from, const WebRequest& request) = 0;
    // Of a WebSocket: what came, and that all that was sent has left.
    virtual void on_message(WebConnection& from, std::string_view data) = 0;
    virtual void on_drained(WebConnection& from) = 0;
    virtual void on_closed(WebConnection& from) = 0;
    virtual bool asks_for_login() const = 0;
    // Nothing: log in first.
    virtual std::optional<Visitor> admits(const WebServer::Papers& papers) = 0;
    virtual const std::vector<Cidr>& proxies() const = 0;
    virtual bool is_secure() const = 0;  // Behind TLS of our own.
    virtual void on_logout(std::string_view cookie) = 0;
    // The body of the login form; finish_login() follows.
    virtual void on_login(WebConnection& from, const Ip& client, std::string_view form) = 0;
  };

  using Socket = boost::asio::generic::stream_protocol::socket;

  // `from` is the address of the other end.
  WebConnection(Socket socket, const Ip& from, Owner& owner, std::size_t send_queue_max);

  void start() { read(); }
  // Of the request that was handed to the owner.
  void answer(unsigned status, std::string body);
  void finish_login(const Result<std::string>& session);
  void send(std::shared_ptr<const std::string> frame);
  void close();
  // Of a WebSocket: sends what waits, then says goodbye.
  void close_when_sent();

 private:
  using Error = boost::system::error_code;
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using Request = boost::beast::http::request<boost::beast::http::string_body>;
  using TextResponse = boost::beast::http::response<boost::beast::http::string_body>;
  using AssetResponse =
      boost::beast::http::response<boost::beast::http::span_body<const std::uint8_t>>;
  using Stream = boost::beast::basic_stream<boost::asio::generic::stream_protocol>;
  using WebSocket = boost::beast::websocket::stream<Stream>;

  void read();
  void on_read(const Error& error);
  void handle();
  void handle_admitted(const Visitor& visitor);
  WebRequest web_request(const Visitor& visitor) const;
  void log_out();
  std::string header(boost::beast::http::field name) const;
  // A header that counts where the connection is that of a proxy we trust; else empty.
  std::string forwarded(std::string_view name) const;
  Ip client() const;
  bool is_secure() const;  // As far as the browser is concerned.
  std::string cookie(std::string_view session, std::chrono::seconds life) const;
  void show_login(unsigned status, std::string_view why);
  void serve(const Asset& asset);
  void refuse(unsigned status, std::string_view why);
  void upgrade(const Visitor& visitor);
  template <class Response>
  void write(Response& response);
  void on_written(const Error& error);

  void read_frames();
  void write_frame();
  void finish();

  std::optional<Stream> stream_;     // Until the upgrade.
  std::optional<WebSocket> socket_;  // From then on.
  Ip from_;
  Owner* owner_;  // Null once closed.
  std::size_t send_queue_max_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  Request request_;
  std::optional<TextResponse> text_;
  std::optional<AssetResponse> asset_;
  bool is_open_ = false;     // The WebSocket's handshake is done.
  bool is_writing_ = false;  // A frame is on its way.
  bool is_ending_ = false;   // close_when_sent().
  std::deque<std::shared_ptr<const std::string>> frames_;
  std::size_t queued_ = 0;  // Bytes of them.
};

}  // namespace weft::app
