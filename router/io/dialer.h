// Opens one TCP connection to a peer that has several addresses: to whichever of them answers
// first.
//
// A host name is looked up anew each time. The addresses are tried in order of preference, the
// families taking turns; the next attempt begins when the one before has failed or has not answered
// for a quarter of a second, while that goes on (RFC 8305, Happy Eyeballs). Used by MeshLink.
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
#include "base/result.h"

namespace weft::router {

// The order in which they are tried: the families take turns, the first address decides which
// begins; each once; those that cannot be reached from `source` (unless unspecified) not at all.
std::vector<Endpoint> in_dial_order(const std::vector<Endpoint>& addresses, const Ip& source);

// The kernel acknowledges each of the first segments of a connection at once (tcp(7),
// TCP_QUICKACK), so that the sender's window grows. Here that window hardly matters, and while a
// cluster starts these packets are many. Before a connection is made: what is said first on it
// carries the acknowledgement that completes it.
void acknowledge_later(boost::asio::ip::tcp::socket& socket);

class Dialer : public std::enable_shared_from_this<Dialer> {
 public:
  using Tcp = boost::asio::ip::tcp;
  struct Options {
    std::string host{};  // A name or an address.
    std::uint16_t port = 0;
    std::vector<Endpoint> others{};  // Tried after those of `host`.
    Ip source{};                     // Dialled from; unspecified: the kernel's choice.
  };
  // Called once, unless cancelled, and never from within dial(). The Error is of the first attempt:
  // its address is the one preferred.
  using OnDone = std::function<void(Result<Tcp::socket> connected)>;

  static std::shared_ptr<Dialer> dial(const boost::asio::any_io_executor& executor,
                                      Options options,
                                      OnDone on_done);
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;
  void cancel();

 private:
  using ErrorCode = boost::system::error_code;

  Dialer(const boost::asio::any_io_executor& executor, Options options, OnDone on_done);
  void resolve();
  void on_resolved(const ErrorCode& error, const Tcp::resolver::results_type& results);
  void begin(std::vector<Endpoint> addresses);
  void try_next();
  ErrorCode prepare(Tcp::socket& socket, const Tcp::endpoint& to) const;
  void on_attempted(std::size_t index, const ErrorCode& error);
  void finish(Result<Tcp::socket> result);

  boost::asio::any_io_executor executor_;
  Options options_;
  OnDone on_done_;  // Null once called or cancelled.
  Tcp::resolver resolver_;
  boost::asio::steady_timer timer_;  // Until the next attempt.
  std::vector<Endpoint> candidates_;
  std::vector<std::unique_ptr<Tcp::socket>> attempts_;  // Of the first candidates, in their order.
  std::size_t failed_count_ = 0;
  std::string first_failure_;
};

}  // namespace weft::router
