// Which container a process is in, as the kernel shows it, whoever began the container: Docker,
// containerd, Podman and CRI-O by the id in its cgroup; LXC, systemd-nspawn, runc and crun by the
// cgroup's name; what has no cgroup of its own (Apptainer, Shifter, unshare) by a root directory of
// its own. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/observed.h"

namespace weft::probe {

struct ContainerId {
  std::string id;    // Of no other in the cluster.
  std::string name;  // For people.

  friend bool operator==(const ContainerId&, const ContainerId&) = default;
};

// The control group that is the container's own: that of a process, or one above it. Empty if there
// is none.
std::string_view group_of_container(std::string_view cgroup);

// `host` is what the process's host is called.
std::optional<ContainerId> container_of(const ObservedProcess& process, std::string_view host);

}  // namespace weft::probe
