// What has gone to a peer and come back, in octets and in packets: segments of TCP, those without
// data included, and datagrams of UDP. Pure.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace weft::probe {

struct Traffic {
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  std::uint64_t packets_sent = 0;
  std::uint64_t packets_received = 0;

  void add(const Traffic& more);
  // What has been counted since `base` was. Octets that have gone back belong to another: nothing
  // is added. Counts of segments go back after 2^32: they alone are left out that time.
  void add_since(const Traffic& base, const Traffic& now);
  void take_from(Traffic& other);  // As much of it as there is, away from both.
  Traffic reversed() const {
    return {.sent = received,
            .received = sent,
            .packets_sent = packets_received,
            .packets_received = packets_sent};
  }
};

inline constexpr std::array kTrafficCounts{
    &Traffic::sent, &Traffic::received, &Traffic::packets_sent, &Traffic::packets_received};

inline void Traffic::add(const Traffic& more) {
  for (const auto count : kTrafficCounts) {
    this->*count += more.*count;
  }
}

inline void Traffic::add_since(const Traffic& base, const Traffic& now) {
  if (now.sent < base.sent || now.received < base.received) {
    return;
  }
  for (const auto count : kTrafficCounts) {
    this->*count += now.*count - std::min(base.*count, now.*count);
  }
}

inline void Traffic::take_from(Traffic& other) {
  for (const auto count : kTrafficCounts) {
    const std::uint64_t taken = std::min(this->*count, other.*count);
    this->*count -= taken;
    other.*count -= taken;
  }
}

}  // namespace weft::probe
