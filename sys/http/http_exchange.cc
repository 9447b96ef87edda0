#include "sys/http/http_exchange.h"

#include <string_view>
#include <utility>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <sys/un.h>

#include "sys/http/exchange_base.h"
#include "sys/posix/write_queue.h"

namespace weft::sys {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

class Exchange : public ExchangeBase<Exchange> {
 public:
  Exchange(const asio::any_io_executor& executor,
           HttpExchange::Options options,
           HttpExchange::Handlers handlers)
      : ExchangeBase(executor, std::move(handlers)),
        options_(std::move(options)),
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
  }

  void start() {
    if (options_.socket_path.size() >= sizeof(sockaddr_un::sun_path)) {
      asio::post(executor_, [self = shared_from_this()] { self->end(false); });
      return;
    }
    limit_silence();
    stream_.async_connect(asio::local::stream_protocol::endpoint(options_.socket_path),
                          [self = shared_from_this()](const error_code& error) {
                            error ? self->fail(error, "connect") : self->send_request();
                          });
  }

  void close() {
    forsake();
    stream_.close();
  }

  void write(std::string_view data) {
    unwritten_.push(data);
    write_next();
  }

  bool on_written(std::size_t size) {
    tell_written(size);
    return is_heard();
  }

 private:
  friend ExchangeBase<Exchange>;

  void limit_silence() {
    if (options_.silence_max.count() > 0) {
      stream_.expires_after(options_.silence_max);
    }
  }

  void send_request() {
    http::async_write(
        stream_, request_, [self = shared_from_this()](const error_code& error, std::size_t) {
          error ? self->fail(error, "send") : self->read_head(self->stream_);
        });
  }

  void on_head() {
    const auto status = parser_.get().result();
    is_raw_ = status == http::status::switching_protocols;
    tell_head(static_cast<unsigned>(status));
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
    if (!may_read()) {
      return;
    }
    if (is_raw_) {
      read_raw();
      return;
    }
    limit_silence();
    read_body(stream_);
  }

  void read_raw() {
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

  void write_next() {
    if (is_raw_ && is_heard()) {
      unwritten_.run(stream_, shared_from_this());
    }
  }

  void fail(const error_code& /*error*/, std::string_view /*doing*/) { end(false); }

  const HttpExchange::Options options_;
  boost::beast::basic_stream<asio::local::stream_protocol> stream_;
  http::request<http::string_body> request_;
  bool is_raw_ = false;
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
