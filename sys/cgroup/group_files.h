// What the files of Linux's control groups say (Documentation/admin-guide/cgroup-v1 and
// cgroup-v2.rst). Total: what is not as documented counts for nothing. Without a look at the
// system.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::sys {

// A hierarchy of groups: where it is mounted, and which of its groups is there.
struct GroupMount {
  bool is_v2 = false;
  std::string controllers;  // Of v1, as mounted: "rw,cpu,cpuacct".
  std::string root;         // A group's path.
  std::string point;

  // Where a group's files are. Nothing if it is not below the root.
  std::optional<std::string> folder_of(std::string_view group) const;
  bool has_controller(std::string_view name) const;

  friend bool operator==(const GroupMount&, const GroupMount&) = default;
};

// Those of /proc/PID/mountinfo, in its order.
std::vector<GroupMount> parse_group_mounts(std::string_view mountinfo);

// A number alone. Nothing for "max" and whatever else is none.
std::optional<std::uint64_t> parse_group_number(std::string_view content);

// The number after a word that begins a line: memory.stat, cpu.stat.
std::optional<std::uint64_t> parse_group_key(std::string_view content, std::string_view key);

struct GroupDisks {
  std::uint64_t read_bytes = 0;
  std::uint64_t written_bytes = 0;

  friend bool operator==(const GroupDisks&, const GroupDisks&) = default;
};

// Of all devices: lines "8:0 Read 4096" of v1, "8:0 rbytes=4096 wbytes=0 …" of v2.
GroupDisks parse_group_disks(std::string_view content);

}  // namespace weft::sys
