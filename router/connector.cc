#include "router/connector.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/address.h"
#include "base/assert.h"

namespace weft::router {
namespace {

bool is_host_name(const std::string& text) {
  // RFC 1035: 253 characters of text are what fits 255 octets on the wire.
  constexpr std::size_t kHostNameMax = 253;
  return !text.empty() && text.size() <= kHostNameMax && text.front() != '-' && text.front() != '.'
         && std::all_of(text.begin(), text.end(), [](unsigned char c) {
              return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_';
            });
}

// Nothing for what is no number from 1 to 65535.
std::optional<std::uint16_t> parse_port(const std::string& text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  const bool whole = end == text.data() + text.size() && error == std::errc();
  return whole && port != 0 && text.front() != '0' ? std::optional(port) : std::nullopt;
}

}  // namespace

Result<Target> Target::parse(const std::string& text, std::uint16_t default_port) {
  if (Ipv6::parse(text).ok()) {
    return Target{text, default_port};  // In brackets or bare: no port could be meant.
  }
  std::string host = text;
  std::optional<std::uint16_t> port = default_port;
  const bool bracketed = text.starts_with('[');
  const std::size_t end = bracketed ? text.find(']') : text.find(':');
  if (bracketed && end != std::string::npos) {
    host = text.substr(1, end - 1);
    if (end + 1 < text.size()) {
      port = text[end + 1] == ':' ? parse_port(text.substr(end + 2)) : std::nullopt;
    }
  } else if (end != std::string::npos) {
    host = text.substr(0, end);
    port = parse_port(text.substr(end + 1));
  }
  if (!port || !(bracketed ? Ipv6::parse(host).ok() : is_host_name(host))) {
    constexpr std::size_t kShownMax = 64;
    return Error{
        Errc::Invalid,
        fmt::format("peer \"{}\" (expected HOST or HOST:PORT, an IPv6 address in brackets)",
                    text.substr(0, kShownMax))};
  }
  return Target{host, *port};
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
