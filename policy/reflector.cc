#include "policy/reflector.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"

namespace weft::policy {
namespace {

// The first attempt after a failure, and the longest pause: a server that comes back is not asked
// by every node of a large cluster at once, and not left alone for minutes either.
constexpr Duration kPauseMin = std::chrono::seconds(1);
constexpr Duration kPauseMax = std::chrono::seconds(30);
// How long the server is to keep a watch open; client-go takes 5 to 10 minutes.
constexpr std::uint32_t kWatchSecondsMin = 300;

constexpr unsigned kOk = 200;
constexpr unsigned kGone = 410;

std::string_view path_of(Kind kind) {
  switch (kind) {
    case Kind::Namespaces:
      return "/api/v1/namespaces";
    case Kind::Pods:
      return "/api/v1/pods";
    case Kind::Policies:
      return "/apis/networking.k8s.io/v1/networkpolicies";
  }
  return "";
}

// Tokens are the server's, and opaque.
std::string escape(std::string_view text) {
  std::string escaped;
  for (const char each : text) {
    const bool is_plain = (each >= '0' && each <= '9') || (each >= 'a' && each <= 'z')
                          || (each >= 'A' && each <= 'Z') || each == '-' || each == '_'
                          || each == '.';
    escaped +=
        is_plain ? std::string(1, each) : fmt::format("%{:02X}", static_cast<unsigned char>(each));
  }
  return escaped;
}

}  // namespace

void Reflector::list(ReflectorActions& out) {
  state_ = State::Listing;
  due_ = kNever;
  status_ = 0;
  buffer_.clear();
  if (continuation_.empty()) {
    listed_.clear();
    ++stats_.lists;
  }
  std::string target = fmt::format("{}?limit={}", path_of(options_.kind), options_.page_objects);
  if (!continuation_.empty()) {
    target += "&continue=" + escape(continuation_);
  }
  out.emplace_back(StartRequest{std::move(target)});
}

void Reflector::watch(ReflectorActions& out) {
  state_ = State::Opening;
  due_ = kNever;
  status_ = 0;
  buffer_.clear();
  ++stats_.watches;
  out.emplace_back(StartRequest{
      fmt::format("{}?watch=1&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={}",
                  path_of(options_.kind),
                  escape(version_),
                  kWatchSecondsMin + rng_.below(kWatchSecondsMin))});
}

Duration Reflector::with_jitter(Duration pause) {
  constexpr std::uint32_t kParts = 1'000;
  return pause + pause / kParts * rng_.below(kParts);
}

void Reflector::retry_at(TimePoint when) {
  state_ = State::Waiting;
  due_ = when;
  buffer_.clear();
}

void Reflector::fail(TimePoint now, std::string what, ReflectorActions& out) {
  ++stats_.failures;
  continuation_.clear();
  pause_ = std::clamp(pause_ * 2, kPauseMin, kPauseMax);
  retry_at(now + with_jitter(pause_));
  out.emplace_back(Problem{options_.kind, std::move(what)});
}

void Reflector::on_head(TimePoint now, unsigned status, ReflectorActions& out) {
  if (state_ != State::Listing && state_ != State::Opening) {
    return;
  }
  status_ = status;
  if (status == kOk) {
    state_ = state_ == State::Opening ? State::Watching : state_;
    return;
  }
  if (status == kGone) {
    version_.clear();
  }
  fail(now, fmt::format("the API server answered with status {}", status), out);
}

void Reflector::on_bytes(TimePoint now, std::string_view bytes, ReflectorActions& out) {
  if (state_ == State::Listing && status_ == kOk) {
    if (buffer_.size() + bytes.size() > options_.page_bytes_max) {
      fail(now, fmt::format("a page of more than {} bytes", options_.page_bytes_max), out);
      return;
    }
    buffer_.append(bytes);
    return;
  }
  while (state_ == State::Watching && !bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    if (buffer_.size() + piece.size() > options_.line_bytes_max) {
      // What it said is lost, so what is true is to be listed.
      version_.clear();
      fail(now, fmt::format("an event of more than {} bytes", options_.line_bytes_max), out);
      return;
    }
    buffer_.append(piece);
    if (end == std::string_view::npos) {
      return;
    }
    bytes.remove_prefix(end + 1);
    const std::string line = std::exchange(buffer_, {});
    if (!line.empty()) {
      on_line(now, line, out);
    }
  }
}

void Reflector::on_line(TimePoint now, std::string_view line, ReflectorActions& out) {
  auto event = read_event(options_.kind, line);
  if (!event.ok()) {
    version_.clear();
    fail(now, "event: " + event.error().what, out);
    return;
  }
  ++stats_.events;
  const Duration pause = std::exchange(pause_, {});
  if (!event.value().resource_version.empty()) {
    version_ = event.value().resource_version;
  }
  switch (event.value().type) {
    case WatchEvent::Type::Set:
      on_set(std::move(event).value(), out);
      return;
    case WatchEvent::Type::Removed:
      if (known_.erase(event.value().id) != 0) {
        out.emplace_back(RemoveObject{options_.kind, event.value().id});
      }
      return;
    case WatchEvent::Type::Bookmark:
      return;
    case WatchEvent::Type::Expired:
      // By itself this is no failure: the server forgets. One that has forgotten again what it has
      // just listed is not asked for all of it all the time.
      version_.clear();
      retry_at(now + with_jitter(pause));
      pause_ = std::clamp(pause * 2, kPauseMin, kPauseMax);
      return;
    case WatchEvent::Type::Failed:
      fail(now, "watch: " + event.value().problem, out);
      return;
  }
}

void Reflector::on_set(WatchEvent event, ReflectorActions& out) {
  if (!event.problem.empty()) {
    out.emplace_back(
        Problem{options_.kind, fmt::format("{}: {}", event.id.to_string(), event.problem)});
  }
  if (!event.object) {
    return;  // What it was before holds on.
  }
  if (known_.size() >= options_.objects_max && !known_.contains(event.id)) {
    out.emplace_back(Problem{options_.kind, fmt::format("more than {} objects", known_.size())});
    return;
  }
  known_.insert(event.id);
  out.emplace_back(SetObject{std::move(*event.object)});
}

void Reflector::on_end(TimePoint now, bool is_complete, ReflectorActions& out) {
  switch (state_) {
    case State::Waiting:
      return;
    case State::Listing:
      if (!is_complete || status_ != kOk) {
        fail(now, "no answer from the API server", out);
        return;
      }
      on_page(now, out);
      return;
    case State::Opening:
      fail(now, "no answer from the API server", out);
      return;
    case State::Watching:
      // Half a line was not said. A server that ends every watch at once is not asked all the time.
      pause_ = std::clamp(pause_ * 2, kPauseMin, kPauseMax);
      retry_at(now + with_jitter(pause_));
      return;
  }
}

void Reflector::on_page(TimePoint now, ReflectorActions& out) {
  auto page = read_list(options_.kind, buffer_);
  buffer_.clear();
  buffer_.shrink_to_fit();
  if (!page.ok()) {
    fail(now, "list: " + page.error().what, out);
    return;
  }
  for (std::string& problem : page.value().problems) {
    out.emplace_back(Problem{options_.kind, std::move(problem)});
  }
  std::size_t refused = 0;
  for (Object& object : page.value().objects) {
    if (known_.size() >= options_.objects_max && !known_.contains(id_of(object))) {
      ++refused;
      continue;
    }
    known_.insert(id_of(object));  // Also if the list ends here: it was told of.
    listed_.insert(id_of(object));
    out.emplace_back(SetObject{std::move(object)});
  }
  if (refused > 0) {
    out.emplace_back(Problem{
        options_.kind, fmt::format("more than {} objects: {} left out", known_.size(), refused)});
  }
  continuation_ = std::move(page.value().continuation);
  if (!continuation_.empty()) {
    list(out);
    return;
  }
  version_ = std::move(page.value().resource_version);  // Not before: a watch tells what is new.
  finish_list(out);
  watch(out);
}

void Reflector::finish_list(ReflectorActions& out) {
  for (const ObjectName& id : known_) {
    if (!listed_.contains(id)) {
      out.emplace_back(RemoveObject{options_.kind, id});
    }
  }
  known_ = std::exchange(listed_, {});
  is_listed_ = true;
  out.emplace_back(Listed{options_.kind});
}

void Reflector::on_deadline(TimePoint now, ReflectorActions& out) {
  if (state_ != State::Waiting || now < due_) {
    return;
  }
  version_.empty() ? list(out) : watch(out);
}

void Reflector::check_invariants() const {
  WEFT_ASSERT((state_ == State::Waiting) == (due_ != kNever));
  WEFT_ASSERT(known_.size() <= options_.objects_max);
  WEFT_ASSERT(buffer_.size() <= std::max(options_.page_bytes_max, options_.line_bytes_max));
}

}  // namespace weft::policy
