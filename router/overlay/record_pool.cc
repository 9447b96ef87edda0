#include "router/overlay/record_pool.h"

#include <algorithm>
#include <utility>

#include "base/rng.h"

namespace weft::router {

HeldRecordPtr RecordPool::share(PeerName origin, HeldRecord record) {
  const std::uint64_t hash =
      Rng(origin.number() ^ (record.incarnation.value() << 48U) ^ (record.sequence << 20U)).next();
  const auto [first, last] = records_.equal_range(hash);
  for (auto at = first; at != last; ++at) {
    HeldRecordPtr held = at->second.lock();
    if (held != nullptr && *held == record) {
      return held;
    }
  }
  if (records_.size() >= sweep_at_) {
    sweep();
  }
  auto held = std::make_shared<const HeldRecord>(std::move(record));
  records_.emplace(hash, held);
  return held;
}

void RecordPool::sweep() {
  std::erase_if(records_, [](const auto& item) { return item.second.expired(); });
  sweep_at_ = std::max<std::size_t>(1024, 2 * records_.size());
}

}  // namespace weft::router
