#include "router/connector.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/address.h"
#include "base/assert.h"

namespace weft::router {
namespace {

Result<std::uint16_t> parse_port(const std::string& text) {
  std::uint32_t port = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || port > 0xffff) {
      return Error{Errc::Invalid, fmt::format("port '{}' is not a number below 65536", text)};
    }
    port = port * 10 + static_cast<std::uint32_t>(c - '0');
  }
  if (port == 0 || port > 0xffff) {
    return Error{Errc::Invalid, fmt::format("port '{}' is not a number from 1 to 65535", text)};
  }
  return static_cast<std::uint16_t>(port);
}

bool is_host(const std::string& host) {
  // RFC 1035 limits a name to 253 characters.
  return !host.empty() && host.size() <= 253 && std::all_of(host.begin(), host.end(), [](char c) {
    return c > ' ' && c < 0x7f && c != '/' && c != '[' && c != ']';
  });
}

}  // namespace

Result<Target> Target::parse(const std::string& text, std::uint16_t default_port) {
  std::string host = text;
  std::string port;
  const std::size_t colon = text.rfind(':');
  const bool bracketed = !text.empty() && text.front() == '[';
  if (bracketed) {
    const std::size_t end = text.find(']');
    if (end == std::string::npos || (end + 1 != text.size() && text[end + 1] != ':')) {
      return Error{Errc::Invalid, fmt::format("target '{}' (expected [address]:port)", text)};
    }
    host = text.substr(1, end - 1);
    port = end + 1 == text.size() ? "" : text.substr(end + 2);
  } else if (colon != std::string::npos && text.find(':') == colon) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  if (!is_host(host)) {
    return Error{Errc::Invalid, fmt::format("target '{}' (expected host or host:port)", text)};
  }
  const bool has_port = host != text && !(bracketed && text.back() == ']');
  return Target{host, has_port ? WEFT_TRY(parse_port(port)) : default_port};
}

std::string Target::to_string() const {
  const bool v6 = host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Connector::Connector(Options options, Rng rng) : options_(options), rng_(rng) {
  WEFT_ASSERT(options_.backoff_min > Duration::zero());
  WEFT_ASSERT(options_.backoff_min <= options_.backoff_max);
  WEFT_ASSERT(options_.dials_max > 0);
}

bool Connector::add(TimePoint now, const Goal& goal, Duration delay) {
  if (goals_.contains(goal)) {
    return true;
  }
  if (goals_.size() >= options_.goals_max) {
    return false;
  }
  goals_[goal].due = now + delay;
  return true;
}

void Connector::remove(const Goal& goal) {
  const auto at = goals_.find(goal);
  if (at != goals_.end()) {
    set_state(at->second, State::Waiting);
    goals_.erase(at);
  }
}

void Connector::retry(TimePoint now, const Goal& goal) {
  const auto at = goals_.find(goal);
  if (at == goals_.end()) {
    return;
  }
  Entry& entry = at->second;
  if (entry.state == State::Waiting || entry.state == State::GivenUp) {
    set_state(entry, State::Waiting);
    entry.due = now;
    entry.backoff = Duration::zero();
  }
}

void Connector::on_connected(TimePoint now, const Goal& goal) {
  const auto at = goals_.find(goal);
  if (at == goals_.end() || at->second.state == State::Connected) {
    return;  // Removed while the dial was in flight, or met on another way.
  }
  Entry& entry = at->second;
  set_state(entry, State::Connected);
  entry.due = kNever;
  entry.connected_since = now;
  entry.reason.clear();
}

void Connector::on_lost(TimePoint now, const Goal& goal, const std::string& reason) {
  const auto at = goals_.find(goal);
  if (at == goals_.end() || at->second.state == State::GivenUp
      || at->second.state == State::Waiting) {
    return;
  }
  Entry& entry = at->second;
  if (entry.state == State::Connected && now - entry.connected_since >= options_.stable_min) {
    entry.backoff = Duration::zero();
    entry.attempts = 0;
  }
  set_state(entry, State::Waiting);
  entry.reason = reason;
  entry.attempts += 1;
  entry.backoff = std::clamp(entry.backoff * 2, options_.backoff_min, options_.backoff_max);
  // Jitter of up to half the delay keeps a thousand agents from dialling a restarted peer at once.
  const auto jitter = entry.backoff / 2 * rng_.below(100) / 100;
  entry.due = now + entry.backoff / 2 + jitter;
}

void Connector::give_up(const Goal& goal, const std::string& reason) {
  const auto at = goals_.find(goal);
  if (at != goals_.end()) {
    set_state(at->second, State::GivenUp);
    at->second.due = kNever;
    at->second.reason = reason;
  }
}

void Connector::on_deadline(TimePoint now, std::vector<Goal>& out) {
  std::vector<std::pair<TimePoint, const Goal*>> due;
  for (const auto& [goal, entry] : goals_) {
    if (entry.state == State::Waiting && entry.due <= now) {
      due.emplace_back(entry.due, &goal);
    }
  }
  std::stable_sort(
      due.begin(), due.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [when, goal] : due) {
    if (dialling_ >= options_.dials_max) {
      return;
    }
    Entry& entry = goals_.at(*goal);
    set_state(entry, State::Dialling);
    entry.due = kNever;
    out.push_back(*goal);
  }
}

TimePoint Connector::next_deadline() const {
  if (dialling_ >= options_.dials_max) {
    return kNever;  // The end of a dial is the next event.
  }
  TimePoint earliest = kNever;
  for (const auto& [goal, entry] : goals_) {
    if (entry.state == State::Waiting) {
      earliest = std::min(earliest, entry.due);
    }
  }
  return earliest;
}

const Connector::Entry* Connector::find(const Goal& goal) const {
  const auto at = goals_.find(goal);
  return at == goals_.end() ? nullptr : &at->second;
}

void Connector::set_state(Entry& entry, State state) {
  dialling_ -= entry.state == State::Dialling ? 1U : 0U;
  entry.state = state;
  dialling_ += entry.state == State::Dialling ? 1U : 0U;
}

void Connector::check_invariants() const {
  std::size_t dialling = 0;
  for (const auto& [goal, entry] : goals_) {
    dialling += entry.state == State::Dialling ? 1U : 0U;
    WEFT_ASSERT((entry.state == State::Waiting) == (entry.due != kNever));
  }
  WEFT_ASSERT(dialling == dialling_);
  WEFT_ASSERT(dialling_ <= options_.dials_max);
  WEFT_ASSERT(goals_.size() <= options_.goals_max);
}

}  // namespace weft::router
