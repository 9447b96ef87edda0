#include "router/io/esp/esp_path.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <sodium.h>

#include "base/log.h"
#include "router/sealed/kernel_keys.h"

namespace weft::router {

static_assert(kSessionIndexMin >= sys::kSpiMin);

void EspPath::set_source(const Ip& underlay, const Ip& source) {
  const auto known = sources_.find(underlay);
  if (known != sources_.end() && known->second == source) {
    return;
  }
  sources_.insert_or_assign(underlay, source);
  forget(underlay);  // What there is was made for another address of ours.
}

std::optional<sys::EspPair> EspPath::pair_with(const Ip& underlay) {
  if (const auto known = peers_.find(underlay); known != peers_.end()) {
    return known->second.pair;
  }
  const auto source = sources_.find(underlay);
  if (source == sources_.end() || !underlay.is_v4() || !source->second.is_v4()) {
    return std::nullopt;
  }
  std::uint16_t group = 0;
  while (groups_.contains(group)) {
    ++group;
  }
  return sys::EspPair{
      .local = source->second, .peer = underlay, .port = options_.port, .group = group};
}

Result<Ok> EspPath::install(const sys::EspPair& pair, const AddSession& session) {
  // Before anything is sealed under it: what is not, is dropped from here on.
  WEFT_TRY(xfrm_->require_in(pair));
  sys::EspAssociation association{.direction = sys::EspDirection::In,
                                  .spi = session.local,
                                  .key = esp_key(session.receive_key),
                                  .packets_max = options_.packets_max,
                                  .seconds_max = options_.seconds_max};
  Result<Ok> added = xfrm_->add(pair, association);
  if (added.ok()) {
    association.direction = sys::EspDirection::Out;
    association.spi = session.remote;
    association.key = esp_key(session.send_key);
    added = xfrm_->add(pair, association);
    if (!added.ok()) {
      (void)xfrm_->remove(pair, sys::EspDirection::In, session.local);  // The first error counts.
    }
  }
  sodium_memzero(association.key.data(), association.key.size());
  return added;
}

void EspPath::add(const Ip& underlay, const AddSession& session) {
  const std::optional<sys::EspPair> pair = pair_with(underlay);
  if (!session.esp || session.remote < sys::kSpiMin || !pair) {
    return;
  }
  peers_.try_emplace(underlay, Peer{.pair = *pair, .current = std::nullopt});
  groups_.insert(pair->group);
  if (note(install(*pair, session))) {
    keys_.insert_or_assign(session.local,
                           Keys{.underlay = underlay, .pair = *pair, .remote = session.remote});
  }
}

void EspPath::use(const Ip& underlay, SessionIndex local) {
  const auto peer = peers_.find(underlay);
  if (peer == peers_.end()) {
    return;
  }
  const auto keys = keys_.find(local);
  const bool is_used = keys != keys_.end() && note(xfrm_->require_in(keys->second.pair))
                       && note(xfrm_->require_out(keys->second.pair, keys->second.remote));
  set_ready(underlay, peer->second, is_used ? std::optional(local) : std::nullopt);
}

void EspPath::remove(SessionIndex local) {
  const auto keys = keys_.find(local);
  if (keys == keys_.end()) {
    return;
  }
  const Keys removed = keys->second;
  keys_.erase(keys);
  if (const auto peer = peers_.find(removed.underlay);
      peer != peers_.end() && peer->second.current == local) {
    set_ready(removed.underlay, peer->second, std::nullopt);
  }
  (void)note(xfrm_->remove(removed.pair, sys::EspDirection::Out, removed.remote));
  (void)note(xfrm_->remove(removed.pair, sys::EspDirection::In, local));
}

void EspPath::forget(const Ip& underlay) {
  const auto peer = peers_.find(underlay);
  if (peer == peers_.end()) {
    return;
  }
  std::vector<SessionIndex> held;
  for (const auto& [local, keys] : keys_) {
    if (keys.underlay == underlay) {
      held.push_back(local);
    }
  }
  for (const SessionIndex local : held) {
    remove(local);
  }
  (void)note(xfrm_->release(peer->second.pair));
  groups_.erase(peer->second.pair.group);
  peers_.erase(peer);
}

std::uint64_t EspPath::look(const Ip& underlay) {
  const auto peer = peers_.find(underlay);
  if (peer == peers_.end() || !peer->second.current) {
    return 0;
  }
  const SessionIndex local = *peer->second.current;
  const Keys& keys = keys_.at(local);
  const auto sealed = xfrm_->packets(keys.pair, sys::EspDirection::Out, keys.remote);
  const auto opened = xfrm_->packets(keys.pair, sys::EspDirection::In, local);
  if (!sealed.ok() || !opened.ok()) {
    const Error& why = sealed.ok() ? opened.error() : sealed.error();
    log::warning("kernel ESP lost", {"peer", underlay.to_string()}, {"why", why});
    // Its keys are never given to the kernel again: counters would begin anew.
    remove(local);
    return 0;
  }
  return sealed.value();
}

bool EspPath::is_ready(const Ip& underlay) const {
  const auto peer = peers_.find(underlay);
  return peer != peers_.end() && peer->second.current.has_value();
}

void EspPath::set_ready(const Ip& underlay, Peer& peer, std::optional<SessionIndex> current) {
  const bool was_ready = peer.current.has_value();
  peer.current = current;
  if (was_ready != current.has_value()) {
    on_ready_(underlay, current.has_value());
  }
}

bool EspPath::note(const Result<Ok>& result) {
  if (result.ok()) {
    failure_.clear();
    return true;
  }
  if (std::exchange(failure_, result.error().what) != failure_) {
    log::warning("kernel ESP", {"error", result.error()});
  }
  return false;
}

std::uint32_t EspPath::payload_max(std::uint32_t mtu) {
  // IPv4, ESP's SPI and number, GCM's nonce and tag; and inside: UDP, VXLAN, Ethernet, ESP's
  // trailer, padded to four octets (RFC 4303, 2.4).
  constexpr std::uint32_t kOutside = 20 + 8 + 8 + 16;
  constexpr std::uint32_t kInside = 8 + 8 + 14 + 2;
  const std::uint32_t room = (mtu - std::min(mtu, kOutside)) / 4 * 4;
  return room - std::min(room, kInside);
}

}  // namespace weft::router
