// What travels over connections: records, modules' payloads, routed messages.
//
// News goes the way router/overlay/broadcast.h says; a connection that joins two parts of a
// cluster, or whose heartbeats say that the two ends hold different things, compares stores
// (reconcile.h).
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/overloaded.h"
#include "router/mesh_impl.h"

namespace weft::router {

void Mesh::Impl::on_message(TimePoint now, Link& link, const Message& message, MeshActions& out) {
  hear(now, link, out);
  const PeerName peer = link.hello.name;
  std::visit(overloaded{
                 [](const Verdict&) { WEFT_ASSERT(false); },  // Handled before.
                 [&](const Heartbeat& m) { on_heartbeat(now, link, m, out); },
                 [&](const Want& m) { on_want(now, link, m); },
                 [&](const Ranges& m) { on_ranges(now, link, m, out); },
                 [&](const Delta& m) { on_delta(now, link, m, out); },
                 [&](const Payload& m) {
                   out.push_back(Deliver{peer, m.topic, m.payload});
                 },
                 [&](const Routed& m) { on_routed(now, link, m, out); },
                 [&](const Announce& m) { on_announce(now, link, m); },
                 [&](const Prune&) { broadcast_.on_pruned(peer); },
                 [&](const Goodbye&) { link.goodbye = true; },
                 [](const UnknownMessage&) {},
             },
             message);
}

// Records --------------------------------------------------------------------------------------

void Mesh::Impl::start_gossip(TimePoint now, Link& link, MeshActions& out) {
  const PeerName peer = link.hello.name;
  accused_.erase(peer);
  state_self(now);  // The neighbour may see us at an address we did not know of.
  link.beat_due = now;
  // Alone, we can be reached over this link only, and know nobody yet; the other end hears of it by
  // our asking for everything.
  const bool is_alone = up_.size() == 1;
  const bool is_found = link.outbound && !full_targets_.empty() && !is_present(peer);
  const auto missed = unreachable_.find(peer);
  const bool is_missed =
      missed != unreachable_.end()
      && (missed->second.was_reached || now - missed->second.since >= kMissedMin);
  const bool is_healed = is_found || is_missed;
  state_links_soon(now, is_alone || is_healed ? kStatementDelay : kStatementDelayCalm);
  // Whatever can be reached, it is over this one; in a small cluster nothing is worth waiting for.
  if (is_alone || (members() < kSmall && !is_present(peer))) {
    topology_due_ = now;
  }
  // Who has nobody else asks for everything, now and from now on; so does one of the two ends of a
  // link that brings parts of a cluster together again, or takes over from another one with the
  // same peer, on which something may have been lost.
  const bool is_successor = broadcast_.is_branch(peer);
  const bool is_first = is_alone || is_healed || is_successor;
  broadcast_.add(peer, is_first ? Broadcast::Role::Eager : Broadcast::Role::Lazy);
  if (is_alone || (is_first && link.outbound)) {
    broadcast_.owe(now, peer, options_.name, OriginVersion{});
    ask_for_all(now, link, out);
  } else if (!store_.version(peer)) {
    // News of it is on its way, or it comes from a part of the cluster we have never heard of.
    link.unmet_due = now + (link.outbound ? kMeetDelay : kMeetDelayAccepted);
  }
}

// What it has that we have not, and from now on its news.
void Mesh::Impl::ask_for_all(TimePoint now, Link& link, MeshActions& out) {
  last_reconciliation_ = now;
  asked_ = link.hello.name;
  send_message(now, link, Want{.entries = {}, .graft = true}, out);
  send_message(now, link, open_reconciliation(store_), out);
}

void Mesh::Impl::note_answer(TimePoint now, PeerName from) {
  if (from == asked_ && last_answer_ < last_reconciliation_) {
    last_answer_ = now;
  }
}

// Two parts of a cluster that starts have met on this link, unless news of the peer came otherwise.
// Several such neighbours are asked one after the other: they may be of the same part.
void Mesh::Impl::meet(TimePoint now, Link& link, MeshActions& out) {
  if (store_.version(link.hello.name)) {
    link.unmet_due = kNever;
    return;
  }
  const bool is_answered = last_answer_ >= last_reconciliation_;
  const TimePoint due =
      is_answered ? last_answer_ + kMeetDelay : last_reconciliation_ + kMeetPatience;
  if (now < due) {
    link.unmet_due = std::min(due, now + kMeetDelay);
    return;
  }
  link.unmet_due = kNever;
  ++stats_.reconciliations;
  state_links_soon(now, kStatementDelay);
  broadcast_.on_grafted(now, link.hello.name);
  ask_for_all(now, link, out);
}

void Mesh::Impl::compare_hashes(TimePoint now, Link& link, std::uint32_t hash, MeshActions& out) {
  if (hash == static_cast<std::uint32_t>(store_.digest_hash())) {
    link.differs = 0;
    broadcast_.on_agrees(link.hello.name);
    // Not while links change: as long as some have changed over and others have not, it is cut.
    if (now - last_links_change_ >= kQuiet) {
      set_role(now, link);
    }
    return;
  }
  broadcast_.on_differs(now, link.hello.name);
  link.differs += 1;
  // One of the two ends is enough; the other steps in if the first does not.
  const unsigned patience = options_.name < link.hello.name ? 0 : 1;
  const bool is_quiet = now - last_change_ >= kQuiet;
  const unsigned limit = (is_quiet ? kDiffersQuiet : kDiffersMax) + patience;
  if (link.differs >= limit && now - last_reconciliation_ >= kReconcilePause) {
    link.differs = 0;
    last_reconciliation_ = now;
    asked_ = link.hello.name;
    ++stats_.reconciliations;
    send_message(now, link, open_reconciliation(store_), out);
  }
}

// News no longer travels between us and `peer`; what was under way may be lost, so whatever else
// the next heartbeats say differs is looked into at once.
void Mesh::Impl::leave_branch(TimePoint now, PeerName peer) {
  if (broadcast_.remove(now, peer)) {
    for (const auto& [other, id] : up_) {
      links_.at(id).differs = kDiffersMax;
    }
  }
}

void Mesh::Impl::on_ranges(TimePoint now, Link& link, const Ranges& ranges, MeshActions& out) {
  note_answer(now, link.hello.name);
  Difference difference = reconcile(store_, ranges);
  for (const auto& [origin, held] : difference.ahead) {
    broadcast_.owe(now, link.hello.name, origin, held);
  }
  if (!difference.behind.empty()) {
    send_message(now, link, Want{std::move(difference.behind)}, out);
  }
  if (!difference.reply.parts.empty()) {
    send_message(now, link, difference.reply, out);
  }
}

void Mesh::Impl::on_want(TimePoint now, Link& link, const Want& want) {
  if (want.graft) {
    broadcast_.on_grafted(now, link.hello.name);
    if (!link.mutual) {
      state_links_soon(now, kStatementDelay);
    }
  }
  for (const auto& [origin, held] : want.entries) {
    const auto version = store_.version(origin);
    if (version && held < *version) {
      broadcast_.owe(now, link.hello.name, origin, held);
    }
  }
}

void Mesh::Impl::on_announce(TimePoint now, Link& link, const Announce& announce) {
  for (const auto& [origin, version] : announce.entries) {
    const auto held = store_.version(origin);
    if (origin != options_.name && (!held || *held < version)) {
      broadcast_.on_announced(now, link.hello.name, origin);
    }
  }
}

void Mesh::Impl::on_delta(TimePoint now, Link& link, const Delta& delta, MeshActions& out) {
  const PeerName from = link.hello.name;
  note_answer(now, from);
  std::map<PeerName, OriginVersion> before;
  for (const OriginDelta& part : delta.origins) {
    before.try_emplace(part.origin, store_.version(part.origin).value_or(OriginVersion{}));
  }
  RecordStore::Merged merged = store_.merge(delta);
  for (RecordChanged& change : merged.changes) {
    on_change(now, change, out);
  }
  stats_.parts_in += delta.origins.size();
  stats_.parts_news += merged.advanced.size();
  for (const PeerName origin : merged.advanced) {
    broadcast_.on_news(now, origin, before.at(origin), from);
    buried_.erase(origin);
    if (store_.version(origin)->incarnation != before.at(origin).incarnation) {
      dismissed_.erase(origin);  // Its name is in use again.
    }
    last_change_ = now;
  }
  if (!merged.gaps.empty()) {
    Want question;
    for (const PeerName origin : merged.gaps) {
      question.entries[origin] = store_.version(origin).value_or(OriginVersion{});
    }
    send_message(now, link, question, out);
  }
  for (const OriginDelta& part : delta.origins) {
    if (const auto held = store_.version(part.origin);
        held && *held <= OriginVersion{part.incarnation, part.through}) {
      broadcast_.on_held(from, part.origin);
    }
  }
  if (!merged.advanced.empty()) {
    broadcast_.on_useful(from);
  } else if (!delta.solicited && merged.gaps.empty() && members() >= kSmall) {
    // Where duplicates are few it is better to have some than to wait for what a cut tree missed.
    broadcast_.on_duplicate(from);
  }
  if (merged.clone) {
    report_clone("records of a later run of our name arrive", out);
  }
}

void Mesh::Impl::on_change(TimePoint now, RecordChanged& change, MeshActions& out) {
  switch (change.key.kind) {
    case RecordKind::Links:
      last_links_change_ = now;
      if (change.value) {
        const auto links = decode_links(*change.value);
        if (links.ok()) {
          on_links_record(now, change.origin, links.value());
        } else {
          ++stats_.frames_refused;  // The record travels on; somebody may understand it.
        }
      }
      if (is_present(change.origin)) {
        update_topology_soon(now);
      } else {
        meet_soon(now);
      }
      return;  // Nobody's business but ours.
    case RecordKind::Peer:
      on_peer_record(now, change);
      break;
    case RecordKind::Endpoint:
    case RecordKind::Name:
      break;
  }
  out.push_back(std::move(change));
}

// Somebody else claims to be us. Said once for each way in which we learn of it.
void Mesh::Impl::report_clone(const std::string& how, MeshActions& out) {
  warn(clone_text(options_.name));
  if (!reported_.emplace(how, how).second) {
    return;
  }
  report(out,
         MeshEvent::Level::Warning,
         "another host uses our name",
         describe(options_.name),
         fmt::format("{}; {}", how, clone_text(options_.name)));
}

void Mesh::Impl::on_routed(TimePoint now, Link&, const Routed& routed, MeshActions& out) {
  if (routed.to == options_.name) {
    deliver(now, routed, out);
    return;
  }
  if (routed.hops_left == 0 || routed.from == options_.name) {
    ++stats_.payloads_dropped;
    return;
  }
  Routed onward = routed;
  onward.hops_left = static_cast<std::uint8_t>(routed.hops_left - 1);
  if (!route(now, onward, out)) {
    ++stats_.payloads_dropped;
  }
}

void Mesh::Impl::deliver(TimePoint now, const Routed& routed, MeshActions& out) {
  std::visit(
      overloaded{
          [&](const Payload& m) {
            out.push_back(Deliver{routed.from, m.topic, m.payload});
          },
          [&](const Challenge& m) {
            if (m.incarnation == options_.incarnation) {
              const ChallengeAnswer answer{m.incarnation, m.nonce};
              report_clone("another run asks to take our place", out);
              (void)route(now, {.from = options_.name, .to = routed.from, .body = answer}, out);
            }
          },
          [&](const ChallengeAnswer& m) {
            const auto at = std::find_if(links_.begin(), links_.end(), [&](const auto& item) {
              return m.nonce != 0 && item.second.challenge == m.nonce;
            });
            if (at != links_.end() && at->second.hello.name == routed.from) {
              refuse(now, at->second, {Verdict::Code::Clone, clone_text(routed.from)}, out);
            }
          },
      },
      routed.body);
}

// One step nearer to routed.to. False if there is no way.
bool Mesh::Impl::route(TimePoint now, const Routed& routed, MeshActions& out) {
  // A neighbour is one before all paths are computed anew.
  Link* direct = up_link(routed.to);
  const auto hop = topology_.next_hop(routed.to);
  Link* link = direct != nullptr && !direct->silent && !hop ? direct
               : hop                                        ? up_link(*hop)
                                                            : nullptr;
  if (link == nullptr) {
    return false;
  }
  send_message(now, *link, routed, out);
  return true;
}

void Mesh::Impl::publish(TimePoint now, const PublishRecord& record, MeshActions& out) {
  begin(now);
  const OriginVersion before = *store_.version(options_.name);
  // What the mesh states of itself is its own to make.
  const bool is_ours = record.key.kind == RecordKind::Peer || record.key.kind == RecordKind::Links;
  if (is_ours || !store_.publish(record)) {
    report(out,
           MeshEvent::Level::Warning,
           "record refused",
           describe(options_.name),
           "over the limits of a peer's records");
    return;
  }
  own_news(now, before);
}

void Mesh::Impl::own_news(TimePoint now, OriginVersion before) {
  if (*store_.version(options_.name) != before) {
    last_change_ = now;
    broadcast_.on_news(now, options_.name, before, std::nullopt);
  }
}

void Mesh::Impl::send(TimePoint now, const GossipAll& gossip, MeshActions& out) {
  begin(now);
  if (gossip.payload.size() > kGossipPayloadMax) {
    ++stats_.payloads_dropped;
    return;
  }
  for (const auto& [peer, id] : up_) {
    if (peer != gossip.except) {
      send_message(now, links_.at(id), Payload{gossip.topic, gossip.payload}, out);
    }
  }
}

void Mesh::Impl::send(TimePoint now, const GossipTo& gossip, MeshActions& out) {
  begin(now);
  if (gossip.to == options_.name) {
    out.push_back(Deliver{options_.name, gossip.topic, gossip.payload});
    return;
  }
  const Payload payload{gossip.topic, gossip.payload};
  if (gossip.payload.size() > kGossipPayloadMax) {
    ++stats_.payloads_dropped;
  } else if (Link* link = up_link(gossip.to); link != nullptr && !link->silent) {
    send_message(now, *link, payload, out);  // Whoever hears it knows from whom.
  } else if (!route(now, {.from = options_.name, .to = gossip.to, .body = payload}, out)) {
    ++stats_.payloads_dropped;
  }
}

// Broadcast's steps -----------------------------------------------------------------------------

void Mesh::Impl::push(TimePoint now, const Broadcast::Push& push, MeshActions& out) {
  Link* link = up_link(push.to);
  if (link == nullptr) {
    return;  // Ended by an earlier step.
  }
  Delta delta{.origins = {}, .solicited = push.solicited};
  std::size_t bytes = 0;
  for (const auto& [origin, held] : push.news) {
    if (bytes >= kDeltaBytesMax) {
      broadcast_.owe(now, push.to, origin, held);
      continue;
    }
    auto part = store_.delta_for(origin, held, kDeltaBytesMax - bytes);
    if (!part) {
      continue;
    }
    bytes += 32;
    for (const OriginDelta::Record& record : part->records) {
      bytes += record.key.key.size() + (record.value ? record.value->size() : 0) + 24;
    }
    if (const OriginVersion reached{part->incarnation, part->through};
        reached < *store_.version(origin)) {
      broadcast_.owe(now, push.to, origin, reached);
    }
    delta.origins.push_back(std::move(*part));
  }
  if (delta.origins.empty()) {
    return;
  }
  const Bytes frame = encode(Message(std::move(delta)));
  broadcast_.on_sent(now, push.to, frame.size(), push.news.size());
  send_encoded(now, *link, FrameKind::Delta, frame, out);
}

void Mesh::Impl::perform(TimePoint now, const Broadcast::Step& step, MeshActions& out) {
  const auto versions = [this](const std::vector<PeerName>& origins) {
    Digest digest;
    for (const PeerName origin : origins) {
      digest[origin] = store_.version(origin).value_or(OriginVersion{});
    }
    return digest;
  };
  const auto say = [&](PeerName to, const Message& message) {
    if (Link* link = up_link(to); link != nullptr) {
      send_message(now, *link, message, out);
    }
  };
  std::visit(overloaded{
                 [&](const Broadcast::Push& s) { push(now, s, out); },
                 [&](const Broadcast::Announce& s) { say(s.to, Announce{versions(s.origins)}); },
                 [&](const Broadcast::Graft& s) {
                   say(s.to, Want{versions(s.origins), true});
                 },
                 [&](const Broadcast::Prune& s) { say(s.to, Prune{}); },
             },
             step);
}

void Mesh::Impl::run_gossip(TimePoint now, MeshActions& out) {
  if (restate_due_ <= now) {
    restate_due_ = kNever;
    const OriginVersion before = *store_.version(options_.name);
    store_.complete();
    own_news(now, before);
  }
  if (statement_due_ <= now) {
    state_links(now);
  }
  if (broadcast_.next_deadline() <= now) {
    std::vector<Broadcast::Step> steps;
    broadcast_.on_deadline(now, steps);
    for (const Broadcast::Step& step : steps) {
      perform(now, step, out);
    }
  }
}

}  // namespace weft::router
