#include "sys/fast_path.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fast_path.skel.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netlink/route/classifier.h>
#include <netlink/route/tc.h>
#include <netlink/socket.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "router/bpf/maps.h"
#include "sys/bpf/log.h"

namespace weft::sys {
namespace {

// Where our filters stand on a device: "weft" as a number, behind the priorities 1 … 49 that other
// tools take by default. Fixed, so that a later run replaces instead of adding.
constexpr std::uint32_t kFilterHandle = 0x77656674;
constexpr std::uint32_t kFilterPriority = 50;
constexpr std::string_view kProgramPrefix = "weft_";

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) {
      close(fd_);
    }
  }
  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

 private:
  int fd_;
};

Error os_error(int error, std::string what) {
  const int number = std::abs(error);
  return Error{Errc::Os, fmt::format("{}: {}", what, std::strerror(number)), number};
}

weft_mac key_of(Mac mac) {
  weft_mac key{};
  std::copy(mac.octets().begin(), mac.octets().end(), key.octets);
  return key;
}

weft_address key_of(const Ip& ip) {
  weft_address key{};
  const Bytes bytes = ip.bytes();
  if (ip.is_v4()) {
    key.octets[10] = 0xff;
    key.octets[11] = 0xff;
  }
  std::copy(bytes.begin(), bytes.end(), std::end(key.octets) - bytes.size());
  return key;
}

weft_neighbor_key neighbor_key_of(const Ip& ip) {
  return {WEFT_ADDRESS_BITS, key_of(ip)};
}

// Where a peer's traffic is counted by each processor.
std::vector<std::uint32_t> places_of(std::uint32_t slot) {
  std::vector<std::uint32_t> places(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  for (std::size_t cpu = 0; cpu < places.size(); ++cpu) {
    places[cpu] = static_cast<std::uint32_t>(cpu) * WEFT_PEERS_MAX + slot;
  }
  return places;
}

Mac mac_of(const weft_mac& key) {
  return Mac(std::to_array(key.octets));
}

Ip ip_of(const weft_address& key) {
  Ipv6::Octets octets{};
  std::copy(std::begin(key.octets), std::end(key.octets), octets.begin());
  constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (!std::equal(kMapped.begin(), kMapped.end(), octets.begin())) {
    return Ipv6(octets);
  }
  return Ip::from_bytes(ByteView(octets).subspan(kMapped.size())).value();
}

template <class Key, class Value, class Visit>
void for_each_entry(int map, Visit visit) {
  Key key{};
  Value value{};
  int error = bpf_map_get_next_key(map, nullptr, &key);
  while (error == 0) {
    if (bpf_map_lookup_elem(map, &key, &value) == 0) {
      visit(key, value);
    }
    const Key previous = key;
    error = bpf_map_get_next_key(map, &previous, &key);
  }
}

// All devices of the namespace, by index.
std::map<std::uint32_t, std::string> devices() {
  std::map<std::uint32_t, std::string> result;
  struct if_nameindex* list = if_nameindex();
  for (const struct if_nameindex* at = list; at != nullptr && at->if_index != 0; ++at) {
    result.emplace(at->if_index, at->if_name);
  }
  if (list != nullptr) {
    if_freenameindex(list);
  }
  return result;
}

bpf_tc_hook hook_of(std::uint32_t ifindex, bpf_tc_attach_point point) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = point;
  return hook;
}

bpf_tc_opts filter_opts() {
  bpf_tc_opts opts{};
  opts.sz = sizeof opts;
  opts.handle = kFilterHandle;
  opts.priority = kFilterPriority;
  return opts;
}

// The program of the filter that stands where ours do, if it is ours.
Fd our_program(std::uint32_t ifindex, bpf_tc_attach_point point, bpf_prog_info& info) {
  const bpf_tc_hook hook = hook_of(ifindex, point);
  bpf_tc_opts opts = filter_opts();
  if (bpf_tc_query(&hook, &opts) != 0) {
    return Fd();
  }
  Fd program(bpf_prog_get_fd_by_id(opts.prog_id));
  std::uint32_t size = sizeof info;
  if (!program.is_open() || bpf_obj_get_info_by_fd(program.get(), &info, &size) != 0
      || !std::string_view(info.name).starts_with(kProgramPrefix)) {
    return Fd();
  }
  return program;
}

// The maps in use by the first of our programs found on any device, by name.
std::map<std::string, Fd> attached_maps() {
  // The programs use three maps and their constants; the rest is room for later versions.
  constexpr std::size_t kMapsMax = 16;
  for (const auto& [ifindex, name] : devices()) {
    for (const bpf_tc_attach_point point : {BPF_TC_INGRESS, BPF_TC_EGRESS}) {
      std::array<std::uint32_t, kMapsMax> ids{};
      bpf_prog_info info{};
      info.nr_map_ids = ids.size();
      info.map_ids = reinterpret_cast<std::uintptr_t>(ids.data());
      if (!our_program(ifindex, point, info).is_open()) {
        continue;
      }
      std::map<std::string, Fd> maps;
      for (std::size_t i = 0; i < std::min<std::size_t>(info.nr_map_ids, ids.size()); ++i) {
        Fd map(bpf_map_get_fd_by_id(ids.at(i)));
        bpf_map_info map_info{};
        std::uint32_t size = sizeof map_info;
        if (map.is_open() && bpf_obj_get_info_by_fd(map.get(), &map_info, &size) == 0) {
          maps.insert_or_assign(map_info.name, std::move(map));
        }
      }
      // The others need fewer maps, so they say too little about the layout.
      if (std::string_view(info.name) == "weft_port") {
        return maps;
      }
    }
  }
  return {};
}

bool same_layout(const bpf_map* wanted, int found) {
  bpf_map_info info{};
  std::uint32_t size = sizeof info;
  return bpf_obj_get_info_by_fd(found, &info, &size) == 0 && info.type == bpf_map__type(wanted)
         && info.key_size == bpf_map__key_size(wanted)
         && info.value_size == bpf_map__value_size(wanted)
         && info.max_entries == bpf_map__max_entries(wanted)
         && info.map_flags == bpf_map__map_flags(wanted);
}

// All of the maps or none: entries of one refer to the others.
void reuse_maps(const std::vector<bpf_map*>& wanted) {
  const std::map<std::string, Fd> found = attached_maps();
  for (const bpf_map* map : wanted) {
    const auto it = found.find(bpf_map__name(map));
    if (it == found.end() || !same_layout(map, it->second.get())) {
      return;
    }
  }
  for (bpf_map* map : wanted) {
    // A failure here leaves the map fresh, which is what a host without earlier run has.
    (void)bpf_map__reuse_fd(map, found.at(bpf_map__name(map)).get());
  }
}

// Only Ethernet carries the header the programs expect; for other devices the stack does the work.
bool is_ethernet(const std::string& name) {
  const Fd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  return ioctl(socket_fd.get(), SIOCGIFHWADDR, &request) == 0
         && request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
}

Result<Ok> attach(int program, std::uint32_t ifindex, bpf_tc_attach_point point) {
  const BpfLog log;
  bpf_tc_hook hook = hook_of(ifindex, point);
  if (const int error = bpf_tc_hook_create(&hook); error != 0 && error != -EEXIST) {
    return os_error(error, fmt::format("clsact on device {}", ifindex));
  }
  bpf_tc_opts opts = filter_opts();
  opts.prog_fd = program;
  opts.flags = BPF_TC_F_REPLACE;
  if (const int error = bpf_tc_attach(&hook, &opts); error != 0) {
    return os_error(error, fmt::format("filter on device {} ({})", ifindex, log.text()));
  }
  return Ok{};
}

// Removes our filter, if there is one.
Result<Ok> detach(std::uint32_t ifindex, bpf_tc_attach_point point, const std::string& name) {
  bpf_prog_info info{};
  if (!our_program(ifindex, point, info).is_open()) {
    return Ok{};
  }
  const bpf_tc_hook hook = hook_of(ifindex, point);
  const bpf_tc_opts opts = filter_opts();
  if (const int error = bpf_tc_detach(&hook, &opts); error != 0 && error != -ENOENT) {
    return os_error(error, fmt::format("remove filter from {}", name));
  }
  return Ok{};
}

class KernelFastPath final : public FastPath {
 public:
  KernelFastPath(const fast_path& skeleton, bool has_lane)
      : port_(duplicate(bpf_program__fd(skeleton.progs.weft_port))),
        underlay_(duplicate(bpf_program__fd(has_lane ? skeleton.progs.weft_underlay_lane
                                                     : skeleton.progs.weft_underlay))),
        from_vx_(duplicate(bpf_program__fd(skeleton.progs.weft_from_vx))),
        to_vx_(duplicate(bpf_program__fd(skeleton.progs.weft_to_vx))),
        guard_(duplicate(bpf_program__fd(skeleton.progs.weft_guard))),
        seal_(duplicate(bpf_program__fd(skeleton.progs.weft_seal))),
        endpoints_(duplicate(bpf_map__fd(skeleton.maps.weft_endpoint_1))),
        peers_(duplicate(bpf_map__fd(skeleton.maps.weft_peer_5))),
        counters_(duplicate(bpf_map__fd(skeleton.maps.weft_counter_5))),
        traffic_(duplicate(bpf_map__fd(skeleton.maps.weft_traffic_2))),
        neighbors_(duplicate(bpf_map__fd(skeleton.maps.weft_neighbor_2))),
        slots_(make_slots(skeleton)) {
    for_each_entry<weft_address, weft_peer>(
        peers_.get(), [this](const weft_address& address, const weft_peer& peer) {
          slots_->adopt(ip_of(address), peer.slot);
        });
    if (has_lane) {
      lane_ = make_kernel_lane({.agent = bpf_map__fd(skeleton.maps.weft_lane_agent_1),
                                .sealing = bpf_map__fd(skeleton.maps.weft_sealing_1),
                                .opening = bpf_map__fd(skeleton.maps.weft_opening_1)},
                               slots_);
    }
  }

  Entries entries() const override {
    Entries result;
    for_each_entry<weft_mac, weft_endpoint>(
        endpoints_.get(), [&result](const weft_mac& mac, const weft_endpoint& endpoint) {
          if (endpoint.kind == WEFT_ENDPOINT_LOCAL) {
            result.locals.emplace(mac_of(mac), endpoint.ifindex);
          } else {
            result.remotes.emplace(mac_of(mac), ip_of(endpoint.underlay));
          }
        });
    for_each_entry<weft_address, weft_peer>(
        peers_.get(), [&result](const weft_address& address, const weft_peer&) {
          result.peers.insert(ip_of(address));
        });
    for_each_entry<weft_neighbor_key, weft_mac>(
        neighbors_.get(), [&result](const weft_neighbor_key& key, const weft_mac& mac) {
          result.neighbors.emplace(ip_of(key.address), mac_of(mac));
        });
    return result;
  }

  Result<Ok> attach_port(std::uint32_t ifindex) override {
    return attach(port_.get(), ifindex, BPF_TC_INGRESS);
  }

  Result<Ok> attach_vxlan(std::uint32_t ifindex) override {
    WEFT_TRY(attach(from_vx_.get(), ifindex, BPF_TC_INGRESS));
    return attach(to_vx_.get(), ifindex, BPF_TC_EGRESS);
  }

  Result<Ok> attach_underlay(std::uint32_t ifindex) override {
    std::array<char, IF_NAMESIZE> name{};
    if (if_indextoname(ifindex, name.data()) == nullptr) {
      return os_error(errno, fmt::format("device {}", ifindex));
    }
    if (!is_ethernet(name.data())) {
      return Ok{};
    }
    // Before what it guards can be used; one of an earlier run would go by old tables.
    WEFT_TRY(is_guarded_ ? attach(guard_.get(), ifindex, BPF_TC_EGRESS)
                         : detach(ifindex, BPF_TC_EGRESS, name.data()));
    return attach(underlay_.get(), ifindex, BPF_TC_INGRESS);
  }

  void set_guard() override {
    WEFT_ASSERT(guard_.get() >= 0);
    is_guarded_ = true;
  }

  Result<Ok> attach_lane(std::uint32_t ifindex) override {
    return attach(seal_.get(), ifindex, BPF_TC_INGRESS);
  }

  Result<Ok> set_local(Mac mac, std::uint32_t ifindex) override {
    weft_endpoint endpoint{};
    endpoint.kind = WEFT_ENDPOINT_LOCAL;
    endpoint.ifindex = ifindex;
    return put(endpoints_.get(), key_of(mac), endpoint);
  }

  Result<Ok> set_remote(Mac mac, const Ip& underlay) override {
    weft_endpoint endpoint{};
    endpoint.kind = WEFT_ENDPOINT_REMOTE;
    endpoint.underlay = key_of(underlay);
    return put(endpoints_.get(), key_of(mac), endpoint);
  }

  Result<Ok> drop_mac(Mac mac) override { return erase(endpoints_.get(), key_of(mac)); }

  Result<Ok> set_neighbor(const Ip& address, Mac mac) override {
    return put(neighbors_.get(), neighbor_key_of(address), key_of(mac));
  }

  Result<Ok> drop_neighbor(const Ip& address) override {
    return erase(neighbors_.get(), neighbor_key_of(address));
  }

  Result<Ok> set_peer(const Ip& underlay, const PeerRoute& route) override {
    weft_peer peer{};
    peer.ifindex = route.ifindex;
    peer.source = key_of(route.source);
    peer.next = key_of(route.next);
    peer.flags = (route.slow ? WEFT_PEER_SLOW : 0U) | (route.on_link ? WEFT_PEER_ON_LINK : 0U);
    peer.slot = slots_->take(underlay);
    peer.frame_max = route.limit.frame_max;
    peer.reports = route.limit.reports;
    return put(peers_.get(), key_of(underlay), peer);
  }

  Result<Ok> set_sealed_peer(const Ip& underlay, const SealedRoute& route) override {
    std::uint32_t flags = WEFT_PEER_SEALED | (route.on_link ? WEFT_PEER_ON_LINK : 0U);
    switch (route.trust) {
      case Trust::Refuse:
        break;
      case Trust::Accept:
        flags |= WEFT_PEER_TRUSTED;
        break;
      case Trust::Esp:
        flags |= WEFT_PEER_ESP;
        break;
    }
    return put_sealed(underlay, route, flags);
  }

  Result<Ok> set_esp_peer(const Ip& underlay, std::uint32_t vxlan, SizeLimit limit) override {
    SealedRoute route;
    route.device = vxlan;
    route.limit = limit;
    return put_sealed(underlay, route, WEFT_PEER_SEALED | WEFT_PEER_ESP | WEFT_PEER_ESP_OUT);
  }

  Result<Ok> drop_peer(const Ip& underlay) override {
    slots_->release(underlay);
    return erase(peers_.get(), key_of(underlay));
  }

  TrafficStats traffic(const Ip& underlay) const override {
    TrafficStats total;
    const std::optional<std::uint32_t> slot = slots_->find(underlay);
    if (!slot) {
      return total;
    }
    for (const std::uint32_t place : places_of(*slot)) {
      weft_traffic value{};
      if (bpf_map_lookup_elem(traffic_.get(), &place, &value) != 0) {
        return {};
      }
      total.packets_out += value.packets_out;
      total.bytes_out += value.bytes_out;
      total.packets_in += value.packets_in;
      total.bytes_in += value.bytes_in;
    }
    return total;
  }

  FastPathStats stats() const override {
    FastPathStats stats;
    stats.local = sum(WEFT_COUNTER_LOCAL);
    stats.encapsulated = sum(WEFT_COUNTER_ENCAPSULATED);
    stats.decapsulated = sum(WEFT_COUNTER_DECAPSULATED);
    stats.slow = sum(WEFT_COUNTER_SLOW);
    stats.refused = sum(WEFT_COUNTER_REFUSED);
    stats.sealed = sum(WEFT_COUNTER_SEALED);
    stats.esp = sum(WEFT_COUNTER_ESP);
    stats.relayed = sum(WEFT_COUNTER_RELAYED);
    stats.too_big = sum(WEFT_COUNTER_TOO_BIG);
    stats.arp_answered = sum(WEFT_COUNTER_ARP);
    stats.lane_sealed = sum(WEFT_COUNTER_LANE_SEALED);
    stats.lane_opened = sum(WEFT_COUNTER_LANE_OPENED);
    stats.lane_forged = sum(WEFT_COUNTER_LANE_FORGED);
    stats.lane_replayed = sum(WEFT_COUNTER_LANE_REPLAYED);
    return stats;
  }

  std::shared_ptr<KernelLane> lane() const override { return lane_; }

 private:
  Result<Ok> put_sealed(const Ip& underlay, const SealedRoute& route, std::uint32_t flags) {
    const bool has_lane = lane_ && underlay.is_v4() && route.source.is_v4();
    weft_peer peer{};
    peer.ifindex = route.device;
    peer.source = key_of(route.source);
    peer.next = key_of(underlay);
    peer.flags = flags;
    peer.slot = slots_->take(underlay);
    peer.frame_max = route.limit.frame_max;
    peer.reports = route.limit.reports;
    peer.wire = has_lane ? route.ifindex : 0;
    return put(peers_.get(), key_of(underlay), peer);
  }

  static Fd duplicate(int fd) { return Fd(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

  template <class Key, class Value>
  static Result<Ok> put(int map, const Key& key, const Value& value) {
    if (const int error = bpf_map_update_elem(map, &key, &value, BPF_ANY); error != 0) {
      return os_error(errno, "fast path map");
    }
    return Ok{};
  }

  template <class Key>
  static Result<Ok> erase(int map, const Key& key) {
    if (bpf_map_delete_elem(map, &key) != 0 && errno != ENOENT) {
      return os_error(errno, "fast path map");
    }
    return Ok{};
  }

  // Shared with the lane, which may outlive the fast path. Nobody is told of failures: the places
  // exist, as those of any array.
  static std::shared_ptr<PeerSlots> make_slots(const fast_path& skeleton) {
    const auto traffic = std::make_shared<Fd>(duplicate(bpf_map__fd(skeleton.maps.weft_traffic_2)));
    const auto sealing = std::make_shared<Fd>(duplicate(bpf_map__fd(skeleton.maps.weft_sealing_1)));
    return std::make_shared<PeerSlots>([traffic, sealing](std::uint32_t slot) {
      for (const std::uint32_t place : places_of(slot)) {
        (void)put(traffic->get(), place, weft_traffic{});
      }
      const weft_sealing no_key{};
      (void)bpf_map_update_elem(sealing->get(), &slot, &no_key, BPF_F_LOCK);
    });
  }

  std::uint64_t sum(std::uint32_t counter) const {
    std::vector<std::uint64_t> values(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    if (bpf_map_lookup_elem(counters_.get(), &counter, values.data()) != 0) {
      return 0;
    }
    std::uint64_t total = 0;
    for (const std::uint64_t value : values) {
      total += value;
    }
    return total;
  }

  bool is_guarded_ = false;
  Fd port_;
  Fd underlay_;
  Fd from_vx_;
  Fd to_vx_;
  Fd guard_;
  Fd seal_;
  Fd endpoints_;
  Fd peers_;
  Fd counters_;
  Fd traffic_;
  Fd neighbors_;
  std::shared_ptr<PeerSlots> slots_;
  std::shared_ptr<KernelLane> lane_;
};

// True if no filter at all is left in this direction.
bool is_empty(std::uint32_t ifindex, std::uint32_t parent) {
  nl_sock* socket = nl_socket_alloc();
  nl_cache* cache = nullptr;
  const bool listed =
      socket != nullptr && nl_connect(socket, NETLINK_ROUTE) == 0
      && rtnl_cls_alloc_cache(socket, static_cast<int>(ifindex), parent, &cache) == 0;
  const bool empty = listed && nl_cache_is_empty(cache) != 0;
  if (cache != nullptr) {
    nl_cache_free(cache);
  }
  nl_socket_free(socket);
  return empty;
}

// Removes our filters from one device, and the clsact hook if nobody else uses it.
Result<Ok> detach(std::uint32_t ifindex, const std::string& name) {
  bool found = false;
  for (const bpf_tc_attach_point point : {BPF_TC_INGRESS, BPF_TC_EGRESS}) {
    bpf_prog_info info{};
    if (our_program(ifindex, point, info).is_open()) {
      found = true;
      WEFT_TRY(detach(ifindex, point, name));
    }
  }
  if (found && is_empty(ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS))
      && is_empty(ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS))) {
    bpf_tc_hook hook =
        hook_of(ifindex, static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS));
    if (const int error = bpf_tc_hook_destroy(&hook); error != 0) {
      return os_error(error, fmt::format("remove clsact from {}", name));
    }
  }
  return Ok{};
}

struct CloseSkeleton {
  void operator()(fast_path* skeleton) const { fast_path__destroy(skeleton); }
};

}  // namespace

namespace {

Result<std::unique_ptr<FastPath>> load(const FastPath::Options& options) {
  const BpfLog log;
  // The skeleton holds a copy of the object file; only descriptors survive this function.
  const std::unique_ptr<fast_path, CloseSkeleton> skeleton(fast_path__open());
  if (!skeleton) {
    return Error{Errc::Unavailable, fmt::format("open BPF object: {}", log.text()), errno};
  }
  skeleton->rodata->weft_vni = options.vni;
  skeleton->rodata->weft_port_number = options.port;
  skeleton->rodata->weft_sealed_port = options.sealed_port;
  const bool has_lane = options.sealed_port != 0;
  // What is not loaded need not be checked by the kernel.
  (void)bpf_program__set_autoload(skeleton->progs.weft_guard, options.guard);
  (void)bpf_program__set_autoload(skeleton->progs.weft_underlay, !has_lane);
  (void)bpf_program__set_autoload(skeleton->progs.weft_underlay_lane, has_lane);
  (void)bpf_program__set_autoload(skeleton->progs.weft_seal, has_lane);
  if (const int error = bpf_map__set_max_entries(
          skeleton->maps.weft_traffic_2,
          static_cast<std::uint32_t>(libbpf_num_possible_cpus()) * WEFT_PEERS_MAX);
      error != 0) {
    return Error{Errc::Unavailable, "size of a BPF map", -error};
  }
  reuse_maps({skeleton->maps.weft_endpoint_1,
              skeleton->maps.weft_peer_5,
              skeleton->maps.weft_counter_5,
              skeleton->maps.weft_traffic_2,
              skeleton->maps.weft_neighbor_2});
  if (const int error = fast_path__load(skeleton.get()); error != 0) {
    return Error{Errc::Unavailable,
                 fmt::format("load BPF programs: {} ({})", std::strerror(-error), log.text()),
                 -error};
  }
  return std::unique_ptr<FastPath>(std::make_unique<KernelFastPath>(*skeleton, has_lane));
}

}  // namespace

Result<std::unique_ptr<FastPath>> load_fast_path(const FastPath::Options& options) {
  Result<std::unique_ptr<FastPath>> loaded = load(options);
  if (loaded.ok() || options.sealed_port == 0) {
    return loaded;
  }
  // The cipher asks more of a verifier than the rest.
  FastPath::Options without = options;
  without.sealed_port = 0;
  return load(without);
}

Result<Ok> detach_fast_path() {
  const BpfLog log;
  for (const auto& [ifindex, name] : devices()) {
    WEFT_TRY(detach(ifindex, name));
  }
  return Ok{};
}

}  // namespace weft::sys
