// What the heartbeats of one link say about it: round-trip time, its variation, and how often
// something had to be sent twice. Nothing is sent for the sake of measuring.
//
// Each beat carries its number and echoes the last one received with the time that has passed
// since; the sender knows when it sent that one. Smoothing is RFC 6298's. TCP hides losses, but a
// retransmission delays a beat by at least 200 ms (RTO_min of Linux), so late beats are counted.
//
// The cost of a link, for paths, is the shortest of its last round-trip times on a scale of levels:
// what a busy host adds to some of them says nothing about the network. Each change is news to the
// whole cluster, so the level waits for a number of measurements, follows with hysteresis, and all
// that is below a millisecond is one level: in one data centre hops count, not microseconds.
//
// Pure; lives on the control strand.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/time.h"

namespace weft::router {

struct Beat {
  std::uint32_t sequence = 0;       // Of this beat, from 1.
  std::uint32_t echo = 0;           // The last one received; 0 = none yet.
  std::uint32_t echo_age_usec = 0;  // Between its arrival and the departure of this one.

  friend bool operator==(const Beat&, const Beat&) = default;
};

// A level is a factor of 2^(1/4) in round-trip time, from 100 µs.
inline constexpr std::uint8_t kCostLevelMax = 80;
// What a link of this level costs, in microseconds, the work of passing something on included: of
// two ways equally long, the one with fewer hops.
std::uint32_t cost_of_level(std::uint8_t level);

class LinkMeter {
 public:
  struct Options {
    Duration interval = std::chrono::seconds(1);  // Between two beats.
  };

  // The lowest level, and that of a link that has not been measured: as an ordinary one in a data
  // centre, 1 ms.
  static constexpr std::uint8_t kUnmeasured = 14;

  explicit LinkMeter(Options options) : options_(options) {}

  Beat next_beat(TimePoint now);
  void on_beat(TimePoint now, const Beat& beat);

  std::optional<Duration> rtt() const { return rtt_; }
  Duration jitter() const { return jitter_; }  // RTTVAR of RFC 6298.
  // Of the last 64 beats, those that came late, in percent.
  double loss_percent() const;

  // The level to state. Changes only if it is off by more than three levels, a factor of 1.7, and
  // at most once a minute.
  std::uint8_t cost_level(TimePoint now);

 private:
  void measure(Duration sample);

  const Options options_;
  std::uint32_t sent_ = 0;
  std::array<TimePoint, 16> sent_at_{};  // By sequence.
  std::uint32_t heard_ = 0;
  TimePoint heard_at_;
  std::optional<Duration> rtt_;
  Duration jitter_{};
  Duration least_{};  // Of this period, which is so many measurements old, and of the one before.
  std::optional<Duration> least_before_;
  std::size_t measured_ = 0;
  std::uint64_t late_ = 0;  // One bit for each of the last 64 beats.
  std::uint32_t beats_ = 0;
  std::uint8_t level_ = kUnmeasured;
  TimePoint level_since_;
};

}  // namespace weft::router
