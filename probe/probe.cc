#include "probe/probe.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/assert.h"

namespace weft::probe {
namespace {

// A look may take a hundredth of one CPU: what people accept for being watched all day.
constexpr int kCostShare = 100;

// However dear: a picture older than this is no picture.
constexpr std::chrono::seconds kStretchMax(15);

// Containers start, and programs connect, in bursts: one look for all of a burst.
constexpr std::chrono::milliseconds kChangeDelay(20);

// While something is new all the time, looking may take a twentieth of a CPU, and is never later
// than this after the look before: news is why people watch.
constexpr int kChangeCostShare = 20;
constexpr std::chrono::milliseconds kChangeSpacingMax(200);

}  // namespace

Probe::Probe(Options options) : options_(std::move(options)) {}

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
  const Duration spacing = std::min<Duration>(cost_ * kChangeCostShare, kChangeSpacingMax);
  next_sample_ = std::min(next_sample_, std::max(now + kChangeDelay, last_sample_ + spacing));
  for (auto& [name, watcher] : watchers_) {
    watcher.due = std::min(watcher.due, next_sample_);
  }
}

void Probe::on_deadline(TimePoint now, ProbeActions& out) {
  const bool was_watched = is_watched() || next_sample_ != kNever;
  std::erase_if(watchers_, [now](const auto& item) { return item.second.until <= now; });
  if (!is_watched()) {
    next_sample_ = kNever;
    if (was_watched) {
      // The next watcher's first look would otherwise compare with one of long ago.
      tracker_ = Tracker();
      out.emplace_back(Rest{});
    }
    return;
  }
  if (!sampling_ && next_sample_ <= now) {
    sampling_ = true;
    changed_ = false;
    last_sample_ = now;
    next_sample_ = now + interval();
    out.emplace_back(TakeSample{});
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
  cost_ = sample.cost;
  next_sample_ = std::max(now, last_sample_ + interval());
  HostReport report = tracker_.digest(sample);
  report.origin = options_.self;
  report.incarnation = options_.incarnation;
  report.sequence = ++sequence_;
  report.interval = interval();
  report.host.version = options_.version;
  report.overlay = std::move(overlay);
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
