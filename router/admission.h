// How many handshakes may begin, from one source and in all: a restart of the whole cluster ramps
// up instead of stampeding, and who floods us gets no more than its share.
//
// Token buckets. A source is an IPv4 address or an IPv6 network of 64 bits, which is what one host
// can be given. Sans-IO; lives on the control strand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "base/address.h"
#include "base/time.h"

namespace weft::router {

class Admission {
 public:
  struct Options {
    // A handshake of a member costs us five multiplications on the curve, a quarter of a
    // millisecond: 200 in a second are a twentieth of a core.
    std::uint32_t rate = 200;
    // The first peer of a cluster that starts all at once: an eighth of a second of one core.
    std::uint32_t burst = 500;
    // Many hosts may come through one NAT, and each may try a few times.
    std::uint32_t source_rate = 20;
    std::uint32_t source_burst = 60;
    // Beyond, a source that is not known is held to the common limit alone.
    std::size_t sources_max = 1024;
  };

  explicit Admission(Options options) : options_(options) {}

  // True if one more handshake from there may begin; it is counted then.
  bool admit(TimePoint now, const Ip& source);
  void check_invariants() const;

 private:
  // Tokens as of `at`; never more than the burst.
  struct Bucket {
    double tokens = 0;
    TimePoint at;
  };

  static void refill(Bucket& bucket, TimePoint now, std::uint32_t rate, std::uint32_t burst);
  Bucket* source_bucket(TimePoint now, const Ip& source);

  const Options options_;
  Bucket all_;
  bool begun_ = false;
  std::map<Ip, Bucket> sources_;
};

}  // namespace weft::router
