// DatapathService's checksums: the ChecksumTests core on real devices. A probe leaves through the
// VXLAN device as what the bridge hands it does, so it meets whatever the underlay device does to
// packets inside VXLAN; the peer hears it on its bridge and answers with a carrier frame.
#include <set>

#include "base/log.h"
#include "router/bpf/maps.h"
#include "router/checksums/checksum_probe.h"
#include "router/io/datapath_impl.h"
#include "sys/link/checksum_offload.h"

namespace weft::router {

Result<Ok> DatapathService::Impl::ensure_checksum_listener() {
  checksum_listener_ = WEFT_TRY(sys::listen_unrouted_udp(
      executor_, bridge_index_, kChecksumProbePort, [this](ByteView frame) {
        on_checksum_probe(frame);
      }));
  return Ok{};
}

// A device is asked about through one peer at a time, straight and in clear: sealed packets have no
// checksum inside for a device to compute. Without BPF the device's own table would have to know
// the peers' bridges.
void DatapathService::Impl::test_checksums() {
  if (!fast_path_ || !options_.clear_possible) {
    return;
  }
  std::set<std::uint32_t> asked;
  for (const auto& [name, place] : places_) {
    const auto route = peers_.find(place);
    if (route == peers_.end() || !route->second) {
      continue;
    }
    const std::uint32_t device = route->second->ifindex;
    if (checksums_.verdict(device) != ChecksumVerdict::Untested || asked.contains(device)
        || !place.is_v4() || !is_clear_allowed(place) || path_to(place).way != Way::Clear) {
      continue;
    }
    const std::optional<std::uint64_t> id = checksums_.next_probe(device, name);
    if (id) {
      asked.insert(device);
      const Bytes frame =
          encode_checksum_probe({.origin = options_.self, .id = *id}, name, place.v4());
      // What cannot be sent is not answered, and the device stays untested.
      (void)sys::send_with_offload(vxlan_index_, frame, WEFT_MARK_CHECKSUM);
    }
  }
}

void DatapathService::Impl::on_checksum_probe(ByteView frame) {
  const Result<HeardChecksum> heard = decode_checksum_probe(frame);
  if (!heard.ok()) {
    ++relays_.malformed;
    return;
  }
  const PeerName origin = heard.value().probe.origin;
  // Containers could forge probes, so answers are limited as floods are.
  if (!places_.contains(origin)) {
    return;
  }
  if (!relay_limit_.take(clock_.now())) {
    ++relays_.limited;
    return;
  }
  const ChecksumHeard answer{
      .origin = options_.self, .id = heard.value().probe.id, .is_right = heard.value().is_right};
  send_straight(origin, Way::Clear, encode_carrier(options_.self, origin, answer));
}

void DatapathService::Impl::on_checksum_heard(const ChecksumHeard& heard) {
  if (const auto action = checksums_.on_heard(heard.id, heard.is_right)) {
    set_offload(*action);
  }
}

void DatapathService::Impl::set_offload(const SetChecksumOffload& action) {
  const auto device = underlay_.find(action.device);
  if (device == underlay_.end()) {
    return;
  }
  log::warning("checksums inside VXLAN arrive wrong",
               {"device", device->second},
               {"offload", action.enabled ? "on again, as that was not it" : "turned off"});
  note("checksum offload of " + device->second,
       sys::set_checksum_offload(device->second, action.enabled));
}

std::vector<OffloadStatus> DatapathService::Impl::offloads() const {
  std::vector<OffloadStatus> all;
  for (const auto& [ifindex, name] : underlay_) {
    all.push_back({.device = name,
                   .enabled = sys::has_checksum_offload(name).value_or(false),
                   .verdict = checksums_.verdict(ifindex)});
  }
  return all;
}

}  // namespace weft::router
