// http_call(): one blocking request over a Unix socket.
#include <chrono>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <fmt/format.h>
#include <sys/un.h>

#include "sys/http_server.h"

namespace weft::sys {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

// The status of a peer in a cluster of thousands is a few megabytes.
constexpr std::uint64_t kAnswerMax = 64U << 20U;

// The four steps of a call, each starting the next; run() gives the outcome of the last one begun.
class Call {
 public:
  Call(const std::string& method, const std::string& target, const std::string& body) {
    constexpr unsigned kHttp11 = 11;
    request_.version(kHttp11);
    request_.method_string(method);
    request_.target(target);
    request_.set(http::field::host, "weft");
    request_.set(http::field::content_type, "application/json");
    request_.keep_alive(false);
    request_.body() = body;
    request_.prepare_payload();
    parser_.body_limit(kAnswerMax);
  }

  error_code run(const std::string& socket_path, int timeout_seconds) {
    stream_.expires_after(std::chrono::seconds(timeout_seconds));
    stream_.async_connect(asio::local::stream_protocol::endpoint(socket_path),
                          [this](const error_code& error) {
                            outcome_ = error;
                            if (!error) {
                              write();
                            }
                          });
    context_.run();
    return outcome_;
  }

  HttpResponse take_response() {
    auto message = parser_.release();
    HttpResponse response;
    response.status = message.result_int();
    response.content_type = std::string(message[http::field::content_type]);
    response.body = std::move(message.body());
    return response;
  }

 private:
  void write() {
    http::async_write(stream_, request_, [this](const error_code&, std::size_t) {
      read();  // A server may refuse, and say why, without reading all of the request.
    });
  }

  void read() {
    http::async_read(stream_, buffer_, parser_, [this](const error_code& error, std::size_t) {
      outcome_ = error;
    });
  }

  asio::io_context context_{1};
  beast::basic_stream<asio::local::stream_protocol> stream_{context_};
  beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  http::response_parser<http::string_body> parser_;
  error_code outcome_;
};

}  // namespace

Result<HttpResponse> http_call(const std::string& socket_path,
                               const std::string& method,
                               const std::string& target,
                               const std::string& body,
                               int timeout_seconds) {
  if (socket_path.empty() || socket_path.size() >= sizeof(sockaddr_un::sun_path)) {
    return Error{Errc::Invalid,
                 fmt::format("socket path '{}' of {} bytes (expected 1 to {})",
                             socket_path,
                             socket_path.size(),
                             sizeof(sockaddr_un::sun_path) - 1)};
  }
  Call call(method, target, body);
  const error_code error = call.run(socket_path, timeout_seconds);
  if (!error) {
    return call.take_response();
  }
  if (error == asio::error::connection_refused
      || error == boost::system::errc::no_such_file_or_directory) {
    return Error{
        Errc::Unavailable, fmt::format("nothing listens on {}", socket_path), error.value()};
  }
  if (error == beast::error::timeout) {
    return Error{Errc::Unavailable,
                 fmt::format("no answer on {} within {} s", socket_path, timeout_seconds)};
  }
  const bool is_denied = error == boost::system::errc::permission_denied;
  return Error{is_denied ? Errc::Denied : Errc::Os,
               fmt::format("{} {} on {}: {}", method, target, socket_path, error.message()),
               error.value()};
}

}  // namespace weft::sys
