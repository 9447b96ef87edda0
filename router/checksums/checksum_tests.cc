#include "router/checksums/checksum_tests.h"

#include <algorithm>

namespace weft::router {

std::optional<std::uint64_t> ChecksumTests::next_probe(std::uint32_t device, PeerName peer) {
  const auto [found, is_new] = devices_.try_emplace(device);
  Device& test = found->second;
  if (is_new) {
    test.id = rng_.next();
  }
  if (test.verdict != ChecksumVerdict::Untested || test.sent[peer] >= kProbesMax) {
    return std::nullopt;
  }
  ++test.sent[peer];
  return test.id;
}

std::optional<SetChecksumOffload> ChecksumTests::on_heard(std::uint64_t id, bool is_right) {
  const auto found = std::find_if(devices_.begin(), devices_.end(), [id](const auto& device) {
    return device.second.id == id && device.second.verdict == ChecksumVerdict::Untested;
  });
  if (found == devices_.end()) {
    return std::nullopt;
  }
  Device& test = found->second;
  if (is_right) {
    test.verdict = test.is_confirming ? ChecksumVerdict::TurnedOff : ChecksumVerdict::Right;
    return std::nullopt;
  }
  if (++test.wrong < kWrongMax) {
    return std::nullopt;
  }
  if (test.is_confirming) {
    test.verdict = ChecksumVerdict::Elsewhere;
    return SetChecksumOffload{.device = found->first, .enabled = true};
  }
  test.is_confirming = true;
  test.id = rng_.next();
  test.wrong = 0;
  test.sent.clear();
  return SetChecksumOffload{.device = found->first, .enabled = false};
}

ChecksumVerdict ChecksumTests::verdict(std::uint32_t device) const {
  const auto found = devices_.find(device);
  return found == devices_.end() ? ChecksumVerdict::Untested : found->second.verdict;
}

}  // namespace weft::router
