#include "sys/guest/guest.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/netlink/netdev_kernel.h"
#include "sys/netlink/sysctl.h"
#include "sys/posix/descriptor.h"

namespace weft::sys {
namespace {

Error failure(std::string_view doing) {
  const int error = errno;
  const bool is_gone = error == ENOENT || error == ESRCH;
  return Error{is_gone ? Errc::NotFound : errc_of(error),
               fmt::format("{}: {}", doing, std::strerror(error)),
               error};
}

// The namespace of a thread is its own, so the caller's stays as it is whatever happens.
Result<Ok> inside(int netns, const std::function<Result<Ok>()>& work) {
  Result<Ok> done = Ok{};
  std::thread worker([&] {
    if (::setns(netns, CLONE_NEWNET) != 0) {
      done = failure("enter the network namespace");
      return;
    }
    done = work();
  });
  worker.join();
  return done;
}

// --- announcing ----------------------------------------------------------------------------------

struct Wire {
  std::uint32_t index = 0;
  Mac mac;
};

// RFC 5227, section 2.3: a request for one's own address, to everybody.
Result<Ok> announce_v4(const Wire& wire, Ipv4 address) {
  const Descriptor socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) {
    return failure("open a packet socket");
  }
  struct {
    ether_header ethernet;
    ether_arp arp;
  } __attribute__((packed)) frame{};
  const Bytes octets = Ip(address).bytes();
  std::memset(frame.ethernet.ether_dhost, 0xff, ETH_ALEN);
  std::memcpy(frame.ethernet.ether_shost, wire.mac.octets().data(), ETH_ALEN);
  frame.ethernet.ether_type = htons(ETHERTYPE_ARP);
  frame.arp.ea_hdr.ar_hrd = htons(ARPHRD_ETHER);
  frame.arp.ea_hdr.ar_pro = htons(ETHERTYPE_IP);
  frame.arp.ea_hdr.ar_hln = ETH_ALEN;
  frame.arp.ea_hdr.ar_pln = sizeof frame.arp.arp_spa;
  frame.arp.ea_hdr.ar_op = htons(ARPOP_REQUEST);
  std::memcpy(frame.arp.arp_sha, wire.mac.octets().data(), ETH_ALEN);
  std::memcpy(frame.arp.arp_spa, octets.data(), sizeof frame.arp.arp_spa);
  std::memcpy(frame.arp.arp_tpa, octets.data(), sizeof frame.arp.arp_tpa);
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(wire.index);
  to.sll_halen = ETH_ALEN;
  std::memset(to.sll_addr, 0xff, ETH_ALEN);
  if (::sendto(socket.get(), &frame, sizeof frame, 0, reinterpret_cast<sockaddr*>(&to), sizeof to)
      < 0) {
    return failure("announce " + address.to_string());
  }
  return Ok{};
}

// RFC 4861, section 7.2.6: an advertisement nobody asked for, overriding, to all nodes. The kernel
// fills in the checksum of ICMPv6 sockets.
Result<Ok> announce_v6(const Wire& wire, const Ipv6& address) {
  const Descriptor socket(::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6));
  const int hops = 255;  // Others are not believed (section 7.1.2).
  if (socket.get() < 0
      || ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops) != 0) {
    return failure("open an ICMPv6 socket");
  }
  sockaddr_in6 from{};
  from.sin6_family = AF_INET6;
  std::memcpy(&from.sin6_addr, address.octets().data(), sizeof from.sin6_addr);
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&from), sizeof from) != 0) {
    return failure("announce " + address.to_string());
  }
  struct {
    nd_neighbor_advert advert;
    nd_opt_hdr option;
    std::array<std::uint8_t, ETH_ALEN> mac;
  } __attribute__((packed)) message{};
  message.advert.nd_na_type = ND_NEIGHBOR_ADVERT;
  message.advert.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE;
  message.advert.nd_na_target = from.sin6_addr;
  message.option = {.nd_opt_type = ND_OPT_TARGET_LINKADDR, .nd_opt_len = 1};
  message.mac = wire.mac.octets();
  sockaddr_in6 to{};
  to.sin6_family = AF_INET6;
  to.sin6_scope_id = wire.index;
  ::inet_pton(AF_INET6, "ff02::1", &to.sin6_addr);
  if (::sendto(
          socket.get(), &message, sizeof message, 0, reinterpret_cast<sockaddr*>(&to), sizeof to)
      < 0) {
    return failure("announce " + address.to_string());
  }
  return Ok{};
}

Result<Ok> announce(const Wire& wire, const Ip& address) {
  return address.is_v4() ? announce_v4(wire, address.v4()) : announce_v6(wire, address.v6());
}

// --- the interface -------------------------------------------------------------------------------

Result<Ok> move_in(Netlink& netlink, std::uint32_t index, int netns, const std::string& name) {
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  NetlinkMessage message(RTM_NEWLINK, 0);
  message.header(header).text(IFLA_IFNAME, name);
  message.u32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(netns));
  const Result<Ok> moved = netlink.request(message, "move an interface into the container");
  if (!moved.ok() && moved.error().os == EEXIST) {
    return Error{Errc::Conflict,
                 fmt::format("the container has another interface {} already", name),
                 EEXIST};
  }
  return moved;
}

Result<Ok> bring_up(Netlink& netlink, std::uint32_t index) {
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  header.ifi_flags = IFF_UP;
  header.ifi_change = IFF_UP;
  NetlinkMessage message(RTM_NEWLINK, 0);
  message.header(header);
  return netlink.request(message, "bring the container's interface up");
}

// IPv6 addresses are not probed for duplicates: weft has handed them out once.
Result<Ok> change_address(Netlink& netlink,
                          std::uint32_t index,
                          const Cidr& address,
                          std::pair<int, int> type_and_flags) {
  ifaddrmsg header{};
  header.ifa_family = address.is_v4() ? AF_INET : AF_INET6;
  header.ifa_prefixlen = address.prefix();
  header.ifa_index = index;
  header.ifa_flags = address.is_v4() ? 0 : IFA_F_NODAD;
  NetlinkMessage message(type_and_flags.first, type_and_flags.second);
  const Bytes octets = address.address().bytes();
  message.header(header).bytes(IFA_LOCAL, octets).bytes(IFA_ADDRESS, octets);
  if (address.is_v4() && type_and_flags.first == RTM_NEWADDR) {
    message.bytes(IFA_BROADCAST, address.last().bytes());
  }
  const char* const verb =
      type_and_flags.first == RTM_NEWADDR ? "give the container " : "take from the container ";
  return netlink.request(message, verb + address.to_string());
}

Result<Ok> lead_multicast(Netlink& netlink, std::uint32_t index) {
  const Cidr groups = Cidr::parse("224.0.0.0/4").value();
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_dst_len = groups.prefix();
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_scope = RT_SCOPE_LINK;
  header.rtm_type = RTN_UNICAST;
  NetlinkMessage message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
  message.header(header).bytes(RTA_DST, groups.address().bytes()).u32(RTA_OIF, index);
  const Result<Ok> led = netlink.request(message, "route multicast");
  return !led.ok() && led.error().os == EEXIST ? Result<Ok>(Ok{}) : led;
}

// The gateway need not be in a subnet of the container's: who asks knows that it is on the link.
Result<Ok> add_route(Netlink& netlink, std::uint32_t index, const GuestRoute& route) {
  rtmsg header{};
  header.rtm_family = route.destination.is_v4() ? AF_INET : AF_INET6;
  header.rtm_dst_len = route.destination.prefix();
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_scope = route.gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  header.rtm_type = RTN_UNICAST;
  header.rtm_flags = route.gateway ? RTNH_F_ONLINK : 0;
  NetlinkMessage message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
  const Bytes destination = route.destination.address().bytes();
  const Bytes gateway = route.gateway ? route.gateway->bytes() : Bytes();
  message.header(header).u32(RTA_OIF, index);
  if (route.destination.prefix() != 0) {
    message.bytes(RTA_DST, destination);
  }
  if (route.gateway) {
    message.bytes(RTA_GATEWAY, gateway);
  }
  const Result<Ok> added =
      netlink.request(message, "give the container a route to " + route.destination.to_string());
  return !added.ok() && added.error().os == EEXIST ? Result<Ok>(Ok{}) : added;
}

// An address that moved to another container is found again within two seconds, as Weave's users
// expect, even if its announcement was lost. /proc/sys of a container may be read-only; what it
// would change is a matter of seconds only.
void hasten_neighbours(const std::string& name) {
  for (const char* family : {"ipv4", "ipv6"}) {
    const std::string folder = fmt::format("net/{}/neigh/{}/", family, name);
    (void)ensure_sysctl(folder + "base_reachable_time_ms", "5000");
    (void)ensure_sysctl(folder + "delay_first_probe_time", "2");
    (void)ensure_sysctl(folder + "ucast_solicit", "1");
  }
  (void)ensure_sysctl("net/ipv6/conf/" + name + "/accept_ra", "0");
}

bool is_in(const std::vector<Cidr>& all, const Cidr& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

// Returns what is to stay: the kernel takes the other IPv4 addresses of a subnet with its first one
// (promote_secondaries is off by default), those that are to go, too.
Result<std::vector<Cidr>> remove_addresses(Netlink& netlink,
                                           std::uint32_t index,
                                           const std::vector<Cidr>& gone,
                                           std::vector<Cidr> kept) {
  for (const Cidr& address : gone) {
    if (std::erase(kept, address) == 0) {
      continue;
    }
    const Result<Ok> removed = change_address(netlink, index, address, {RTM_DELADDR, 0});
    if (!removed.ok() && removed.error().os != EADDRNOTAVAIL) {
      return removed.error();
    }
  }
  return kept;
}

// In the container's namespace.
Result<Ok> settle(const GuestSpec& spec) {
  const std::unique_ptr<Netlink> netlink = WEFT_TRY(Netlink::open());
  std::unique_ptr<Netlink> queries = WEFT_TRY(Netlink::open());
  KernelNetdev netdev(std::move(queries));
  const std::optional<LinkInfo> link = WEFT_TRY(netdev.find_link(spec.name));
  if (!link) {
    return Error{
        Errc::NotFound, fmt::format("the container has no interface {}", spec.name), ENODEV};
  }
  const Wire wire{.index = link->index, .mac = link->mac};
  if (!link->up) {
    hasten_neighbours(spec.name);
    WEFT_TRY(bring_up(*netlink, wire.index));
  }
  std::vector<Cidr> present = WEFT_TRY(netdev.addresses(spec.name));
  std::vector<Cidr> wanted = WEFT_TRY(remove_addresses(*netlink, wire.index, spec.gone, present));
  if (wanted.size() < present.size()) {
    present = WEFT_TRY(netdev.addresses(spec.name));
  }
  wanted.insert(wanted.end(), spec.addresses.begin(), spec.addresses.end());
  for (const Cidr& address : wanted) {
    if (!is_in(present, address)) {
      WEFT_TRY(
          change_address(*netlink, wire.index, address, {RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL}));
      present.push_back(address);
    }
  }
  for (const Cidr& address : spec.addresses) {
    WEFT_TRY(announce(wire, address.address()));
  }
  for (const GuestRoute& route : spec.routes) {
    WEFT_TRY(add_route(*netlink, wire.index, route));
  }
  return spec.multicast_route ? lead_multicast(*netlink, wire.index) : Result<Ok>(Ok{});
}

bool is_link_local(const Cidr& address) {
  const Bytes octets = address.address().bytes();
  return !address.is_v4() && octets[0] == 0xfe && (octets[1] & 0xc0U) == 0x80;
}

// In the container's namespace.
Result<GuestState> observe(const std::string& name) {
  GuestState state;
  std::unique_ptr<Netlink> queries = WEFT_TRY(Netlink::open());
  KernelNetdev netdev(std::move(queries));
  state.link = WEFT_TRY(netdev.find_link(name));
  if (state.link) {
    state.addresses = WEFT_TRY(netdev.addresses(name));
    std::erase_if(state.addresses, is_link_local);
  }
  state.routes = WEFT_TRY(netdev.routes());
  return state;
}

Result<std::uint64_t> identity_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return failure("network namespace " + path);
  }
  return static_cast<std::uint64_t>(status.st_ino);
}

}  // namespace

Result<std::uint64_t> netns_identity(const std::string& path) {
  return identity_of(path);
}

Result<std::uint64_t> own_netns_identity() {
  return identity_of("/proc/self/ns/net");
}

Result<Ok> ensure_guest(const std::string& from, const GuestSpec& spec) {
  const Descriptor netns(::open(spec.netns.c_str(), O_RDONLY | O_CLOEXEC));
  if (netns.get() < 0) {
    return failure("network namespace " + spec.netns);
  }
  std::unique_ptr<Netlink> queries = WEFT_TRY(Netlink::open());
  KernelNetdev here(std::move(queries));
  const std::optional<LinkInfo> link = WEFT_TRY(here.find_link(from));
  if (link) {
    const std::unique_ptr<Netlink> netlink = WEFT_TRY(Netlink::open());
    WEFT_TRY(move_in(*netlink, link->index, netns.get(), spec.name));
  }
  return inside(netns.get(), [&spec] { return settle(spec); });
}

Result<GuestState> observe_guest(const std::string& netns, const std::string& name) {
  const Descriptor entered(::open(netns.c_str(), O_RDONLY | O_CLOEXEC));
  if (entered.get() < 0) {
    return failure("network namespace " + netns);
  }
  Result<GuestState> state = GuestState{};
  WEFT_TRY(inside(entered.get(), [&state, &name]() -> Result<Ok> {
    state = observe(name);
    return Ok{};
  }));
  return state;
}

Result<Ok> remove_guest(const std::string& netns, const std::string& name) {
  const GuestState state = WEFT_TRY(observe_guest(netns, name));
  if (!state.link || state.link->kind != "veth" || state.link->peer_elsewhere == 0) {
    return Ok{};
  }
  std::unique_ptr<Netlink> queries = WEFT_TRY(Netlink::open());
  KernelNetdev here(std::move(queries));
  const std::vector<LinkInfo> links = WEFT_TRY(here.links());
  for (const LinkInfo& link : links) {
    // Indices are of one namespace each: both ends have to name the other.
    if (link.index == state.link->peer_elsewhere && link.kind == "veth" && link.alias == kLinkAlias
        && link.peer_elsewhere == state.link->index) {
      return here.remove_link(link.name);
    }
  }
  return Ok{};
}

}  // namespace weft::sys
