// DatapathService's path MTUs: the PathMtus core on real devices. What a container sends is
// measured against its peer's by the programs in the kernel, which hand what is too big to the TAP;
// there the Forwarding core tells the sender, or cuts it.
#include <algorithm>
#include <utility>

#include <boost/asio/post.hpp>

#include "base/log.h"
#include "base/overloaded.h"
#include "router/datapath/ethernet.h"
#include "router/io/datapath_impl.h"

namespace weft::router {

void DatapathService::Impl::start_mtus() {
  mtus_ = std::make_unique<PathMtus>(PathMtus::Options{}, Rng(options_.seed + 1));
  mtu_driver_ = std::make_unique<MtuDriver>(
      executor_, clock_, *mtus_, [this](MtuAction a) { perform(std::move(a)); });
}

// Posted: routes are looked up while other cores are being served.
void DatapathService::Impl::tell_route_mtu(const Ip& peer) {
  boost::asio::post(executor_, lifetime_.guard([this, peer] {
    if (!mtu_driver_) {
      return;
    }
    const auto name = names_.find(peer);
    const auto route = peers_.find(peer);
    if (name != names_.end() && route != peers_.end() && route->second) {
      mtu_driver_->feed([&](PathMtus& core, TimePoint now, MtuActions& out) {
        core.set_limit(now, name->second, route->second->mtu, out);
      });
    }
  }));
}

// 0 while there is no route.
std::uint32_t DatapathService::Impl::path_mtu(const Ip& peer) const {
  const Path path = path_to(peer);
  const auto via = places_.find(path.via);
  const Ip& next = path.way == Way::Relay && via != places_.end() ? via->second : peer;
  const auto name = names_.find(next);
  const auto route = peers_.find(next);
  const std::uint32_t found = name == names_.end() || !mtus_ ? 0 : mtus_->mtu(name->second);
  return found != 0 || route == peers_.end() || !route->second ? found : route->second->mtu;
}

sys::FastPath::SizeLimit DatapathService::Impl::size_limit(const Ip& peer) const {
  const std::uint32_t payload = payload_max(peer, path_mtu(peer));
  if (payload == 0 || !tap_) {
    return {};
  }
  const auto header = static_cast<std::uint32_t>(kEthernetHeaderSize);
  return {.frame_max = payload + header, .reports = tap_->ifindex()};
}

void DatapathService::Impl::perform(MtuAction action) {
  std::visit(overloaded{
                 [this](const SendSized& a) { send_sized(a); },
                 [this](const SetPathMtu& a) {
                   if (const auto place = places_.find(a.peer); place != places_.end()) {
                     apply_mtu(place->second);
                   }
                 },
             },
             action);
}

void DatapathService::Impl::send_sized(const SendSized& action) {
  const auto place = places_.find(action.peer);
  const std::optional<Path> path = paths_->path(action.peer);
  if (place == places_.end() || !path || path->way == Way::Relay) {
    return;
  }
  const std::size_t size = payload_max(place->second, action.size) + kEthernetHeaderSize;
  const Bytes frame = encode_carrier(options_.self,
                                     action.peer,
                                     Probe{.origin = options_.self, .path = *path, .id = action.id},
                                     size);
  if (path->way == Way::Clear) {
    sender_->send_whole(frame, place->second);
  } else {
    send_straight(action.peer, path->way, frame);
  }
}

void DatapathService::Impl::apply_mtu(const Ip& peer) {
  if (peers_.contains(peer)) {
    tell_fast_path(peer);
  }
  tell_frame_max(peer);
}

void DatapathService::Impl::tell_frame_max(const Ip& peer) {
  const std::size_t frame_max = size_limit(peer).frame_max;
  if (frame_max != 0) {
    driver_->feed([&](Forwarding& core, TimePoint, ForwardingActions&) {
      core.set_frame_max(peer, frame_max);
    });
  }
}

}  // namespace weft::router
