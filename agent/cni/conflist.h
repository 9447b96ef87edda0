// The network that `weft setup-cni` writes for container runtimes. Pure.
#pragma once

#include <string>

namespace weft::agent {

struct CniSetup {
  std::string name = "weft";  // Of the network; plugins are NAME-net and NAME-ipam.
  std::string root{};         // Of the host's file system; empty: ours is the host's.
  std::string plugin_dir = "/opt/cni/bin";
  std::string conf_dir = "/etc/cni/net.d";
  std::string run_dir{};  // Where the agent's socket is; empty: where plugins look anyhow.
  bool hairpin = true;
};

// One plugin of ours, and portmap behind it for published ports.
std::string cni_conflist(const CniSetup& setup);

}  // namespace weft::agent
