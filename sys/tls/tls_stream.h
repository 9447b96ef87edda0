// One connection to a server over TLS (1.2 or 1.3), for coroutines. Either side may end what it
// sends and still hear the other, which Docker's attached streams rely on, and boost::asio::ssl
// cannot do: its shutdown waits for the other side's.
//
// Whoever runs it ignores SIGPIPE. Not thread-safe; one reader and one writer at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "base/result.h"
#include "sys/tls/tls_trust.h"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX.
struct ssl_st;      // And its SSL.

namespace weft::sys {

class TlsContext {
 public:
  // Errc::Os if a file cannot be read, Errc::Invalid if it holds nothing of the kind.
  static Result<std::unique_ptr<TlsContext>> create(const TlsTrust& trust);
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();

 private:
  friend class TlsStream;
  TlsContext(ssl_ctx_st* context, std::string name) : context_(context), name_(std::move(name)) {}

  ssl_ctx_st* context_;
  std::string name_;
};

class TlsStream {
 public:
  // Of a socket that is connected. The context must outlive it.
  TlsStream(boost::asio::ip::tcp::socket socket, const TlsContext& context);
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;
  ~TlsStream();

  // These throw std::runtime_error, with a text for people.
  boost::asio::awaitable<void> handshake();
  boost::asio::awaitable<std::size_t> read_some(std::span<char> buffer);  // 0: its end.
  boost::asio::awaitable<void> write(std::span<const char> bytes);
  boost::asio::awaitable<void> end();  // We say nothing more.
  void cut();                          // What waits throws.

 private:
  // Waits for what the last call of OpenSSL's wants, or throws.
  boost::asio::awaitable<void> wait_for(int result, std::string_view doing);

  boost::asio::ip::tcp::socket socket_;
  ssl_st* ssl_;
};

}  // namespace weft::sys
