// Nanoseconds to seal and to open one datagram, for every cipher implementation of this machine.
//   seal_speed
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <fmt/format.h>

#include "base/aead.h"
#include "base/bytes.h"
#include "sys/aead/aead.h"

namespace {

using weft::Bytes;
using weft::ByteView;
using Clock = std::chrono::steady_clock;

constexpr std::array<std::size_t, 3> kSizes{64, 1400, 9000};
constexpr std::size_t kHeaderSize = 16;
constexpr int kRuns = 50;
constexpr std::uint64_t kPerRun = 500;

// The best of many runs: in the others the machine did something else as well.
template <class Work>
double nanoseconds(Work work) {
  double best = 1e18;
  for (int run = 0; run < kRuns; ++run) {
    const auto start = Clock::now();
    for (std::uint64_t i = 0; i < kPerRun; ++i) {
      work(i);
    }
    const std::chrono::duration<double, std::nano> taken = Clock::now() - start;
    best = std::min(best, taken.count() / static_cast<double>(kPerRun));
  }
  return best;
}

void measure(const weft::Aead& aead) {
  const std::unique_ptr<weft::AeadKey> key = aead.make_key({});
  const Bytes header(kHeaderSize);
  for (const std::size_t size : kSizes) {
    const Bytes text(size);
    Bytes sealed(size + weft::kAeadTagSize);
    Bytes opened(size);
    const double seal =
        nanoseconds([&](std::uint64_t i) { key->seal(i, header, text, sealed.data()); });
    key->seal(1, header, text, sealed.data());
    bool is_authentic = true;
    const double open = nanoseconds(
        [&](std::uint64_t) { is_authentic &= key->open(1, header, sealed, opened.data()); });
    fmt::print("{:<18} {:<16} {:>5} octets: seal {:>7.0f} ns, open {:>7.0f} ns{}\n",
               to_string(aead.cipher()),
               aead.name(),
               size,
               seal,
               open,
               is_authentic ? "" : " NOT AUTHENTIC");
  }
}

}  // namespace

int main() {
  for (const std::unique_ptr<weft::Aead>& aead : weft::sys::aead_backends()) {
    measure(*aead);
  }
}
