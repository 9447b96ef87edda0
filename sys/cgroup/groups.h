// What control groups have used, as their files show it, of version 1 and of version 2.
//
// The CPU time is read at each look, from a file that stays open: under a microsecond. The rest, a
// dozen times as dear, is read when a group is new, then in turns, of groups at rest more rarely.
// Groups are told by their paths in /proc/PID/cgroup; where the agent has a cgroup namespace of its
// own, start() takes the calling thread into that of the host's first process, so that paths are
// the host's. Not thread safe; all calls come from one thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/observed.h"
#include "base/result.h"
#include "sys/posix/host_paths.h"

namespace weft::sys {

// By path.
using ObservedGroups = std::map<std::string, ObservedGroup, std::less<>>;

class GroupSource {
 public:
  GroupSource() = default;
  GroupSource(const GroupSource&) = delete;
  GroupSource& operator=(const GroupSource&) = delete;
  virtual ~GroupSource() = default;

  // Finds the hierarchies. Gives what they count, for people. Errc::Unavailable if there are none.
  virtual Result<std::string> start() = 0;
  // Forgets what it knows of groups until start() is called again.
  virtual void stop() = 0;
  // A group that is not there is left out. Precondition: started.
  virtual ObservedGroups groups(const std::set<std::string>& paths) = 0;
};

std::unique_ptr<GroupSource> open_groups(const HostPaths& host = {});

// The same where hierarchies are as `mountinfo` has them, be they of the kernel or not: for tests.
std::unique_ptr<GroupSource> open_groups_of(std::string mountinfo);

}  // namespace weft::sys
