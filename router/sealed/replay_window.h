// Which counters of one sender have been seen: accepts each at most once, in any order, as long as
// it is not too far behind the highest (RFC 6479's ring of words, so that nothing is shifted).
// Pure; used by one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace weft::router {

class ReplayWindow {
 public:
  static constexpr std::uint64_t kWordBits = 64;
  // 8,192 datagrams are 12 MB on the way: more than any queue between two hosts reorders.
  static constexpr std::uint64_t kWords = 128;
  static constexpr std::uint64_t kSize = (kWords - 1) * kWordBits;

  // True if the counter is neither seen nor too old. Asked before a packet is authenticated.
  bool is_fresh(std::uint64_t counter) const {
    if (counter >= next_) {
      return true;
    }
    if (next_ - counter > kSize) {
      return false;
    }
    return (word(counter) & bit(counter)) == 0;
  }

  // Told after a packet has been authenticated. Precondition: is_fresh(counter).
  void accept(std::uint64_t counter) {
    if (counter >= next_) {
      clear_between(counter);
      next_ = counter + 1;
    }
    words_[index(counter)] |= bit(counter);
  }

 private:
  static constexpr std::size_t index(std::uint64_t counter) {
    return static_cast<std::size_t>(counter / kWordBits % kWords);
  }
  static constexpr std::uint64_t bit(std::uint64_t counter) { return 1ULL << counter % kWordBits; }
  std::uint64_t word(std::uint64_t counter) const { return words_[index(counter)]; }

  // Words that the window enters have not been written in this turn of the ring.
  void clear_between(std::uint64_t counter) {
    const std::uint64_t newest = counter / kWordBits;
    const std::uint64_t last = next_ == 0 ? 0 : (next_ - 1) / kWordBits;
    if (newest - last >= kWords) {
      words_.fill(0);
      return;
    }
    for (std::uint64_t i = last + 1; i <= newest; ++i) {
      words_[static_cast<std::size_t>(i % kWords)] = 0;
    }
  }

  std::uint64_t next_ = 0;  // One above the highest accepted.
  std::array<std::uint64_t, kWords> words_{};
};

}  // namespace weft::router
