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
// A name may have many addresses; more than these are not worth the time of trying.
constexpr std::size_t kCandidatesMax = 8;
// Two SYNs (at 0 and 1 s) fit, and two addresses into the time the mesh gives a dial (five
// seconds).
constexpr std::chrono::seconds kAttemptMax{2};
// A slow path's round trip several times over: long enough for our last words to arrive.
constexpr std::chrono::seconds kGoodbyeMax{2};

}  // namespace

Ip from_asio(const asio::ip::address& address) {
  if (address.is_v4()) {
    return Ipv4(address.to_v4().to_uint());
  }
  const asio::ip::address_v6 v6 = address.to_v6();
  if (v6.is_v4_mapped()) {
    return Ipv4(asio::ip::make_address_v4(asio::ip::v4_mapped, v6).to_uint());
  }
  return Ipv6(v6.to_bytes());
}

Endpoint from_asio(const asio::ip::tcp::endpoint& endpoint) {
  return {.address = from_asio(endpoint.address()), .port = endpoint.port()};
}

asio::ip::address to_asio(const Ip& ip) {
  if (ip.is_v4()) {
    return asio::ip::address_v4(ip.v4().number());
  }
  return asio::ip::address_v6(ip.v6().octets());
}

MeshLink::MeshLink(asio::any_io_executor executor, std::size_t send_queue_max, Handlers handlers)
    : executor_(std::move(executor)),
      send_queue_max_(send_queue_max),
      handlers_(std::move(handlers)),
      socket_(executor_),
      resolver_(executor_),
      timer_(executor_) {}

// Connecting ----------------------------------------------------------------------------------

void MeshLink::dial(const std::string& host, std::uint16_t port) {
  const Result<Ip> literal = Ip::parse(host);
  if (literal.ok()) {  // Needs no resolver, which is a thread.
    candidates_.emplace_back(to_asio(literal.value()), port);
    try_next();
    return;
  }
  resolver_.async_resolve(host,
                          std::to_string(port),
                          Tcp::resolver::numeric_service,
                          [self = shared_from_this()](const ErrorCode& error, const auto& results) {
                            self->on_resolved(error, results);
                          });
}

void MeshLink::on_resolved(const ErrorCode& error, const Tcp::resolver::results_type& results) {
  if (state_ != State::Dialling) {
    return;
  }
  if (error) {
    lose("resolve: " + error.message());
    return;
  }
  for (const auto& result : results) {
    if (candidates_.size() < kCandidatesMax) {
      candidates_.push_back(result.endpoint());
    }
  }
  try_next();
}

void MeshLink::try_next() {
  if (candidate_index_ == candidates_.size()) {
    lose_soon("the name has no address");
    return;
  }
  ErrorCode ignored;
  socket_.close(ignored);
  timer_.expires_after(kAttemptMax);
  timer_.async_wait([self = shared_from_this(), index = candidate_index_](const ErrorCode& error) {
    if (!error && self->state_ == State::Dialling && self->candidate_index_ == index) {
      ErrorCode unused;
      self->socket_.close(unused);  // Ends the attempt with operation_aborted.
    }
  });
  socket_.async_connect(
      candidates_[candidate_index_],
      [self = shared_from_this()](const ErrorCode& error) { self->on_attempted(error); });
}

void MeshLink::on_attempted(const ErrorCode& error) {
  if (state_ != State::Dialling) {
    return;
  }
  // The timer may have closed a socket whose success was already on its way.
  const bool timed_out = error == asio::error::operation_aborted || !socket_.is_open();
  if (error || timed_out) {
    if (++candidate_index_ < candidates_.size()) {
      try_next();
      return;
    }
    lose(timed_out ? "connect: no answer" : "connect: " + error.message());
    return;
  }
  ErrorCode failed;
  const Tcp::endpoint local = socket_.local_endpoint(failed);
  if (failed) {
    lose("connect: " + failed.message());
    return;
  }
  timer_.cancel();
  open();
  handlers_.on_connected(from_asio(local), from_asio(candidates_[candidate_index_]));
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
  if (in_flight_.empty()) {
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
  if (in_flight_.empty()) {
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
  resolver_.cancel();
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
