#include "sys/http/http_get.h"

#include <array>
#include <optional>
#include <utility>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <sys/un.h>

namespace weft::sys {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

// Held by shared_ptr because Beast's operations use its buffers until their handlers have run.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(const asio::any_io_executor& executor,
           HttpGet::Options options,
           HttpGet::Handlers handlers)
      : options_(std::move(options)),
        handlers_(std::move(handlers)),
        stream_(executor) {
    constexpr unsigned kHttp11 = 11;
    request_.version(kHttp11);
    request_.method(http::verb::get);
    request_.target(options_.target);
    request_.set(http::field::host, "localhost");
    request_.keep_alive(false);
    parser_.body_limit(boost::none);
  }

  void start() {
    if (options_.socket_path.size() >= sizeof(sockaddr_un::sun_path)) {
      asio::post(stream_.get_executor(), [self = shared_from_this()] { self->end(false); });
      return;
    }
    limit_silence();
    stream_.async_connect(asio::local::stream_protocol::endpoint(options_.socket_path),
                          [self = shared_from_this()](const error_code& error) {
                            error ? self->end(false) : self->write();
                          });
  }

  void close() {
    handlers_.reset();
    stream_.close();
  }

 private:
  void limit_silence() {
    if (options_.silence_max.count() > 0) {
      stream_.expires_after(options_.silence_max);
    }
  }

  void write() {
    http::async_write(
        stream_, request_, [self = shared_from_this()](const error_code& error, std::size_t) {
          error ? self->end(false) : self->read_head();
        });
  }

  void read_head() {
    http::async_read_header(stream_,
                            buffer_,
                            parser_,
                            [self = shared_from_this()](const error_code& error, std::size_t) {
                              if (error) {
                                self->end(false);
                                return;
                              }
                              if (self->handlers_) {
                                const auto tell = self->handlers_->on_head;
                                tell(self->parser_.get().result_int());
                              }
                              self->read_body();
                            });
  }

  void read_body() {
    if (!handlers_) {
      return;
    }
    if (parser_.is_done()) {
      end(true);
      return;
    }
    limit_silence();
    parser_.get().body().data = piece_.data();
    parser_.get().body().size = piece_.size();
    http::async_read_some(stream_,
                          buffer_,
                          parser_,
                          [self = shared_from_this()](const error_code& error, std::size_t) {
                            const std::size_t size =
                                self->piece_.size() - self->parser_.get().body().size;
                            if (size > 0 && self->handlers_) {
                              const auto tell = self->handlers_->on_body;
                              tell(std::string_view(self->piece_.data(), size));
                            }
                            if (error && error != http::error::need_buffer) {
                              self->end(false);
                              return;
                            }
                            self->read_body();
                          });
  }

  void end(bool complete) {
    if (auto handlers = std::exchange(handlers_, std::nullopt)) {
      handlers->on_end(complete);
    }
  }

  const HttpGet::Options options_;
  std::optional<HttpGet::Handlers> handlers_;  // Nothing once ended.
  boost::beast::basic_stream<asio::local::stream_protocol> stream_;
  boost::beast::flat_buffer buffer_;
  http::request<http::empty_body> request_;
  http::response_parser<http::buffer_body> parser_;
  std::array<char, 16384> piece_{};
};

class UnixHttpGet final : public HttpGet {
 public:
  explicit UnixHttpGet(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~UnixHttpGet() override { exchange_->close(); }

 private:
  std::shared_ptr<Exchange> exchange_;
};

}  // namespace

std::unique_ptr<HttpGet> start_http_get(const asio::any_io_executor& executor,
                                        const HttpGet::Options& options,
                                        HttpGet::Handlers handlers) {
  auto exchange = std::make_shared<Exchange>(executor, options, std::move(handlers));
  exchange->start();
  return std::make_unique<UnixHttpGet>(std::move(exchange));
}

}  // namespace weft::sys
