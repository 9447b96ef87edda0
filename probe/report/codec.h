// Reports and the requests for them as bytes (proto/probe.proto). Pure.
#pragma once

#include <variant>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "probe/report/report.h"

namespace weft::probe {

// Somebody watches: look every `interval` and tell, until `lease` is over.
struct Watch {
  Duration lease{};
  Duration interval{};

  friend bool operator==(const Watch&, const Watch&) = default;
};

// A lease is renewed well before it runs out, so a minute means a confused watcher.
inline constexpr Duration kLeaseMax = std::chrono::seconds(60);
inline constexpr Duration kIntervalMin = std::chrono::milliseconds(100);
inline constexpr Duration kIntervalMax = std::chrono::seconds(60);

// Bytes of control/message.h, which is not for the probe to understand.
struct ControlBytes {
  Bytes bytes;

  friend bool operator==(const ControlBytes&, const ControlBytes&) = default;
};

// Percentages and loads travel as whole numbers of these.
inline constexpr double kHundredths = 100;

using Message = std::variant<Watch, HostReport, ControlBytes>;

Bytes encode_watch(const Watch& watch);
Bytes encode_control(ByteView message);
// Deterministic: equal reports give equal bytes.
Bytes encode_report(const HostReport& report);
// The same, cut to `size_max` bytes: names of addresses go first, then processes, flows and
// containers, each counted in `folded`.
Bytes encode_report_within(HostReport report, std::size_t size_max);

// Refuses what exceeds a limit, repeats a key or refers to what is not there.
Result<Message> decode_message(ByteView bytes);

}  // namespace weft::probe
