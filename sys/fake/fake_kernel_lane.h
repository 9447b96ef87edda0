// An in-memory twin of KernelLane, for tests (tests/integration/datapath/kernel_lane_test.cc has
// the kernel's). It seals and opens nothing; what it would have counted is set by hand.
#pragma once

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "sys/bpf/kernel_lane.h"

namespace weft::sys {

class FakeKernelLane final : public KernelLane {
 public:
  void set_devices(std::uint32_t, std::uint32_t) override {}
  Result<Ok> keep_alive(std::chrono::nanoseconds) override {
    ++signs_of_life;
    return Ok{};
  }
  Result<Ok> seal(const Ip& peer, const LaneSealing& sealing, std::chrono::nanoseconds) override {
    if (is_refusing) {
      return Error{Errc::Os, "kernel lane map: refused"};
    }
    keys_sealed_under.push_back(sealing.key);
    sealings.insert_or_assign(peer, sealing);
    counts.erase(peer);
    return Ok{};
  }
  Result<Ok> stop(const Ip& peer) override {
    sealings.erase(peer);
    counts.erase(peer);
    return Ok{};
  }
  Result<Ok> open(std::uint32_t index, const LaneKey& key, std::chrono::nanoseconds) override {
    if (is_refusing || !openings.emplace(index, key).second) {
      return Error{Errc::Os, "kernel lane map: refused"};
    }
    return Ok{};
  }
  Result<Ok> close(std::uint32_t index) override {
    openings.erase(index);
    counts_opened.erase(index);
    return Ok{};
  }
  LaneCount sealed(const Ip& peer) const override {
    const auto found = counts.find(peer);
    return found == counts.end() ? LaneCount{} : found->second;
  }
  LaneCount opened(std::uint32_t index) const override {
    const auto found = counts_opened.find(index);
    return found == counts_opened.end() ? LaneCount{} : found->second;
  }
  bool has_opened(std::uint32_t index, std::uint64_t counter) const override {
    return counters_opened.contains({index, counter});
  }

  bool is_refusing = false;
  int signs_of_life = 0;
  std::map<Ip, LaneSealing> sealings;
  std::map<std::uint32_t, LaneKey> openings;
  std::vector<LaneKey> keys_sealed_under;  // Each that ever was used.
  std::map<Ip, LaneCount> counts;
  std::map<std::uint32_t, LaneCount> counts_opened;
  std::set<std::pair<std::uint32_t, std::uint64_t>> counters_opened;
};

}  // namespace weft::sys
