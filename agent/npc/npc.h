// `weft npc`: the network policy controller of a Kubernetes node, and, called by the name
// weave-npc, a drop-in for Weave's. It fills the chains that an agent with --expect-npc hooks in.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "agent/cli/exit_code.h"
#include "agent/cli/options.h"
#include "base/result.h"
#include "policy/io/cluster_watch.h"

namespace weft::agent {

struct NpcConfig {
  policy::ApiServer server;
  Endpoint metrics;
  std::string bridge;
  std::vector<std::string> overlay_ports;
  bool allow_multicast = true;
  std::string node;
  std::string log_level;
};

// weave-npc's spellings in ours: "--allow-mcast", "--metrics-addr=:6781".
std::vector<std::string> npc_words(std::span<const std::string> words);
Result<NpcConfig> make_npc_config(const Settings& settings, const Environment& environment);

ExitCode run_npc(const Settings& settings);
// argv[0] was weave-npc.
ExitCode run_weave_npc(std::span<const std::string> words);

}  // namespace weft::agent
