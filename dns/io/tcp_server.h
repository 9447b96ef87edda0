// Answers questions over TCP (RFC 7766): each behind its size in two octets, several of a client at
// the same time.
//
// Lives on the control strand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"
#include "sys/lifetime.h"

namespace weft::dns {

class TcpServer {
 public:
  class Connection;
  // Every question is answered once, with answer(), now or later, in any order; nothing closes the
  // connection.
  using OnQuestion = std::function<void(const std::shared_ptr<Connection>& from, ByteView message)>;

  // Clients come here for what does not fit into a datagram.
  static constexpr std::size_t kConnectionsMax = 256;

  static Result<std::unique_ptr<TcpServer>> start(boost::asio::any_io_executor executor,
                                                  const Endpoint& listen,
                                                  OnQuestion on_question);
  TcpServer(const TcpServer&) = delete;
  TcpServer& operator=(const TcpServer&) = delete;
  ~TcpServer();

  static void answer(const std::shared_ptr<Connection>& to, ByteView message);
  static Endpoint peer(const Connection& connection);

  // Connections over kConnectionsMax.
  std::uint64_t refused() const { return refused_; }

 private:
  TcpServer(boost::asio::any_io_executor executor, OnQuestion on_question);
  void accept();

  OnQuestion on_question_;
  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer retry_;
  std::set<std::shared_ptr<Connection>> connections_;
  std::uint64_t refused_ = 0;
  sys::Lifetime lifetime_;
};

}  // namespace weft::dns
