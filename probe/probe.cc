#include "probe/probe.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/assert.h"

namespace weft::probe {
namespace {

// Looks in their turn may take this share of one CPU. Together with reading connection tracking,
// which has a budget of its own (probe/io/sampler.h), that is a hundredth: what people accept for
// being watched all day.
constexpr int kCostShare = 125;

// However dear: a picture older than this is no picture.
constexpr std::chrono::seconds kStretchMax(15);

// The first look learns what the others know already, and one look may have been disturbed: neither
// tells alone what looking costs.
constexpr std::chrono::milliseconds kFirstCostMax(8);

// Containers start, and programs connect, in bursts: one look for all of a burst.
constexpr std::chrono::milliseconds kChangeDelay(20);

// News is why people watch: looks for it have a budget of their own, saved up to this, which lets
// everything that starts or ends now and then be shown at once.
constexpr int kNewsShare = 50;
constexpr std::chrono::milliseconds kNewsCreditMax(300);
// Meanwhile they take a quarter of a CPU at most; with nothing saved, what the share allows, and
// are never later than this.
constexpr int kNewsBurstShare = 4;
constexpr std::chrono::seconds kNewsSpacingMax(1);

}  // namespace

Probe::Probe(Options options) : options_(std::move(options)), news_credit_(kNewsCreditMax) {}

Duration Probe::interval() const {
  Duration wanted = kIntervalMax;
  for (const auto& [name, watcher] : watchers_) {
    wanted = std::min(wanted, watcher.interval);
  }
  const Duration affordable = std::min<Duration>(cost_ * kCostShare, kStretchMax);
  return std::max(wanted, affordable);
}

void Probe::on_watch(TimePoint now, PeerName watcher, const Watch& watch, ProbeActions& out) {
  const auto found = watchers_.find(watcher);
  if (watch.lease <= Duration::zero()) {
    if (found != watchers_.end()) {
      watchers_.erase(found);
      on_deadline(now, out);
    }
    return;
  }
  if (found == watchers_.end() && watchers_.size() >= options_.watchers_max) {
    ++stats_.watchers_refused;
    return;
  }
  Watcher& entry = watchers_[watcher];
  const bool is_new = found == watchers_.end();
  entry.until = now + std::min(watch.lease, kLeaseMax);
  entry.interval = std::clamp(watch.interval, kIntervalMin, kIntervalMax);
  if (is_new) {
    entry.due = now;
    next_sample_ = now;  // Who comes anew does not wait for the next turn.
  }
  on_deadline(now, out);
}

void Probe::on_change(TimePoint now) {
  if (!is_watched()) {
    return;
  }
  changed_ = true;
  if (!sampling_) {
    look_again(now);
  }
}

void Probe::look_again(TimePoint now) {
  changed_ = false;
  const int share = news_credit_ > Duration::zero() ? kNewsBurstShare : kNewsShare;
  const Duration spacing = std::min<Duration>(cost_ * share, kNewsSpacingMax);
  const TimePoint at = std::max(now + kChangeDelay, last_sample_ + spacing);
  if (at < next_sample_) {
    next_sample_ = at;
    is_for_news_ = true;
  }
  for (auto& [name, watcher] : watchers_) {
    watcher.due = std::min(watcher.due, next_sample_);
  }
}

// What a look has cost is paid by the looks after it, a half at the next, a quarter then, and so
// on.
void Probe::note_cost(TimePoint now, Duration cost) {
  if (was_for_news_) {
    news_credit_ -= cost;
  }
  news_credit_ =
      std::min<Duration>(news_credit_ + (now - cost_noted_) / kNewsShare, kNewsCreditMax);
  cost_noted_ = now;
  cost_ = is_first_look_ ? std::min<Duration>(cost, kFirstCostMax) : (cost_ + cost) / 2;
  is_first_look_ = false;
}

void Probe::on_deadline(TimePoint now, ProbeActions& out) {
  const bool was_watched = is_watched() || next_sample_ != kNever;
  std::erase_if(watchers_, [now](const auto& item) { return item.second.until <= now; });
  if (!is_watched()) {
    next_sample_ = kNever;
    if (was_watched) {
      // The next watcher's first look would otherwise compare with one of long ago.
      tracker_ = Tracker();
      carried_.clear();
      is_first_look_ = true;
      out.emplace_back(Rest{});
    }
    return;
  }
  if (!sampling_ && next_sample_ <= now) {
    sampling_ = true;
    changed_ = false;
    was_for_news_ = std::exchange(is_for_news_, false);
    last_sample_ = now;
    next_sample_ = now + interval();
    out.emplace_back(TakeSample{});
  }
}

void Probe::add_rates(TimePoint now, OverlayFacts& overlay) {
  const auto before = std::exchange(carried_, {});
  const double seconds =
      std::chrono::duration<double>(now - std::exchange(carried_at_, now)).count();
  const auto rate = [seconds](std::uint64_t was, std::uint64_t is) {
    const double grown = static_cast<double>(is - std::min(was, is));
    return seconds <= 0 ? std::uint64_t{0} : static_cast<std::uint64_t>(grown / seconds);
  };
  for (PathFacts& path : overlay.paths) {
    if (const auto known = before.find(path.peer); known != before.end()) {
      path.carried.sent_per_second = rate(known->second.sent, path.carried.sent);
      path.carried.received_per_second = rate(known->second.received, path.carried.received);
    }
    carried_.emplace(path.peer, path.carried);
  }
}

// Of those whom somebody here asked.
void Probe::add_names(HostReport& report) const {
  if (!options_.name_of) {
    return;
  }
  for (const auto& [key, flow] : report.flows) {
    if (key.direction != Direction::Outbound || report.names.contains(key.remote)) {
      continue;
    }
    if (std::string name = options_.name_of(key.remote); !name.empty()) {
      report.names.emplace(key.remote, std::move(name));
    }
  }
}

void Probe::on_sample(TimePoint now,
                      const Sample& sample,
                      OverlayFacts overlay,
                      ProbeActions& out) {
  sampling_ = false;
  ++stats_.samples;
  if (!is_watched()) {
    return;
  }
  note_cost(now, sample.cost);
  next_sample_ = std::max(now, last_sample_ + interval());
  HostReport report = tracker_.digest(sample);
  report.origin = options_.self;
  report.incarnation = options_.incarnation;
  report.sequence = ++sequence_;
  report.interval = interval();
  report.host.version = options_.version;
  add_rates(now, overlay);
  report.overlay = std::move(overlay);
  add_names(report);
  enforce_limits(report);
  const Bytes message = encode_report_within(std::move(report), options_.report_size_max);
  for (auto& [name, watcher] : watchers_) {
    if (watcher.due > now + interval() / 4) {
      continue;
    }
    watcher.due = now + watcher.interval;
    ++stats_.reports;
    out.emplace_back(Tell{name, message});
  }
  if (changed_) {
    look_again(now);
  }
}

void Probe::on_sample_failed(TimePoint now) {
  sampling_ = false;
  ++stats_.samples_failed;
  next_sample_ = std::max(next_sample_, now + interval());
}

TimePoint Probe::next_deadline() const {
  TimePoint deadline = sampling_ ? kNever : next_sample_;
  for (const auto& [name, watcher] : watchers_) {
    deadline = std::min(deadline, watcher.until);
  }
  return deadline;
}

void Probe::check_invariants() const {
  WEFT_ASSERT(watchers_.size() <= options_.watchers_max);
  WEFT_ASSERT(is_watched() || next_sample_ == kNever || sampling_);
}

}  // namespace weft::probe
