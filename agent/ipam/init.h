// --ipalloc-init: who founds the cluster. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "base/peer_name.h"
#include "base/result.h"

namespace weft::agent {

struct IpamInit {
  std::optional<std::size_t> elector_count;  // Nothing: the targets and ourselves.
  std::vector<PeerName> seeds;               // Ascending; if any, they found without an election.
  bool observer = false;
};

// "" and "consensus", "consensus=N", "seed=NAME,…", "observer".
Result<IpamInit> parse_ipam_init(std::string_view text);

}  // namespace weft::agent
