#include "router/overlay/link_meter.h"

#include <algorithm>
#include <bit>

namespace weft::router {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Duration kLevelBase = microseconds(100);
// The fourth root of two, times 1,000.
constexpr std::uint64_t kLevelStep = 1189;
constexpr std::uint32_t kHopCostUsec = 200;
// RTO_min of Linux: TCP_RTO_MIN in include/net/tcp.h.
constexpr Duration kLateMin = milliseconds(200);
// A level lasts: the two periods that a change of the network takes to show in the minimum, and a
// while in which others may rely on it.
constexpr Duration kLevelHold = std::chrono::seconds(60);
constexpr std::size_t kPeriod = 8;  // Measurements.
constexpr int kLevelSlack = 3;

// The round-trip time of each level, in microseconds.
constexpr std::array<std::uint64_t, kCostLevelMax + 1> kRoundTrips = [] {
  std::array<std::uint64_t, kCostLevelMax + 1> usec{};
  usec[0] = kLevelBase / microseconds(1);
  for (std::size_t level = 1; level < usec.size(); ++level) {
    usec[level] = usec[level - 1] * kLevelStep / 1000;
  }
  return usec;
}();

std::uint8_t level_of(Duration rtt) {
  const auto usec = static_cast<std::uint64_t>(std::max(rtt, Duration::zero()) / microseconds(1));
  const auto at = std::lower_bound(kRoundTrips.begin(), kRoundTrips.end() - 1, usec);
  return std::max(static_cast<std::uint8_t>(at - kRoundTrips.begin()), LinkMeter::kUnmeasured);
}

}  // namespace

std::uint32_t cost_of_level(std::uint8_t level) {
  return static_cast<std::uint32_t>(kRoundTrips[std::min(level, kCostLevelMax)]) + kHopCostUsec;
}

Beat LinkMeter::next_beat(TimePoint now) {
  ++sent_;
  sent_at_[sent_ % sent_at_.size()] = now;
  Beat beat{.sequence = sent_, .echo = heard_};
  if (heard_ != 0) {
    const auto age = std::clamp<std::int64_t>((now - heard_at_) / microseconds(1), 0, UINT32_MAX);
    beat.echo_age_usec = static_cast<std::uint32_t>(age);
  }
  return beat;
}

void LinkMeter::on_beat(TimePoint now, const Beat& beat) {
  if (heard_ != 0) {
    late_ = (late_ << 1U) | (now - heard_at_ > options_.interval + kLateMin ? 1U : 0U);
    beats_ = std::min(beats_ + 1, 64U);
  }
  heard_ = beat.sequence;
  heard_at_ = now;
  const bool known = beat.echo != 0 && beat.echo <= sent_ && sent_ - beat.echo < sent_at_.size();
  if (known) {
    const Duration whole = now - sent_at_[beat.echo % sent_at_.size()];
    const Duration age = microseconds(beat.echo_age_usec);
    if (age <= whole) {
      measure(whole - age);
    }
  }
}

// RFC 6298, section 2.
void LinkMeter::measure(Duration sample) {
  least_ = measured_ == 0 ? sample : std::min(least_, sample);
  if (++measured_ >= kPeriod) {
    least_before_ = least_;
    measured_ = 0;
  }
  if (!rtt_) {
    rtt_ = sample;
    jitter_ = sample / 2;
    return;
  }
  const Duration off = sample > *rtt_ ? sample - *rtt_ : *rtt_ - sample;
  jitter_ = (3 * jitter_ + off) / 4;
  rtt_ = (7 * *rtt_ + sample) / 8;
}

double LinkMeter::loss_percent() const {
  return beats_ == 0 ? 0.0 : 100.0 * std::popcount(late_) / beats_;
}

std::uint8_t LinkMeter::cost_level(TimePoint now) {
  if (!least_before_) {
    return level_;
  }
  const std::uint8_t measured =
      level_of(measured_ == 0 ? *least_before_ : std::min(least_, *least_before_));
  const int off = int{measured} - int{level_};
  const bool is_held = level_since_ != TimePoint{} && now - level_since_ < kLevelHold;
  if ((off < -kLevelSlack || off > kLevelSlack) && !is_held) {
    level_ = measured;
    level_since_ = now;
  }
  return level_;
}

}  // namespace weft::router
