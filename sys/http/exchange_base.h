// What exchanges have in common, whatever they come over: telling the answer as it arrives, held
// back where nobody wants more for now. Internal to start_http_exchange() and
// start_https_exchange().
//
// Held by shared_ptr because Beast's operations use its buffers until their handlers have run.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>

#include "sys/http/http_exchange.h"

namespace weft::sys {

// `Derived` has on_head(), go_on(), which reads what comes next, and fail(error, doing).
template <class Derived>
class ExchangeBase : public std::enable_shared_from_this<Derived> {
 public:
  void hold(bool is_held) {
    is_held_ = is_held;
    if (!is_held && std::exchange(is_waiting_, false)) {
      boost::asio::post(executor_, [self = this->shared_from_this()] { self->go_on(); });
    }
  }

 protected:
  using ErrorCode = boost::system::error_code;

  ExchangeBase(boost::asio::any_io_executor executor, HttpExchange::Handlers handlers)
      : executor_(std::move(executor)),
        handlers_(std::move(handlers)) {
    parser_.body_limit(boost::none);
  }

  // Nobody is told anything any more.
  void forsake() { handlers_.reset(); }
  bool is_heard() const { return handlers_.has_value(); }

  template <class Stream>
  void read_head(Stream& stream) {
    boost::beast::http::async_read_header(
        stream, buffer_, parser_, [self = this->shared_from_this()](const ErrorCode& error, auto) {
          error ? self->fail(error, "receive") : self->on_head();
        });
  }

  // False: not now, or never again.
  bool may_read() {
    is_waiting_ = is_held_;
    return is_heard() && !is_held_;
  }

  // Precondition: may_read().
  template <class Stream>
  void read_body(Stream& stream) {
    if (parser_.is_done()) {
      end(true);
      return;
    }
    parser_.get().body().data = piece_.data();
    parser_.get().body().size = piece_.size();
    boost::beast::http::async_read_some(
        stream, buffer_, parser_, [self = this->shared_from_this()](const ErrorCode& error, auto) {
          const std::size_t size = self->piece_.size() - self->parser_.get().body().size;
          self->tell_body(std::string_view(self->piece_.data(), size));
          if (error && error != boost::beast::http::error::need_buffer) {
            self->fail(error, "receive");
            return;
          }
          self->go_on();
        });
  }

  // Handlers may destroy what holds them.
  void tell_head(unsigned status) {
    if (handlers_) {
      const auto tell = handlers_->on_head;
      tell(status);
    }
  }
  void tell_body(std::string_view piece) {
    if (!piece.empty() && handlers_) {
      const auto tell = handlers_->on_body;
      tell(piece);
    }
  }
  void tell_written(std::size_t size) {
    if (handlers_ && handlers_->on_written) {
      const auto tell = handlers_->on_written;
      tell(size);
    }
  }
  void end(bool complete) {
    if (auto handlers = std::exchange(handlers_, std::nullopt)) {
      handlers->on_end(complete);
    }
  }

  const boost::asio::any_io_executor executor_;
  std::optional<HttpExchange::Handlers> handlers_;  // Nothing once ended.
  boost::beast::flat_buffer buffer_;
  boost::beast::http::response_parser<boost::beast::http::buffer_body> parser_;
  std::array<char, 16384> piece_{};

 private:
  bool is_held_ = false;
  bool is_waiting_ = false;  // Reading goes on when it is held no more.
};

}  // namespace weft::sys
