#include "ipam/council/charter.h"

#include <algorithm>

#include "base/assert.h"

namespace weft::ipam {

bool Charter::has_seat(PeerName peer) const {
  return std::binary_search(council.begin(), council.end(), peer);
}

std::vector<PeerName> make_council(const std::vector<PeerName>& peers,
                                   const std::vector<PeerName>& seated) {
  std::vector<PeerName> ordered = peers;
  std::sort(ordered.begin(), ordered.end());
  const auto is_seated = [&seated](PeerName peer) {
    return std::find(seated.begin(), seated.end(), peer) != seated.end();
  };
  std::stable_partition(ordered.begin(), ordered.end(), is_seated);
  std::size_t count = std::min(ordered.size(), kCouncilMax);
  if (count > 2 && count % 2 == 0) {
    --count;  // A fourth member raises the quorum and survives no further failure.
  }
  ordered.resize(count);
  std::sort(ordered.begin(), ordered.end());
  return ordered;
}

std::size_t write_quorum(std::size_t count) {
  return (count + 1) / 2;
}

std::size_t decree_quorum(std::size_t count) {
  return count / 2 + 1;
}

std::size_t removal_quorum(std::size_t count) {
  WEFT_ASSERT(count >= 1);
  return (count - 1) / 2 + 1;
}

std::uint64_t base_window(Uint128 owned_count) {
  // A 64th of what a peer owns is lost with it at worst; 256 are a host's containers for a while.
  constexpr std::uint64_t kShare = 64;
  constexpr std::uint64_t kWindowMin = 4;
  constexpr std::uint64_t kWindowMax = 256;
  return std::clamp(saturated(owned_count / kShare), kWindowMin, kWindowMax);
}

IntervalSet choose_cold(const IntervalSet& free, std::uint64_t window) {
  std::vector<Span> runs;
  for (Span run : free.spans()) {
    const auto kept = static_cast<std::uint64_t>(std::min<Uint128>(window, run.size()));
    window -= kept;
    if (kept < run.size()) {
      run.first += kept;
      runs.push_back(run);
    }
  }
  if (runs.size() > kColdSpanMax) {
    std::stable_sort(
        runs.begin(), runs.end(), [](const Span& a, const Span& b) { return a.size() > b.size(); });
    runs.resize(kColdSpanMax);
  }
  return IntervalSet(runs);
}

}  // namespace weft::ipam
