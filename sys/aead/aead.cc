#include "sys/aead/aead.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/assert.h"
#include "base/bytes.h"
#include "sys/aead/backends.h"

namespace weft::sys {
namespace {

using Key = std::array<std::uint8_t, kAeadKeySize>;

// Key 0 … 31, counter 7, associated data "header", plaintext of 70 octets 0, 1, 2, …: the last 16
// octets each cipher gives, the tag, depend on all of these. Computed with Python's cryptography
// package (OpenSSL's AES-GCM and ChaCha20-Poly1305), not with the code under test.
constexpr std::size_t kTextSize = 70;
constexpr std::uint64_t kCounter = 7;

struct KnownAnswer {
  CipherId cipher;
  std::string_view first;  // The first 8 octets of ciphertext.
  std::string_view tag;
};
constexpr std::array<KnownAnswer, 2> kKnownAnswers{{
    {CipherId::Aes256Gcm, "e06c111c131258fd", "f1313aca73905575ed4b65534063e15b"},
    {CipherId::ChaCha20Poly1305, "f10e864b26ed7c8e", "69a68c80f546c3d5d66dfbbe1541768d"},
}};

template <class Container>
Container ascending(Container container) {
  std::uint8_t next = 0;
  std::generate(container.begin(), container.end(), [&next] { return next++; });
  return container;
}

bool gives_known_answer(const Aead& aead) {
  const std::unique_ptr<AeadKey> key = aead.make_key(ascending(Key{}));
  const Bytes text = ascending(Bytes(kTextSize));
  const ByteView ad = as_bytes("header");
  Bytes sealed(text.size() + kAeadTagSize);
  key->seal(kCounter, ad, text, sealed.data());
  const auto expected =
      std::find_if(kKnownAnswers.begin(), kKnownAnswers.end(), [&](const KnownAnswer& answer) {
        return answer.cipher == aead.cipher();
      });
  Bytes opened(text.size());
  const bool agrees = to_hex(ByteView(sealed).first(8)) == expected->first
                      && to_hex(ByteView(sealed).last(kAeadTagSize)) == expected->tag
                      && key->open(kCounter, ad, sealed, opened.data()) && opened == text;
  sealed.back() ^= 1U;
  return agrees && !key->open(kCounter, ad, sealed, opened.data());
}

// The best of several short runs: a run in which the machine did something else says nothing.
double bytes_per_second(const Aead& aead, const Clock& clock) {
  constexpr std::size_t kDatagram = 1400;
  constexpr int kRuns = 12;
  constexpr std::uint64_t kPerRun = 128;  // 20 µs and more: long for the clock, short for a start.
  const std::unique_ptr<AeadKey> key = aead.make_key(ascending(Key{}));
  const Bytes text(kDatagram);
  Bytes sealed(kDatagram + kAeadTagSize);
  std::uint64_t counter = 0;
  Duration best = Duration::max();
  for (int run = 0; run < kRuns; ++run) {
    const TimePoint start = clock.now();
    for (std::uint64_t i = 0; i < kPerRun; ++i) {
      key->seal(counter++, {}, text, sealed.data());
    }
    best = std::min(best, std::max(Duration(1), clock.now() - start));
  }
  return static_cast<double>(kPerRun * kDatagram) / std::chrono::duration<double>(best).count();
}

}  // namespace

std::vector<std::unique_ptr<Aead>> aead_backends() {
  std::vector<std::unique_ptr<Aead>> backends;
  const auto add = [&backends](std::unique_ptr<Aead> aead) {
    if (aead && gives_known_answer(*aead)) {
      backends.push_back(std::move(aead));
    }
  };
  add(ipsec_mb_aead());
  add(openssl_aead(CipherId::Aes256Gcm));
  add(openssl_aead(CipherId::ChaCha20Poly1305));
  add(sodium_aead());
  return backends;
}

std::vector<MeasuredAead> choose_aeads(const Clock& clock,
                                       const std::function<bool(const Aead&)>& may_use) {
  std::vector<MeasuredAead> chosen;
  for (std::unique_ptr<Aead>& aead : aead_backends()) {
    if (may_use && !may_use(*aead)) {
      continue;
    }
    const double speed = bytes_per_second(*aead, clock);
    const auto same = std::find_if(chosen.begin(), chosen.end(), [&](const MeasuredAead& other) {
      return other.aead->cipher() == aead->cipher();
    });
    if (same == chosen.end()) {
      chosen.push_back({.aead = std::move(aead), .bytes_per_second = speed});
    } else if (speed > same->bytes_per_second) {
      *same = {.aead = std::move(aead), .bytes_per_second = speed};
    }
  }
  // libsodium's gives the known answer on every machine.
  WEFT_ASSERT(!chosen.empty());
  std::sort(chosen.begin(), chosen.end(), [](const MeasuredAead& a, const MeasuredAead& b) {
    return a.bytes_per_second > b.bytes_per_second;
  });
  return chosen;
}

}  // namespace weft::sys
