#include "agent/placement.h"

#include <algorithm>

#include "base/assert.h"
#include "base/bytes.h"

namespace weft::agent {

namespace {

constexpr const char* kTable = "placement";

// As many as the mesh knows peers (router::Mesh::Options::peers_max), twice over for those gone.
constexpr std::size_t kPlacesMax = 8192;

Bytes key_of(PeerName peer) {
  return Writer().u64(peer.number()).take();
}

Result<PeerName> peer_of(const Bytes& key) {
  Reader reader(key);
  const std::uint64_t number = WEFT_TRY(reader.u64());
  if (number >> 48U != 0 || !reader.empty()) {
    return Error{Errc::Invalid, "placement of something that is no peer"};
  }
  return PeerName(number);
}

}  // namespace

Result<Placement> Placement::load(sys::Store& store) {
  Placement placement;
  const StoreTable table = WEFT_TRY(store.load(kTable));
  for (const auto& [key, value] : table) {
    const PeerName peer = WEFT_TRY(peer_of(key));
    placement.places_[peer] = WEFT_TRY(Ip::from_bytes(value));
  }
  return placement;
}

Ip Placement::choose(PeerName peer, const std::vector<Ip>& addresses, StoreBatch& changes) {
  WEFT_ASSERT(!addresses.empty());
  const Ip best = addresses.front();
  const auto place = places_.find(peer);
  if (place != places_.end()) {
    const Ip before = place->second;
    const bool still_there =
        std::find(addresses.begin(), addresses.end(), before) != addresses.end();
    if (before == best || (still_there && before.is_v4() != best.is_v4())) {
      return before;
    }
  }
  if (place == places_.end() && places_.size() >= kPlacesMax) {
    return best;  // Who is not remembered is merely placed by chance after a reconnection.
  }
  places_[peer] = best;
  changes.push_back({kTable, key_of(peer), best.bytes()});
  return best;
}

std::vector<Ip> Placement::some(std::size_t count) const {
  std::vector<Ip> places;
  for (const auto& [peer, place] : places_) {
    if (places.size() == count) {
      break;
    }
    places.push_back(place);
  }
  return places;
}

void Placement::forget(PeerName peer, StoreBatch& changes) {
  if (places_.erase(peer) > 0) {
    changes.push_back({kTable, key_of(peer), std::nullopt});
  }
}

}  // namespace weft::agent
