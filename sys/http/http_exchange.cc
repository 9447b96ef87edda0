#include "sys/http/http_exchange.h"

#include <array>
#include <optional>
#include <utility>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <sys/un.h>

#include "sys/posix/write_queue.h"

namespace weft::sys {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

// Held by shared_ptr because Beast's operations use its buffers until their handlers have run.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(const asio::any_io_executor& executor,
           HttpExchange::Options options,
           HttpExchange::Handlers handlers)
      : options_(std::move(options)),
        handlers_(std::move(handlers)),
        stream_(executor) {
    constexpr unsigned kHttp11 = 11;
    request_.version(kHttp11);
    request_.method_string(options_.method);
    request_.target(options_.target);
    request_.set(http::field::host, "localhost");
    request_.keep_alive(false);
    if (options_.upgrade) {
      request_.set(http::field::connection, "Upgrade");
      request_.set(http::field::upgrade, "tcp");
    }
    if (!options_.body.empty()) {
      request_.set(http::field::content_type, "application/json");
      request_.body() = options_.body;
    }
    if (options_.method != "GET") {
      request_.prepare_payload();
    }
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
                            error ? self->end(false) : self->send_request();
                          });
  }

  void close() {
    handlers_.reset();
    stream_.close();
  }

  void write(std::string_view data) {
    unwritten_.push(data);
    write_next();
  }

  bool on_written(std::size_t size) {
    if (handlers_ && handlers_->on_written) {
      const auto tell = handlers_->on_written;
      tell(size);
    }
    return handlers_.has_value();
  }

  void hold(bool is_held) {
    is_held_ = is_held;
    if (!is_held && std::exchange(is_waiting_, false)) {
      asio::post(stream_.get_executor(), [self = shared_from_this()] { self->go_on(); });
    }
  }

 private:
  void limit_silence() {
    if (options_.silence_max.count() > 0) {
      stream_.expires_after(options_.silence_max);
    }
  }

  void send_request() {
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
                              self->on_head();
                            });
  }

  void on_head() {
    const auto status = parser_.get().result();
    is_raw_ = status == http::status::switching_protocols;
    if (handlers_) {
      const auto tell = handlers_->on_head;
      tell(static_cast<unsigned>(status));
    }
    if (is_raw_ && buffer_.size() > 0) {
      const auto early = buffer_.cdata();
      const std::string text(static_cast<const char*>(early.data()), early.size());
      buffer_.clear();
      tell_body(text);
    }
    write_next();
    go_on();
  }

  void go_on() {
    if (is_held_) {
      is_waiting_ = true;
      return;
    }
    is_raw_ ? read_raw() : read_body();
  }

  void tell_body(std::string_view piece) {
    if (!piece.empty() && handlers_) {
      const auto tell = handlers_->on_body;
      tell(piece);
    }
  }

  void read_raw() {
    if (!handlers_) {
      return;
    }
    stream_.async_read_some(asio::buffer(piece_),
                            [self = shared_from_this()](const error_code& error, std::size_t size) {
                              self->tell_body(std::string_view(self->piece_.data(), size));
                              if (error) {
                                self->end(error == asio::error::eof);
                                return;
                              }
                              self->go_on();
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
                            self->tell_body(std::string_view(self->piece_.data(), size));
                            if (error && error != http::error::need_buffer) {
                              self->end(false);
                              return;
                            }
                            self->go_on();
                          });
  }

  void write_next() {
    if (is_raw_ && handlers_) {
      unwritten_.run(stream_, shared_from_this());
    }
  }

  void end(bool complete) {
    if (auto handlers = std::exchange(handlers_, std::nullopt)) {
      handlers->on_end(complete);
    }
  }

  const HttpExchange::Options options_;
  std::optional<HttpExchange::Handlers> handlers_;  // Nothing once ended.
  boost::beast::basic_stream<asio::local::stream_protocol> stream_;
  boost::beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  http::response_parser<http::buffer_body> parser_;
  std::array<char, 16384> piece_{};
  bool is_raw_ = false;
  bool is_held_ = false;
  bool is_waiting_ = false;  // Reading goes on when it is held no more.
  WriteQueue unwritten_;
};

class UnixHttpExchange final : public HttpExchange {
 public:
  explicit UnixHttpExchange(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~UnixHttpExchange() override { exchange_->close(); }

  void write(std::string_view data) override { exchange_->write(data); }
  void hold(bool is_held) override { exchange_->hold(is_held); }

 private:
  std::shared_ptr<Exchange> exchange_;
};

}  // namespace

std::unique_ptr<HttpExchange> start_http_exchange(const asio::any_io_executor& executor,
                                                  const HttpExchange::Options& options,
                                                  HttpExchange::Handlers handlers) {
  auto exchange = std::make_shared<Exchange>(executor, options, std::move(handlers));
  exchange->start();
  return std::make_unique<UnixHttpExchange>(std::move(exchange));
}

}  // namespace weft::sys
