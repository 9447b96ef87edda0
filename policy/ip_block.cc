#include "policy/ip_block.h"

#include <algorithm>
#include <optional>

namespace weft::policy {

std::vector<PolicyRange> ranges_of(const IpBlock& block) {
  std::vector<PolicyRange> excluded;
  for (const Cidr& except : block.except) {
    if (except.is_v4() == block.block.is_v4()) {
      excluded.push_back({except.first(), except.last()});
    }
  }
  std::sort(excluded.begin(), excluded.end());
  std::vector<PolicyRange> ranges;
  std::optional<Ip> from = block.block.first();
  const Ip last = block.block.last();
  for (const PolicyRange& gap : excluded) {
    if (!from || gap.first > last) {
      break;
    }
    if (gap.first > *from) {
      ranges.push_back({*from, *address_before(gap.first)});
    }
    if (gap.last >= *from) {
      from = address_after(gap.last);
    }
  }
  if (from && *from <= last) {
    ranges.push_back({*from, last});
  }
  return ranges;
}

}  // namespace weft::policy
