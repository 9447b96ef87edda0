#include "probe/container_id.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "probe/engine_json.h"

namespace weft::probe {
namespace {

// What is around a container's name in a part of a cgroup's path.
struct Marker {
  std::string_view before;
  std::string_view after;
};

constexpr std::array<Marker, 5> kMarkers{{{"lxc.payload.", ""},
                                          {"runc-", ".scope"},
                                          {"crun-", ".scope"},
                                          {"systemd-nspawn@", ".service"},
                                          {"machine-", ".scope"}}};

// Virtual machines, which are programs of the host.
constexpr std::string_view kMachines = "machine-qemu";

std::string_view name_in(std::string_view part) {
  for (const Marker& marker : kMarkers) {
    const bool is_marked = part.size() > marker.before.size() + marker.after.size()
                           && part.starts_with(marker.before) && part.ends_with(marker.after)
                           && !part.starts_with(kMachines);
    if (is_marked) {
      part.remove_prefix(marker.before.size());
      part.remove_suffix(marker.after.size());
      return part;
    }
  }
  return {};
}

// The innermost container's; empty if it is in none.
std::string_view name_of_cgroup(std::string_view path) {
  std::string_view name;
  std::string_view parent;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    path.remove_prefix(std::min(path.size(), end + 1));
    const bool is_old_lxc = parent == "lxc";  // Before version 4.
    const std::string_view marked = is_old_lxc ? part : name_in(part);
    name = marked.empty() ? name : marked;
    parent = part;
  }
  return name;
}

}  // namespace

std::optional<ContainerId> container_of(const ObservedProcess& process, std::string_view host) {
  if (std::string id = container_of_cgroup(process.cgroup); !id.empty()) {
    constexpr std::size_t kShortId = 12;
    std::string name = id.substr(0, kShortId);
    return ContainerId{.id = std::move(id), .name = std::move(name)};
  }
  if (const std::string_view name = name_of_cgroup(process.cgroup); !name.empty()) {
    return ContainerId{.id = fmt::format("{}@{}", name, host), .name = std::string(name)};
  }
  if (!process.root.empty()) {
    return ContainerId{.id = fmt::format("root-{}@{}", process.root, host), .name = process.name};
  }
  return std::nullopt;
}

}  // namespace weft::probe
