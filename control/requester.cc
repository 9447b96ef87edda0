#include "control/requester.h"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "base/assert.h"
#include "base/overloaded.h"

namespace weft::control {
namespace {

namespace json = boost::json;

// Scope's: a browser that comes back to a pipe that has ended learns so for this long.
constexpr std::chrono::minutes kRememberFor(10);
constexpr std::size_t kRememberedMax = 1024;

std::string as_json(std::string_view text) {
  return json::serialize(json::value(text));
}

Result<Arguments> parse_arguments(const std::string& body) {
  Arguments arguments;
  if (body.empty()) {
    return arguments;
  }
  boost::system::error_code error;
  const json::value value = json::parse(body, error);
  const bool is_object = !error && (value.is_object() || value.is_null());
  if (!is_object) {
    return Error{Errc::Invalid, "expected a JSON object of arguments"};
  }
  if (value.is_null()) {
    return arguments;
  }
  for (const auto& item : value.as_object()) {
    const bool fits = item.value().is_string() && item.value().as_string().size() <= kTextMax
                      && item.key().size() <= kTextMax && arguments.size() < kArgumentsMax;
    if (!fits) {
      return Error{Errc::Invalid,
                   fmt::format("expected at most {} arguments that are texts of at most {} bytes",
                               kArgumentsMax,
                               kTextMax)};
    }
    arguments.emplace(item.key(), item.value().as_string());
  }
  return arguments;
}

Role role_for(std::string_view control) {
  const Control* const known = find_control(control);
  // The size of a terminal: who has the pipe has the right.
  return known == nullptr ? Role::Operator : known->role;
}

bool is_control(std::string_view control) {
  return find_control(control) != nullptr || control == kResizeExec || control == kResizeAttach
         || control == kResizeHost;
}

}  // namespace

void Requester::refuse(RequestId request,
                       unsigned status,
                       std::string_view why,
                       const Person& person,
                       const Wish& wish,
                       RequesterActions& out) {
  out.emplace_back(Audit{.who = person.name,
                         .peer = wish.peer,
                         .node = wish.node,
                         .control = wish.control,
                         .outcome = std::string(why)});
  out.emplace_back(Answer{request, status, as_json(why)});
}

void Requester::on_wish(TimePoint now,
                        RequestId request,
                        const Person& person,
                        const Wish& wish,
                        RequesterActions& out) {
  constexpr unsigned kInvalid = 400;
  constexpr unsigned kDenied = 403;
  constexpr unsigned kNotFound = 404;
  constexpr unsigned kBusy = 503;
  const auto peer = PeerName::parse(wish.peer);
  if (!peer.ok() || wish.node.size() > kTextMax) {
    return refuse(request, kInvalid, "no such host", person, wish, out);
  }
  if (!is_control(wish.control)) {
    return refuse(request, kNotFound, "no such control", person, wish, out);
  }
  if (person.role < role_for(wish.control)) {
    const std::string why = fmt::format("this needs the role {} (yours is {})",
                                        text_of(role_for(wish.control)),
                                        text_of(person.role));
    return refuse(request, kDenied, why, person, wish, out);
  }
  auto arguments = parse_arguments(wish.body);
  if (!arguments.ok()) {
    return refuse(request, kInvalid, arguments.error().what, person, wish, out);
  }
  if (calls_.size() >= options_.calls_max || pipes_.size() >= options_.pipes_max) {
    return refuse(request, kBusy, "too many controls at once", person, wish, out);
  }
  Ask ask{.call = ++last_call_,
          .node = wish.node,
          .control = wish.control,
          .arguments = std::move(arguments).value(),
          .pipe = {},
          .who = person.name};
  const auto pipe = ask.arguments.find("pipeID");
  ask.pipe = pipe == ask.arguments.end() ? new_pipe() : pipe->second;
  if (pipe != ask.arguments.end() && find_control(ask.control) != nullptr) {
    return refuse(request, kInvalid, "only sizes are told of a pipe", person, wish, out);
  }
  out.emplace_back(SendMessage{peer.value(), encode({.from_asker = true, .body = ask})});
  calls_.emplace(ask.call,
                 Call{.request = request,
                      .peer = peer.value(),
                      .ask = ask,
                      .role = role_for(wish.control),
                      .until = now + kAnswerMax});
}

std::string Requester::new_pipe() {
  std::array<std::uint8_t, 16> bytes{};
  entropy_.fill(bytes);
  return "pipe-" + to_hex(bytes);
}

// From the host ----------------------------------------------------------------------------------

void Requester::on_message(TimePoint now,
                           PeerName from,
                           const Message& message,
                           RequesterActions& out) {
  WEFT_ASSERT(!message.from_asker);
  now_ = now;
  if (const auto* told = std::get_if<Told>(&message.body)) {
    on_told(now, from, *told, out);
  } else if (const auto* piece = std::get_if<Piece>(&message.body)) {
    on_piece(now, from, *piece, out);
  } else if (const auto* taken = std::get_if<Taken>(&message.body)) {
    const auto pipe = pipes_.find(taken->pipe);
    if (pipe != pipes_.end() && pipe->second.peer == from) {
      Signals signals;
      pipe->second.stream.on_taken(now, taken->offset, signals);
      pump(taken->pipe, std::move(signals), out);
    }
  } else if (const auto* ended = std::get_if<Ended>(&message.body)) {
    const auto pipe = pipes_.find(ended->pipe);
    if (pipe != pipes_.end() && pipe->second.peer == from) {
      forget(std::string(ended->pipe), out, ended->reason);
    }
  }
}

void Requester::on_told(TimePoint now, PeerName from, const Told& told, RequesterActions& out) {
  const auto found = calls_.find(told.call);
  if (found == calls_.end() || found->second.peer != from) {
    return;
  }
  const Call call = std::move(found->second);
  calls_.erase(found);
  const bool is_button = find_control(call.ask.control) != nullptr;
  if (is_button) {
    out.emplace_back(Audit{.who = call.ask.who,
                           .peer = from.to_string(),
                           .node = call.ask.node,
                           .control = call.ask.control,
                           .outcome = told.error.empty() ? "done" : told.error});
  }
  if (!told.error.empty()) {
    constexpr unsigned kFailed = 400;  // Scope's.
    out.emplace_back(Answer{call.request, kFailed, as_json(told.error)});
    return;
  }
  json::object body;
  if (told.pipe && is_button) {
    body["pipe"] = call.ask.pipe;
    body["raw_tty"] = told.raw_tty;
    if (!told.resize_control.empty()) {
      body["resize_tty_control"] = told.resize_control;
    }
    pipes_.emplace(call.ask.pipe,
                   Pipe{.peer = from,
                        .control = call.ask.control,
                        .role = call.role,
                        .stream = Stream(now),
                        .browser = {},
                        .browser_by = now + kBrowserMax,
                        .waiting = {}});
  }
  if (told.removed) {
    body["removedNode"] = call.ask.node;
  }
  out.emplace_back(Answer{call.request, 200, json::serialize(body)});
}

void Requester::on_piece(TimePoint now, PeerName from, const Piece& piece, RequesterActions& out) {
  const auto found = pipes_.find(piece.pipe);
  if (found == pipes_.end() || found->second.peer != from) {
    const Message ended{.from_asker = true, .body = Ended{piece.pipe, "no such pipe"}};
    out.emplace_back(SendMessage{from, encode(ended)});
    return;
  }
  Pipe& pipe = found->second;
  Signals signals;
  Bytes data = pipe.stream.on_piece(now, piece, signals);
  if (!pipe.browser) {
    pipe.waiting.insert(pipe.waiting.end(), data.begin(), data.end());
  } else if (!data.empty()) {
    pipe.in_browser += data.size();
    out.emplace_back(ToBrowser{*pipe.browser, std::move(data)});
  }
  pump(piece.pipe, std::move(signals), out);
}

// From the browser -------------------------------------------------------------------------------

Result<Ok> Requester::on_browser(TimePoint now,
                                 BrowserId browser,
                                 const Person& person,
                                 const std::string& name,
                                 RequesterActions& out) {
  now_ = now;
  const auto found = pipes_.find(name);
  if (found == pipes_.end()) {
    return Error{Errc::NotFound, "no such pipe"};
  }
  Pipe& pipe = found->second;
  if (person.role < pipe.role) {
    return Error{Errc::Denied, "this pipe is somebody else's"};
  }
  // A terminal that is opened in a window of its own goes there. What the window before it has not
  // read is not said again.
  Signals signals;
  if (pipe.browser) {
    browsers_.erase(*pipe.browser);
    out.emplace_back(CloseBrowser{*pipe.browser, "opened elsewhere"});
    pipe.stream.consume(now, std::exchange(pipe.in_browser, 0), signals);
  }
  pipe.browser = browser;
  browsers_.emplace(browser, name);
  if (!pipe.waiting.empty()) {
    pipe.in_browser = pipe.waiting.size();
    out.emplace_back(ToBrowser{browser, std::exchange(pipe.waiting, {})});
  }
  pump(name, std::move(signals), out);
  return Ok{};
}

void Requester::on_browser_bytes(TimePoint now,
                                 BrowserId browser,
                                 ByteView data,
                                 RequesterActions& out) {
  const auto found = browsers_.find(browser);
  if (found == browsers_.end() || data.empty()) {
    return;
  }
  now_ = now;
  const std::string name = found->second;
  Stream& stream = pipes_.find(name)->second.stream;
  if (stream.is_full()) {
    close(now, name, "what was typed is not being read", out);
    return;
  }
  Signals signals;
  stream.send(now, data, signals);
  pump(name, std::move(signals), out);
}

void Requester::on_browser_drained(TimePoint now, BrowserId browser, RequesterActions& out) {
  const auto found = browsers_.find(browser);
  if (found == browsers_.end()) {
    return;
  }
  const std::string name = found->second;
  Pipe& pipe = pipes_.find(name)->second;
  Signals signals;
  pipe.stream.consume(now, std::exchange(pipe.in_browser, 0), signals);
  pump(name, std::move(signals), out);
}

void Requester::on_browser_gone(TimePoint now, BrowserId browser, RequesterActions& out) {
  const auto found = browsers_.extract(browser);
  if (!found.empty()) {
    close(now, std::string(found.mapped()), "the browser has left", out);
  }
}

void Requester::on_delete(TimePoint now, const std::string& pipe, RequesterActions& out) {
  if (pipes_.contains(pipe)) {
    close(now, pipe, "closed", out);
  }
}

// Ends -------------------------------------------------------------------------------------------

void Requester::close(TimePoint now,
                      const std::string& name,
                      std::string_view reason,
                      RequesterActions& out) {
  now_ = now;
  const Message ended{.from_asker = true, .body = Ended{name, std::string(reason)}};
  out.emplace_back(SendMessage{pipes_.find(name)->second.peer, encode(ended)});
  forget(name, out, std::string(reason));
}

void Requester::forget(const std::string& name, RequesterActions& out, const std::string& reason) {
  const auto pipe = pipes_.extract(name);
  if (const auto browser = pipe.mapped().browser; browser && browsers_.erase(*browser) > 0) {
    out.emplace_back(CloseBrowser{*browser, reason});
  }
  std::erase_if(closed_, [this](const auto& item) { return item.second <= now_; });
  if (closed_.size() < kRememberedMax) {
    closed_.emplace(name, now_ + kRememberFor);
  }
}

void Requester::pump(const std::string& name, Signals signals, RequesterActions& out) {
  const auto found = pipes_.find(name);
  if (found == pipes_.end()) {
    return;
  }
  const PeerName to = found->second.peer;
  bool is_silent = false;
  const auto send = [&](Body body) {
    out.emplace_back(SendMessage{to, encode({.from_asker = true, .body = std::move(body)})});
  };
  for (Signal& signal : signals) {
    std::visit(overloaded{
                   [&](SendPiece& piece) {
                     send(Piece{name, piece.offset, std::move(piece.data)});
                   },
                   [&](const SendTaken& taken) {
                     send(Taken{name, taken.offset});
                   },
                   [&](const SendEnded& ended) {
                     send(Ended{name, ended.reason});
                   },
                   [&](GiveUp) { is_silent = true; },
               },
               signal);
  }
  if (is_silent) {
    forget(std::string(name), out, "the host has been silent for too long");
  }
}

void Requester::on_deadline(TimePoint now, RequesterActions& out) {
  now_ = now;
  std::vector<std::uint64_t> late;
  for (const auto& [id, call] : calls_) {
    if (call.until <= now) {
      late.push_back(id);
    }
  }
  for (const std::uint64_t id : late) {
    const auto call = calls_.extract(id);
    constexpr unsigned kLate = 504;
    out.emplace_back(Audit{.who = call.mapped().ask.who,
                           .peer = call.mapped().peer.to_string(),
                           .node = call.mapped().ask.node,
                           .control = call.mapped().ask.control,
                           .outcome = "the host has not answered"});
    out.emplace_back(Answer{call.mapped().request, kLate, as_json("the host has not answered")});
  }
  std::vector<std::string> unclaimed;
  std::vector<std::string> due;
  for (const auto& [name, pipe] : pipes_) {
    if (!pipe.browser && pipe.browser_by <= now) {
      unclaimed.push_back(name);
    } else if (pipe.stream.next_deadline() <= now) {
      due.push_back(name);
    }
  }
  for (const std::string& name : unclaimed) {
    close(now, name, "nobody came for it", out);
  }
  for (const std::string& name : due) {
    Signals signals;
    pipes_.find(name)->second.stream.on_deadline(now, signals);
    pump(name, std::move(signals), out);
  }
}

TimePoint Requester::next_deadline() const {
  TimePoint deadline = kNever;
  for (const auto& [id, call] : calls_) {
    deadline = std::min(deadline, call.until);
  }
  for (const auto& [name, pipe] : pipes_) {
    deadline = std::min(deadline, pipe.stream.next_deadline());
    if (!pipe.browser) {
      deadline = std::min(deadline, pipe.browser_by);
    }
  }
  return deadline;
}

void Requester::check_invariants() const {
  for (const auto& [browser, name] : browsers_) {
    const auto pipe = pipes_.find(name);
    WEFT_ASSERT(pipe != pipes_.end());
    WEFT_ASSERT(pipe->second.browser == browser);
  }
  for (const auto& [name, pipe] : pipes_) {
    pipe.stream.check_invariants();
  }
  WEFT_ASSERT(closed_.size() <= kRememberedMax);
}

}  // namespace weft::control
