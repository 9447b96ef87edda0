// Processes and the host as /proc shows them.
//
// Reading costs what it reads: one small file per process that does something, while one in eight
// of those at rest is read, the others being as they were; what cannot change (command line,
// cgroup, root) is remembered as long as the process lives. Who is there is always read. How many
// descriptors a process has open Linux tells at once since 6.2; before, they are walked now and
// then. Not thread safe; may be used from any one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/observed.h"
#include "base/result.h"
#include "sys/posix/host_paths.h"

namespace weft::sys {

class ProcessSource {
 public:
  ProcessSource() = default;
  ProcessSource(const ProcessSource&) = delete;
  ProcessSource& operator=(const ProcessSource&) = delete;
  virtual ~ProcessSource() = default;

  virtual Result<ObservedHost> host() = 0;
  // By pid. A process that ends meanwhile is left out.
  virtual Result<std::vector<ObservedProcess>> processes() = 0;
  // Which process holds which of these sockets; the one with the lowest pid if several do. Looks
  // through the descriptors of `pids` only.
  virtual std::map<std::uint64_t, std::uint32_t> owners_of(const std::set<std::uint64_t>& inodes,
                                                           const std::set<std::uint32_t>& pids) = 0;
};

std::unique_ptr<ProcessSource> open_procfs(const HostPaths& host = {});

}  // namespace weft::sys
