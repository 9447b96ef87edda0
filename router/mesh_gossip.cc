// What travels over connections: records, modules' payloads, routed messages.
//
// A new connection starts with both digests; each side then owes the other what it lacks. News is
// owed to the neighbours that will not hear it more directly, and every ten seconds one neighbour
// is asked whether it knows the same, which repairs whatever that left out.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/overloaded.h"
#include "router/mesh_impl.h"

namespace weft::router {

void Mesh::Impl::on_message(TimePoint now, Link& link, const Message& message, MeshActions& out) {
  std::visit(overloaded{
                 [](const Verdict&) { WEFT_ASSERT(false); },  // Handled before.
                 [](const Heartbeat&) {},                     // Being heard is all it is for.
                 [&](const DigestMessage& m) { on_digest(now, link, m, out); },
                 [&](const Summary& m) {
                   if (m.hash != store_.digest_hash()) {
                     send_message(now, link, DigestMessage{store_.digest()}, out);
                   }
                 },
                 [&](const Delta& m) { on_delta(now, link, m, out); },
                 [&](const Payload& m) {
                   out.push_back(Deliver{link.hello.name, m.topic, m.payload});
                 },
                 [&](const Routed& m) { on_routed(now, link, m, out); },
                 [](const UnknownMessage&) {},
             },
             message);
}

void Mesh::Impl::on_digest(TimePoint now,
                           Link& link,
                           const DigestMessage& message,
                           MeshActions& out) {
  Digest lacking;  // Origins of which the neighbour holds more than we do.
  for (const auto& [origin, version] : message.digest) {
    if (!link.known.contains(origin) && link.known.size() >= 2 * options_.peers_max) {
      ++stats_.records_refused;  // More origins than we would ever keep.
      continue;
    }
    if (message.partial) {
      link.known[origin] = version;
      if (store_.version(origin)) {
        link.owed.insert(origin);
      }
      continue;
    }
    // What was sent meanwhile is on its way.
    OriginVersion& known = link.known[origin];
    known = std::max(known, version);
    const auto ours = store_.version(origin);
    if (origin != options_.name && (!ours || *ours < version)) {
      lacking[origin] = ours.value_or(OriginVersion{});
    }
  }
  if (!message.partial) {
    // After the digests that open a connection, the neighbour sends what we lack unasked.
    if (link.digest_received && !lacking.empty()) {
      send_message(now, link, DigestMessage{std::move(lacking), true}, out);
    }
    link.digest_received = true;
    owe_all(now, link);
  }
  link.pump_due = std::min(link.pump_due, now);
}

void Mesh::Impl::owe_all(TimePoint now, Link& link) {
  for (const auto& [origin, version] : store_.digest()) {
    const auto known = link.known.find(origin);
    if (known == link.known.end() || known->second < version) {
      link.owed.insert(origin);
    }
  }
  link.pump_due = now;
}

// Sends the next frame of what the neighbour is owed.
void Mesh::Impl::pump(TimePoint now, Link& link, MeshActions& out) {
  Delta delta;
  std::size_t bytes = 0;
  while (!link.owed.empty() && bytes < kDeltaBytesMax) {
    const PeerName origin = *link.owed.begin();
    const auto known = link.known.find(origin);
    auto part =
        store_.delta_for(origin,
                         known == link.known.end() ? std::nullopt : std::optional(known->second),
                         kDeltaBytesMax - bytes);
    if (!part) {
      link.owed.erase(origin);
      continue;
    }
    link.known[origin] = {part->incarnation, part->through};
    bytes += 32;
    for (const OriginDelta::Record& record : part->records) {
      bytes += record.key.key.size() + (record.value ? record.value->size() : 0) + 24;
    }
    delta.origins.push_back(std::move(*part));
  }
  link.pump_due = link.owed.empty() ? kNever : now + kDeltaPause;
  if (!delta.origins.empty()) {
    send_message(now, link, delta, out);
  }
}

void Mesh::Impl::on_delta(TimePoint now, Link& link, const Delta& delta, MeshActions& out) {
  for (const OriginDelta& part : delta.origins) {
    OriginVersion& known = link.known[part.origin];
    known = std::max(known, OriginVersion{part.incarnation, part.through});
  }
  RecordStore::Merged merged = store_.merge(delta);
  for (RecordChanged& change : merged.changes) {
    if (change.key.kind == RecordKind::Peer) {
      on_peer_record(now, change);
    }
    out.push_back(std::move(change));
  }
  for (const PeerName origin : merged.advanced) {
    news_[origin] = link.hello.name;
    buried_.erase(origin);
  }
  if (!merged.advanced.empty() && relay_due_ == kNever) {
    relay_due_ = now + kRelayDelay * (10 + rng_.below(90)) / 100;
  }
  if (!merged.gaps.empty()) {
    DigestMessage question{.digest = {}, .partial = true};
    for (const PeerName origin : merged.gaps) {
      question.digest[origin] = store_.version(origin).value_or(OriginVersion{});
    }
    send_message(now, link, question, out);
  }
  if (merged.clone) {
    report_clone("records of a later run of our name arrive", out);
  }
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
  const auto hop = topology_.next_hop(routed.to);
  Link* link = hop ? up_link(*hop) : nullptr;
  if (link == nullptr) {
    return false;
  }
  send_message(now, *link, routed, out);
  return true;
}

void Mesh::Impl::publish(TimePoint now, const PublishRecord& record, MeshActions& out) {
  begin(now);
  // Our Peer record is ours alone to make.
  if (record.key.kind == RecordKind::Peer || !store_.publish(record)) {
    report(out,
           MeshEvent::Level::Warning,
           "record refused",
           describe(options_.name),
           "over the limits of a peer's records");
    return;
  }
  news_[options_.name] = std::nullopt;
  relay_due_ = now;
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
  const Routed routed{
      .from = options_.name, .to = gossip.to, .body = Payload{gossip.topic, gossip.payload}};
  if (gossip.payload.size() > kGossipPayloadMax || !route(now, routed, out)) {
    ++stats_.payloads_dropped;
  }
}

// A neighbour that is connected to the origin, or to whoever told us, hears it from there.
bool Mesh::Impl::hears_elsewhere(PeerName neighbour,
                                 PeerName origin,
                                 std::optional<PeerName> from) const {
  if (!from || neighbour == *from || neighbour == origin) {
    return from.has_value();
  }
  const auto joined = [this](PeerName a, PeerName b) {
    return topology_.lists(a, b) && topology_.lists(b, a);
  };
  return joined(neighbour, origin) || joined(neighbour, *from);
}

void Mesh::Impl::pass_on_news(TimePoint now) {
  for (const auto& [peer, id] : up_) {
    Link& link = links_.at(id);
    if (!link.digest_received) {
      continue;  // Its digest will say what it lacks.
    }
    for (const auto& [origin, from] : news_) {
      if (!hears_elsewhere(peer, origin, from)) {
        link.owed.insert(origin);
        link.pump_due = std::min(link.pump_due, now);
      }
    }
  }
  news_.clear();
}

void Mesh::Impl::run_gossip(TimePoint now, MeshActions& out) {
  if (restate_due_ <= now) {
    restate_due_ = kNever;
    store_.restate();
    news_[options_.name] = std::nullopt;
    relay_due_ = now;
  }
  if (statement_due_ <= now) {
    statement_due_ = kNever;
    state_self(now);
  }
  if (relay_due_ <= now) {
    relay_due_ = kNever;
    pass_on_news(now);
  }
  if (repair_due_ <= now) {
    repair_due_ = now + kRepairInterval;
    if (!up_.empty()) {
      auto at = up_.begin();
      std::advance(at, rng_.below(static_cast<std::uint32_t>(up_.size())));
      send_message(now, links_.at(at->second), Summary{store_.digest_hash()}, out);
    }
  }
}

}  // namespace weft::router
