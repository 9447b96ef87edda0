// Blocks of addresses with exceptions, as ranges.
#pragma once

#include <vector>

#include "base/ruleset/policy_rules.h"
#include "policy/model.h"

namespace weft::policy {

// The addresses of `block` that are in none of its exceptions, ascending, as few ranges as
// possible.
std::vector<PolicyRange> ranges_of(const IpBlock& block);

}  // namespace weft::policy
