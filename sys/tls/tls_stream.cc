#include "sys/tls/tls_stream.h"

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string_view>

#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "base/address.h"
#include "base/assert.h"

namespace weft::sys {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// What OpenSSL has to say of its last call; empty if nothing.
std::string reason() {
  const unsigned long code = ::ERR_get_error();
  const char* const text = code == 0 ? nullptr : ::ERR_reason_error_string(code);
  ::ERR_clear_error();
  return text == nullptr ? "" : text;
}

Result<Ok> check_readable(const std::string& path) {
  if (::access(path.c_str(), R_OK) != 0) {
    const int error = errno;
    return Error{Errc::Os, fmt::format("{}: {}", path, std::strerror(error)), error};
  }
  return Ok{};
}

Error unusable(const std::string& path, std::string_view expected) {
  const std::string why = reason();
  return Error{Errc::Invalid, fmt::format("{}: {} (expected {})", path, why, expected)};
}

Result<Ok> load(SSL_CTX* context, const TlsTrust& trust) {
  WEFT_TRY(check_readable(trust.authorities));
  if (::SSL_CTX_load_verify_locations(context, trust.authorities.c_str(), nullptr) != 1) {
    return unusable(trust.authorities, "certificates of authorities, PEM");
  }
  if (trust.chain.empty()) {
    return Ok{};
  }
  WEFT_TRY(check_readable(trust.chain));
  if (::SSL_CTX_use_certificate_chain_file(context, trust.chain.c_str()) != 1) {
    return unusable(trust.chain, "a certificate, PEM");
  }
  WEFT_TRY(check_readable(trust.key));
  if (::SSL_CTX_use_PrivateKey_file(context, trust.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return unusable(trust.key, "the key of " + trust.chain);
  }
  return Ok{};
}

}  // namespace

Result<std::unique_ptr<TlsContext>> TlsContext::create(const TlsTrust& trust) {
  ::ERR_clear_error();
  SSL_CTX* const context = ::SSL_CTX_new(::TLS_client_method());
  WEFT_ASSERT(context != nullptr);
  std::unique_ptr<TlsContext> made(new TlsContext(context, trust.name));
  (void)::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  WEFT_TRY(load(context, trust));
  return made;
}

TlsContext::~TlsContext() {
  ::SSL_CTX_free(context_);
}

TlsStream::TlsStream(tcp::socket socket, const TlsContext& context)
    : socket_(std::move(socket)),
      ssl_(::SSL_new(context.context_)) {
  WEFT_ASSERT(ssl_ != nullptr);
  socket_.non_blocking(true);
  (void)::SSL_set_fd(ssl_, socket_.native_handle());
  if (Ip::parse(context.name_).ok()) {
    (void)::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(ssl_), context.name_.c_str());
  } else {
    (void)::SSL_set1_host(ssl_, context.name_.c_str());
    (void)SSL_set_tlsext_host_name(ssl_, context.name_.c_str());
  }
}

TlsStream::~TlsStream() {
  ::SSL_free(ssl_);
}

void TlsStream::cut() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

asio::awaitable<void> TlsStream::wait_for(int result, std::string_view doing) {
  switch (::SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      co_await socket_.async_wait(tcp::socket::wait_read, asio::use_awaitable);
      co_return;
    case SSL_ERROR_WANT_WRITE:
      co_await socket_.async_wait(tcp::socket::wait_write, asio::use_awaitable);
      co_return;
    default:
      break;
  }
  const long verdict = ::SSL_get_verify_result(ssl_);
  const std::string why = reason();
  if (verdict != X509_V_OK) {
    throw std::runtime_error(fmt::format("its certificate is not to be believed: {}",
                                         ::X509_verify_cert_error_string(verdict)));
  }
  throw std::runtime_error(fmt::format("{}: {}", doing, why.empty() ? "it hung up" : why));
}

asio::awaitable<void> TlsStream::handshake() {
  for (;;) {
    ::ERR_clear_error();
    const int result = ::SSL_connect(ssl_);
    if (result == 1) {
      co_return;
    }
    co_await wait_for(result, "TLS handshake");
  }
}

asio::awaitable<std::size_t> TlsStream::read_some(std::span<char> buffer) {
  for (;;) {
    std::size_t size = 0;
    ::ERR_clear_error();
    const int result = ::SSL_read_ex(ssl_, buffer.data(), buffer.size(), &size);
    if (result == 1) {
      co_return size;
    }
    if (::SSL_get_error(ssl_, result) == SSL_ERROR_ZERO_RETURN) {
      co_return 0;
    }
    co_await wait_for(result, "TLS");
  }
}

asio::awaitable<void> TlsStream::write(std::span<const char> bytes) {
  while (!bytes.empty()) {
    std::size_t size = 0;
    ::ERR_clear_error();
    const int result = ::SSL_write_ex(ssl_, bytes.data(), bytes.size(), &size);
    if (result == 1) {
      bytes = bytes.subspan(size);
    } else {
      co_await wait_for(result, "TLS");
    }
  }
}

asio::awaitable<void> TlsStream::end() {
  for (;;) {
    ::ERR_clear_error();
    const int result = ::SSL_shutdown(ssl_);
    if (result >= 0) {
      co_return;
    }
    co_await wait_for(result, "TLS");
  }
}

}  // namespace weft::sys
