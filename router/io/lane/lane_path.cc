#include "router/io/lane/lane_path.h"

#include <sodium.h>

#include "router/sealed/kernel_keys.h"

namespace weft::router {
namespace {

void add_to(sys::LaneCount& total, const sys::LaneCount& more) {
  total.packets += more.packets;
  total.octets += more.octets;
}

}  // namespace

LanePath::~LanePath() {
  while (!keys_.empty()) {
    remove(keys_.begin()->first);
  }
}

void LanePath::keep_alive() {
  (void)note(lane_->keep_alive(options_.patience));
}

void LanePath::add(const Ip& underlay, const AddSession& session) {
  if (!session.lane || session.remote == 0) {
    return;
  }
  sys::LaneKey key = lane_key(session.receive_key);
  const bool is_open = note(lane_->open(session.local, key, options_.life));
  sodium_memzero(key.data(), key.size());
  if (is_open) {
    open_from(underlay, session.local);
    keys_.insert_or_assign(
        session.local,
        Keys{.underlay = underlay, .remote = session.remote, .seal = lane_key(session.send_key)});
    keep_alive();
  }
}

void LanePath::use(const Ip& underlay, SessionIndex local, const Endpoint& to) {
  stop(underlay);
  const auto found = keys_.find(local);
  if (found == keys_.end()) {
    return;
  }
  Keys& keys = found->second;
  move(local, keys, underlay);
  if (keys.is_used || to.address != underlay) {
    return;
  }
  const bool is_used = note(lane_->seal(underlay,
                                        {.receiver = keys.remote,
                                         .key = keys.seal,
                                         .udp_source = options_.port,
                                         .udp_destination = to.port},
                                        options_.life));
  keys.is_used = true;
  sodium_memzero(keys.seal.data(), keys.seal.size());
  peers_.at(underlay).current = is_used ? local : 0;
}

// The mesh may have told of another address since the session was added.
void LanePath::move(SessionIndex local, Keys& keys, const Ip& underlay) {
  if (keys.underlay == underlay) {
    return;
  }
  peers_.at(keys.underlay).open.erase(local);
  drop_if_forgotten(keys.underlay);
  keys.underlay = underlay;
  open_from(underlay, local);
}

void LanePath::open_from(const Ip& underlay, SessionIndex local) {
  Peer& peer = peers_[underlay];
  peer.open.insert(local);
  peer.is_forgotten = false;
}

void LanePath::stop(const Ip& underlay) {
  const auto peer = peers_.find(underlay);
  if (peer == peers_.end() || peer->second.current == 0) {
    return;
  }
  add_to(peer->second.sealed, lane_->sealed(underlay));
  (void)note(lane_->stop(underlay));
  peer->second.current = 0;
}

void LanePath::forget(const Ip& underlay) {
  stop(underlay);
  if (const auto peer = peers_.find(underlay); peer != peers_.end()) {
    peer->second.is_forgotten = true;
    drop_if_forgotten(underlay);
  }
}

// Once nothing that its peer sealed is opened any more.
void LanePath::drop_if_forgotten(const Ip& underlay) {
  const Peer& peer = peers_.at(underlay);
  if (peer.is_forgotten && peer.open.empty()) {
    peers_.erase(underlay);
  }
}

void LanePath::remove(SessionIndex local) {
  const auto found = keys_.find(local);
  if (found == keys_.end()) {
    return;
  }
  Keys& keys = found->second;
  Peer& peer = peers_.at(keys.underlay);
  if (peer.current == local) {
    stop(keys.underlay);
  }
  add_to(peer.opened, lane_->opened(local));
  (void)note(lane_->close(local));
  peer.open.erase(local);
  drop_if_forgotten(keys.underlay);
  sodium_memzero(keys.seal.data(), keys.seal.size());
  keys_.erase(found);
}

LanePath::Traffic LanePath::traffic(const Ip& underlay) {
  const auto found = peers_.find(underlay);
  if (found == peers_.end()) {
    return {};
  }
  const Peer& peer = found->second;
  Traffic traffic{.sealed = peer.sealed, .opened = peer.opened, .counter = 0};
  if (peer.current != 0) {
    const sys::LaneCount now = lane_->sealed(underlay);
    add_to(traffic.sealed, now);
    traffic.counter = now.packets;
  }
  for (const SessionIndex local : peer.open) {
    add_to(traffic.opened, lane_->opened(local));
  }
  return traffic;
}

bool LanePath::note(const Result<Ok>& result) {
  failure_ = result.ok() ? "" : result.error().what;
  return result.ok();
}

}  // namespace weft::router
