#include "sys/netlink/guests.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <map>
#include <string_view>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "sys/netdev.h"
#include "sys/netlink/netlink.h"
#include "sys/posix/descriptor.h"

namespace weft::sys {
namespace {

constexpr const char* kOwnNamespace = "/proc/thread-self/ns/net";

struct Place {
  std::string path;
  std::uint32_t pid = 0;
};
using Places = std::map<std::uint64_t, Place>;  // By the inode of the namespace.

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  DIR* directory = ::opendir(folder.c_str());
  if (directory == nullptr) {
    return names;
  }
  while (const dirent* entry = ::readdir(directory)) {
    names.emplace_back(entry->d_name);
  }
  ::closedir(directory);
  std::sort(names.begin(), names.end());
  return names;
}

void add_place(Place place, Places& out) {
  struct stat status {};
  if (::stat(place.path.c_str(), &status) == 0) {
    out.emplace(status.st_ino, std::move(place));
  }
}

Places find_places(const HostPaths& host) {
  Places places;
  for (const std::string& name : names_in(host.proc)) {
    std::uint32_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error == std::errc() && end == name.data() + name.size()) {
      add_place({.path = host.of_process(pid, "ns/net"), .pid = pid}, places);
    }
  }
  for (const char* const path : {"/run/netns", "/run/docker/netns"}) {
    const std::string folder = host.here(path);
    for (const std::string& name : names_in(folder)) {
      add_place({.path = fmt::format("{}/{}", folder, name), .pid = 0}, places);
    }
  }
  struct stat own {};
  if (::stat(kOwnNamespace, &own) == 0) {
    places.erase(own.st_ino);
  }
  return places;
}

bool is_link_local(const Ip& address) {
  static const std::array<Cidr, 2> kBlocks = {Cidr::parse("169.254.0.0/16").value(),
                                              Cidr::parse("fe80::/10").value()};
  return std::any_of(
      kBlocks.begin(), kBlocks.end(), [&](const Cidr& block) { return block.contains(address); });
}

// By the index of the other end.
using Ports = std::multimap<std::uint32_t, LinkInfo>;

// Those of the calling thread's present namespace. One that vanishes meanwhile has none.
void append_guests(const Ports& ports, std::uint32_t pid, std::vector<Guest>& out) {
  const auto netdev = open_netdev();
  const auto links = netdev.ok() ? netdev.value()->links() : netdev.error();
  if (!links.ok()) {
    return;
  }
  for (const LinkInfo& link : links.value()) {
    const auto [begin, end] = ports.equal_range(link.index);
    const auto port = std::find_if(begin, end, [&link](const auto& entry) {
      return entry.second.index == link.peer_elsewhere;
    });
    if (port == end) {
      continue;
    }
    Guest guest{.port = port->second.name,
                .name = link.name,
                .pid = pid,
                .mac = link.mac,
                .is_ours = port->second.alias == kLinkAlias,
                .addresses = netdev.value()->addresses(link.name).value_or({})};
    std::erase_if(guest.addresses,
                  [](const Cidr& address) { return is_link_local(address.address()); });
    std::sort(guest.addresses.begin(), guest.addresses.end());
    out.push_back(std::move(guest));
  }
}

}  // namespace

Result<std::vector<Guest>> find_guests(const std::string& bridge, const HostPaths& host) {
  const auto netdev = WEFT_TRY(open_netdev());
  const auto links = WEFT_TRY(netdev->links());
  const auto master = std::find_if(
      links.begin(), links.end(), [&](const LinkInfo& link) { return link.name == bridge; });
  Ports ports;
  for (const LinkInfo& link : links) {
    if (master != links.end() && link.master == master->index && link.peer_elsewhere != 0) {
      ports.emplace(link.peer_elsewhere, link);
    }
  }
  std::vector<Guest> guests;
  if (ports.empty()) {
    return guests;
  }
  const Descriptor home(::open(kOwnNamespace, O_RDONLY | O_CLOEXEC));
  if (home.get() < 0) {
    return os_error("open the own network namespace", errno);
  }
  for (const auto& [inode, place] : find_places(host)) {
    const Descriptor other(::open(place.path.c_str(), O_RDONLY | O_CLOEXEC));
    // What cannot be entered has ended, or is a file that is no namespace.
    if (other.get() >= 0 && ::setns(other.get(), CLONE_NEWNET) == 0) {
      append_guests(ports, place.pid, guests);
    }
  }
  // Going on in somebody else's namespace would be worse than not going on.
  WEFT_ASSERT(::setns(home.get(), CLONE_NEWNET) == 0);
  std::sort(
      guests.begin(), guests.end(), [](const Guest& a, const Guest& b) { return a.port < b.port; });
  return guests;
}

}  // namespace weft::sys
