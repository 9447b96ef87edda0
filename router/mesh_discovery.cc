// Whom to connect to, and what Peer records say of where and with whom everybody is.
//
// Up to full_mesh_max peers, everybody connects to everybody. Beyond, each keeps `degree`
// connections to peers chosen at random, which makes a graph that hardly ever falls apart; when it
// does, the halves know each other's addresses and keep trying a few.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "router/mesh_impl.h"

namespace weft::router {

void Mesh::Impl::on_peer_record(TimePoint now, const RecordChanged& change) {
  const PeerName peer = change.origin;
  topology_due_ =
      std::min(topology_due_, std::max(now + kTopologyDelay, last_topology_ + kTopologyInterval));
  discovery_due_ = std::min(discovery_due_, now + kTopologyDelay);
  if (!change.value) {
    infos_.erase(peer);
    (void)topology_.remove(peer);
    return;
  }
  auto info = decode_peer_info(*change.value);
  if (!info.ok()) {
    ++stats_.frames_refused;  // The record travels on; somebody may understand it.
    return;
  }
  std::set<PeerName> neighbours;
  for (const PeerInfo::Neighbour& neighbour : info.value().neighbours) {
    if (neighbour.name != peer) {
      neighbours.insert(neighbour.name);
    }
  }
  (void)topology_.set_neighbours(peer, neighbours);
  infos_[peer] = std::move(info).value();
  if (!topology_.reachable(peer)) {
    note_unreachable(now, peer);
  }
}

PeerInfo Mesh::Impl::own_info() const {
  PeerInfo info{.nickname = options_.nickname,
                .version = options_.version,
                .port = options_.port,
                .addresses = own_addresses(),
                .neighbours = {},
                .key = options_.key.pub};
  info.addresses.resize(std::min(info.addresses.size(), kAddressesMax));
  for (const auto& [peer, id] : up_) {
    if (info.neighbours.size() < kNeighboursMax) {
      info.neighbours.push_back({peer, links_.at(id).remote.address});
    }
  }
  return info;
}

void Mesh::Impl::state_self_soon(TimePoint now) {
  statement_due_ = std::min(statement_due_,
                            std::max(now + kStatementDelay, last_statement_ + kStatementInterval));
}

void Mesh::Impl::state_self(TimePoint now) {
  last_statement_ = now;
  const bool stated = store_.publish({RecordKey{RecordKind::Peer, {}}, encode(own_info())});
  WEFT_ASSERT(stated);  // kNeighboursMax keeps it below every limit.
  news_[options_.name] = std::nullopt;
  relay_due_ = now;
}

void Mesh::Impl::update_topology(TimePoint now, MeshActions& out) {
  topology_due_ = kNever;
  last_topology_ = now;
  const Topology::Changes changes = topology_.update();
  for (const PeerName peer : changes.unreachable) {
    note_unreachable(now, peer);
    out.push_back(PeerUnreachable{peer});
  }
  for (const PeerName peer : changes.reachable) {
    unreachable_since_.erase(peer);
    out.push_back(PeerReachable{peer});
  }
}

void Mesh::Impl::note_unreachable(TimePoint now, PeerName peer) {
  if (unreachable_since_.try_emplace(peer, now).second) {
    rescue_.due = std::min(rescue_.due, now + kRescueAfter);
    rescue_.backoff = Connector::Options{}.backoff_min;
  }
}

// Where `peer` may listen: as it says, then as its neighbours see it.
std::vector<Target> Mesh::Impl::addresses_of(PeerName peer) const {
  const auto info = infos_.find(peer);
  if (info == infos_.end() || info->second.port == 0) {
    return {};
  }
  std::vector<Target> found;
  const auto add = [&](const Ip& address) {
    const auto& own = options_.addresses;
    const bool ours = info->second.port == options_.port
                      && std::find(own.begin(), own.end(), address) != own.end();
    const Target target{address.to_string(), info->second.port};
    if (!ours && !address.is_unspecified()
        && std::find(found.begin(), found.end(), target) == found.end()) {
      found.push_back(target);
    }
  };
  for (const Ip& address : info->second.addresses) {
    add(address);
  }
  for (const PeerInfo::Neighbour& neighbour : info->second.neighbours) {
    const auto observer = infos_.find(neighbour.name);
    if (observer == infos_.end()) {
      continue;
    }
    for (const PeerInfo::Neighbour& seen : observer->second.neighbours) {
      if (seen.name == peer) {
        add(seen.address);
      }
    }
  }
  return found;
}

void Mesh::Impl::discover(TimePoint now, MeshActions& out) {
  if (!options_.discovery) {
    return;
  }
  if (everyone()) {
    seek_everyone(now);
  } else {
    seek_some(now, out);
    seek_unreachable(now);
  }
}

void Mesh::Impl::seek_everyone(TimePoint now) {
  std::set<PeerName> targeted;  // Dialled where the operator said.
  for (const auto& [target, peer] : target_peer_) {
    targeted.insert(peer);
  }
  // In random order, or the lowest names would meet everybody first.
  std::vector<PeerName> missing;
  for (const auto& [peer, info] : infos_) {
    if (!up_.contains(peer) && connector_.find(peer) == nullptr && !targeted.contains(peer)) {
      const auto at = rng_.below(static_cast<std::uint32_t>(missing.size()) + 1);
      missing.insert(missing.begin() + at, peer);
    }
  }
  std::size_t connections = up_.size();
  for (const auto& [goal, entry] : connector_.goals()) {
    connections += entry.state == Connector::State::Connected ? 0U : 1U;
  }
  for (const PeerName peer : missing) {
    const std::size_t over = ++connections - std::min(connections, options_.degree);
    const Duration delay = options_.name < peer ? Duration::zero() : kSecondDialDelay;
    (void)connector_.add(now, peer, delay + kFullMeshPace * over);
  }
}

void Mesh::Impl::seek_some(TimePoint now, MeshActions& out) {
  // A goal is tried once; who fails is somebody else's turn.
  std::vector<Goal> over;
  std::size_t seeking = 0;
  for (const auto& [goal, entry] : connector_.goals()) {
    if (!std::holds_alternative<PeerName>(goal)) {
      continue;
    }
    if (entry.state == Connector::State::Dialling
        || (entry.state == Connector::State::Waiting && entry.attempts == 0 && entry.due <= now)) {
      ++seeking;
    } else {
      over.push_back(goal);
    }
  }
  for (const Goal& goal : over) {
    connector_.remove(goal);
  }
  const auto kept =
      static_cast<std::size_t>(std::count_if(up_.begin(), up_.end(), [this](const auto& item) {
        const Link& link = links_.at(item.second);
        return link.outbound && link.goal && std::holds_alternative<PeerName>(*link.goal);
      }));
  if (kept > options_.degree) {
    trim(now, out);
    return;
  }
  std::vector<PeerName> candidates;
  for (const auto& [peer, hop] : topology_.next_hops()) {
    if (!up_.contains(peer) && connector_.find(peer) == nullptr && infos_.contains(peer)) {
      candidates.push_back(peer);
    }
  }
  for (std::size_t have = kept + seeking; have < options_.degree && !candidates.empty(); ++have) {
    const auto pick = rng_.below(static_cast<std::uint32_t>(candidates.size()));
    (void)connector_.add(now, candidates[pick], Duration::zero());
    candidates.erase(candidates.begin() + pick);
  }
}

// Gives up one connection we made beyond `degree`, now and then: a graph thins out slowly enough to
// see the effect of each step.
void Mesh::Impl::trim(TimePoint now, MeshActions& out) {
  std::vector<LinkId> spare;
  for (const auto& [peer, id] : up_) {
    const Link& link = links_.at(id);
    const auto info = infos_.find(peer);
    const bool can_spare_us =
        info != infos_.end() && info->second.neighbours.size() > options_.degree;
    if (link.outbound && link.goal && std::holds_alternative<PeerName>(*link.goal)
        && can_spare_us) {
      spare.push_back(id);
    }
  }
  // On average every fourth second.
  if (!spare.empty() && rng_.chance(25)) {
    const LinkId id = spare[rng_.below(static_cast<std::uint32_t>(spare.size()))];
    drop(now, id, "enough connections", out);
  }
}

void Mesh::Impl::seek_unreachable(TimePoint now) {
  if (rescue_.due > now) {
    return;
  }
  std::vector<PeerName> lost;
  for (const auto& [peer, since] : unreachable_since_) {
    if (now - since >= kRescueAfter && infos_.contains(peer) && connector_.find(peer) == nullptr) {
      lost.push_back(peer);
    }
  }
  for (std::size_t count = 0; count < kRescueCount && !lost.empty(); ++count) {
    const auto pick = rng_.below(static_cast<std::uint32_t>(lost.size()));
    (void)connector_.add(now, lost[pick], Duration::zero());
    lost.erase(lost.begin() + pick);
  }
  if (unreachable_since_.empty()) {
    rescue_.due = kNever;
    return;
  }
  const Duration half = rescue_.backoff / 2;
  rescue_.due = now + half + half * rng_.below(100) / 100;
  rescue_.backoff = std::min(rescue_.backoff * 2, Connector::Options{}.backoff_max);
}

void Mesh::Impl::forget_the_dead(TimePoint now, MeshActions& out) {
  for (auto at = unreachable_since_.begin(); at != unreachable_since_.end();) {
    const auto [peer, since] = *at;
    if (now - since < kForgetAfter) {
      ++at;
      continue;
    }
    for (RecordChanged& change : store_.bury(peer)) {
      out.push_back(std::move(change));
    }
    infos_.erase(peer);
    (void)topology_.remove(peer);
    connector_.remove(peer);
    dial_attempts_.erase(peer);
    buried_[peer] = now;
    at = unreachable_since_.erase(at);
  }
  // By then everybody else has forgotten it, too.
  for (auto at = buried_.begin(); at != buried_.end();) {
    if (now - at->second < kForgetAfter) {
      ++at;
      continue;
    }
    store_.erase(at->first);
    at = buried_.erase(at);
  }
}

void Mesh::Impl::run_discovery(TimePoint now, MeshActions& out) {
  if (topology_due_ <= now) {
    update_topology(now, out);
  }
  if (discovery_due_ <= now) {
    discovery_due_ = now + kDiscoveryInterval;
    forget_the_dead(now, out);
    discover(now, out);
  }
  std::vector<Goal> due;
  connector_.on_deadline(now, due);
  for (const Goal& goal : due) {
    dial(now, goal, out);
  }
}

}  // namespace weft::router
