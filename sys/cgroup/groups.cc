#include "sys/cgroup/groups.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sys/cgroup/group_files.h"
#include "sys/posix/descriptor.h"

namespace weft::sys {
namespace {

// memory.stat has some 1,500 bytes; of devices that a container uses each has a line of 100.
constexpr std::size_t kFileMax = 16 * 1024;

// A host of many containers has a mount for each.
constexpr std::size_t kMountinfoMax = 4U << 20U;

// Memory and the like are read at one in so many looks, of groups at rest at one in kRestLooks.
constexpr std::uint64_t kDetailLooks = 4;
constexpr std::uint64_t kRestLooks = 16;

// Of a thousand descriptors that a process may have by default the mesh and the web server want
// theirs. The files of containers beyond are opened at each look.
constexpr std::size_t kKeptMax = 256;

// v1 says that there is no limit by the largest multiple of a page.
constexpr std::uint64_t kNoLimit = 1ULL << 62U;

// From its beginning; the kernel gives such a file in one go. Nothing if it cannot be read.
std::optional<std::string> read_file(int file) {
  std::array<char, kFileMax> content;  // Not cleared: hundreds are read.
  const ssize_t size = ::pread(file, content.data(), content.size(), 0);
  return size < 0 ? std::nullopt
                  : std::optional(std::string(content.data(), static_cast<std::size_t>(size)));
}

std::optional<std::string> read_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return file.get() < 0 ? std::nullopt : read_file(file.get());
}

// In parts, as the kernel gives it.
std::string read_mountinfo() {
  const Descriptor file(::open("/proc/thread-self/mountinfo", O_RDONLY | O_CLOEXEC));
  std::array<char, kFileMax> part{};
  std::string content;
  ssize_t size = 0;
  while (content.size() < kMountinfoMax
         && (size = ::read(file.get(), part.data(), part.size())) > 0) {
    content.append(part.data(), static_cast<std::size_t>(size));
  }
  return content;
}

// Mounts may hide behind others.
bool is_there(const GroupMount& mount) {
  struct statfs status {};
  const auto magic = mount.is_v2 ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC;
  return ::statfs(mount.point.c_str(), &status) == 0 && status.f_type == magic;
}

template <class Unit>
Duration to_duration(std::uint64_t count) {
  constexpr auto kMax = std::chrono::duration_cast<Unit>(Duration::max()).count();
  return Unit(static_cast<typename Unit::rep>(std::min(count, static_cast<std::uint64_t>(kMax))));
}

// Which hierarchy counts what. Of v2 they are all the same.
struct Hierarchies {
  std::optional<GroupMount> cpu;  // Time used.
  std::optional<GroupMount> throttling;
  std::optional<GroupMount> memory;
  std::optional<GroupMount> disks;

  std::string text() const;
};

// Where both versions are mounted, the controllers are v1's: one of v2 has no files in it.
std::string Hierarchies::text() const {
  std::string counted;
  for (const auto& [mount, what] : {std::pair{&cpu, "CPU"},
                                    {&memory, "memory"},
                                    {&throttling, "throttling"},
                                    {&disks, "disks"}}) {
    if (*mount) {
      counted += fmt::format("{}{}", counted.empty() ? "" : ", ", what);
    }
  }
  const bool is_v2 = cpu ? cpu->is_v2 : memory && memory->is_v2;
  return fmt::format("cgroup v{}: {} of containers", is_v2 ? 2 : 1, counted);
}

template <class IsWanted>
std::optional<GroupMount> widest(const std::vector<GroupMount>& mounts, IsWanted is_wanted) {
  std::optional<GroupMount> found;
  for (const GroupMount& mount : mounts) {
    if (is_wanted(mount) && (!found || mount.root.size() <= found->root.size())) {
      found = mount;
    }
  }
  return found;
}

Hierarchies choose(const std::vector<GroupMount>& mounts) {
  const auto v2 = widest(mounts, [](const GroupMount& mount) { return mount.is_v2; });
  const auto v1 = [&](std::string_view controller) {
    return widest(mounts, [controller](const GroupMount& mount) {
      return !mount.is_v2 && mount.has_controller(controller);
    });
  };
  const auto either = [&](std::string_view controller) {
    auto found = v1(controller);
    return found ? found : v2;
  };
  return {.cpu = either("cpuacct"),
          .throttling = either("cpu"),
          .memory = either("memory"),
          .disks = either("blkio")};
}

class Groups final : public GroupSource {
 public:
  // Without a mountinfo it is asked of the kernel.
  Groups(HostPaths host, std::optional<std::string> mountinfo)
      : host_(std::move(host)),
        mountinfo_(std::move(mountinfo)) {}

  Result<std::string> start() override;
  void stop() override {
    known_.clear();
    kept_count_ = 0;
  }
  ObservedGroups groups(const std::set<std::string>& paths) override;

 private:
  struct Known {
    std::optional<Descriptor> file;  // Of the CPU time, if it is kept open.
    std::uint64_t turn = 0;          // So that groups that came together are not read together.
    bool is_read = false;
    Duration cpu_then{};  // When the details were read.
    ObservedGroup group;
  };

  std::vector<GroupMount> mounts() const;
  std::string enter_hosts_namespace() const;
  std::optional<Duration> cpu_of(const std::string& path, Known& known);
  std::optional<std::string> read_cpu(const std::string& path, Known& known);
  bool is_due(const Known& known) const;
  void read_details(const std::string& path, ObservedGroup& out) const;
  void read_memory(const std::string& folder, bool is_v2, ObservedGroup& out) const;
  void forget_file(Known& known);

  HostPaths host_;
  std::optional<std::string> mountinfo_;
  Hierarchies hierarchies_;
  std::map<std::string, Known> known_;
  std::size_t kept_count_ = 0;
  std::uint64_t look_ = 0;
  std::uint64_t turns_ = 0;
};

// Nothing to complain of, or why paths are not the host's.
std::string Groups::enter_hosts_namespace() const {
  const std::string path = host_.of_process(1, "ns/cgroup");
  struct stat own {};
  struct stat hosts {};
  if (::stat("/proc/thread-self/ns/cgroup", &own) != 0 || ::stat(path.c_str(), &hosts) != 0
      || own.st_ino == hosts.st_ino) {
    return "";
  }
  const Descriptor ns(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (ns.get() >= 0 && ::setns(ns.get(), CLONE_NEWCGROUP) == 0) {
    return "";
  }
  return fmt::format("; enter the host's cgroup namespace: {}", std::strerror(errno));
}

std::vector<GroupMount> Groups::mounts() const {
  if (mountinfo_) {
    return parse_group_mounts(*mountinfo_);
  }
  std::vector<GroupMount> mounts = parse_group_mounts(read_mountinfo());
  std::erase_if(mounts, [](const GroupMount& mount) { return !is_there(mount); });
  return mounts;
}

Result<std::string> Groups::start() {
  const std::string complaint = mountinfo_ ? "" : enter_hosts_namespace();
  hierarchies_ = choose(mounts());
  if (!hierarchies_.cpu && !hierarchies_.memory) {
    return Error{Errc::Unavailable, "no hierarchy of control groups is mounted" + complaint};
  }
  return hierarchies_.text() + complaint;
}

ObservedGroups Groups::groups(const std::set<std::string>& paths) {
  ++look_;
  for (auto it = known_.begin(); it != known_.end();) {
    if (paths.contains(it->first)) {
      ++it;
      continue;
    }
    forget_file(it->second);
    it = known_.erase(it);
  }
  ObservedGroups found;
  for (const std::string& path : paths) {
    const auto [it, is_new] = known_.try_emplace(path);
    Known& known = it->second;
    known.turn = is_new ? ++turns_ : known.turn;
    known.group.cpu = cpu_of(path, known);
    known.group.remembered = !is_due(known);
    if (!known.group.remembered) {
      known.is_read = true;
      known.cpu_then = known.group.cpu.value_or(Duration{});
      read_details(path, known.group);
    }
    if (known.group.cpu || known.group.memory_bytes) {
      found.emplace(path, known.group);
    }
  }
  return found;
}

void Groups::forget_file(Known& known) {
  kept_count_ -= known.file ? 1U : 0U;
  known.file.reset();
}

bool Groups::is_due(const Known& known) const {
  const bool is_at_rest = known.group.cpu == known.cpu_then;
  return !known.is_read || (look_ + known.turn) % (is_at_rest ? kRestLooks : kDetailLooks) == 0;
}

// A file of a group that has gone cannot be read, though there be another by its name.
std::optional<std::string> Groups::read_cpu(const std::string& path, Known& known) {
  if (known.file) {
    auto content = read_file(known.file->get());
    if (content) {
      return content;
    }
    forget_file(known);
  }
  const auto folder = hierarchies_.cpu->folder_of(path);
  if (!folder) {
    return std::nullopt;
  }
  const std::string name = *folder + (hierarchies_.cpu->is_v2 ? "/cpu.stat" : "/cpuacct.usage");
  if (kept_count_ >= kKeptMax) {
    return read_file(name);
  }
  known.file.emplace(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  if (known.file->get() < 0) {
    known.file.reset();
    return std::nullopt;
  }
  ++kept_count_;
  return read_file(known.file->get());
}

std::optional<Duration> Groups::cpu_of(const std::string& path, Known& known) {
  const auto content = hierarchies_.cpu ? read_cpu(path, known) : std::nullopt;
  if (!content) {
    return std::nullopt;
  }
  const auto used = hierarchies_.cpu->is_v2 ? parse_group_key(*content, "usage_usec")
                                            : parse_group_number(*content);
  if (!used) {
    return std::nullopt;
  }
  return hierarchies_.cpu->is_v2 ? to_duration<std::chrono::microseconds>(*used)
                                 : to_duration<std::chrono::nanoseconds>(*used);
}

// What docker says is used, too: pages of files that have not been used lately go when memory is
// needed.
void Groups::read_memory(const std::string& folder, bool is_v2, ObservedGroup& out) const {
  const auto number = [&](const char* name) {
    return parse_group_number(read_file(folder + name).value_or(""));
  };
  out.memory_bytes = number(is_v2 ? "/memory.current" : "/memory.usage_in_bytes");
  if (!out.memory_bytes) {
    return;
  }
  const std::string stat = read_file(folder + "/memory.stat").value_or("");
  const std::uint64_t idle =
      parse_group_key(stat, is_v2 ? "inactive_file" : "total_inactive_file").value_or(0);
  *out.memory_bytes -= std::min(*out.memory_bytes, idle);
  const std::uint64_t limit = number(is_v2 ? "/memory.max" : "/memory.limit_in_bytes").value_or(0);
  out.memory_limit_bytes = limit < kNoLimit ? limit : 0;
}

void Groups::read_details(const std::string& path, ObservedGroup& out) const {
  out = {.cpu = out.cpu};
  if (hierarchies_.memory) {
    if (const auto folder = hierarchies_.memory->folder_of(path)) {
      read_memory(*folder, hierarchies_.memory->is_v2, out);
    }
  }
  if (hierarchies_.throttling) {
    const auto folder = hierarchies_.throttling->folder_of(path).value_or("");
    const std::string stat = read_file(folder + "/cpu.stat").value_or("");
    out.throttled = hierarchies_.throttling->is_v2
                        ? to_duration<std::chrono::microseconds>(
                            parse_group_key(stat, "throttled_usec").value_or(0))
                        : to_duration<std::chrono::nanoseconds>(
                            parse_group_key(stat, "throttled_time").value_or(0));
  }
  if (hierarchies_.disks) {
    const auto folder = hierarchies_.disks->folder_of(path).value_or("");
    const char* const name =
        hierarchies_.disks->is_v2 ? "/io.stat" : "/blkio.throttle.io_service_bytes_recursive";
    const GroupDisks disks = parse_group_disks(read_file(folder + name).value_or(""));
    out.disk_read_bytes = disks.read_bytes;
    out.disk_written_bytes = disks.written_bytes;
  }
}

}  // namespace

std::unique_ptr<GroupSource> open_groups(const HostPaths& host) {
  return std::make_unique<Groups>(host, std::nullopt);
}

std::unique_ptr<GroupSource> open_groups_of(std::string mountinfo) {
  return std::make_unique<Groups>(HostPaths{}, std::move(mountinfo));
}

}  // namespace weft::sys
