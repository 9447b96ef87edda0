#include "agent/docker/plugin_sockets.h"

#include <string_view>

namespace weft::agent {
namespace {

constexpr std::string_view kGlobal = "global";

}  // namespace

PluginSockets claim_plugin_sockets(const StoreTable& stored,
                                   const std::map<std::string, plugin::Scope>& now,
                                   bool has_networks) {
  PluginSockets sockets;
  for (const auto& [key, value] : stored) {
    const std::string path(as_text(key));
    if (now.contains(path)) {
      continue;
    }
    if (has_networks) {
      const bool is_global = as_text(value) == kGlobal;
      sockets.earlier.emplace(path, is_global ? plugin::Scope::Global : plugin::Scope::Local);
    } else {
      sockets.batch.push_back({kPluginSocketsTable, key, std::nullopt});
    }
  }
  for (const auto& [path, scope] : now) {
    const Bytes value = to_bytes(scope == plugin::Scope::Global ? kGlobal : "local");
    const auto known = stored.find(to_bytes(path));
    if (!path.empty() && (known == stored.end() || known->second != value)) {
      sockets.batch.push_back({kPluginSocketsTable, to_bytes(path), value});
    }
  }
  return sockets;
}

}  // namespace weft::agent
