#include "sys/bpf/counters.h"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <sys/mman.h>

namespace weft::sys {
namespace {

constexpr std::size_t kCount = std::size_t{1} << WEFT_COUNTERS_LOG2;
constexpr std::size_t kBytes = kCount * sizeof(weft_counter);
static_assert(sizeof(weft_counter) == 128);  // Two cache lines.

constexpr std::uint64_t kSecond = 1'000'000'000;

// A kind that comes once in a few seconds keeps its place.
constexpr std::uint64_t kSilenceMax = 5 * kSecond;

// A program that found a counter before it was retired may count in it yet: it runs for less than a
// microsecond, but may be interrupted by others for as long as those take.
constexpr std::uint64_t kInFlightMax = 5 * kSecond;

// Programs may change any of a counter's numbers at any time.
std::uint64_t take_number(__u64& number) {
  const std::atomic_ref<__u64> shared(number);
  return shared.load(std::memory_order_relaxed) == 0 ? 0 : shared.exchange(0);
}

// Ends are taken first, and counted last: what those connections carried is there by now.
std::optional<weft_flow> take_flow(weft_flow& flow) {
  const weft_flow taken{.opened = take_number(flow.opened),
                        .closed = take_number(flow.closed),
                        .failed = take_number(flow.failed),
                        .sent = take_number(flow.sent),
                        .received = take_number(flow.received),
                        .packets_sent = take_number(flow.packets_sent),
                        .packets_received = take_number(flow.packets_received),
                        .retransmits = take_number(flow.retransmits),
                        .rtt_us = take_number(flow.rtt_us)};
  const std::uint64_t any = taken.opened | taken.closed | taken.failed | taken.sent | taken.received
                            | taken.packets_sent | taken.packets_received | taken.retransmits;
  return any != 0 ? std::optional(taken) : std::nullopt;
}

}  // namespace

Result<Counters> Counters::open(int map) {
  void* const memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
  if (memory == MAP_FAILED) {
    const int error = errno;
    return Error{Errc::Os, fmt::format("map a BPF array: {}", std::strerror(error)), error};
  }
  return Counters(static_cast<weft_counter*>(memory));
}

Counters::Counters(weft_counter* counters) : counters_(counters), heard_(kCount, 0) {}

Counters::Counters(Counters&& other) noexcept
    : counters_(std::exchange(other.counters_, nullptr)),
      heard_(std::move(other.heard_)) {}

Counters& Counters::operator=(Counters&& other) noexcept {
  std::swap(counters_, other.counters_);
  std::swap(heard_, other.heard_);
  return *this;
}

Counters::~Counters() {
  if (counters_ != nullptr) {
    ::munmap(counters_, kBytes);
  }
}

std::vector<Counters::Counted> Counters::take(std::uint64_t now) {
  std::vector<Counted> taken;
  for (std::size_t at = 0; at < kCount; ++at) {
    weft_counter& counter = counters_[at];
    const std::atomic_ref<__u64> state(counter.state);
    const __u64 was = state.load();
    if (was != WEFT_COUNTER_USED && was != WEFT_COUNTER_RETIRED) {
      heard_[at] = now;
      continue;
    }
    if (const auto flow = take_flow(counter.flow)) {
      taken.push_back({.key = counter.key, .flow = *flow});
      heard_[at] = now;
    } else if (was == WEFT_COUNTER_USED && now - heard_[at] >= kSilenceMax) {
      state.store(WEFT_COUNTER_RETIRED);
      heard_[at] = now;
    } else if (was == WEFT_COUNTER_RETIRED && now - heard_[at] >= kInFlightMax) {
      state.store(WEFT_COUNTER_FREE);
    }
  }
  return taken;
}

}  // namespace weft::sys
