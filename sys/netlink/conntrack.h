// What the kernel's connection tracking knows in the network namespace of this thread, by ctnetlink
// (NFNL_SUBSYS_CTNETLINK): datagrams, which no socket need tell of, and addresses that were
// translated.
#pragma once

#include <memory>
#include <vector>

#include "base/observed.h"
#include "base/result.h"

namespace weft::sys {

class TrackSource {
 public:
  TrackSource() = default;
  TrackSource(const TrackSource&) = delete;
  TrackSource& operator=(const TrackSource&) = delete;
  virtual ~TrackSource() = default;

  // UDP that was heard of within the last seconds, and TCP whose server's address was translated;
  // of more than kTracksMax, some. Errc::Denied without CAP_NET_ADMIN, Errc::Unavailable where the
  // kernel tracks nothing.
  virtual Result<std::vector<ObservedTrack>> tracks() = 0;
};

// The kernel's default table has 262,144 entries; a quarter of them is more than can be shown.
inline constexpr std::size_t kTracksMax = 65'536;

std::unique_ptr<TrackSource> open_conntrack();

}  // namespace weft::sys
