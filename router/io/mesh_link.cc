#include "router/io/mesh_link.h"

#include <array>
#include <chrono>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include "base/assert.h"

namespace weft::router {

namespace {

namespace asio = boost::asio;

// As much as the kernel hands out in one go; a larger buffer is rarely filled.
constexpr std::size_t kReadSize = 64U << 10U;
// A slow path's round trip several times over: long enough for our last words to arrive.
constexpr std::chrono::seconds kGoodbyeMax{2};
// What is said first waits for so many turns of the loop: whoever is told of a new neighbour has
// then greeted it, and all of it travels in one segment. From the core to the allocator and back it
// is four (MeshService, IpamService, Agent).
constexpr unsigned kFlushTurns = 4;

}  // namespace

MeshLink::MeshLink(asio::any_io_executor executor, std::size_t send_queue_max, Handlers handlers)
    : executor_(std::move(executor)),
      send_queue_max_(send_queue_max),
      handlers_(std::move(handlers)),
      socket_(executor_),
      timer_(executor_) {}

// Connecting ----------------------------------------------------------------------------------

void MeshLink::dial(Dialer::Options options) {
  WEFT_ASSERT(state_ == State::Dialling);
  dialer_ = Dialer::dial(
      executor_, std::move(options), [self = shared_from_this()](Result<Tcp::socket> connected) {
        self->on_dialled(std::move(connected));
      });
}

void MeshLink::on_dialled(Result<Tcp::socket> connected) {
  dialer_.reset();
  if (state_ != State::Dialling) {
    return;
  }
  if (!connected.ok()) {
    lose(connected.error().what);
    return;
  }
  socket_ = std::move(connected).value();
  ErrorCode failed;
  const Tcp::endpoint local = socket_.local_endpoint(failed);
  const Tcp::endpoint remote = failed ? Tcp::endpoint() : socket_.remote_endpoint(failed);
  if (failed) {
    lose("connect: " + failed.message());
    return;
  }
  open();
  handlers_.on_connected(from_asio(local), from_asio(remote));
}

void MeshLink::adopt(Tcp::socket socket) {
  WEFT_ASSERT(state_ == State::Dialling);
  socket_ = std::move(socket);
  open();
}

void MeshLink::open() {
  state_ = State::Open;
  ErrorCode ignored;  // Both only make things faster; a dead socket shows at the first read.
  socket_.set_option(Tcp::no_delay(true), ignored);
  acknowledge_later(socket_);
  socket_.non_blocking(true, ignored);
  wait_readable();
}

// Reading -------------------------------------------------------------------------------------

void MeshLink::wait_readable() {
  socket_.async_wait(Tcp::socket::wait_read, [self = shared_from_this()](const ErrorCode& error) {
    self->on_readable(error);
  });
}

void MeshLink::on_readable(const ErrorCode& error) {
  if (is_gone()) {
    return;
  }
  if (error) {
    lose(error.message());
    return;
  }
  std::array<std::uint8_t, kReadSize> buffer;  // NOLINT: filled by the read.
  ErrorCode failed;
  const std::size_t size = socket_.read_some(asio::buffer(buffer), failed);
  if (failed && failed != asio::error::would_block) {
    lose(failed == asio::error::eof ? "closed by the peer" : failed.message());
    return;
  }
  if (size > 0 && state_ == State::Open) {  // While closing, what comes is thrown away.
    handlers_.on_bytes(ByteView(buffer).first(size));
  }
  if (!is_gone()) {
    wait_readable();
  }
}

// Writing -------------------------------------------------------------------------------------

void MeshLink::send(Bytes bytes) {
  if (state_ != State::Open || bytes.empty()) {
    return;
  }
  if (waiting_bytes_ + bytes.size() > send_queue_max_) {
    lose_soon("the peer reads too slowly: its send queue is full");
    return;
  }
  waiting_bytes_ += bytes.size();
  queue_.push_back(std::move(bytes));
  if (in_flight_.empty() && queue_.size() == 1) {
    flush_after(kFlushTurns);
  }
}

void MeshLink::flush_after(unsigned turns) {
  if (turns > 0) {
    asio::post(executor_, [self = shared_from_this(), turns] { self->flush_after(turns - 1); });
    return;
  }
  if (!is_gone() && in_flight_.empty() && !queue_.empty()) {
    write();
  }
}

void MeshLink::write() {
  in_flight_ = std::exchange(queue_, {});
  std::vector<asio::const_buffer> buffers;
  buffers.reserve(in_flight_.size());
  for (const Bytes& bytes : in_flight_) {
    buffers.emplace_back(asio::buffer(bytes));
  }
  asio::async_write(
      socket_, buffers, [self = shared_from_this()](const ErrorCode& error, std::size_t) {
        self->on_written(error);
      });
}

void MeshLink::on_written(const ErrorCode& error) {
  if (is_gone()) {
    return;
  }
  if (error) {
    lose(error.message());
    return;
  }
  for (const Bytes& bytes : std::exchange(in_flight_, {})) {
    waiting_bytes_ -= bytes.size();
  }
  if (!queue_.empty()) {
    write();
  } else if (state_ == State::Closing) {
    shutdown_send();
  }
}

// Closing -------------------------------------------------------------------------------------

void MeshLink::close() {
  if (state_ == State::Closing) {
    return;
  }
  if (state_ != State::Open) {
    abandon();
    return;
  }
  state_ = State::Closing;
  timer_.expires_after(kGoodbyeMax);
  timer_.async_wait([self = shared_from_this()](const ErrorCode& error) {
    if (!error) {
      self->abandon();
    }
  });
  if (in_flight_.empty() && queue_.empty()) {
    shutdown_send();
  }
}

void MeshLink::shutdown_send() {
  ErrorCode ignored;  // The peer may be gone already; reading finds out.
  socket_.shutdown(Tcp::socket::shutdown_send, ignored);
}

void MeshLink::abandon() {
  state_ = State::Closed;
  ErrorCode ignored;
  socket_.close(ignored);
  if (dialer_ != nullptr) {
    dialer_->cancel();
    dialer_.reset();
  }
  timer_.cancel();
}

void MeshLink::lose(const std::string& reason) {
  const bool expected = state_ == State::Closing || is_gone();
  abandon();
  if (!expected) {
    handlers_.on_closed(reason);
  }
}

void MeshLink::lose_soon(std::string reason) {
  abandon();
  state_ = State::Lost;
  asio::post(executor_, [self = shared_from_this(), reason = std::move(reason)] {
    if (self->state_ == State::Lost) {
      self->state_ = State::Closed;
      self->handlers_.on_closed(reason);
    }
  });
}

}  // namespace weft::router
