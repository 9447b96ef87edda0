#include "plugin/proxy/io/exchange.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffer_traits.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <sys/socket.h>

namespace weft::plugin::proxy {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::use_awaitable;
using asio::experimental::awaitable_operators::operator&&;

namespace {

constexpr std::uint32_t kHeadMax = 64 * 1024;
// What describes a container is a few kilobytes, unless its environment is a library.
constexpr std::size_t kBodyMax = 4U << 20U;
constexpr std::size_t kPieceSize = 64 * 1024;
constexpr std::size_t kBufferMax = kHeadMax + kPieceSize;

// Clients keep connections for the next call: docker-compose for minutes.
constexpr std::chrono::minutes kIdleMax(10);
// Of a request, from its first octet to the end of its head.
constexpr std::chrono::seconds kHeadTimeMax(30);
// For a client that still sends to see what it was refused with.
constexpr std::chrono::seconds kDrainTimeMax(2);

using Error = boost::system::error_code;
template <class Value>
using Task = asio::awaitable<Value>;

// Takes every body and keeps nothing of it: the parsers only tell where messages end.
struct NoBody {
  struct value_type {};
  class reader {
   public:
    template <bool isRequest, class Fields>
    reader(http::header<isRequest, Fields>& /*head*/, value_type& /*value*/) {}
    void init(const boost::optional<std::uint64_t>& /*length*/, Error& error) { error = {}; }
    template <class Buffers>
    std::size_t put(const Buffers& buffers, Error& error) {
      error = {};
      return beast::buffer_bytes(buffers);
    }
    void finish(Error& error) { error = {}; }
  };
};
template <bool isRequest>
using Parser = http::parser<isRequest, NoBody>;

[[noreturn]] void fail(const Error& error) {
  throw boost::system::system_error(error);
}

// One end of an exchange, and what has arrived there and not been handed on.
struct End {
  explicit End(Stream&& stream) : socket(std::move(stream)), buffer(kBufferMax) {}

  Stream socket;
  beast::flat_buffer buffer;
};

// False: the other side has ended.
Task<bool> read_more(End& end) {
  const std::size_t room = end.buffer.max_size() - end.buffer.size();
  if (room == 0) {
    fail(http::error::header_limit);
  }
  const auto [error, size] = co_await end.socket.async_read_some(
      end.buffer.prepare(std::min(room, kPieceSize)), asio::as_tuple(use_awaitable));
  if (error == asio::error::eof) {
    co_return false;
  }
  if (error) {
    fail(error);
  }
  end.buffer.commit(size);
  co_return true;
}

Task<void> write(Stream& to, std::string_view data) {
  co_await asio::async_write(to, asio::buffer(data), use_awaitable);
}

// Gives the parser what has arrived; how much of it belongs to the message.
template <bool isRequest>
std::size_t put(Parser<isRequest>& parser, const End& end) {
  Error error;
  const std::size_t size = parser.put(end.buffer.data(), error);
  if (error && error != http::error::need_more) {
    fail(error);
  }
  return size;
}

std::string_view view(const End& end, std::size_t size) {
  return {static_cast<const char*>(end.buffer.data().data()), size};
}

// The head as it was sent. Empty: the other side ended before it began.
template <bool isRequest>
Task<std::string> read_head(End& end, Parser<isRequest>& parser) {
  std::string head;
  while (!parser.is_header_done()) {
    const std::size_t size = end.buffer.size() > 0 ? put(parser, end) : 0;
    head.append(view(end, size));
    end.buffer.consume(size);
    if (size > 0 || parser.is_header_done()) {
      continue;
    }
    const bool is_open = co_await read_more(end);
    if (!is_open && head.empty() && end.buffer.size() == 0) {
      co_return head;
    }
    if (!is_open) {
      fail(http::error::partial_message);
    }
  }
  co_return head;
}

// Calls `take` with each piece behind the head, framing and all, until the message has ended.
template <bool isRequest, class Take>
Task<void> read_body(End& end, Parser<isRequest>& parser, Take take) {
  // At the front of the buffer, taken already: what the parser understands with more alone, such as
  // the end of a chunk, is of this message all the same. What is behind it may be of the next.
  std::size_t taken = 0;
  while (!parser.is_done()) {
    const std::size_t size = end.buffer.size() > 0 ? put(parser, end) : 0;
    const std::size_t known = size > 0 || parser.is_done() ? size : end.buffer.size();
    if (known > taken) {
      co_await take(view(end, known).substr(taken));
      taken = known;
    }
    end.buffer.consume(size);
    taken -= size;
    if (size > 0 || parser.is_done()) {
      continue;
    }
    const bool is_open = co_await read_more(end);
    if (!is_open) {
      Error error;
      parser.put_eof(error);
      if (error) {
        fail(error);
      }
    }
  }
}

// All that still comes from one end goes to the other, and so does its end.
Task<void> pour(End& from, Stream& to) {
  for (;;) {
    if (from.buffer.size() > 0) {
      co_await write(to, view(from, from.buffer.size()));
      from.buffer.consume(from.buffer.size());
    }
    const bool is_open = co_await read_more(from);
    if (!is_open) {
      break;
    }
  }
  Error ignored;  // It may have gone itself.
  to.shutdown(Stream::shutdown_send, ignored);
}

bool has_ended(Stream& socket) {
  char octet = 0;
  const ssize_t size = ::recv(socket.native_handle(), &octet, 1, MSG_PEEK | MSG_DONTWAIT);
  return size == 0 || (size < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
}

std::string plain_answer(unsigned status, const std::string& message) {
  // As the engine words its errors, which clients show.
  const std::string body = boost::json::serialize(boost::json::object{{"message", message}}) + "\n";
  return fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n"
      "Connection: close\r\n\r\n{}",
      status,
      std::string_view(http::obsolete_reason(static_cast<http::status>(status))),
      body.size(),
      body);
}

// Ends the exchange, having said why.
struct Refusal {
  unsigned status;
  std::string message;
};

// A browser tells that it asks for a page, or asks by a name that somebody let lead here.
bool is_from_page(const Parser<true>& request) {
  std::string_view host(request.get()[http::field::host]);
  if (host.starts_with('[')) {
    host = host.substr(1, host.find(']') - 1);
  } else {
    host = host.substr(0, host.find(':'));
  }
  const bool is_known = host.empty() || host == "localhost" || Ip::parse(host).ok();
  return !is_known || !request.get()[http::field::origin].empty();
}

class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(Stream client, const ExchangeContext& context)
      : context_(context),
        client_(std::move(client)),
        engine_(Stream(client_.socket.get_executor())),
        deadline_(client_.socket.get_executor()),
        sent_(client_.socket.get_executor()) {}

  Task<void> run() {
    std::exception_ptr failure;
    try {
      bool goes_on = true;
      while (goes_on) {
        goes_on = co_await one_call();
      }
    } catch (...) {
      failure = failure_ ? failure_ : std::current_exception();
    }
    const std::optional<Refusal> refusal = failure ? refusal_for(failure) : std::nullopt;
    if (refusal && !has_answered_) {
      co_await refuse(*refusal);
    }
    // Who waits for something holds this, and with it the sockets.
    deadline_.cancel();
    close();
  }

 private:
  // What ended an exchange, where the client is to hear of it.
  static std::optional<Refusal> refusal_for(const std::exception_ptr& failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const Refusal& refusal) {
      return refusal;
    } catch (const boost::system::system_error& error) {
      return refusal_for(error.code());
    } catch (const std::exception& error) {
      return Refusal{500, error.what()};
    }
  }

  static std::optional<Refusal> refusal_for(const Error& error) {
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      return Refusal{431, "the head of a request is at most 64 KiB"};
    }
    if (error.category() == http::make_error_code(http::error::bad_method).category()
        && error != http::error::partial_message) {
      return Refusal{400, "malformed request: " + error.message()};
    }
    return std::nullopt;
  }

  Task<void> refuse(Refusal refusal) {
    cut_at(kDrainTimeMax);
    try {
      co_await write(client_.socket, plain_answer(refusal.status, refusal.message));
      Error ignored;
      client_.socket.shutdown(Stream::shutdown_send, ignored);
      bool is_open = true;
      while (is_open) {
        client_.buffer.clear();
        is_open = co_await read_more(client_);
      }
    } catch (const boost::system::system_error&) {
      // The client has gone: nobody is left to be told.
    }
  }

  void close() {
    Error ignored;
    client_.socket.close(ignored);
    engine_.socket.close(ignored);
  }

  // Unless it is cancelled, or set anew, before.
  void cut_at(std::chrono::steady_clock::duration after) {
    deadline_.expires_after(after);
    deadline_.async_wait([self = shared_from_this()](const Error& error) {
      if (!error) {
        self->close();
      }
    });
  }

  // The same, but the client is told.
  void end_reading_at(std::chrono::steady_clock::duration after) {
    deadline_.expires_after(after);
    deadline_.async_wait([self = shared_from_this()](const Error& error) {
      if (!error) {
        self->failure_ = std::make_exception_ptr(
            Refusal{408, "what describes a container did not come to its end in time"});
        self->client_.socket.cancel();
      }
    });
  }

  // False: the connection has ended.
  Task<bool> one_call() {
    has_answered_ = false;
    ++calls_;
    if (client_.buffer.size() == 0) {
      cut_at(kIdleMax);
      const bool is_open = co_await read_more(client_);
      if (!is_open) {
        co_return false;
      }
    }
    cut_at(kHeadTimeMax);
    Parser<true> request;
    request.header_limit(kHeadMax);
    request.body_limit(boost::none);
    std::string head = co_await read_head(client_, request);
    deadline_.cancel();
    if (head.empty()) {
      co_return false;
    }
    if (!context_.is_private && is_from_page(request)) {
      throw Refusal{403, "this API is not for web pages (Origin, or a Host that is a name)"};
    }
    const Call call = parse_call(std::string_view(request.get().method_string()),
                                 std::string_view(request.get().target()));
    co_await connect();
    if (call.kind == Call::Kind::Create) {
      head = co_await rewrite(call, request);
    } else if (call.kind == Call::Kind::Exec) {
      co_await attached(call.container, context_.hooks.on_exec);
    }
    is_sent_ = false;
    co_await (noting(send(request, std::move(head))) && noting(answer(call, request)));
    co_return client_.socket.is_open() && engine_.socket.is_open();
  }

  // Of two that fail the second most often does so because it was cancelled.
  Task<void> noting(Task<void> half) {
    try {
      co_await std::move(half);
    } catch (...) {
      failure_ = failure_ ? failure_ : std::current_exception();
      throw;
    }
  }

  Task<void> connect() {
    if (engine_.socket.is_open()) {
      co_return;
    }
    const asio::local::stream_protocol::endpoint place(context_.docker_socket);
    const auto [error] =
        co_await engine_.socket.async_connect(place, asio::as_tuple(use_awaitable));
    if (error) {
      throw Refusal{502,
                    fmt::format("the Docker engine does not answer at {}: {}",
                                context_.docker_socket,
                                error.message())};
    }
  }

  template <class Value>
  Task<Result<Value>> on_worker(std::function<Result<Value>()> hook) {
    std::optional<Result<Value>> result;
    co_await asio::co_spawn(
        context_.workers,
        [&]() -> Task<void> {
          result.emplace(hook());
          co_return;
        },
        use_awaitable);
    co_return *std::move(result);
  }

  // Reads the whole request; what the engine is to get instead, head and body.
  Task<std::string> rewrite(Call call, Parser<true>& request) {
    if (request.get()[http::field::expect] == "100-continue") {
      co_await write(client_.socket, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    std::string raw;
    const auto keep = [&raw](std::string_view piece) -> Task<void> {
      raw.append(piece);
      if (raw.size() > kBodyMax) {
        throw Refusal{413, "what describes a container is at most 4 MiB"};
      }
      co_return;
    };
    end_reading_at(context_.body_time_max);
    co_await read_body(client_, request, keep);
    deadline_.cancel();
    std::string body = request.chunked() ? unchunk(raw) : std::move(raw);
    const Result<std::string> hooked =
        co_await on_worker<std::string>([&] { return context_.hooks.on_create(call, body); });
    if (!hooked.ok()) {
      throw Refusal{500, hooked.error().what};
    }
    co_return with_body(request, hooked.value());
  }

  // The pieces of a chunked body that the parser has found whole.
  static std::string unchunk(const std::string& raw) {
    http::parser<false, http::string_body> parser;
    parser.eager(true);
    parser.body_limit(boost::none);
    const std::string message = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + raw;
    asio::const_buffer rest = asio::buffer(message);
    while (!parser.is_done() && rest.size() > 0) {
      Error error;
      const std::size_t size = parser.put(rest, error);
      if (error) {
        fail(error);
      }
      rest += size;
    }
    return parser.release().body();
  }

  static std::string with_body(const Parser<true>& request, const std::string& body) {
    std::string message = fmt::format("{} {} HTTP/1.1\r\n",
                                      std::string_view(request.get().method_string()),
                                      std::string_view(request.get().target()));
    for (const auto& field : request.get()) {
      if (field.name() != http::field::content_length
          && field.name() != http::field::transfer_encoding
          && field.name() != http::field::expect) {
        message += fmt::format(
            "{}: {}\r\n", std::string_view(field.name_string()), std::string_view(field.value()));
      }
    }
    return message + fmt::format("Content-Length: {}\r\n\r\n{}", body.size(), body);
  }

  Task<void> send(Parser<true>& request, std::string head) {
    co_await write(engine_.socket, head);
    co_await read_body(client_, request, [this](std::string_view piece) -> Task<void> {
      co_await write(engine_.socket, piece);
    });
    is_sent_ = true;
    sent_.cancel();
    watch_client();
  }

  // An answer may be silent for hours (`docker events`, `docker wait`): who asked goes unnoticed
  // unless somebody looks. The engine ends what nobody wants any more if it is told so.
  void watch_client() {
    client_.socket.async_wait(
        Stream::wait_read, [self = shared_from_this(), call = calls_](const Error& error) {
          const bool is_over = error || call != self->calls_ || self->client_.buffer.size() > 0;
          if (!is_over && has_ended(self->client_.socket)) {
            Error ignored;  // The engine may have gone itself.
            self->engine_.socket.shutdown(Stream::shutdown_send, ignored);
          }
        });
  }

  // What a client sends behind its request, which may go on while the engine streams already.
  Task<void> pour_rest() {
    if (!is_sent_) {
      sent_.expires_at(asio::steady_timer::time_point::max());
      (void)co_await sent_.async_wait(asio::as_tuple(use_awaitable));  // Cancelled in any case.
    }
    if (is_sent_) {
      ++calls_;  // Who reads finds out itself when that ends.
      co_await pour(client_, engine_.socket);
    }
  }

  Task<void> answer(Call call, const Parser<true>& request) {
    std::optional<Parser<false>> response;
    std::string head;
    do {
      response.emplace();
      response->header_limit(kHeadMax);
      response->body_limit(boost::none);
      response->skip(request.get().method() == http::verb::head);
      if (!head.empty()) {
        co_await write(client_.socket, head);  // 100 Continue.
      }
      head = co_await read_head(engine_, *response);
      if (head.empty()) {
        throw Refusal{502, "the Docker engine hung up"};
      }
    } while (response->get().result() == http::status::continue_);
    const unsigned status = response->get().result_int();
    constexpr unsigned kNoContent = 204;
    if (call.kind == Call::Kind::Start && status == kNoContent) {
      co_await attached(call.container, context_.hooks.on_started);
    }
    has_answered_ = true;
    co_await write(client_.socket, head);
    if (response->get().result() == http::status::switching_protocols
        || (response->need_eof() && request.get().method() == http::verb::post)) {
      co_await (pour_rest() && pour(engine_, client_.socket));
      co_return close();
    }
    co_await read_body(engine_, *response, [this](std::string_view piece) -> Task<void> {
      co_await write(client_.socket, piece);
    });
    // Who is answered before the request was there wants to hear no more of it.
    if (!is_sent_ || !response->keep_alive()) {
      Error ignored;
      client_.socket.shutdown(Stream::shutdown_send, ignored);
      close();
    }
  }

  Task<void> attached(std::string container,
                      const std::function<Result<Ok>(const std::string& container)>& hook) {
    const Result<Ok> hooked = co_await on_worker<Ok>([&] { return hook(container); });
    if (!hooked.ok()) {
      throw Refusal{500, hooked.error().what};
    }
  }

  ExchangeContext context_;
  End client_;
  End engine_;
  asio::steady_timer deadline_;
  asio::steady_timer sent_;     // Cancelled when a request is.
  std::uint64_t calls_ = 0;     // Begun.
  std::exception_ptr failure_;  // The first of a request's way there and its answer's way back.
  bool has_answered_ = false;
  bool is_sent_ = false;
};

}  // namespace

Task<void> serve_connection(Stream client, ExchangeContext context) {
  const auto exchange = std::make_shared<Exchange>(std::move(client), context);
  co_await exchange->run();
}

}  // namespace weft::plugin::proxy
