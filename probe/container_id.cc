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

// The part of a cgroup's path that names the innermost container, and what that is called there.
struct Named {
  std::size_t end = 0;  // Of the part, in the path.
  std::string_view name;
};

// Nothing is named if it is in none.
Named name_of_cgroup(std::string_view path) {
  Named named;
  std::string_view parent;
  std::size_t begin = 0;
  while (begin < path.size()) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    const bool is_old_lxc = parent == "lxc";  // Before version 4.
    const std::string_view marked = is_old_lxc ? part : name_in(part);
    named = marked.empty() ? named : Named{end, marked};
    parent = part;
    begin = end + 1;
  }
  return named;
}

}  // namespace

std::string_view group_of_container(std::string_view cgroup) {
  if (const std::string_view id = container_of_cgroup(cgroup); !id.empty()) {
    const auto end = static_cast<std::size_t>(id.data() + id.size() - cgroup.data());
    return cgroup.substr(0, cgroup.find('/', end));
  }
  return cgroup.substr(0, name_of_cgroup(cgroup).end);
}

std::optional<ContainerId> container_of(const ObservedProcess& process, std::string_view host) {
  if (const std::string_view id = container_of_cgroup(process.cgroup); !id.empty()) {
    constexpr std::size_t kShortId = 12;
    return ContainerId{.id = std::string(id), .name = std::string(id.substr(0, kShortId))};
  }
  if (const std::string_view name = name_of_cgroup(process.cgroup).name; !name.empty()) {
    return ContainerId{.id = fmt::format("{}@{}", name, host), .name = std::string(name)};
  }
  if (!process.root.empty()) {
    return ContainerId{.id = fmt::format("root-{}@{}", process.root, host), .name = process.name};
  }
  return std::nullopt;
}

}  // namespace weft::probe
