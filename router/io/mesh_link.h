// One TCP connection of the mesh: dialled or accepted, read as bytes arrive, written from a bounded
// queue, closed once what was queued has left.
//
// Used by MeshService alone. Its pending operations keep it alive, so it may outlive its owner;
// once closed or abandoned it calls no handler any more. No handler is called from within a method.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/address.h"
#include "base/bytes.h"
#include "router/io/asio_address.h"
#include "router/io/dialer.h"

namespace weft::router {

class MeshLink : public std::enable_shared_from_this<MeshLink> {
 public:
  struct Handlers {
    std::function<void(Endpoint local, Endpoint remote)> on_connected;  // Of dial().
    std::function<void(ByteView bytes)> on_bytes;
    std::function<void(const std::string& reason)> on_closed;  // The last one, if it comes.
  };

  MeshLink(boost::asio::any_io_executor executor, std::size_t send_queue_max, Handlers handlers);
  MeshLink(const MeshLink&) = delete;
  MeshLink& operator=(const MeshLink&) = delete;

  // Exactly one of them, once.
  void dial(Dialer::Options options);
  void adopt(boost::asio::ip::tcp::socket socket);

  // Loses the link if more than the limit would wait. Ignored unless open.
  void send(Bytes bytes);
  // Sends what is queued, says goodbye and waits a little for the peer's, so that it gets to read
  // our last words.
  void close();
  void abandon();
  // Queued and being written.
  std::size_t waiting_bytes() const { return waiting_bytes_; }

 private:
  using Tcp = boost::asio::ip::tcp;
  using ErrorCode = boost::system::error_code;
  enum class State : std::uint8_t {
    Dialling,
    Open,
    Closing,  // By us: no handler is called any more.
    Lost,     // Gone, and on_closed is on its way.
    Closed,
  };

  void on_dialled(Result<Tcp::socket> connected);
  void open();
  void wait_readable();
  void on_readable(const ErrorCode& error);
  void flush_after(unsigned turns);
  void write();
  void on_written(const ErrorCode& error);
  void shutdown_send();
  // The second for methods of the owner, which must not be called back in place.
  void lose(const std::string& reason);
  void lose_soon(std::string reason);
  bool is_gone() const { return state_ == State::Lost || state_ == State::Closed; }

  boost::asio::any_io_executor executor_;
  std::size_t send_queue_max_;
  Handlers handlers_;
  State state_ = State::Dialling;
  Tcp::socket socket_;
  std::shared_ptr<Dialer> dialer_;   // While dialling.
  boost::asio::steady_timer timer_;  // Of the goodbye.
  std::vector<Bytes> queue_;
  std::vector<Bytes> in_flight_;   // Being written; the buffers must stay where they are.
  std::size_t waiting_bytes_ = 0;  // Of both.
};

}  // namespace weft::router
