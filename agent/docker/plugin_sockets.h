// Where Docker asks for its networks: at the sockets that this run was told, and while there are
// networks, at those of earlier runs. Docker knows a network's driver by its socket's name: one
// that was made under `weft` stays with `weft`, also when the agent has been launched as `weave`
// since.
//
// On the control strand. Rows of the table "docker_sockets": path, scope.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "base/store_batch.h"
#include "plugin/docker.h"

namespace weft::agent {

inline constexpr const char* kPluginSocketsTable = "docker_sockets";

struct PluginSockets {
  std::map<std::string, plugin::Scope> earlier;  // Of earlier runs alone.
  StoreBatch batch;                              // What is to be remembered from now on.
};

// `now` are those of this run; `has_networks`, whether there is any that Docker could ask for.
PluginSockets claim_plugin_sockets(const StoreTable& stored,
                                   const std::map<std::string, plugin::Scope>& now,
                                   bool has_networks);

}  // namespace weft::agent
