#include "app/io/web_connection.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <fmt/format.h>

#include "app/login.h"
#include "app/request.h"
#include "app/routes.h"
#include "sys/http/http_error.h"

namespace weft::app {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;

constexpr std::uint32_t kHeaderMax = 16 * 1024;
// The parser's limits do not count what is between the pieces of a chunked body.
constexpr std::size_t kBufferMax = kHeaderMax + 64 * 1024;
constexpr std::chrono::seconds kIdleMax(60);
constexpr unsigned kHttp11 = 11;

// A login form, or the arguments of a control.
constexpr std::uint64_t kFormMax = 4096;

// What is pasted into a terminal at once; on other streams clients have nothing to say.
constexpr std::size_t kClientMessageMax = 64 * 1024;

// Nothing from elsewhere, no script or style in the page, no frame around it.
constexpr const char* kContentPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src "
    "'self'; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action "
    "'none'; "
    "frame-ancestors 'none'";

// The login page's only: it has a form and a style of its own, named by its hash.
constexpr const char* kLoginPolicy =
    "default-src 'none'; img-src data:; style-src "
    "'sha256-fut4soLZojYBKS723Xc/f47ItnmwOA0YgG7111Xz8wA='; "
    "form-action "
    "'self'; base-uri 'none'; frame-ancestors 'none'";

constexpr std::string_view kLoginStyle =
    "body{font:16px system-ui,sans-serif;display:grid;place-content:center;height:90vh;gap:1rem;"
    "color-scheme:light dark}form{display:grid;gap:.5rem}input,button{font:inherit;padding:.4rem}";

std::string login_page(std::string_view why) {
  return fmt::format(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\"><link rel=\"icon\" href=\"data:,\"><title>weft: log "
      "in</title><style>{}</style></head><body>"
      "<main><h1>weft</h1><p role=\"status\">{}</p><form method=\"post\" action=\"login\">"
      "<label for=\"name\">Name (none for a token)</label><input id=\"name\" name=\"name\" "
      "autocomplete=\"username\" autofocus>"
      "<label for=\"token\">Password or token</label><input id=\"token\" name=\"token\" "
      "type=\"password\" autocomplete=\"current-password\" required><button>Log in</button>"
      "</form></main>"
      "</body></html>",
      kLoginStyle,
      why);
}

template <class Response>
void harden(Response& response) {
  if (response.count("Content-Security-Policy") == 0) {
    response.set("Content-Security-Policy", kContentPolicy);
  }
  response.set("X-Content-Type-Options", "nosniff");
  response.set("X-Frame-Options", "DENY");
  // Not no-referrer: browsers would call the origin of the login form "null" (Fetch, section 3.2).
  response.set("Referrer-Policy", "same-origin");
  response.set("Cross-Origin-Opener-Policy", "same-origin");
  response.set("Cross-Origin-Resource-Policy", "same-origin");
}

std::string to_text(beast::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace

WebConnection::WebConnection(Socket socket,
                             const Ip& from,
                             Owner& owner,
                             std::size_t send_queue_max)
    : stream_(std::in_place, std::move(socket)),
      from_(from),
      owner_(&owner),
      send_queue_max_(send_queue_max),
      buffer_(kBufferMax) {}

void WebConnection::close() {
  owner_ = nullptr;
  Error ignored;
  if (socket_) {
    beast::get_lowest_layer(*socket_).socket().close(ignored);
  } else {
    stream_->socket().close(ignored);
  }
}

void WebConnection::finish() {
  Owner* const owner = owner_;
  if (owner == nullptr) {
    return;
  }
  close();
  owner->on_closed(*this);
}

// HTTP -------------------------------------------------------------------------------------------

void WebConnection::read() {
  parser_.emplace();
  parser_->body_limit(kFormMax);
  parser_->header_limit(kHeaderMax);
  stream_->expires_after(kIdleMax);
  http::async_read(
      *stream_, buffer_, *parser_, [self = shared_from_this()](const Error& error, std::size_t) {
        self->on_read(error);
      });
}

void WebConnection::on_read(const Error& error) {
  if (owner_ == nullptr) {
    return;
  }
  if (error == http::error::body_limit) {
    return refuse(413, "a body of at most 4096 bytes is taken");
  }
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return refuse(431, "request header exceeds 16 KiB");
  }
  if (sys::is_malformed_request(error)) {
    return refuse(400, "malformed request");
  }
  if (error) {
    return finish();
  }
  request_ = parser_->release();
  handle();
}

void WebConnection::show_login(unsigned status, std::string_view why) {
  text_.emplace(static_cast<http::status>(status), kHttp11);
  text_->set(http::field::content_type, "text/html; charset=utf-8");
  text_->set(http::field::cache_control, "no-store");
  text_->set("Content-Security-Policy", kLoginPolicy);
  if (request_.method() != http::verb::head) {
    text_->body() = login_page(why);
  }
  write(*text_);
}

std::string WebConnection::header(http::field name) const {
  return to_text(request_[name]);
}

std::string WebConnection::forwarded(std::string_view name) const {
  const auto& proxies = owner_->proxies();
  const bool is_proxy = std::any_of(
      proxies.begin(), proxies.end(), [&](const Cidr& proxy) { return proxy.contains(from_); });
  return is_proxy ? to_text(request_[beast::string_view(name.data(), name.size())]) : "";
}

Ip WebConnection::client() const {
  return client_behind(from_, forwarded("X-Forwarded-For"), owner_->proxies());
}

// Without TLS of its own the agent may stand behind a proxy that has it, or not: `Secure` would
// lock out those who have none.
bool WebConnection::is_secure() const {
  return owner_->is_secure() || last_item(forwarded("X-Forwarded-Proto")) == "https";
}

// Without a Path it is sent with what is below the folder of /login as the browser sees it (RFC
// 6265, section 5.1.4): behind a proxy that has us below a path, not with the rest of that site.
std::string WebConnection::cookie(std::string_view session, std::chrono::seconds life) const {
  return fmt::format("{}={}; HttpOnly; SameSite=Strict; Max-Age={}{}",
                     kSessionCookie,
                     session,
                     life.count(),
                     is_secure() ? "; Secure" : "");
}

void WebConnection::finish_login(const Result<std::string>& session) {
  if (owner_ == nullptr || !stream_) {
    return;
  }
  if (!session.ok()) {
    return show_login(session.error().code == Errc::Exhausted ? 429 : 401, session.error().what);
  }
  text_.emplace(http::status::see_other, kHttp11);
  text_->set(http::field::location, "./");
  text_->set(http::field::cache_control, "no-store");
  text_->set(
      http::field::set_cookie,
      cookie(session.value(), std::chrono::duration_cast<std::chrono::seconds>(kSessionLife)));
  write(*text_);
}

void WebConnection::log_out() {
  owner_->on_logout(header(http::field::cookie));
  text_.emplace(http::status::see_other, kHttp11);
  text_->set(http::field::location, "./");
  text_->set(http::field::cache_control, "no-store");
  text_->set(http::field::set_cookie, cookie("", std::chrono::seconds(0)));
  write(*text_);
}

void WebConnection::handle() {
  const std::string host = header(http::field::host);
  const std::string origin = header(http::field::origin);
  const std::string forwarded_host = forwarded("X-Forwarded-Host");
  const auto trusted =
      check_origin({.host = host, .origin = origin, .forwarded_host = last_item(forwarded_host)},
                   owner_->asks_for_login() ? Names::Any : Names::Addresses);
  if (!trusted.ok()) {
    return refuse(403, trusted.error().what);
  }
  const std::string target = to_text(request_.target());
  const std::string path = target.substr(0, target.find('?'));
  const bool is_post = request_.method() == http::verb::post;
  if (owner_->asks_for_login() && is_post && path == "/login") {
    stream_->expires_never();
    return owner_->on_login(*this, client(), request_.body());
  }
  if (owner_->asks_for_login() && is_post && path == "/logout") {
    return log_out();
  }
  const auto visitor = owner_->admits({.from = client(),
                                       .cookie = header(http::field::cookie),
                                       .authorization = header(http::field::authorization)});
  if (!visitor) {
    const bool is_page = path == "/" || path == "/login";
    return is_page ? show_login(401, "Log in to see this cluster.") : refuse(401, "log in first");
  }
  handle_admitted(*visitor);
}

WebRequest WebConnection::web_request(const Visitor& visitor) const {
  return {.id = {},
          .method = to_text(request_.method_string()),
          .target = to_text(request_.target()),
          .body = request_.body(),
          .from = client(),
          .visitor = visitor};
}

void WebConnection::handle_admitted(const Visitor& visitor) {
  const std::string target = to_text(request_.target());
  const std::string path = target.substr(0, target.find('?'));
  // What changes something; everything else is only looked at.
  const bool is_act = path.starts_with("/api/control/") || path.starts_with("/api/pipe/");
  const bool is_look =
      request_.method() == http::verb::get || request_.method() == http::verb::head;
  if (!is_look && !is_act) {
    return refuse(405, "only GET is answered");
  }
  if (!is_act && !request_.body().empty()) {
    return refuse(413, "requests with a body are not taken");
  }
  if (websocket::is_upgrade(request_)) {
    return upgrade(visitor);
  }
  if (path == "/api" || path.starts_with("/api/")) {
    stream_->expires_never();
    return owner_->on_request(*this, web_request(visitor));
  }
  if (const Asset* asset = find_asset(path)) {
    return serve(*asset);
  }
  refuse(404, "no such path");
}

void WebConnection::serve(const Asset& asset) {
  const bool is_known =
      to_text(request_[http::field::if_none_match]).find(asset.etag) != std::string::npos;
  asset_.emplace(is_known ? http::status::not_modified : http::status::ok, kHttp11);
  asset_->set(http::field::content_type, asset.content_type);
  asset_->set(http::field::etag, asset.etag);
  // Vite names what is below /assets/ by its content: it never changes under that name.
  asset_->set(
      http::field::cache_control,
      asset.path.starts_with("/assets/") ? "public, max-age=31536000, immutable" : "no-cache");
  if (!is_known && request_.method() != http::verb::head) {
    asset_->set(http::field::content_encoding, "gzip");
    asset_->body() = {asset.gzip.data(), asset.gzip.size()};
  }
  write(*asset_);
}

void WebConnection::answer(unsigned status, std::string body) {
  if (owner_ == nullptr || !stream_) {
    return;
  }
  text_.emplace(static_cast<http::status>(status), kHttp11);
  text_->set(http::field::content_type, "application/json");
  text_->set(http::field::cache_control, "no-cache");
  if (request_.method() != http::verb::head) {
    text_->body() = std::move(body);
  }
  write(*text_);
}

void WebConnection::refuse(unsigned status, std::string_view why) {
  request_.keep_alive(false);
  answer(status, error_body(why));
}

template <class Response>
void WebConnection::write(Response& response) {
  harden(response);
  response.keep_alive(request_.keep_alive());
  response.prepare_payload();
  stream_->expires_after(kIdleMax);
  http::async_write(
      *stream_, response, [self = shared_from_this()](const Error& error, std::size_t) {
        self->on_written(error);
      });
}

void WebConnection::on_written(const Error& error) {
  if (owner_ == nullptr) {
    return;
  }
  if (error || !request_.keep_alive()) {
    return finish();
  }
  read();
}

// WebSocket --------------------------------------------------------------------------------------

void WebConnection::upgrade(const Visitor& visitor) {
  const auto admitted = owner_->on_upgrade(*this, web_request(visitor));
  if (!admitted.ok()) {
    const Errc code = admitted.error().code;
    const unsigned status = code == Errc::Exhausted  ? 503
                            : code == Errc::Denied   ? 403
                            : code == Errc::Conflict ? 409
                                                     : 404;
    return refuse(status, admitted.error().what);
  }
  const bool is_pipe = to_text(request_.target()).starts_with("/api/pipe/");
  stream_->expires_never();
  socket_.emplace(std::move(*stream_));
  stream_.reset();
  socket_->set_option(websocket::stream_base::timeout::suggested(beast::role_type::server));
  socket_->read_message_max(kClientMessageMax);
  socket_->text(!is_pipe);
  socket_->async_accept(request_, [self = shared_from_this()](const Error& error) {
    if (error) {
      return self->finish();
    }
    self->is_open_ = true;
    self->read_frames();
    self->write_frame();
  });
}

void WebConnection::read_frames() {
  socket_->async_read(buffer_, [self = shared_from_this()](const Error& error, std::size_t) {
    if (error) {
      return self->finish();
    }
    if (self->owner_ != nullptr) {
      const auto data = self->buffer_.cdata();
      self->owner_->on_message(*self, {static_cast<const char*>(data.data()), data.size()});
    }
    self->buffer_.clear();
    self->read_frames();
  });
}

void WebConnection::close_when_sent() {
  is_ending_ = true;
  write_frame();
}

void WebConnection::send(std::shared_ptr<const std::string> frame) {
  if (owner_ == nullptr) {
    return;
  }
  queued_ += frame->size();
  frames_.push_back(std::move(frame));
  if (queued_ > send_queue_max_) {
    return finish();
  }
  write_frame();
}

void WebConnection::write_frame() {
  if (!is_open_ || is_writing_ || owner_ == nullptr) {
    return;
  }
  if (frames_.empty()) {
    if (is_ending_) {
      is_writing_ = true;
      socket_->async_close(websocket::close_code::normal,
                           [self = shared_from_this()](const Error&) { self->finish(); });
    }
    return;
  }
  is_writing_ = true;
  socket_->async_write(asio::buffer(*frames_.front()),
                       [self = shared_from_this()](const Error& error, std::size_t) {
                         self->is_writing_ = false;
                         self->queued_ -= self->frames_.front()->size();
                         self->frames_.pop_front();
                         if (error) {
                           return self->finish();
                         }
                         if (self->frames_.empty() && self->owner_ != nullptr) {
                           self->owner_->on_drained(*self);
                         }
                         self->write_frame();
                       });
}

}  // namespace weft::app
