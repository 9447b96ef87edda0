#include "sys/http/http_connection.h"

#include <chrono>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <poll.h>

#include "base/assert.h"
#include "sys/http/http_error.h"

namespace weft::sys {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

// The largest call of any client (a Docker plugin call, the CLI) is a few kilobytes.
constexpr std::size_t kBodyMax = 1U << 20U;
constexpr std::uint32_t kHeaderMax = 16 * 1024;

// What is read at once of a body, beside a header. The parser's own limits do not count what is
// between the pieces of a chunked body: without this one a chunk's extension, or the fields behind
// the last, could be as long as there is memory.
constexpr std::size_t kBufferMax = kHeaderMax + 64 * 1024;

// Docker keeps a plugin connection idle for long and opens another without complaint when it is
// gone.
constexpr std::chrono::seconds kIdleMax(60);

// Room for the first octets of a request, which most often are all of it.
constexpr std::size_t kFirstSize = 2048;
static_assert(kFirstSize <= kBufferMax);

// After a refusal, what the client still sends is read and thrown away so that it gets to see the
// answer instead of a broken pipe; this much and this long, then it is cut.
constexpr std::size_t kDrainMax = 4 * kBodyMax;
constexpr std::chrono::seconds kDrainTimeMax(2);

}  // namespace

HttpConnection::HttpConnection(Socket socket, std::chrono::milliseconds request_max, Owner& owner)
    : stream_(std::move(socket)),
      buffer_(kBufferMax),
      request_max_(request_max),
      owner_(&owner) {
  Error ignored;  // Then writing waits for a client that does not take its answer.
  stream_.socket().non_blocking(true, ignored);
}

void HttpConnection::close() {
  owner_ = nullptr;
  awaiting_answer_ = false;
  stream_.close();
}

void HttpConnection::finish() {
  Owner* const owner = owner_;
  close();
  if (owner != nullptr) {
    owner->on_closed(*this);
  }
}

// The next request may take its time to begin, unless it has begun behind the last one.
void HttpConnection::await() {
  if (buffer_.size() > 0) {
    begin_request();
    read();
  } else {
    stream_.expires_after(kIdleMax);
    stream_.async_read_some(buffer_.prepare(kFirstSize),
                            [self = shared_from_this()](const Error& error, std::size_t size) {
                              self->on_first(error, size);
                            });
  }
  owner_->on_idle(*this);
}

void HttpConnection::on_first(const Error& error, std::size_t size) {
  if (owner_ == nullptr) {
    return;
  }
  if (error) {
    return finish();  // The client left, or idled too long.
  }
  buffer_.commit(size);
  begin_request();
  // Most requests are all here: to read() them would take a timer and another turn of the strand.
  parser_->eager(true);
  Error unparsed;
  buffer_.consume(parser_->put(buffer_.data(), unparsed));
  if (!parser_->is_done() && (!unparsed || unparsed == http::error::need_more)) {
    return read();
  }
  on_read(unparsed);
}

void HttpConnection::begin_request() {
  parser_.emplace();
  parser_->body_limit(kBodyMax);
  parser_->header_limit(kHeaderMax);
}

void HttpConnection::read() {
  stream_.expires_after(request_max_);
  http::async_read(
      stream_, buffer_, *parser_, [self = shared_from_this()](const Error& error, std::size_t) {
        self->on_read(error);
      });
}

void HttpConnection::on_read(const Error& error) {
  if (owner_ == nullptr) {
    return;
  }
  if (error == http::error::body_limit) {
    return refuse(413, "request body exceeds 1 MiB");
  }
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return refuse(431, "request header exceeds 16 KiB");
  }
  if (is_malformed_request(error)) {
    return refuse(400, "malformed request: " + error.message());
  }
  if (error == beast::error::timeout) {
    owner_->on_late(*this);
  }
  if (error) {
    return finish();  // The client left, or was cut.
  }
  auto message = parser_->release();
  HttpRequest request;
  request.method = message.method_string();
  request.target = message.target();
  request.host = message[http::field::host];
  request.origin = message[http::field::origin];
  request.authorization = message[http::field::authorization];
  request.body = std::move(message.body());
  keep_alive_ = message.keep_alive();
  awaiting_answer_ = true;
  ++request_number_;
  stream_.expires_never();
  owner_->on_request(*this, std::move(request));
  // What is answered within a turn of the strand is not worth a system call.
  asio::post(stream_.get_executor(), [self = shared_from_this(), number = request_number_] {
    self->watch_for_hangup(number);
  });
}

void HttpConnection::watch_for_hangup(std::uint64_t request_number) {
  if (!awaiting_answer_ || request_number != request_number_) {
    return;
  }
  stream_.socket().async_wait(Socket::wait_read,
                              [self = shared_from_this(), request_number](const Error& error) {
                                if (!error) {
                                  self->on_readable(request_number);
                                }
                              });
}

void HttpConnection::on_readable(std::uint64_t request_number) {
  if (owner_ == nullptr || !awaiting_answer_ || request_number != request_number_) {
    return;
  }
  // POLLHUP: the client closed. Readable without it is a next request sent ahead, or a client that
  // closed its sending side only; either still wants the answer, and we watch no further, as the
  // socket would stay readable.
  pollfd state{.fd = stream_.socket().native_handle(), .events = 0, .revents = 0};
  if (::poll(&state, 1, 0) <= 0 || (state.revents & (POLLHUP | POLLERR)) == 0) {
    return;
  }
  owner_->on_hangup(*this);
  finish();
}

void HttpConnection::answer(HttpResponse response) {
  WEFT_ASSERT(awaiting_answer_);
  awaiting_answer_ = false;
  write(std::move(response), keep_alive_);
}

void HttpConnection::refuse(unsigned status, const std::string& reason) {
  keep_alive_ = false;
  write({.status = status, .content_type = "text/plain", .body = reason + "\n"}, false);
}

void HttpConnection::write(HttpResponse response, bool keep_alive) {
  constexpr unsigned kHttp11 = 11;
  response_.emplace(static_cast<http::status>(response.status), kHttp11);
  response_->set(http::field::content_type, response.content_type);
  if (response_->result() == http::status::unauthorized) {
    response_->set(http::field::www_authenticate, "Bearer");
  }
  response_->keep_alive(keep_alive);
  response_->body() = std::move(response.body);
  response_->prepare_payload();
  unwritten_.emplace(*response_);
  const auto self = shared_from_this();  // The owner may let go of us once it is written.
  Error error;
  http::write(stream_.socket(), *unwritten_, error);
  if (error != asio::error::would_block) {
    return on_written(error);
  }
  stream_.expires_after(request_max_);
  http::async_write(stream_, *unwritten_, [self](const Error& late_error, std::size_t) {
    self->on_written(late_error);
  });
}

void HttpConnection::on_written(const Error& error) {
  if (owner_ == nullptr) {
    return;
  }
  if (error == beast::error::timeout) {
    owner_->on_late(*this);
  }
  if (error) {
    return finish();
  }
  if (keep_alive_) {
    return await();
  }
  Error ignored;  // The client may be gone already, which is what we want.
  stream_.socket().shutdown(Socket::shutdown_send, ignored);
  stream_.expires_after(kDrainTimeMax);
  drain();
}

void HttpConnection::drain() {
  buffer_.clear();
  stream_.async_read_some(buffer_.prepare(kHeaderMax),
                          [self = shared_from_this()](const Error& error, std::size_t size) {
                            self->on_drained(error, size);
                          });
}

void HttpConnection::on_drained(const Error& error, std::size_t size) {
  drained_ += size;
  if (owner_ == nullptr) {
    return;
  }
  if (error || drained_ > kDrainMax) {
    return finish();
  }
  drain();
}

}  // namespace weft::sys
