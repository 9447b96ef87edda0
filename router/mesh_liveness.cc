// Who is there: heartbeats, silence, suspicion, paths. The rules are in router/overlay/liveness.h.
//
// A neighbour that was not heard for a while is accused, and its link is not used; the connection
// stays, and if the neighbour is heard again all is as before. Whoever no path leads to is a
// suspect, later suspended. Its records stay, and so does what others forward to it.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "router/mesh_impl.h"

namespace weft::router {

// Heartbeats -----------------------------------------------------------------------------------

// Our own timers say how well we are. Time in which our own process did not run says nothing about
// others: what they sent meanwhile may only now be coming in. That counts for a few turns since
// they were last heard; whoever is always late would otherwise never notice anything.
void Mesh::Impl::note_lateness(TimePoint now) {
  const Duration asleep = now - now_;
  if (asleep <= kLateMin || now - std::max(next_deadline(), now_) <= kLateMin) {
    if (now - well_since_ >= kHeartbeatInterval) {
      health_.improve();
      well_since_ = now;
    }
    return;
  }
  health_.worsen();
  well_since_ = now;
  for (auto& [id, link] : links_) {
    if (link.excuses < kExcusesMax) {
      link.excuses += 1;
      link.heard += asleep;
      link.silent_since += asleep;
    }
  }
}

// Silence of one neighbour is about the neighbour, silence of most about ourselves.
Duration Mesh::Impl::silence_after(TimePoint now, const Link& link) const {
  return std::min(health_.stretch(link.patience.stretch(now, kSuspectAfter)), kPatienceMax);
}

// When the connection ends, and when its silence is stated: always before.
TimePoint Mesh::Impl::silence_due(TimePoint now, const Link& link) const {
  return link.silent ? link.silent_since + (kSilenceMax - kSuspectAfter)
                     : link.heard + silence_after(now, link);
}

void Mesh::Impl::beat(TimePoint now, Link& link, MeshActions& out) {
  link.beat_due = now + kHeartbeatInterval;
  link.confirmed = link.received;
  send_message(now,
               link,
               Heartbeat{.beat = link.meter.next_beat(now),
                         .hash = static_cast<std::uint32_t>(store_.digest_hash()),
                         .received = link.received,
                         .suspected = accused_.contains(link.hello.name),
                         .anew = link.deflater.rest(now)},
               out);
}

void Mesh::Impl::on_heartbeat(TimePoint now,
                              Link& link,
                              const Heartbeat& heartbeat,
                              MeshActions& out) {
  link.meter.on_beat(now, heartbeat.beat);
  broadcast_.on_confirmed(now, link.hello.name, heartbeat.received);
  if (link.meter.cost_level(now) != link.cost_level) {
    state_links_soon(now, kStatementDelayCalm);
  }
  if (heartbeat.suspected) {
    refute(now, life_);
  }
  if (heartbeat.anew) {
    link.inflater.begin_anew();
  }
  compare_hashes(now, link, heartbeat.hash, out);
  if (link.beat_due - now < kHeartbeatInterval / 2) {
    link.beat_due = std::min(link.beat_due, now);  // Answered at once: see kHeartbeatInterval.
  }
}

// Anything heard is a sign of life.
void Mesh::Impl::hear(TimePoint now, Link& link, MeshActions& out) {
  link.heard = now;
  link.excuses = 0;
  if (!link.silent) {
    return;
  }
  link.silent = false;
  link.patience.on_false_alarm(now);
  const PeerName peer = link.hello.name;
  accused_.erase(peer);
  report(out, MeshEvent::Level::Info, "neighbour heard again", describe(peer), "");
  broadcast_.add(peer, Broadcast::Role::Eager);
  state_links_soon(now, kStatementDelay);
  update_topology_soon(now);
}

void Mesh::Impl::fall_silent(TimePoint now, Link& link, MeshActions& out) {
  link.silent = true;
  link.silent_since = now;
  const PeerName peer = link.hello.name;
  report(
      out,
      MeshEvent::Level::Info,
      "neighbour silent",
      describe(peer),
      fmt::format("not heard for {:.1f} s", static_cast<double>((now - link.heard).count()) / 1e9));
  accuse(now, peer);
  leave_branch(now, peer);
  state_links_soon(now, kStatementDelay);
  update_topology_soon(now);
  discover_soon(now);
}

void Mesh::Impl::run_up_link(TimePoint now, Link& link, MeshActions& out) {
  if (!link.silent && now - link.heard >= silence_after(now, link)) {
    fall_silent(now, link, out);
  }
  if (link.beat_due <= now) {
    beat(now, link, out);
  }
  if (link.unmet_due <= now) {
    meet(now, link, out);
  }
}

// Accusations ----------------------------------------------------------------------------------

std::optional<LinksRecord> Mesh::Impl::links_of(PeerName peer) const {
  const Bytes* value = store_.find(peer, RecordKey{RecordKind::Links, {}});
  if (value == nullptr) {
    return std::nullopt;
  }
  auto links = decode_links(*value);
  return links.ok() ? std::optional(std::move(links).value()) : std::nullopt;
}

Life Mesh::Impl::life_of(PeerName peer) const {
  const auto version = store_.version(peer);
  const auto links = links_of(peer);
  return {static_cast<std::uint32_t>(version ? version->incarnation.value() : 0),
          links ? links->life : 0};
}

void Mesh::Impl::accuse(TimePoint now, PeerName peer) {
  if (accused_.size() < kNeighboursMax) {
    ++stats_.accusations;
    accused_[peer] = {life_of(peer), now + kAccusationLife};
    state_links_soon(now, kStatementDelay);
  }
}

// We were accused in this stretch of our life: begin the next one.
void Mesh::Impl::refute(TimePoint now, std::uint32_t life) {
  // One that others have not heard of yet needs no successor.
  if (life < life_ || (life_ > 0 && now - life_since_ < kSuspectAfter)) {
    return;
  }
  ++stats_.refutations;
  life_ = life + 1;
  life_since_ = now;
  health_.worsen();
  state_links_soon(now, kStatementDelay);
}

void Mesh::Impl::on_links_record(TimePoint now, PeerName origin, const LinksRecord& links) {
  const auto own = static_cast<std::uint32_t>(options_.incarnation.value());
  for (const LinksRecord::Accusation& accusation : links.accusations) {
    if (accusation.peer == options_.name && accusation.life.incarnation == own) {
      refute(now, accusation.life.count);
    }
  }
  // A neighbour that lost another may be reached over us only.
  if (!links.accusations.empty() && statement_due_ != kNever && up_.contains(origin)) {
    state_links_soon(now, kStatementDelay);
  }
  // Refuted.
  const auto at = accused_.find(origin);
  if (at != accused_.end() && at->second.life < life_of(origin)) {
    accused_.erase(at);
    state_links_soon(now, kStatementDelayCalm);
  }
}

// Independent accusers of each suspect, in its current life.
void Mesh::Impl::count_accusers() {
  std::map<PeerName, std::pair<Life, std::size_t>> counts;
  for (const PeerName suspect : suspicions_.peers()) {
    counts[suspect] = {life_of(suspect), 0};
  }
  if (counts.empty()) {
    return;
  }
  store_.for_each(RecordKey{RecordKind::Links, {}}, [&](PeerName accuser, const Bytes& value) {
    if (accuser == options_.name) {
      return;
    }
    const auto links = decode_links(value);
    if (!links.ok()) {
      return;
    }
    for (const LinksRecord::Accusation& accusation : links.value().accusations) {
      const auto at = counts.find(accusation.peer);
      if (at != counts.end() && accusation.life >= at->second.first) {
        at->second.second += 1;
      }
    }
  });
  for (const auto& [suspect, count] : counts) {
    const auto at = accused_.find(suspect);
    const bool by_us = at != accused_.end() && at->second.life >= count.first;
    suspicions_.set_accusers(suspect, count.second + (by_us ? 1U : 0U));
  }
}

// Paths ----------------------------------------------------------------------------------------

// What we know of our own links, before it is stated.
LinksRecord Mesh::Impl::own_links() const {
  LinksRecord record{.life = life_, .links = {}, .accusations = {}};
  for (const auto& [peer, id] : up_) {
    const Link& link = links_.at(id);
    if (!link.silent && record.links.size() < kNeighboursMax) {
      record.links.push_back({peer, link.cost_level});
    }
  }
  for (const auto& [peer, accused] : accused_) {
    record.accusations.push_back({peer, accused.life});
  }
  return record;
}

LinkGraph Mesh::Impl::graph() const {
  LinkGraph graph;
  std::vector<LinkGraph::Edge> edges;
  const auto add = [&](PeerName peer, const LinksRecord& record) {
    edges.clear();
    for (const LinksRecord::Link& link : record.links) {
      edges.push_back({link.to, cost_of_level(link.cost)});
    }
    graph.add(peer, edges);
  };
  // Ourselves, and neighbours that have not stated anything yet, each in its place.
  std::map<PeerName, LinksRecord> unstated{{options_.name, own_links()}};
  for (const auto& [peer, id] : up_) {
    unstated.try_emplace(peer);
  }
  const auto add_unstated = [&](std::map<PeerName, LinksRecord>::iterator end) {
    for (auto at = unstated.begin(); at != end; at = unstated.erase(at)) {
      add(at->first, at->second);
    }
  };
  LinksRecord links;
  store_.for_each(RecordKey{RecordKind::Links, {}}, [&](PeerName peer, const Bytes& value) {
    if (peer == options_.name || !decode_links(value, links).ok()) {
      return;
    }
    if (!unstated.empty() && unstated.begin()->first <= peer) {
      add_unstated(unstated.lower_bound(peer));
      unstated.erase(peer);
    }
    add(peer, links);
  });
  add_unstated(unstated.end());
  return graph;
}

void Mesh::Impl::update_topology_soon(TimePoint now) {
  const Duration hold = health_.stretch(topology_hold_);
  topology_due_ = std::min(topology_due_, std::max(now + kTopologyDelay, last_topology_ + hold));
}

// Whom we have no path to says with whom it is connected.
void Mesh::Impl::meet_soon(TimePoint now) {
  const Duration hold = health_.stretch(std::max(kTopologyHoldMeeting, topology_hold_ / 4));
  topology_due_ =
      std::min(topology_due_, std::max(now + kTopologyDelayMeeting, last_topology_ + hold));
}

void Mesh::Impl::update_topology(TimePoint now, MeshActions& out) {
  const Duration hold_max = std::clamp(kTopologyHoldPerMember * static_cast<int>(members()),
                                       Duration(kTopologyHold),
                                       Duration(kTopologyHoldMax));
  topology_hold_ = now - last_topology_ < 2 * topology_hold_
                       ? std::min(2 * topology_hold_, hold_max)
                       : kTopologyHold;
  topology_due_ = kNever;
  last_topology_ = now;
  ++stats_.topology_updates;
  LinkGraph links = graph();
  const Topology::Changes changes = topology_.update(links);
  for (const PeerName peer : changes.unreachable) {
    ++stats_.suspicions;
    const auto last = links_of(peer);
    suspicions_.suspect(now, peer, last ? last->links.size() : 1);
  }
  for (const PeerName peer : changes.reachable) {
    if (suspicions_.contains(peer)) {
      ++stats_.suspicions_cleared;
      suspicions_.clear(peer);  // Nobody was told.
      continue;
    }
    unreachable_.erase(peer);
    out.push_back(PeerReachable{peer});
  }
  set_branches(links);
  count_accusers();
  note_unreachable(now);
  if (suspicions_.next_deadline(health_) != kNever) {
    discovery_due_ = std::min(discovery_due_, now + kTopologyDelay);
  }
}

// The branches of the tree that news travels along: the shortest paths from the lowest name to
// everybody, the same for all who know the same.
void Mesh::Impl::set_branches(LinkGraph& links) {
  PeerName root = options_.name;
  if (const auto first = topology_.first_reachable()) {
    root = std::min(root, *first);
  }
  const BroadcastTree tree = router::broadcast_tree(links, root, options_.name);
  branches_ = tree.children;
  if (tree.parent) {
    branches_.insert(std::lower_bound(branches_.begin(), branches_.end(), *tree.parent),
                     *tree.parent);
  }
  for (const auto& [peer, id] : up_) {
    links_.at(id).mutual = links.is_mutual(options_.name, peer);
  }
}

// Its other end holds what we hold, so it has drawn the same tree or is about to. While stores
// differ so do trees, and then the link keeps the role that pushes, prunes and grafts gave it.
void Mesh::Impl::set_role(TimePoint now, const Link& link) {
  if (link.mutual && topology_due_ == kNever) {
    const PeerName peer = link.hello.name;
    const bool is_branch = std::binary_search(branches_.begin(), branches_.end(), peer);
    broadcast_.set_role(now, peer, is_branch ? Broadcast::Role::Eager : Broadcast::Role::Lazy);
  }
}

// Members that were never reached: they may be on the other side of something.
void Mesh::Impl::note_unreachable(TimePoint now) {
  if (topology_.reachable_count() + suspicions_.count() + unreachable_.size() + 1 >= members()) {
    return;
  }
  store_.for_each(RecordKey{RecordKind::Peer, {}}, [&](PeerName peer, const Bytes&) {
    if (peer != options_.name && !is_present(peer)) {
      unreachable_.try_emplace(peer, Missed{.since = now, .was_reached = false});
    }
  });
}

bool Mesh::Impl::is_present(PeerName peer) const {
  return topology_.reachable(peer) || suspicions_.contains(peer);
}

void Mesh::Impl::suspend(TimePoint now, PeerName peer, MeshActions& out) {
  ++stats_.suspensions;
  unreachable_.try_emplace(peer, Missed{.since = now, .was_reached = true});
  out.push_back(PeerUnreachable{peer});
  for (const auto& [target, name] : target_peer_) {
    if (name == peer && !up_.contains(peer)) {
      connector_.on_lost(now, target, "the peer cannot be reached");
    }
  }
}

void Mesh::Impl::run_liveness(TimePoint now, MeshActions& out) {
  if (topology_due_ <= now) {
    update_topology(now, out);
  }
  if (suspicions_.next_deadline(health_) <= now) {
    for (const PeerName peer : suspicions_.take_due(now, health_)) {
      suspend(now, peer, out);
    }
  }
  if (std::erase_if(accused_, [now](const auto& item) { return item.second.until <= now; }) > 0) {
    state_links_soon(now, kStatementDelayCalm);
  }
}

}  // namespace weft::router
