#include "sys/procfs.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <optional>
#include <string_view>
#include <utility>

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "sys/posix/descriptor.h"

namespace weft::sys {
namespace {

// A command line is cut far below this later; a stat line has some 300 bytes.
constexpr std::size_t kFileMax = 16 * 1024;

// A process whose CPU time has not changed between two readings is at rest, and read again after
// this many looks. In its first seconds it may still become another program, which costs less than
// the kernel's tick.
constexpr std::uint64_t kRestLooks = 8;
constexpr std::uint64_t kYoungSeconds = 5;

// Where descriptors have to be walked, a microsecond each, a process's are this rarely.
constexpr std::uint64_t kWalkLooks = 16;

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

// Up to kFileMax bytes; nothing if the file is gone or may not be read.
std::optional<std::string> read_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) {
    return std::nullopt;
  }
  std::array<char, kFileMax> content;  // Not cleared: hundreds are read at each look.
  std::size_t size = 0;
  while (size < content.size()) {
    const ssize_t got = ::read(file.get(), content.data() + size, content.size() - size);
    if (got <= 0) {
      break;
    }
    size += static_cast<std::size_t>(got);
  }
  return std::string(content.data(), size);
}

template <class Number>
Number to_number(std::string_view text) {
  Number number{};
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::size_t end = line.find_first_of(" \t\n");
    if (end != 0) {
      words.push_back(line.substr(0, end));
    }
    line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
  }
  return words;
}

// "socket:[123]" or "net:[123]".
std::uint64_t inode_of_link(std::string_view target, std::string_view kind) {
  if (!target.starts_with(kind) || !target.substr(kind.size()).starts_with(":[")) {
    return 0;
  }
  return to_number<std::uint64_t>(target.substr(kind.size() + 2));
}

std::string_view read_link(const std::string& path, std::array<char, 64>& buffer) {
  const ssize_t size = ::readlink(path.c_str(), buffer.data(), buffer.size());
  return size <= 0 ? std::string_view()
                   : std::string_view(buffer.data(), static_cast<std::size_t>(size));
}

// namespaces(7); 0 if it may not be known.
std::uint64_t namespace_of(const std::string& folder, std::string_view kind) {
  std::array<char, 64> buffer{};
  return inode_of_link(read_link(fmt::format("{}/ns/{}", folder, kind), buffer), kind);
}

// Empty if it may not be known.
std::string root_of(const std::string& folder) {
  struct stat status {};
  return ::stat((folder + "/root").c_str(), &status) == 0
             ? fmt::format("{:x}-{:x}", status.st_dev, status.st_ino)
             : "";
}

// cgroup v2 has one line, "0::/path"; of v1's many the longest path is the most telling, as a
// runtime need not use every controller.
std::string cgroup_of(std::string_view content) {
  std::string_view longest;
  while (!content.empty()) {
    const std::string_view line = content.substr(0, content.find('\n'));
    content.remove_prefix(std::min(content.size(), line.size() + 1));
    const std::size_t slash = line.find('/');
    if (slash != std::string_view::npos && line.size() - slash > longest.size()) {
      longest = line.substr(slash);
    }
  }
  return std::string(longest);
}

std::string command_of(std::string content) {
  while (!content.empty() && content.back() == '\0') {
    content.pop_back();
  }
  for (char& c : content) {
    c = c == '\0' ? ' ' : c;
  }
  return content;
}

// proc(5), /proc/[pid]/limits: the soft limit is the first number of its line. 0 if there is none.
std::uint32_t descriptor_max_of(std::string_view limits) {
  constexpr std::string_view kKey = "Max open files";
  const std::size_t at = limits.find(kKey);
  if (at == std::string_view::npos) {
    return 0;
  }
  const std::string_view rest = limits.substr(at + kKey.size());
  const auto words = words_of(rest.substr(0, rest.find('\n')));
  return words.empty() ? 0 : to_number<std::uint32_t>(words.front());
}

// Linux 6.2 and later say as the size of the folder how many descriptors there are.
std::uint32_t told_descriptors(const std::string& folder) {
  struct stat status {};
  return ::stat((folder + "/fd").c_str(), &status) == 0 ? static_cast<std::uint32_t>(status.st_size)
                                                        : 0;
}

std::uint32_t walked_descriptors(const std::string& folder) {
  const Directory directory(::opendir((folder + "/fd").c_str()));
  std::uint32_t count = 0;
  while (directory && ::readdir(directory.get()) != nullptr) {
    ++count;
  }
  constexpr std::uint32_t kDots = 2;
  return count - std::min(count, kDots);
}

Duration ticks(std::uint64_t count) {
  static const auto kPerSecond = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  constexpr std::uint64_t kNanoseconds = 1'000'000'000;
  return Duration(static_cast<Duration::rep>(count * (kNanoseconds / kPerSecond)));
}

// proc(5), /proc/[pid]/stat. The name is in parentheses and may hold any byte, so fields are
// counted from the last closing one.
bool parse_stat(std::string_view line, ObservedProcess& out) {
  const std::size_t open = line.find('(');
  const std::size_t close = line.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
    return false;
  }
  const std::vector<std::string_view> fields = words_of(line.substr(close + 1));
  // Field 3 of the manual page, the state, is the first one here.
  const auto field = [&](std::size_t number) { return fields[number - 3]; };
  constexpr std::size_t kRss = 24;
  if (fields.size() <= kRss - 3 || field(3) == "Z" || field(3) == "X") {
    return false;
  }
  static const auto kPage = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  out.name = line.substr(open + 1, close - open - 1);
  out.parent = to_number<std::uint32_t>(field(4));
  out.cpu = ticks(to_number<std::uint64_t>(field(14)) + to_number<std::uint64_t>(field(15)));
  out.thread_count = to_number<std::uint32_t>(field(20));
  out.started_ticks = to_number<std::uint64_t>(field(22));
  out.rss_bytes = to_number<std::uint64_t>(field(kRss)) * kPage;
  return true;
}

// Since boot, as a process's start is told.
std::uint64_t now_ticks() {
  static const auto kPerSecond = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  timespec now{};
  (void)::clock_gettime(CLOCK_BOOTTIME, &now);  // Cannot fail: Linux 2.6.39 has this clock.
  return static_cast<std::uint64_t>(now.tv_sec) * kPerSecond;
}

Cidr to_cidr(const sockaddr* address, const sockaddr* mask) {
  std::array<std::uint8_t, 16> mask_octets{};
  Ip ip;
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    ip = Ipv4(ntohl(v4->sin_addr.s_addr));
    const auto* m = reinterpret_cast<const sockaddr_in*>(mask);
    std::memcpy(mask_octets.data(), &m->sin_addr, sizeof m->sin_addr);
  } else {
    Ipv6::Octets octets{};
    std::memcpy(
        octets.data(), &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, octets.size());
    ip = Ipv6(octets);
    std::memcpy(mask_octets.data(),
                &reinterpret_cast<const sockaddr_in6*>(mask)->sin6_addr,
                mask_octets.size());
  }
  unsigned prefix = 0;
  for (const std::uint8_t octet : mask_octets) {
    prefix += static_cast<unsigned>(__builtin_popcount(octet));
  }
  return Cidr(ip, static_cast<std::uint8_t>(prefix));
}

std::vector<Cidr> interface_addresses() {
  ifaddrs* list = nullptr;
  std::vector<Cidr> addresses;
  if (::getifaddrs(&list) != 0) {
    return addresses;
  }
  for (const ifaddrs* item = list; item != nullptr; item = item->ifa_next) {
    const bool is_ip =
        item->ifa_addr != nullptr && item->ifa_netmask != nullptr
        && (item->ifa_addr->sa_family == AF_INET || item->ifa_addr->sa_family == AF_INET6);
    if (is_ip && (item->ifa_flags & IFF_LOOPBACK) == 0) {
      addresses.push_back(to_cidr(item->ifa_addr, item->ifa_netmask));
    }
  }
  ::freeifaddrs(list);
  return addresses;
}

std::uint64_t meminfo_bytes(std::string_view content, std::string_view key) {
  const std::size_t at = content.find(key);
  if (at == std::string_view::npos) {
    return 0;
  }
  const auto words = words_of(content.substr(at + key.size(), 64));
  constexpr std::uint64_t kKibi = 1024;
  return words.empty() ? 0 : to_number<std::uint64_t>(words.front()) * kKibi;
}

std::string os_name(const HostPaths& host) {
  for (const char* path : {"/etc/os-release", "/usr/lib/os-release"}) {
    const auto content = read_file(host.here(path)).value_or("");
    constexpr std::string_view kKey = "PRETTY_NAME=\"";
    const std::size_t at = content.find(kKey);
    if (at != std::string::npos) {
      const std::size_t start = at + kKey.size();
      return content.substr(start, content.find('"', start) - start);
    }
  }
  return "Linux";
}

class Procfs final : public ProcessSource {
 public:
  explicit Procfs(const HostPaths& host)
      : root_(host.proc),
        os_(os_name(host)),
        is_count_told_(told_descriptors(root_ + "/self") > 0),
        init_mounts_(namespace_of(root_ + "/1", "mnt")),
        init_root_(root_of(root_ + "/1")) {}

  Result<ObservedHost> host() override;
  Result<std::vector<ObservedProcess>> processes() override;
  std::map<std::uint64_t, std::uint32_t> owners_of(const std::set<std::uint64_t>& inodes,
                                                   const std::set<std::uint32_t>& pids) override;

 private:
  // What does not change while a process lives, but for execve(2), which changes the name too.
  struct Lasting {
    std::uint64_t started_ticks = 0;
    std::string name;
    std::string command;
    std::string cgroup;
    std::uint32_t uid = 0;
    std::uint64_t netns = 0;
    std::string root;
    std::uint64_t look = 0;
  };

  // A process as it was last read.
  struct Known {
    std::uint64_t entry = 0;  // Inode of its folder, which no process after it has.
    std::uint64_t look = 0;   // When it was read.
    bool rests = false;
    ObservedProcess process;
  };

  // `before` is how it was at an earlier look; null if it was not there.
  bool read_process(std::uint32_t pid, const ObservedProcess* before, ObservedProcess& out);
  void count_descriptors(const std::string& folder,
                         const ObservedProcess* before,
                         ObservedProcess& out) const;
  std::optional<ObservedProcess> observe(std::uint32_t pid, std::uint64_t entry);
  const Lasting& lasting_of(const ObservedProcess& process, const std::string& folder);
  std::string own_root(const std::string& folder) const;

  std::string root_;
  std::string os_;
  bool is_count_told_;
  std::uint64_t init_mounts_;  // Of the host's first process; 0 if they may not be known.
  std::string init_root_;
  std::map<std::uint32_t, Lasting> lasting_;
  std::map<std::uint32_t, Known> known_;
  std::uint64_t young_after_ = 0;  // Started later than this, in ticks: young.
  std::uint64_t look_ = 0;
};

Result<ObservedHost> Procfs::host() {
  ObservedHost host;
  utsname names{};
  if (::uname(&names) != 0) {
    return Error{Errc::Os, fmt::format("uname: {}", std::strerror(errno)), errno};
  }
  host.name = names.nodename;
  host.kernel = names.release;
  host.os = os_;
  const auto stat = read_file(root_ + "/stat");
  const auto meminfo = read_file(root_ + "/meminfo");
  const auto loadavg = read_file(root_ + "/loadavg");
  const auto uptime = read_file(root_ + "/uptime");
  if (!stat || !meminfo || !loadavg || !uptime) {
    return Error{Errc::Os, "read " + root_ + "/stat, meminfo, loadavg and uptime"};
  }
  // proc(5): cpu user nice system idle iowait irq softirq steal …
  const auto cpu = words_of(std::string_view(*stat).substr(0, stat->find('\n')));
  constexpr std::array<std::size_t, 6> kBusy{1, 2, 3, 6, 7, 8};
  for (const std::size_t field : kBusy) {
    host.cpu_busy += field < cpu.size() ? ticks(to_number<std::uint64_t>(cpu[field])) : Duration{};
  }
  constexpr std::string_view kForks = "\nprocesses ";
  if (const std::size_t at = stat->find(kForks); at != std::string::npos) {
    host.forks = to_number<std::uint64_t>(std::string_view(*stat).substr(at + kForks.size()));
  }
  host.cpu_count = static_cast<std::uint32_t>(::sysconf(_SC_NPROCESSORS_ONLN));
  host.memory_total_bytes = meminfo_bytes(*meminfo, "MemTotal:");
  host.memory_available_bytes = meminfo_bytes(*meminfo, "MemAvailable:");
  host.load1 = to_number<double>(*loadavg);
  host.uptime = std::chrono::seconds(to_number<std::int64_t>(*uptime));
  host.addresses = interface_addresses();
  return host;
}

Result<std::vector<ObservedProcess>> Procfs::processes() {
  const Directory directory(::opendir(root_.c_str()));
  if (!directory) {
    return Error{Errc::Os, fmt::format("open {}: {}", root_, std::strerror(errno)), errno};
  }
  ++look_;
  young_after_ = now_ticks() - kYoungSeconds * static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  std::map<std::uint32_t, ObservedProcess> found;
  while (const dirent* entry = ::readdir(directory.get())) {
    const auto pid = to_number<std::uint32_t>(entry->d_name);
    if (pid == 0) {
      continue;
    }
    if (auto process = observe(pid, entry->d_ino)) {
      found.emplace(pid, *std::move(process));
    }
  }
  std::erase_if(known_, [&](const auto& item) { return !found.contains(item.first); });
  std::erase_if(lasting_, [this](const auto& item) { return item.second.look != look_; });
  std::vector<ObservedProcess> processes;
  processes.reserve(found.size());
  for (auto& [pid, process] : found) {
    processes.push_back(std::move(process));
  }
  return processes;
}

// Nothing if it has ended.
std::optional<ObservedProcess> Procfs::observe(std::uint32_t pid, std::uint64_t entry) {
  Known& known = known_[pid];
  const bool is_same = known.entry == entry;
  if (is_same && known.rests && look_ - known.look < kRestLooks) {
    lasting_[pid].look = look_;
    known.process.remembered = true;
    return known.process;
  }
  ObservedProcess process;
  if (!read_process(pid, is_same ? &known.process : nullptr, process)) {
    return std::nullopt;
  }
  const bool did_nothing = is_same && known.process.cpu == process.cpu
                           && known.process.started_ticks == process.started_ticks
                           && known.process.name == process.name;
  // Those that come to rest together are not read together.
  const std::uint64_t turn = known.rests ? 0 : pid % kRestLooks;
  known.rests = did_nothing && process.started_ticks < young_after_;
  known.entry = entry;
  known.look = look_ - std::min(turn, look_);
  known.process = process;
  return process;
}

bool Procfs::read_process(std::uint32_t pid, const ObservedProcess* before, ObservedProcess& out) {
  const std::string folder = fmt::format("{}/{}", root_, pid);
  const auto stat = read_file(folder + "/stat");
  if (!stat || !parse_stat(*stat, out)) {
    return false;
  }
  out.pid = pid;
  const Lasting& lasting = lasting_of(out, folder);
  out.command = lasting.command;
  out.cgroup = lasting.cgroup;
  out.uid = lasting.uid;
  out.netns = lasting.netns;
  out.root = lasting.root;
  count_descriptors(folder, before, out);
  return true;
}

// A limit that is changed later is seen when the count has changed, too.
void Procfs::count_descriptors(const std::string& folder,
                               const ObservedProcess* before,
                               ObservedProcess& out) const {
  if (before != nullptr) {
    out.descriptor_count = before->descriptor_count;
    out.descriptor_max = before->descriptor_max;
    if (!is_count_told_ && (look_ + out.pid) % kWalkLooks != 0) {
      return;
    }
  }
  const std::uint32_t count =
      is_count_told_ ? told_descriptors(folder) : walked_descriptors(folder);
  if (count != out.descriptor_count) {
    out.descriptor_count = count;
    out.descriptor_max = descriptor_max_of(read_file(folder + "/limits").value_or(""));
  }
}

const Procfs::Lasting& Procfs::lasting_of(const ObservedProcess& process,
                                          const std::string& folder) {
  Lasting& lasting = lasting_[process.pid];
  lasting.look = look_;
  // A runtime forks, then enters the container's namespaces and cgroup, then executes: what was
  // read before the name changed does not count.
  if (lasting.started_ticks == process.started_ticks && lasting.name == process.name) {
    return lasting;
  }
  lasting.started_ticks = process.started_ticks;
  lasting.name = process.name;
  lasting.command = command_of(read_file(folder + "/cmdline").value_or(""));
  lasting.cgroup = cgroup_of(read_file(folder + "/cgroup").value_or(""));
  struct stat status {};
  lasting.uid = ::stat(folder.c_str(), &status) == 0 ? status.st_uid : 0;
  lasting.netns = namespace_of(folder, "net");
  lasting.root = own_root(folder);
  return lasting;
}

// A daemon that changes its root without mounts of its own is one of the host's.
std::string Procfs::own_root(const std::string& folder) const {
  const std::uint64_t mounts = namespace_of(folder, "mnt");
  if (mounts == 0 || init_mounts_ == 0 || mounts == init_mounts_) {
    return "";
  }
  std::string root = root_of(folder);
  return root == init_root_ ? "" : root;
}

std::map<std::uint64_t, std::uint32_t> Procfs::owners_of(const std::set<std::uint64_t>& inodes,
                                                         const std::set<std::uint32_t>& pids) {
  std::map<std::uint64_t, std::uint32_t> owners;
  std::array<char, 64> buffer{};
  for (const std::uint32_t pid : pids) {
    const std::string folder = fmt::format("{}/{}/fd/", root_, pid);
    const Directory directory(::opendir(folder.c_str()));
    if (!directory) {
      continue;
    }
    while (const dirent* entry = ::readdir(directory.get())) {
      const std::uint64_t inode =
          inode_of_link(read_link(folder + entry->d_name, buffer), "socket");
      if (inode != 0 && inodes.contains(inode)) {
        owners.emplace(inode, pid);
      }
    }
  }
  return owners;
}

}  // namespace

std::unique_ptr<ProcessSource> open_procfs(const HostPaths& host) {
  return std::make_unique<Procfs>(host);
}

}  // namespace weft::sys
