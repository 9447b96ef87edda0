// DatapathService's paths: the Paths core on real devices. Probes and relayed frames travel as
// carrier frames (router/datapath/carrier.h), which the bridge's own address receives.
#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include <boost/asio/post.hpp>

#include "base/log.h"
#include "base/overloaded.h"
#include "router/io/datapath_impl.h"
#include "sys/link/link_counters.h"

namespace weft::router {
namespace {

// How often traffic is looked for: with the core's `lost_after` it makes less than a second.
constexpr auto kLook = std::chrono::milliseconds(200);

// Copies of a flood that one host sends by itself: 16 system calls, 50 µs. With more the copies are
// spread over the mesh.
constexpr std::size_t kStraightMax = 16;
// A list and what it comes with must fit the smallest path there is, sealed as well.
constexpr std::size_t kSplitSizeMax = 1200;

// Up to this many hosts the mesh connects everybody with everybody (Mesh::Options::full_mesh_max),
// and a connection that is missing means something.
constexpr std::size_t kFullMeshMax = 8;
// A few seconds after the start it has done so.
constexpr auto kDoubtAfter = std::chrono::seconds(5);

}  // namespace

void DatapathService::Impl::start_paths() {
  paths_ = std::make_unique<Paths>(
      Paths::Options{.doubt_after = kDoubtAfter}, Rng(options_.seed), clock_.now());
  path_driver_ = std::make_unique<PathDriver>(
      executor_, clock_, *paths_, [this](PathAction a) { perform(std::move(a)); });
  start_mtus();
  look_for_traffic();
}

Result<Ok> DatapathService::Impl::ensure_carriers() {
  if (carriers_ && carriers_->ifindex() == bridge_index_) {
    return Ok{};
  }
  auto carriers = WEFT_TRY(sys::listen_ethertype(
      executor_, bridge_index_, kEtherTypeCarrier, [this](ByteView frame) { on_carrier(frame); }));
  carriers_ = std::move(carriers);
  return ensure_checksum_listener();
}

void DatapathService::Impl::set_underlay(PeerName peer, const std::optional<Ip>& underlay) {
  const auto before = places_.find(peer);
  if (before != places_.end() && before->second != underlay) {
    names_.erase(before->second);
    places_.erase(before);
  }
  if (underlay) {
    places_.insert_or_assign(peer, *underlay);
    names_.insert_or_assign(*underlay, peer);
    tell_route_mtu(*underlay);
    tell_paths(peer);
  } else {
    path_driver_->feed([peer](Paths& core, TimePoint, PathActions&) { core.remove_peer(peer); });
    mtus_->remove_peer(peer);
    relays_in_kernel_.erase(peer);
  }
  driver_->feed([&](Forwarding& core, TimePoint now, ForwardingActions& out) {
    core.set_underlay(now, peer, underlay, out);
  });
}

void DatapathService::Impl::tell_paths(PeerName peer) {
  const Ip& place = places_.at(peer);
  const Paths::Possible possible{
      .clear = options_.sealed == nullptr || clear_.contains(place),
      .esp = esp_.contains(place),
      .sealed = options_.sealed != nullptr,
      .linked = places_.size() >= kFullMeshMax || !options_.is_linked || options_.is_linked(peer),
  };
  path_driver_->feed([&](Paths& core, TimePoint now, PathActions& out) {
    core.set_peer(now, peer, possible, out);
  });
}

Path DatapathService::Impl::path_to(const Ip& peer) const {
  const auto name = names_.find(peer);
  const std::optional<Path> path =
      name == names_.end() || !paths_ ? std::nullopt : paths_->path(name->second);
  return path.value_or(Path{options_.sealed != nullptr ? Way::Sealed : Way::Clear, {}});
}

// Through a relay: where its VXLAN goes, and whether the agents have to do it.
std::optional<DatapathService::Impl::ClearRelay> DatapathService::Impl::clear_relay(
    const Path& path) const {
  const auto place = places_.find(path.via);
  if (options_.sealed != nullptr || path.way != Way::Relay || place == places_.end()) {
    return std::nullopt;
  }
  return ClearRelay{.at = place->second, .by_agent = !relays_in_kernel_.contains(path.via)};
}

void DatapathService::Impl::perform(PathAction action) {
  std::visit(overloaded{
                 [this](const SendProbe& a) { send_probe(a); },
                 [this](const FindRelays& a) { find_relays(a.peer); },
                 [this](const UsePath& a) { use_path(a); },
             },
             action);
}

void DatapathService::Impl::find_relays(PeerName peer) {
  if (!options_.find_relays) {
    return;
  }
  boost::asio::post(executor_, lifetime_.guard([this, peer] {
    path_driver_->feed([&](Paths& core, TimePoint now, PathActions& out) {
      core.set_relays(now, peer, options_.find_relays(peer), out);
    });
  }));
}

void DatapathService::Impl::use_path(const UsePath& action) {
  const auto place = places_.find(action.peer);
  if (place == places_.end()) {
    return;
  }
  if (!action.is_first) {
    log::info("path chosen",
              {"peer", action.peer},
              {"path", to_string(action.path)},
              {"why", action.reason});
  }
  apply_path(place->second);
  if (action.path.way == Way::Relay) {
    // The relay is asked at once: whether it is there, and whether its kernel does the work.
    boost::asio::post(executor_, lifetime_.guard([this, via = action.path.via] {
      path_driver_->feed(
          [via](Paths& core, TimePoint now, PathActions&) { core.on_traffic(now, via); });
    }));
  }
}

// What the kernel and the sealing thread were told of the peer becomes what its path says.
void DatapathService::Impl::apply_path(const Ip& peer) {
  if (options_.sealed != nullptr) {
    const Path path = path_to(peer);
    const auto via = places_.find(path.via);
    const bool is_relayed = path.way == Way::Relay && via != places_.end();
    options_.sealed->set_next(peer, is_relayed ? via->second : peer);
  }
  if (peers_.contains(peer)) {
    tell_fast_path(peer);
  }
  for (const auto& [mac, underlay] : remotes_) {
    if (underlay == peer) {
      set_entries(mac, remote_entries(mac, underlay));
    }
  }
  tell_frame_max(peer);
}

// Carrier frames --------------------------------------------------------------------------------

void DatapathService::Impl::send_straight(PeerName to, Way way, ByteView frame) {
  const auto place = places_.find(to);
  if (place == places_.end()) {
    return;
  }
  if (way == Way::Sealed && options_.sealed != nullptr) {
    options_.sealed->send(frame, {place->second});
  } else if (way == Way::Esp && esp_.contains(place->second)) {
    sender_->send_whole(frame, place->second);
  } else if (way == Way::Clear && is_clear_allowed(place->second)) {
    sender_->send(frame, {place->second});
  }
}

// Through one relay, which must be reached straight itself.
void DatapathService::Impl::send_through(PeerName via,
                                         std::vector<PeerName> targets,
                                         ByteView frame,
                                         std::uint8_t hops) {
  const std::optional<Path> path = paths_->path(via);
  if (!path || path->way == Way::Relay || hops == 0) {
    ++relays_.refused;
    return;
  }
  const Relay relay{.hops = static_cast<std::uint8_t>(hops - 1),
                    .targets = std::move(targets),
                    .frame = to_bytes(frame)};
  send_straight(via, path->way, encode_carrier(options_.self, via, relay));
}

// To each peer once, the way its path says.
void DatapathService::Impl::send_on(ByteView frame,
                                    const std::vector<PeerName>& peers,
                                    std::uint8_t hops) {
  // Lists make copies larger: large frames are sent straight.
  const bool can_split = hops > 0 && frame.size() <= kSplitSizeMax / 2;
  const FloodPlan plan = plan_flood(
      peers,
      {.path = [this](PeerName peer) { return paths_->path(peer); }, .next_hop = options_.next_hop},
      can_split ? kStraightMax : std::numeric_limits<std::size_t>::max());
  std::vector<Ip> clear;
  std::vector<Ip> sealed;
  for (const PeerName peer : plan.straight) {
    const Way way = paths_->path(peer)->way;
    if (way == Way::Esp) {
      send_straight(peer, way, frame);
    } else {
      (way == Way::Sealed ? sealed : clear).push_back(places_.at(peer));
    }
  }
  if (!sealed.empty()) {
    options_.sealed->send(frame, sealed);
  }
  sender_->send(frame, clear);
  const std::size_t room = kSplitSizeMax - std::min(kSplitSizeMax / 2, frame.size());
  const std::size_t names_max =
      (room - relay_overhead(0)) / (relay_overhead(1) - relay_overhead(0));
  for (const auto& [via, targets] : plan.through) {
    for (std::size_t at = 0; at < targets.size(); at += names_max) {
      const std::size_t end = std::min(at + names_max, targets.size());
      const auto first = targets.begin();
      send_through(
          via,
          {first + static_cast<std::ptrdiff_t>(at), first + static_cast<std::ptrdiff_t>(end)},
          frame,
          hops);
    }
  }
}

void DatapathService::Impl::send_to_peers(const FrameToPeers& action) {
  std::vector<PeerName> names;
  std::vector<Ip> unnamed;  // Left by an earlier run, and not known by name yet.
  for (const Ip& peer : action.underlay) {
    const auto name = names_.find(peer);
    if (name != names_.end()) {
      names.push_back(name->second);
    } else {
      unnamed.push_back(peer);
    }
  }
  send_on(action.frame, names, Relay::kHopsMax);
  if (options_.sealed == nullptr) {
    sender_->send(action.frame, unnamed);
  }
}

void DatapathService::Impl::send_probe(const SendProbe& action) {
  const Bytes frame =
      encode_carrier(options_.self,
                     action.peer,
                     Probe{.origin = options_.self, .path = action.path, .id = action.id});
  if (action.path.way == Way::Relay) {
    send_through(action.path.via, {action.peer}, frame, Relay::kHopsMax);
  } else {
    send_straight(action.peer, action.path.way, frame);
  }
}

void DatapathService::Impl::on_carrier(ByteView frame) {
  Result<Carrier> carrier = decode_carrier(frame);
  if (!carrier.ok()) {
    ++relays_.malformed;
    return;
  }
  std::visit(overloaded{
                 [this](const Probe& probe) { on_probe(probe); },
                 [this](const Answer& answer) { on_answer(answer); },
                 [this](const Relay& relay) { on_relay(relay); },
                 [this](const ChecksumHeard& heard) { on_checksum_heard(heard); },
             },
             carrier.value());
}

void DatapathService::Impl::on_probe(const Probe& probe) {
  if (!places_.contains(probe.origin)) {
    return;
  }
  const Bytes frame = encode_carrier(options_.self,
                                     probe.origin,
                                     Answer{.origin = options_.self,
                                            .path = probe.path,
                                            .id = probe.id,
                                            .relays_in_kernel = fast_path_ != nullptr});
  if (probe.path.way != Way::Relay) {
    return send_straight(probe.origin, probe.path.way, frame);
  }
  path_driver_->feed([&](Paths& core, TimePoint now, PathActions& out) {
    core.on_relayed_probe(now, probe.origin, probe.path.via, out);
  });
  send_through(probe.path.via, {probe.origin}, frame, Relay::kHopsMax);
}

void DatapathService::Impl::on_answer(const Answer& answer) {
  bool is_sized = false;
  mtu_driver_->feed([&](PathMtus& core, TimePoint now, MtuActions& out) {
    is_sized = core.on_answer(now, answer.origin, answer.id, out);
  });
  if (is_sized) {
    return;
  }
  const bool is_new = answer.relays_in_kernel ? relays_in_kernel_.insert(answer.origin).second
                                              : relays_in_kernel_.erase(answer.origin) > 0;
  for (const auto& [name, place] : places_) {
    if (is_new && paths_->path(name) == Path{Way::Relay, answer.origin}) {
      apply_path(place);
    }
  }
  path_driver_->feed([&](Paths& core, TimePoint now, PathActions& out) {
    core.on_answer(now, answer.origin, answer.path, answer.id, out);
    mtus_->on_small_answer(core.answered_probe(answer.origin), answer.origin);
  });
}

void DatapathService::Impl::on_relay(const Relay& relay) {
  // A relay multiplies what it is given: floods of others are limited like our own.
  if (!relay_limit_.take(clock_.now())) {
    ++relays_.limited;
    return;
  }
  std::vector<PeerName> onward;
  for (const PeerName target : relay.targets) {
    if (target == options_.self) {
      tap_->write(relay.frame);
    } else {
      onward.push_back(target);
    }
  }
  ++relays_.passed_on;
  send_on(relay.frame, onward, relay.hops);
}

// Traffic ---------------------------------------------------------------------------------------

void DatapathService::Impl::look_for_traffic() {
  look_.expires_after(kLook);
  look_.async_wait(lifetime_.guard([this](const boost::system::error_code& error) {
    if (!error) {
      note_traffic();
      test_checksums();
      look_for_traffic();
    }
  }));
}

// With BPF each peer has counters of its own. Without, traffic of any makes all of them suspects.
void DatapathService::Impl::note_traffic() {
  std::uint64_t sent = 0;
  if (fast_path_) {
    const sys::FastPathStats stats = fast_path_->stats();
    sent = stats.encapsulated + stats.sealed + stats.esp + stats.slow;
  } else {
    sent = sys::packets_sent({vxlan_, seal_port_});
  }
  if (std::exchange(sent_, sent) == sent) {
    return;
  }
  std::set<PeerName> active;
  for (const auto& [place, name] : names_) {
    if (fast_path_) {
      const std::uint64_t now = fast_path_->traffic(place).packets_out;
      if (std::exchange(sent_to_[place], now) != now) {
        active.insert(name);
      }
    }
  }
  if (!fast_path_) {
    for (const auto& [mac, place] : remotes_) {
      if (const auto name = names_.find(place); name != names_.end()) {
        active.insert(name->second);
      }
    }
  }
  path_driver_->feed([&active](Paths& core, TimePoint now, PathActions&) {
    for (const PeerName peer : active) {
      core.on_traffic(now, peer);
      const std::optional<Path> path = core.path(peer);
      if (path && path->way == Way::Relay) {
        core.on_traffic(now, path->via);
      }
    }
  });
  mtu_driver_->feed([&active](PathMtus& core, TimePoint now, MtuActions&) {
    for (const PeerName peer : active) {
      core.on_traffic(now, peer);
    }
  });
}

}  // namespace weft::router
