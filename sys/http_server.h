// A small HTTP/1.1 server: on a Unix socket for the control API and the Docker plugin, on TCP for
// metrics.
//
// Built on Boost.Beast. Limits: body 1 MiB, header 16 KiB, request_max from a request's first octet
// to its last, connections_max. An idle connection is closed after 60 s, and earlier where its
// place is needed: the one that has asked for nothing for the longest time makes room for a
// newcomer. A request may be answered at once or later; keep-alive is served. Every handler runs on
// the executor.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "base/address.h"
#include "base/request.h"
#include "base/result.h"
#include "sys/tls/certificate.h"

namespace weft::sys {

struct HttpRequest {
  RequestId id;
  std::string method;  // "GET", "POST", …
  std::string target;  // Path and query as sent.
  std::string body;
  std::string host{};    // Header fields; empty if they were not sent.
  std::string origin{};  // A browser's, on behalf of a page.
  std::string authorization{};
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
};

// A client on this host sends its few kilobytes in a millisecond, one far away in a second; who
// needs longer than this is stuck, or means to hold a place.
inline constexpr std::chrono::milliseconds kHttpRequestMax(10'000);

struct HttpStats {
  std::size_t connections = 0;  // Open.
  std::uint64_t evicted = 0;    // Idle ones that made room for others, or found none themselves.
  std::uint64_t late = 0;       // Cut in the middle of a request, or of its answer.
};

class HttpServer {
 public:
  struct Options {
    std::string path;     // A stale socket file is replaced; a live one is an Error.
    std::string group{};  // Owner root:group 0660 if the group exists, else root 0600.
    std::size_t connections_max = 256;
    std::chrono::milliseconds request_max = kHttpRequestMax;
  };
  using OnRequest = std::function<void(HttpRequest request)>;
  using OnHangup = std::function<void(RequestId id)>;  // The client left before the answer.

  HttpServer() = default;
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  virtual ~HttpServer() = default;  // Closes everything and removes the socket file.

  // Answers once; ignored if the client has gone.
  virtual void respond(RequestId id, HttpResponse response) = 0;
  virtual HttpStats stats() const = 0;
};

Result<std::unique_ptr<HttpServer>> listen_http(boost::asio::any_io_executor executor,
                                                HttpServer::Options options,
                                                HttpServer::OnRequest on_request,
                                                HttpServer::OnHangup on_hangup);

struct HttpTcpOptions {
  Endpoint address;
  // A few scrapers; whoever else reaches the port shall not cost much.
  std::size_t connections_max = 16;
  // Others than this host's are cut off. Listening on a loopback address does not see to that where
  // the kernel routes it (net.ipv4.conf.*.route_localnet, which Docker and Kubernetes turn on).
  bool only_local = false;
  std::optional<Certificate> certificate{};  // With it TLS is spoken.
  std::chrono::milliseconds request_max = kHttpRequestMax;
};
Result<std::unique_ptr<HttpServer>> listen_http_tcp(boost::asio::any_io_executor executor,
                                                    const HttpTcpOptions& options,
                                                    HttpServer::OnRequest on_request,
                                                    HttpServer::OnHangup on_hangup);

// One blocking request to such a server; for the CLI. Errc::Unavailable if nothing listens.
Result<HttpResponse> http_call(const std::string& socket_path,
                               const std::string& method,
                               const std::string& target,
                               const std::string& body,
                               int timeout_seconds);

}  // namespace weft::sys
