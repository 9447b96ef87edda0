// What the policy controller counts, as Prometheus reads it: weave-npc's two families by their
// names, and weft's own.
#pragma once

#include <string>

#include "policy/blocked.h"
#include "policy/compile.h"
#include "policy/io/applier.h"
#include "policy/reflector.h"

namespace weft::agent {

struct NpcState {
  policy::Compiler::Stats compiler;
  policy::Reflector::Stats watch;
  policy::Applier::Stats applier;
  bool is_watching = false;
  std::uint64_t problems = 0;
  std::uint64_t log_overruns = 0;
};

std::string npc_metrics(const NpcState& state, const policy::BlockedCounts& blocked);

}  // namespace weft::agent
