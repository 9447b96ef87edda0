// What connections.bpf.c has counted of kinds of TCP connections lately, as the agent takes it:
// from an array that both have mapped, which a program finds its place in without a lock, and in
// which nothing is lost that is counted while it is taken.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "sys/bpf/flow_maps.h"

namespace weft::sys {

class Counters {
 public:
  struct Counted {
    weft_flow_key key;
    weft_flow flow;
  };

  // Of the map weft_counters. Fails if it cannot be mapped.
  static Result<Counters> open(int map);
  Counters(Counters&& other) noexcept;
  Counters& operator=(Counters&& other) noexcept;
  ~Counters();

  // What was counted since the last time; a kind may be told of twice. Kinds of which nothing was
  // heard for seconds make room for others. `now`: ns of CLOCK_MONOTONIC, never less than before.
  std::vector<Counted> take(std::uint64_t now);

 private:
  explicit Counters(weft_counter* counters);

  weft_counter* counters_;            // Mapped, shared with the kernel's programs.
  std::vector<std::uint64_t> heard_;  // When each was last seen to count, or was retired.
};

}  // namespace weft::sys
