#include "control/performer.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "base/assert.h"
#include "base/overloaded.h"
#include "control/catalog.h"

namespace weft::control {
namespace {

namespace json = boost::json;

constexpr std::string_view kContainerSuffix = ";<container>";
constexpr std::string_view kHostSuffix = ";<host>";

// What stops a container that does not listen to SIGTERM; Scope and `docker stop` wait as long.
constexpr int kStopSeconds = 10;

// Lines of its past that a log begins with.
constexpr int kLogTail = 500;

// A better shell than sh where there is one. A login shell, so that it has the image's environment.
constexpr std::string_view kShell =
    "if command -v bash >/dev/null; then exec bash -l; fi; exec sh -l";

// A container's id as the engine gives it: it becomes part of a path.
std::optional<std::string> container_of(std::string_view node) {
  constexpr std::size_t kIdMin = 12;
  constexpr std::size_t kIdMax = 64;
  if (!node.ends_with(kContainerSuffix)) {
    return std::nullopt;
  }
  node.remove_suffix(kContainerSuffix.size());
  const bool is_hex = std::all_of(node.begin(), node.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
  if (!is_hex || node.size() < kIdMin || node.size() > kIdMax) {
    return std::nullopt;
  }
  return std::string(node);
}

json::object parse_object(const std::string& body) {
  boost::system::error_code error;
  const json::value value = json::parse(body, error);
  return !error && value.is_object() ? value.as_object() : json::object();
}

std::string text_in(const json::object& object, std::string_view key) {
  const json::value* found = object.if_contains(key);
  return found != nullptr && found->is_string() ? std::string(found->as_string()) : std::string();
}

std::string engine_error(unsigned status, const std::string& body) {
  if (status == 0) {
    return "the Docker engine does not answer";
  }
  const std::string message = text_in(parse_object(body), "message");
  return message.empty() ? fmt::format("the Docker engine answers {}", status) : message;
}

std::optional<std::uint16_t> size_in(const Arguments& arguments, std::string_view key) {
  const auto found = arguments.find(key);
  std::uint16_t size = 0;
  if (found == arguments.end()) {
    return std::nullopt;
  }
  const char* const end = found->second.data() + found->second.size();
  const auto parsed = std::from_chars(found->second.data(), end, size);
  constexpr std::uint16_t kMax = 1000;  // Columns of the widest screen, with room.
  if (parsed.ec != std::errc() || parsed.ptr != end || size == 0 || size > kMax) {
    return std::nullopt;
  }
  return size;
}

bool is_resize(std::string_view control) {
  return control == kResizeExec || control == kResizeAttach || control == kResizeHost;
}

}  // namespace

// Asking -----------------------------------------------------------------------------------------

void Performer::on_message(TimePoint now,
                           PeerName from,
                           const Message& message,
                           PerformerActions& out) {
  WEFT_ASSERT(message.from_asker);
  if (const auto* ask = std::get_if<Ask>(&message.body)) {
    on_ask(now, from, *ask, out);
    return;
  }
  const auto source_of = [&](const std::string& pipe) -> std::optional<SourceId> {
    const auto found = by_name_.find({from, pipe});
    return found == by_name_.end() ? std::nullopt : std::optional(found->second);
  };
  Signals signals;
  if (const auto* piece = std::get_if<Piece>(&message.body)) {
    const auto source = source_of(piece->pipe);
    if (!source) {
      const Message ended{.from_asker = false, .body = Ended{piece->pipe, "no such pipe"}};
      out.emplace_back(SendMessage{from, encode(ended)});
      return;
    }
    Bytes data = ends_.at(*source).stream.on_piece(now, *piece, signals);
    pump(*source, std::move(signals), out);
    if (!data.empty()) {
      out.emplace_back(WriteSource{*source, std::move(data)});
    }
  } else if (const auto* taken = std::get_if<Taken>(&message.body)) {
    if (const auto source = source_of(taken->pipe)) {
      ends_.at(*source).stream.on_taken(now, taken->offset, signals);
      pump(*source, std::move(signals), out);
    }
  } else if (const auto* ended = std::get_if<Ended>(&message.body)) {
    if (const auto source = source_of(ended->pipe)) {
      drop(*source, out);
    }
  }
}

std::optional<std::string> Performer::refusal(PeerName from, const Ask& ask) const {
  if (!options_.enabled) {
    return "controls are switched off on this host (--controls)";
  }
  if (from != options_.self && !options_.for_others) {
    return "this host takes controls from other hosts only with a password (--password-file)";
  }
  const Control* const control = find_control(ask.control);
  if (control == nullptr) {
    return fmt::format("no control '{}'", ask.control);
  }
  if (control->subject == Subject::Host && !options_.host_shell) {
    return "shells of this host are switched off (--host-shell)";
  }
  const bool is_known = control->subject == Subject::Host
                            ? ask.node == options_.self.to_string() + std::string(kHostSuffix)
                            : container_of(ask.node).has_value();
  if (!is_known) {
    return fmt::format("no node '{}' on this host", ask.node);
  }
  if (calls_.size() >= options_.calls_max || ends_.size() >= options_.pipes_max) {
    return "too many controls at once";
  }
  return std::nullopt;
}

void Performer::on_ask(TimePoint now, PeerName from, const Ask& ask, PerformerActions& out) {
  if (is_resize(ask.control)) {
    on_resize(from, ask, out);
    return;
  }
  if (auto why = refusal(from, ask)) {
    refuse(from, ask, *std::move(why), out);
    return;
  }
  if (by_name_.contains({from, ask.pipe})) {
    refuse(from, ask, "this pipe is open already", out);
    return;
  }
  if (ask.control == "host_exec") {
    const SourceId source = add_end(now,
                                    {.asker = from,
                                     .ask = ask,
                                     .container = {},
                                     .exec = {},
                                     .resize_control = std::string(kResizeHost),
                                     .frames = {},
                                     .stream = Stream(now)});
    out.emplace_back(OpenShell{source});
    return;
  }
  on_container_ask(now, from, ask, out);
}

void Performer::on_container_ask(TimePoint, PeerName from, const Ask& ask, PerformerActions& out) {
  const std::string id = container_of(ask.node).value();
  const std::string path = "/containers/" + id;
  Call call{.asker = from, .ask = ask, .container = id, .step = Step::Act};
  if (ask.control == "docker_exec_container") {
    call.step = Step::CreateExec;
    const json::object body{{"AttachStdin", true},
                            {"AttachStdout", true},
                            {"AttachStderr", true},
                            {"Tty", true},
                            {"User", "0"},
                            {"Env", {"TERM=xterm-256color"}},
                            {"Cmd", {"/bin/sh", "-c", kShell}}};
    call_engine(std::move(call), "POST", path + "/exec", json::serialize(body), out);
    return;
  }
  if (ask.control == "docker_attach_container" || ask.control == "docker_container_logs") {
    call.step =
        ask.control == "docker_container_logs" ? Step::InspectForLogs : Step::InspectForAttach;
    call_engine(std::move(call), "GET", path + "/json", "", out);
    return;
  }
  if (ask.control == "docker_remove_container") {
    call.step = Step::Remove;
    call_engine(std::move(call), "DELETE", path, "", out);
    return;
  }
  // docker_VERB_container; the catalogue has no others.
  const std::string verb = ask.control.substr(7, ask.control.size() - 7 - 10);
  const bool waits = verb == "stop" || verb == "restart";
  const std::string query = waits ? fmt::format("?t={}", kStopSeconds) : "";
  call_engine(std::move(call), "POST", path + "/" + verb + query, "", out);
}

void Performer::on_resize(PeerName from, const Ask& ask, PerformerActions& out) {
  const auto found = by_name_.find({from, ask.pipe});
  const auto columns = size_in(ask.arguments, "width");
  const auto rows = size_in(ask.arguments, "height");
  if (found == by_name_.end() || !columns || !rows) {
    tell(from, ask, {.error = "no such pipe, or a size of 1 to 1000 was expected"}, out);
    return;
  }
  End& end = ends_.at(found->second);
  if (end.resize_control != ask.control) {
    tell(from, ask, {.error = "this pipe is no such terminal"}, out);
    return;
  }
  if (end.container.empty()) {
    out.emplace_back(ResizeShell{found->second, *columns, *rows});
  } else {
    if (!end.has_spoken) {
      end.early_resize = ask;
    }
    resize_in_engine(end, ask, out);
  }
  tell(from, ask, {}, out);
}

// Precondition: the size of `ask` is one.
void Performer::resize_in_engine(const End& end, const Ask& ask, PerformerActions& out) {
  if (calls_.size() >= options_.calls_max) {
    return;
  }
  const std::string path = end.exec.empty() ? "/containers/" + end.container : "/exec/" + end.exec;
  call_engine({.asker = end.asker, .ask = ask, .container = {}, .step = Step::Ignore},
              "POST",
              fmt::format("{}/resize?h={}&w={}",
                          path,
                          size_in(ask.arguments, "height").value(),
                          size_in(ask.arguments, "width").value()),
              "",
              out);
}

void Performer::call_engine(
    Call call, std::string method, std::string target, std::string body, PerformerActions& out) {
  const EngineCallId id(++last_id_);
  calls_.emplace(id, std::move(call));
  out.emplace_back(CallEngine{id, std::move(method), std::move(target), std::move(body)});
}

// Telling ----------------------------------------------------------------------------------------

void Performer::tell(PeerName to, const Ask& ask, Told told, PerformerActions& out) {
  told.call = ask.call;
  if (!is_resize(ask.control)) {
    ++(told.error.empty() ? stats_.performed : stats_.refused);
    out.emplace_back(Audit{.who = ask.who,
                           .peer = to.to_string(),
                           .node = ask.node,
                           .control = ask.control,
                           .outcome = told.error.empty() ? "done" : told.error});
  }
  out.emplace_back(SendMessage{to, encode({.from_asker = false, .body = std::move(told)})});
}

void Performer::refuse(PeerName to, const Ask& ask, std::string why, PerformerActions& out) {
  tell(to, ask, {.error = std::move(why)}, out);
}

void Performer::on_engine(TimePoint now,
                          EngineCallId id,
                          unsigned status,
                          const std::string& body,
                          PerformerActions& out) {
  auto found = calls_.extract(id);
  if (found.empty() || found.mapped().step == Step::Ignore) {
    return;
  }
  const Call& call = found.mapped();
  if (call.step == Step::FindExec) {
    const json::object exec = parse_object(body);
    const json::value* const running = exec.if_contains("Running");
    const json::value* const pid = exec.if_contains("Pid");
    const bool is_running = running != nullptr && running->is_bool() && running->as_bool();
    if (is_running && pid != nullptr && pid->is_int64() && pid->as_int64() > 1) {
      out.emplace_back(HangUp{static_cast<std::uint32_t>(pid->as_int64())});
    }
    return;
  }
  // 304: it was so already, which is what was asked for.
  constexpr unsigned kNotModified = 304;
  constexpr unsigned kOkMax = 299;
  const bool is_done = status == kNotModified || (status != 0 && status <= kOkMax);
  if (!is_done) {
    refuse(call.asker, call.ask, engine_error(status, body), out);
    return;
  }
  switch (call.step) {
    case Step::Act:
    case Step::Remove:
      tell(call.asker, call.ask, {.removed = call.step == Step::Remove}, out);
      return;
    case Step::CreateExec:
      on_exec_created(now, call, body, out);
      return;
    case Step::InspectForAttach:
    case Step::InspectForLogs:
      on_inspected(now, call, body, out);
      return;
    case Step::Ignore:
    case Step::FindExec:
      return;
  }
}

void Performer::on_exec_created(TimePoint now,
                                const Call& call,
                                const std::string& body,
                                PerformerActions& out) {
  const std::string exec = text_in(parse_object(body), "Id");
  if (!container_of(exec + std::string(kContainerSuffix))) {
    refuse(call.asker, call.ask, "the Docker engine's answer names no shell", out);
    return;
  }
  const SourceId source = add_end(now,
                                  {.asker = call.asker,
                                   .ask = call.ask,
                                   .container = call.container,
                                   .exec = exec,
                                   .resize_control = std::string(kResizeExec),
                                   .frames = {},
                                   .stream = Stream(now)});
  out.emplace_back(OpenStream{
      source, "POST", "/exec/" + exec + "/start", R"({"Detach":false,"Tty":true})", true});
}

void Performer::on_inspected(TimePoint now,
                             const Call& call,
                             const std::string& body,
                             PerformerActions& out) {
  const json::object container = parse_object(body);
  const json::value* const config = container.if_contains("Config");
  const json::value* const tty =
      config != nullptr && config->is_object() ? config->as_object().if_contains("Tty") : nullptr;
  const bool has_tty = tty != nullptr && tty->is_bool() && tty->as_bool();
  const bool attaches = call.step == Step::InspectForAttach;
  const SourceId source =
      add_end(now,
              {.asker = call.asker,
               .ask = call.ask,
               .container = call.container,
               .exec = {},
               .raw_tty = has_tty,
               .resize_control = attaches && has_tty ? std::string(kResizeAttach) : "",
               .frames = has_tty ? std::nullopt : std::optional<DockerFrames>(DockerFrames()),
               .stream = Stream(now)});
  const std::string path = "/containers/" + call.container;
  if (attaches) {
    out.emplace_back(
        OpenStream{source, "POST", path + "/attach?stream=1&stdin=1&stdout=1&stderr=1", "", true});
  } else {
    const std::string query = fmt::format("/logs?follow=1&stdout=1&stderr=1&tail={}", kLogTail);
    out.emplace_back(OpenStream{source, "GET", path + query, "", false});
  }
}

// Pipes ------------------------------------------------------------------------------------------

SourceId Performer::add_end(TimePoint, End end) {
  const SourceId source(++last_id_);
  by_name_.emplace(Name{end.asker, end.ask.pipe}, source);
  ends_.emplace(source, std::move(end));
  return source;
}

void Performer::on_open(TimePoint,
                        SourceId source,
                        const std::string& error,
                        PerformerActions& out) {
  const auto found = ends_.find(source);
  if (found == ends_.end()) {
    return;
  }
  End& end = found->second;
  if (!error.empty()) {
    refuse(end.asker, end.ask, error, out);
    drop(source, out);
    return;
  }
  end.is_open = true;
  tell(end.asker,
       end.ask,
       {.pipe = true, .raw_tty = end.raw_tty, .resize_control = end.resize_control},
       out);
}

void Performer::on_output(TimePoint now, SourceId source, ByteView data, PerformerActions& out) {
  const auto found = ends_.find(source);
  if (found == ends_.end()) {
    return;
  }
  End& end = found->second;
  end.has_spoken = true;
  if (const auto resize = std::exchange(end.early_resize, std::nullopt)) {
    resize_in_engine(end, *resize, out);
  }
  Signals signals;
  if (!end.frames) {
    end.stream.send(now, data, signals);
  } else if (const auto text = end.frames->feed(data); text.ok()) {
    end.stream.send(now, text.value(), signals);
  } else {
    end.is_over = true;
    end.stream.end(now, text.error().what, signals);
  }
  pump(source, std::move(signals), out);
  hold_if_full(source, out);
}

void Performer::hold_if_full(SourceId source, PerformerActions& out) {
  const auto found = ends_.find(source);
  if (found != ends_.end() && found->second.is_held != found->second.stream.is_full()) {
    found->second.is_held = !found->second.is_held;
    out.emplace_back(HoldSource{source, found->second.is_held});
  }
}

void Performer::on_written(TimePoint now,
                           SourceId source,
                           std::size_t count,
                           PerformerActions& out) {
  const auto found = ends_.find(source);
  if (found != ends_.end()) {
    Signals signals;
    found->second.stream.consume(now, count, signals);
    pump(source, std::move(signals), out);
  }
}

void Performer::on_end(TimePoint now, SourceId source, PerformerActions& out) {
  const auto found = ends_.find(source);
  if (found == ends_.end()) {
    return;
  }
  End& end = found->second;
  if (!end.is_open) {
    refuse(end.asker, end.ask, "ended before it was open", out);
    drop(source, out);
    return;
  }
  end.is_over = true;
  Signals signals;
  end.stream.end(now, "ended", signals);
  pump(source, std::move(signals), out);
}

void Performer::pump(SourceId source, Signals signals, PerformerActions& out) {
  const auto found = ends_.find(source);
  if (found == ends_.end()) {
    return;
  }
  const PeerName to = found->second.asker;
  const std::string pipe = found->second.ask.pipe;
  bool is_over = false;
  const auto send = [&](Body body) {
    out.emplace_back(SendMessage{to, encode({.from_asker = false, .body = std::move(body)})});
  };
  for (Signal& signal : signals) {
    std::visit(overloaded{
                   [&](SendPiece& piece) {
                     send(Piece{pipe, piece.offset, std::move(piece.data)});
                   },
                   [&](const SendTaken& taken) {
                     send(Taken{pipe, taken.offset});
                   },
                   [&](const SendEnded& ended) {
                     is_over = true;
                     send(Ended{pipe, ended.reason});
                   },
                   [&](GiveUp) { is_over = true; },
               },
               signal);
  }
  if (is_over) {
    drop(source, out);
  } else {
    hold_if_full(source, out);
  }
}

void Performer::drop(SourceId source, PerformerActions& out) {
  auto node = ends_.extract(source);
  const End& end = node.mapped();
  by_name_.erase({end.asker, end.ask.pipe});
  out.emplace_back(CloseSource{source});
  if (!end.exec.empty() && end.is_open && !end.is_over) {
    call_engine({.asker = end.asker, .ask = end.ask, .container = {}, .step = Step::FindExec},
                "GET",
                "/exec/" + end.exec + "/json",
                "",
                out);
  }
}

void Performer::on_deadline(TimePoint now, PerformerActions& out) {
  std::vector<SourceId> due;
  for (const auto& [source, end] : ends_) {
    if (end.stream.next_deadline() <= now) {
      due.push_back(source);
    }
  }
  for (const SourceId source : due) {
    Signals signals;
    ends_.at(source).stream.on_deadline(now, signals);
    pump(source, std::move(signals), out);
  }
}

TimePoint Performer::next_deadline() const {
  TimePoint deadline = kNever;
  for (const auto& [source, end] : ends_) {
    deadline = std::min(deadline, end.stream.next_deadline());
  }
  return deadline;
}

void Performer::check_invariants() const {
  WEFT_ASSERT(ends_.size() == by_name_.size());
  for (const auto& [source, end] : ends_) {
    end.stream.check_invariants();
  }
}

}  // namespace weft::control
