// Whom to connect to, and what we state of ourselves. The rules are in router/overlay/views.h.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "router/mesh_impl.h"

namespace weft::router {

// Statements -----------------------------------------------------------------------------------

void Mesh::Impl::on_peer_record(TimePoint now, const RecordChanged& change) {
  discover_soon(now);
  update_topology_soon(now);  // Whether it can be reached is for that to say.
  if (change.value && !decode_peer_info(*change.value).ok()) {
    ++stats_.frames_refused;  // The record travels on; somebody may understand it.
  }
}

std::optional<PeerInfo> Mesh::Impl::info_of(PeerName peer) const {
  const Bytes* value = store_.find(peer, RecordKey{RecordKind::Peer, {}});
  if (value == nullptr) {
    return std::nullopt;
  }
  auto info = decode_peer_info(*value);
  return info.ok() ? std::optional(std::move(info).value()) : std::nullopt;
}

PeerInfo Mesh::Impl::own_info() const {
  PeerInfo info{.nickname = options_.nickname,
                .version = options_.version,
                .port = options_.port,
                .addresses = own_addresses(),
                .key = options_.key.pub};
  info.addresses.resize(std::min(info.addresses.size(), kAddressesMax));
  return info;
}

void Mesh::Impl::state_self(TimePoint now) {
  const OriginVersion before = *store_.version(options_.name);
  const bool stated = store_.publish({RecordKey{RecordKind::Peer, {}}, encode(own_info())});
  WEFT_ASSERT(stated);  // kAddressesMax keeps it below every limit.
  own_news(now, before);
}

void Mesh::Impl::state_links(TimePoint now) {
  statement_due_ = kNever;
  last_statement_ = last_links_change_ = now;
  ++stats_.statements;
  // Our own paths go by what others know, or they would not fit together.
  for (const auto& [peer, id] : up_) {
    Link& link = links_.at(id);
    link.cost_level = link.meter.cost_level(now);
  }
  update_topology_soon(now);  // What the links cost may have changed.
  const OriginVersion before = *store_.version(options_.name);
  const bool stated = store_.publish({RecordKey{RecordKind::Links, {}}, encode(own_links())});
  WEFT_ASSERT(stated);  // kNeighboursMax keeps it below every limit.
  own_news(now, before);
}

void Mesh::Impl::state_links_soon(TimePoint now, Duration delay) {
  const Duration interval = members() < kLarge ? kStatementInterval : kStatementIntervalLarge;
  statement_due_ =
      std::min(statement_due_, std::max(now + delay, last_statement_ + health_.stretch(interval)));
}

// Where `peer` may listen, as it says.
std::vector<Target> Mesh::Impl::addresses_of(PeerName peer) const {
  const auto info = info_of(peer);
  if (!info || info->port == 0) {
    return {};
  }
  std::vector<Target> found;
  for (const Ip& address : info->addresses) {
    const auto& own = options_.addresses;
    const bool ours =
        info->port == options_.port && std::find(own.begin(), own.end(), address) != own.end();
    const Target target{address.to_string(), info->port};
    if (!ours && !address.is_unspecified()
        && std::find(found.begin(), found.end(), target) == found.end()) {
      found.push_back(target);
    }
  }
  return found;
}

// Letting in -----------------------------------------------------------------------------------

std::size_t Mesh::Impl::links_in_use() const {
  return static_cast<std::size_t>(std::count_if(
      up_.begin(), up_.end(), [this](const auto& item) { return !links_.at(item.second).silent; }));
}

bool Mesh::Impl::is_target(PeerName peer) const {
  return std::any_of(target_peer_.begin(), target_peer_.end(), [peer](const auto& item) {
    return item.second == peer;
  });
}

// True if we have connections enough and the other end can find others.
bool Mesh::Impl::is_crowded(const Link& link) const {
  if (link.outbound || !options_.discovery || link.hello.fixed || is_target(link.hello.name)) {
    return false;
  }
  std::set<PeerName> accepted;
  for (const auto& [id, other] : links_) {
    if (other.accept_sent && !other.silent && other.hello.name != link.hello.name) {
      accepted.insert(other.hello.name);
    }
  }
  const auto standing = link.hello.alone ? Views::Standing::Alone : Views::Standing::Linked;
  return !views_.admits(accepted.size(), standing, members());
}

// Names those who, as far as we know, have room.
void Mesh::Impl::refer(Verdict& verdict) {
  const std::vector<Views::Candidate> known = candidates();
  for (const PeerName peer : views_.choose(now_, known, kReferralsMax / 2)) {
    const std::vector<Target> addresses = addresses_of(peer);
    const auto address =
        addresses.empty() ? Ip() : Ip::parse(addresses.front().host).value_or(Ip());
    if (!address.is_unspecified()) {
      verdict.referrals.push_back({address, addresses.front().port});
    }
  }
  // While a cluster starts up, who has just come in is all we know.
  std::vector<Endpoint> fresh;
  for (const auto& [id, other] : links_) {
    if (other.accept_sent && other.hello.port != 0) {
      fresh.push_back({other.remote.address, other.hello.port});
    }
  }
  while (verdict.referrals.size() < kReferralsMax && !fresh.empty()) {
    const auto pick = rng_.below(static_cast<std::uint32_t>(fresh.size()));
    verdict.referrals.push_back(fresh[pick]);
    fresh.erase(fresh.begin() + pick);
  }
}

// Peers to connect to: those who say with whom they are connected, and are there.
std::vector<Views::Candidate> Mesh::Impl::candidates() const {
  std::vector<Views::Candidate> found;
  store_.for_each(RecordKey{RecordKind::Links, {}}, [&](PeerName peer, const Bytes& value) {
    if (peer != options_.name && !up_.contains(peer) && !unreachable_.contains(peer)
        && !suspicions_.contains(peer) && connector_.find(peer) == nullptr) {
      found.push_back({peer, link_count(value)});
    }
  });
  return found;
}

// The other end has connections enough: for us it is one of many.
void Mesh::Impl::on_full(TimePoint now, Link& link, const Verdict& verdict) {
  link.duplicate = true;  // Nothing is the matter.
  views_.avoid(now, link.hello.name);
  for (const Endpoint& referral : verdict.referrals) {
    if (referrals_.size() < kReferralsHeldMax) {
      referrals_.push_back(referral);
    }
  }
  // A target that knows others has done what an operator wanted of it; what remains is to notice
  // when it cannot be reached any more (suspend()).
  const auto* target = link.goal ? std::get_if<Target>(&*link.goal) : nullptr;
  if (target != nullptr && targets_.contains(*target) && options_.discovery
      && (!verdict.referrals.empty() || !up_.empty())) {
    connector_.on_connected(now, *link.goal);
    full_targets_.insert(*target);
    link.goal.reset();
  }
  discover_soon(now);
}

// A target that had no room is left alone because we find the cluster through others. If no path
// leads to it, those whom we found are an island that was turned away as we were.
void Mesh::Impl::retry_full_targets(TimePoint now) {
  std::erase_if(full_targets_, [this](const Target& target) {
    const auto peer = target_peer_.find(target);
    return peer == target_peer_.end() || up_.contains(peer->second) || is_present(peer->second);
  });
  for (const Target& target : full_targets_) {
    const auto* entry = connector_.find(target);
    if (entry != nullptr && entry->state == Connector::State::Connected) {
      connector_.on_lost(now, target, "it has no room, and no path leads to it");
    }
  }
}

// Looking for connections ------------------------------------------------------------------------

// Not at the same moment for all.
void Mesh::Impl::discover_soon(TimePoint now) {
  const bool is_urgent = views_.is_urgent(links_in_use(), members());
  const Duration delay = is_urgent ? kDiscoveryDelay : kDiscoveryDelayLinked;
  discovery_due_ = std::min(discovery_due_, now + delay * (50 + rng_.below(100)) / 100);
}

void Mesh::Impl::discover(TimePoint now, MeshActions& out) {
  if (!options_.discovery) {
    return;
  }
  retry_full_targets(now);
  std::size_t seeking = clear_goals();
  seeking += follow_referrals(now, seeking);
  if (views_.is_full_mesh(members())) {
    seek_everyone(now);
  } else {
    seek_some(now, seeking);
    trim(now, out);
  }
  probe_suspects(now);
  seek_unreachable(now);
}

void Mesh::Impl::seek_everyone(TimePoint now) {
  std::set<PeerName> targeted;  // Dialled where the operator said.
  for (const auto& [target, peer] : target_peer_) {
    targeted.insert(peer);
  }
  // In random order, or the lowest names would meet everybody first.
  std::vector<PeerName> missing;
  store_.for_each(RecordKey{RecordKind::Peer, {}}, [&](PeerName peer, const Bytes&) {
    if (peer != options_.name && !up_.contains(peer) && connector_.find(peer) == nullptr
        && !targeted.contains(peer) && !is_replaced(peer)) {
      const auto at = rng_.below(static_cast<std::uint32_t>(missing.size()) + 1);
      missing.insert(missing.begin() + at, peer);
    }
  });
  std::size_t connections = up_.size();
  for (const auto& [goal, entry] : connector_.goals()) {
    connections += entry.state == Connector::State::Connected ? 0U : 1U;
  }
  for (const PeerName peer : missing) {
    const std::size_t over = ++connections - std::min(connections, kAtOnce);
    const Duration delay = options_.name < peer ? Duration::zero() : kSecondDialDelay;
    (void)connector_.add(now, peer, delay + kFullMeshPace * over);
  }
}

// Forgets goals that were tried once: who fails is somebody else's turn. In a full mesh there is
// nobody else. Returns how many are under way.
std::size_t Mesh::Impl::clear_goals() {
  std::vector<Goal> over;
  std::size_t seeking = 0;
  for (const auto& [goal, entry] : connector_.goals()) {
    const auto* target = std::get_if<Target>(&goal);
    if (target != nullptr ? targets_.contains(*target) : views_.is_full_mesh(members())) {
      continue;
    }
    if (entry.state == Connector::State::Dialling
        || (entry.state == Connector::State::Waiting && entry.attempts == 0 && entry.due <= now_)) {
      ++seeking;
    } else {
      over.push_back(goal);
      if (const auto* peer = std::get_if<PeerName>(&goal);
          peer != nullptr && entry.state == Connector::State::Waiting) {
        views_.avoid(now_, *peer);
      }
    }
  }
  for (const Goal& goal : over) {
    connector_.remove(goal);
  }
  return seeking;
}

// Who was turned away knows these to have room, and may know nobody else. Returns how many are
// tried.
std::size_t Mesh::Impl::follow_referrals(TimePoint now, std::size_t seeking) {
  const std::size_t links = links_in_use();
  const bool is_cut_off = links == 0 || !full_targets_.empty();
  const std::size_t wanted =
      is_cut_off && seeking == 0 ? 1 : views_.wanted(links, seeking, members());
  std::size_t tried = 0;
  while (tried < wanted && !referrals_.empty()) {
    const Endpoint referral = referrals_.back();
    referrals_.pop_back();
    const Target target{referral.address.to_string(), referral.port};
    if (connector_.find(target) == nullptr && connector_.add(now, target, Duration::zero())) {
      ++tried;
    }
  }
  // Without anybody, whoever an operator named is tried again, however full it said it was.
  if (links == 0 && seeking + tried == 0 && connector_.dialling_count() == 0) {
    for (const auto& [target, text] : targets_) {
      const auto* entry = connector_.find(target);
      const auto peer = target_peer_.find(target);
      const bool is_up = peer != target_peer_.end() && up_.contains(peer->second);
      if (!is_up && entry != nullptr && entry->state == Connector::State::Connected) {
        connector_.on_lost(now, target, "nobody had room");
      }
    }
  }
  return tried;
}

void Mesh::Impl::seek_some(TimePoint now, std::size_t seeking) {
  const std::size_t wanted = views_.wanted(links_in_use(), seeking, members());
  if (wanted == 0) {
    if (full_targets_.empty()) {
      referrals_.clear();
    }
    return;
  }
  for (const PeerName peer : views_.choose(now, candidates(), wanted)) {
    (void)connector_.add(now, peer, Duration::zero());
  }
}

// Gives up one connection beyond the limit at a time: a graph thins out slowly enough to see the
// effect of each step.
void Mesh::Impl::trim(TimePoint now, MeshActions& out) {
  const Duration quiet = members() < kLarge ? kTrimQuiet : Duration();
  if (now - last_trim_ < kDiscoveryInterval || now - last_up_ < quiet) {
    return;
  }
  std::vector<Views::Link> links;
  for (const auto& [peer, id] : up_) {
    if (links_.at(id).silent) {
      continue;
    }
    const auto other = links_of(peer);
    links.push_back({.peer = peer,
                     .degree = other ? other->links.size() : 0,
                     .is_target = is_target(peer) || links_.at(id).hello.fixed,
                     .is_branch = broadcast_.is_branch(peer)});
  }
  if (const auto spare = views_.spare(links, members())) {
    last_trim_ = now;
    Link& link = *up_link(*spare);
    const LinkId id = link.id;
    send_message(now, link, Goodbye{}, out);
    if (links_.contains(id)) {
      drop(now, id, "enough connections", out);
    }
  }
}

// The unreachable --------------------------------------------------------------------------------

// A few of all peers, the same for everybody who knows the same: of the names mixed with the
// suspect's those that come first.
bool Mesh::Impl::is_prober_of(PeerName suspect) const {
  const auto rank = [suspect](PeerName peer) {
    return Rng(peer.number() ^ (suspect.number() << 16U)).next();
  };
  const std::uint64_t ours = rank(options_.name);
  std::size_t before = 0;
  for (const PeerName peer : topology_.reachable_peers()) {
    before += rank(peer) < ours ? 1U : 0U;
  }
  return before < kProbers;
}

// SWIM's indirect probe: by whoever can reach it from elsewhere. A connection that comes about
// makes it a neighbour, and that is the end of the suspicion.
void Mesh::Impl::probe_suspects(TimePoint now) {
  std::size_t probes = 0;
  for (const PeerName suspect : suspicions_.peers()) {
    if (probes < kProbesMax && suspicions_.needs_probe(suspect) && !up_.contains(suspect)
        && !accused_.contains(suspect) && connector_.find(suspect) == nullptr
        && is_prober_of(suspect) && connector_.add(now, suspect, Duration::zero())) {
      ++probes;
    }
  }
}

// Where `peer` listened a neighbour of ours does: the host was set up anew under another name, and
// dialling would find that one again and again. What others state is no proof, since two sites may
// use the same private addresses; a connection of our own with that address is.
bool Mesh::Impl::is_replaced(PeerName peer) const {
  if (!unreachable_.contains(peer)) {
    return false;
  }
  const std::vector<Target> wanted = addresses_of(peer);
  return std::any_of(up_.begin(), up_.end(), [&](const auto& item) {
    const Link& link = links_.at(item.second);
    const Target seen{link.remote.address.to_string(), link.hello.port};
    if (link.silent || std::find(wanted.begin(), wanted.end(), seen) == wanted.end()) {
      return false;
    }
    const std::vector<Target> taken = addresses_of(item.first);
    return std::all_of(wanted.begin(), wanted.end(), [&](const Target& target) {
      return target == seen || std::find(taken.begin(), taken.end(), target) != taken.end();
    });
  });
}

void Mesh::Impl::seek_unreachable(TimePoint now) {
  if (unreachable_.empty() || now - last_rescue_ < kDiscoveryInterval) {
    return;
  }
  last_rescue_ = now;
  std::vector<PeerName> lost;
  bool is_recent = false;
  for (const auto& [peer, missed] : unreachable_) {
    const auto* goal = connector_.find(peer);
    if (is_replaced(peer)) {
      connector_.remove(peer);
    } else if (!up_.contains(peer) && info_of(peer)
               && (goal == nullptr || goal->state == Connector::State::Waiting)) {
      lost.push_back(peer);
      is_recent = is_recent || now - missed.since < kRescueEager;
    }
  }
  if (lost.empty()) {
    return;
  }
  // One chance in so many, in each second, for each of us.
  std::size_t share = (topology_.reachable_count() + kRescuesPerSecond) / kRescuesPerSecond;
  share = std::min(share, kRescueSecondsMax);
  if (!is_recent) {
    share *= kRescueLateFactor;
  }
  if (rng_.below(static_cast<std::uint32_t>(share)) == 0) {
    const PeerName pick = lost[rng_.below(static_cast<std::uint32_t>(lost.size()))];
    if (connector_.add(now, pick, Duration::zero())) {
      connector_.retry(now, pick);
    }
  }
}

void Mesh::Impl::dismiss(TimePoint now, PeerName peer) {
  begin(now);
  if (peer != options_.name && store_.version(peer) && !buried_.contains(peer)) {
    dismissed_[peer] = now + kDismissalMax;
    discovery_due_ = now;
  }
}

void Mesh::Impl::bury(TimePoint now, PeerName peer, MeshActions& out) {
  for (RecordChanged& change : store_.bury(peer)) {
    if (change.key.kind != RecordKind::Links) {
      out.push_back(std::move(change));
    }
  }
  connector_.remove(peer);
  suspicions_.clear(peer);
  dial_attempts_.erase(peer);
  dismissed_.erase(peer);
  buried_[peer] = now;
}

void Mesh::Impl::forget_the_dead(TimePoint now, MeshActions& out) {
  std::erase_if(dismissed_, [now](const auto& one) { return one.second <= now; });
  for (auto at = unreachable_.begin(); at != unreachable_.end();) {
    const auto [peer, missed] = *at;
    if (now - missed.since >= kForgetAfter || dismissed_.contains(peer)) {
      bury(now, peer, out);
      at = unreachable_.erase(at);
    } else {
      ++at;
    }
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
