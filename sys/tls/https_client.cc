#include "sys/tls/https_client.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <optional>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/address.h"
#include "sys/tls/authority.h"
#include "sys/tls/certificate.h"

namespace weft::sys {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

// As of an agent on this host (sys/http/http_client.cc).
constexpr std::uint64_t kAnswerMax = 64U << 20U;

bool is_same_fingerprint(const std::string& a, const std::string& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::toupper(static_cast<unsigned char>(x))
           == std::toupper(static_cast<unsigned char>(y));
  });
}

// The steps of a call, each starting the next; `outcome` is of the last one begun.
class Call {
 public:
  explicit Call(const HttpsServer& server) : server_(server) {}

  Result<Ok> prepare() {
    error_code error;
    if (!server_.authorities.empty()) {
      tls_.load_verify_file(server_.authorities, error);
      if (error) {
        return Error{Errc::Os,
                     fmt::format("certificates in {}: {}", server_.authorities, error.message())};
      }
    } else {
      tls_.set_default_verify_paths(error);  // Without any, nobody is believed.
    }
    stream_.emplace(context_, tls_);
    stream_->set_verify_mode(ssl::verify_peer, error);
    stream_->set_verify_callback(
        [this](bool is_signed, ssl::verify_context& chain) { return believes(is_signed, chain); },
        error);
    if (!Ip::parse(server_.host).ok()) {
      (void)SSL_set_tlsext_host_name(stream_->native_handle(), server_.host.c_str());
    }
    return Ok{};
  }

  void write_request(const std::string& method,
                     const std::string& target,
                     const std::string& body) {
    constexpr unsigned kHttp11 = 11;
    request_.version(kHttp11);
    request_.method_string(method);
    request_.target(target);
    request_.set(http::field::host, authority_of(server_.host, server_.port));
    request_.set(http::field::content_type, "application/json");
    if (!server_.token.empty()) {
      request_.set(http::field::authorization, "Bearer " + server_.token);
    }
    request_.keep_alive(false);
    request_.body() = body;
    request_.prepare_payload();
    answer_.body_limit(kAnswerMax);
  }

  // Nothing if it took too long.
  std::optional<error_code> run(std::chrono::seconds timeout) {
    resolver_.async_resolve(
        server_.host, server_.port, [this](const error_code& error, const auto& found) {
          if (error) {
            return finish(error);
          }
          asio::async_connect(stream_->lowest_layer(),
                              found,
                              [this](const error_code& failed, const tcp::endpoint&) {
                                failed ? finish(failed) : shake_hands();
                              });
        });
    context_.run_for(timeout);
    return outcome_;
  }

  HttpResponse take_response() {
    auto message = answer_.release();
    HttpResponse response;
    response.status = message.result_int();
    response.content_type = std::string(message[http::field::content_type]);
    response.body = std::move(message.body());
    return response;
  }
  // Of the certificate that was not believed; else empty.
  const std::string& refused() const { return refused_; }

 private:
  void finish(const error_code& error) { outcome_ = error; }

  bool believes(bool is_signed, ssl::verify_context& chain) {
    X509_STORE_CTX* const handle = chain.native_handle();
    if (X509_STORE_CTX_get_error_depth(handle) > 0) {
      return is_signed || !server_.fingerprint.empty();
    }
    X509* const certificate = X509_STORE_CTX_get_current_cert(handle);
    const auto fingerprint = fingerprint_of(*certificate);
    const bool is_believed =
        server_.fingerprint.empty()
            ? ssl::host_name_verification(server_.host)(is_signed, chain)
            : fingerprint.ok() && is_same_fingerprint(fingerprint.value(), server_.fingerprint);
    refused_ = is_believed || !fingerprint.ok() ? "" : fingerprint.value();
    return is_believed;
  }

  void shake_hands() {
    stream_->async_handshake(ssl::stream_base::client,
                             [this](const error_code& error) { error ? finish(error) : write(); });
  }

  void write() {
    http::async_write(*stream_, request_, [this](const error_code&, std::size_t) {
      read();  // A server may refuse, and say why, without reading all of the request.
    });
  }

  void read() {
    http::async_read(*stream_, buffer_, answer_, [this](const error_code& error, std::size_t) {
      finish(error);
    });
  }

  const HttpsServer& server_;
  asio::io_context context_{1};
  ssl::context tls_{ssl::context::tls_client};
  std::optional<ssl::stream<tcp::socket>> stream_;
  tcp::resolver resolver_{context_};
  boost::beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  http::response_parser<http::string_body> answer_;
  std::optional<error_code> outcome_;
  std::string refused_;
};

}  // namespace

Result<HttpResponse> https_call(const HttpsServer& server,
                                const std::string& method,
                                const std::string& target,
                                const std::string& body,
                                int timeout_seconds) {
  Call call(server);
  WEFT_TRY(call.prepare());
  call.write_request(method, target, body);
  const auto outcome = call.run(std::chrono::seconds(timeout_seconds));
  const std::string place = fmt::format("{}:{}", server.host, server.port);
  if (!outcome) {
    return Error{Errc::Unavailable,
                 fmt::format("no answer from {} within {} s", place, timeout_seconds)};
  }
  if (!*outcome) {
    return call.take_response();
  }
  if (!call.refused().empty()) {
    return Error{Errc::Denied,
                 fmt::format("the certificate of {} is not to be believed: its SHA-256 is {}",
                             place,
                             call.refused())};
  }
  const bool is_absent = *outcome == asio::error::connection_refused
                         || *outcome == asio::error::host_unreachable
                         || *outcome == asio::error::network_unreachable;
  return Error{is_absent ? Errc::Unavailable : Errc::Os,
               fmt::format("{} {} on {}: {}", method, target, place, outcome->message()),
               outcome->value()};
}

}  // namespace weft::sys
