// In-memory twins of the probe's sources: what a test says is there, is there.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sys/bpf/connections.h"
#include "sys/cgroup/groups.h"
#include "sys/netlink/conntrack.h"
#include "sys/procfs.h"
#include "sys/sock_diag.h"

namespace weft::sys {

class FakeProcesses final : public ProcessSource {
 public:
  ObservedHost present_host;
  std::map<std::uint32_t, ObservedProcess> present;
  std::map<std::uint64_t, std::uint32_t> holders;  // Process of a socket's inode.
  std::size_t walks = 0;                           // How often descriptors were looked through.

  Result<ObservedHost> host() override { return present_host; }
  Result<std::vector<ObservedProcess>> processes() override {
    std::vector<ObservedProcess> list;
    for (const auto& [pid, process] : present) {
      list.push_back(process);
    }
    return list;
  }
  std::map<std::uint64_t, std::uint32_t> owners_of(const std::set<std::uint64_t>& inodes,
                                                   const std::set<std::uint32_t>& pids) override {
    ++walks;
    std::map<std::uint64_t, std::uint32_t> found;
    for (const auto& [inode, pid] : holders) {
      if (inodes.contains(inode) && pids.contains(pid)) {
        found.emplace(inode, pid);
      }
    }
    return found;
  }
};

class FakeGroups final : public GroupSource {
 public:
  ObservedGroups present;  // By path.
  bool refuses = false;
  std::size_t starts = 0;

  Result<std::string> start() override {
    if (refuses) {
      return Error{Errc::Unavailable, "no hierarchy of control groups is mounted"};
    }
    ++starts;
    return std::string("cgroup v2: CPU, memory of containers");
  }
  void stop() override {}
  ObservedGroups groups(const std::set<std::string>& paths) override {
    ObservedGroups found;
    for (const auto& [path, group] : present) {
      if (paths.contains(path)) {
        found.emplace(path, group);
      }
    }
    return found;
  }
};

class FakeSockets final : public SocketSource {
 public:
  std::map<std::uint32_t, std::vector<ObservedSocket>> present;  // By process; 0 is our own.
  std::map<std::uint32_t, std::size_t> dumps;                    // How often each was asked for.
  bool denied = false;
  Wanted last_wanted = Wanted::Recent;

  Result<std::vector<ObservedSocket>> sockets(std::uint32_t pid, Wanted wanted) override {
    last_wanted = wanted;
    ++dumps[pid];
    if (denied && pid != 0) {
      return Error{Errc::Denied, "enter the network namespace: not permitted"};
    }
    const auto found = present.find(pid);
    return found == present.end() ? std::vector<ObservedSocket>() : found->second;
  }
};

// Counts what a test lets happen.
class FakeConnections final : public ConnectionSource {
 public:
  std::vector<ObservedConnections> happened;
  std::map<std::uint64_t, ObservedOpening> openings;  // By cookie.
  bool refuses = false;
  bool counts = false;
  std::string missing;     // Why there are no datagrams.
  bool has_octets = true;  // Of them.

  Result<Ok> start() override {
    if (refuses) {
      return Error{Errc::Unavailable, "load BPF programs: not permitted"};
    }
    counts = true;
    return Ok{};
  }
  void stop() override {
    counts = false;
    happened.clear();
    openings.clear();
  }
  Result<std::vector<ObservedConnections>> take() override { return std::exchange(happened, {}); }
  std::string_view datagrams_missing() const override { return missing; }
  bool counts_octets_of_datagrams() const override { return missing.empty() && has_octets; }
  std::uint64_t lost() const override { return 0; }
  std::optional<ObservedOpening> opening_of(std::uint64_t cookie) override {
    const auto found = openings.find(cookie);
    return found == openings.end() ? std::nullopt : std::optional(found->second);
  }
  int news_descriptor() const override { return -1; }
  void clear_news() override {}
};

class FakeTracks final : public TrackSource {
 public:
  std::vector<ObservedTrack> present;
  bool refuses = false;

  Result<std::vector<ObservedTrack>> tracks() override {
    if (refuses) {
      return Error{Errc::Unavailable, "ask for tracked connections: not supported"};
    }
    return present;
  }
};

}  // namespace weft::sys
