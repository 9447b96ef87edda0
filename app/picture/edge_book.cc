#include "app/picture/edge_book.h"

#include <algorithm>
#include <iterator>

#include "base/assert.h"

namespace weft::app {
namespace {

using probe::Direction;
using probe::FlowFacts;
using probe::FlowKey;
using probe::HostReport;

constexpr std::uint64_t kReported = 100;  // A kind of things to read, beyond those of Directory.

EdgeFacts outward(const FlowFacts& flow) {
  return {.count = flow.count,
          .sent_per_second = flow.sent_per_second,
          .received_per_second = flow.received_per_second,
          .retransmits = flow.retransmits,
          .rtt_us = flow.rtt_us,
          .opened = flow.opened,
          .failed = flow.failed,
          .sent = flow.sent,
          .received = flow.received,
          .packets_sent = flow.packets_sent,
          .packets_received = flow.packets_received};
}

EdgeFacts inward(const FlowFacts& flow) {
  EdgeFacts facts = outward(flow);
  std::swap(facts.sent_per_second, facts.received_per_second);
  std::swap(facts.sent, facts.received);
  std::swap(facts.packets_sent, facts.packets_received);
  return facts;
}

}  // namespace

void EdgeBook::update(const HostReport& report) {
  Host& host = hosts_[report.origin];
  if (Claims claims = claims_of(report); claims != host.claims) {
    change_claims(report.origin, host, std::move(claims));
  }
  change_flows(report.origin, host, report.flows);
}

void EdgeBook::settle() {
  resolve_due();
  sum_dirty();
}

void EdgeBook::forget(PeerName host) {
  if (hosts_.contains(host)) {
    HostReport nothing;
    nothing.origin = host;
    update(nothing);
    hosts_.erase(host);
  }
}

const std::set<EdgeRef>& EdgeBook::touching(PeerName host) const {
  static const std::set<EdgeRef> kNone;
  const auto found = touching_.find(host);
  return found == touching_.end() ? kNone : found->second;
}

EdgeBook::Changes EdgeBook::take_changes() {
  return std::exchange(changes_, {});
}

// What a host says ------------------------------------------------------------------------------

void EdgeBook::change_claims(PeerName name, Host& host, Claims claims) {
  // Where sockets answer that are bound to no address is a matter of these two.
  const bool move_answers =
      claims.own != host.claims.own || claims.on_host_network != host.claims.on_host_network;
  const auto for_each_unbound = [&](auto act) {
    for (auto& [key, flow] : host.flows) {
      if (move_answers && key.direction == Direction::Inbound && key.local.is_unspecified()) {
        act(key);
      }
    }
  };
  for_each_unbound([&](const FlowKey& key) { directory_.remove_flow(name, key, host.claims); });
  const Directory::Affected affected = directory_.change(name, host.claims, claims);
  host.claims = std::move(claims);
  for_each_unbound([&](const FlowKey& key) { directory_.add_flow(name, key, host.claims); });
  for (auto& [key, flow] : host.flows) {
    if (affected.all || affected.remotes.contains(key.remote)) {
      due(flow);
    }
  }
}

void EdgeBook::change_flows(PeerName name, Host& host, const std::map<FlowKey, FlowFacts>& flows) {
  auto old = host.flows.begin();
  const auto drop_old = [&] {
    remove(name, host, old->second);
    old = host.flows.erase(old);
  };
  for (const auto& [key, facts] : flows) {
    auto order = std::strong_ordering::greater;
    while (old != host.flows.end() && (order = old->first <=> key) < 0) {
      drop_old();
    }
    if (old != host.flows.end() && order == 0) {
      Flow& flow = old->second;
      if (flow.facts != facts) {
        flow.facts = facts;
        if (flow.is_told) {
          dirty(flow.edge);
        }
      }
      ++old;
      continue;
    }
    const auto added = host.flows.emplace_hint(old, key, Flow{.host = name});
    added->second.key = &added->first;
    added->second.facts = facts;
    add(name, host, added->second);
  }
  while (old != host.flows.end()) {
    drop_old();
  }
}

void EdgeBook::add(PeerName name, Host& host, Flow& flow) {
  directory_.add_flow(name, *flow.key, host.claims);
  due(flow);
}

void EdgeBook::remove(PeerName name, Host& host, Flow& flow) {
  directory_.remove_flow(name, *flow.key, host.claims);
  untell(flow);
  set_reads(flow, {});
  if (flow.is_due) {
    std::erase(flow.key->direction == Direction::Outbound ? due_outbound_ : due_inbound_, &flow);
  }
}

// What it leads to ------------------------------------------------------------------------------

void EdgeBook::due(Flow& flow) {
  if (!std::exchange(flow.is_due, true)) {
    (flow.key->direction == Direction::Outbound ? due_outbound_ : due_inbound_).push_back(&flow);
  }
}

void EdgeBook::due_readers(std::uint64_t key) {
  for (auto at = readers_.lower_bound({key, nullptr}); at != readers_.end() && at->first == key;
       ++at) {
    due(*at->second);
  }
}

void EdgeBook::resolve_due() {
  for (const std::uint64_t key : directory_.take_touched()) {
    due_readers(key);
  }
  for (const Cidr& network : directory_.take_touched_networks()) {
    const Ip last = network.last();
    for (auto at = outside_.lower_bound({network.first(), nullptr});
         at != outside_.end() && at->first <= last;
         ++at) {
      due(*at->second);
    }
  }
  for (Flow* const flow : std::exchange(due_outbound_, {})) {
    resolve_outbound(*flow);
  }
  // Whom clients have told of is known from here on.
  for (Flow* const flow : std::exchange(due_inbound_, {})) {
    resolve_inbound(*flow);
  }
  WEFT_ASSERT(due_outbound_.empty());
  WEFT_ASSERT(due_inbound_.empty());
  add_readers();
}

// At the end, and at once: a first picture has some for each flow, which fill an empty set in a
// tenth of the time in order. Nobody asks for them earlier, since what outbound flows change is
// read by inbound ones alone, and those are resolved after them.
void EdgeBook::add_readers() {
  std::sort(new_readers_.begin(), new_readers_.end());
  readers_.insert(new_readers_.begin(), new_readers_.end());
  new_readers_.clear();
}

void EdgeBook::resolve_outbound(Flow& flow) {
  flow.is_due = false;
  Reads reads;
  const EdgeKey key = directory_.outbound_edge(flow.host, *flow.key, reads);
  set_reads(flow, std::move(reads));
  tell(flow, key);
}

// Only what no client's host has told: clients outside, and those whose flow was missed.
void EdgeBook::resolve_inbound(Flow& flow) {
  flow.is_due = false;
  Reads reads;
  const FlowKey& key = *flow.key;
  EdgeKey edge{.from = directory_.remote_party(flow.host, key, reads),
               .to = {.kind = Party::Kind::Known,
                      .host = flow.host,
                      .container = key.container,
                      .pid = key.pid},
               .transport = key.transport,
               .port = key.port};
  const bool is_outside = edge.from.kind != Party::Kind::Known;
  // A host's address may be the mask of one of its containers (source NAT), whose flow was told.
  const bool may_be_masked = !is_outside && edge.from.container.empty();
  const auto is_reported = [&] {
    const Coarse pair = coarse(edge);
    reads.keys.push_back(read_key(pair));
    return reported_.contains(pair);
  };
  // Its client may be another container of the same network namespace.
  const bool is_known =
      !is_outside && (may_be_masked || directory_.is_asked(flow.host, key, reads) || is_reported());
  set_reads(flow, std::move(reads));
  if (is_known) {
    untell(flow);
  } else {
    tell(flow, edge);
  }
}

void EdgeBook::set_reads(Flow& flow, Reads reads) {
  if (flow.reads == reads) {
    return;
  }
  for (const std::uint64_t key : flow.reads.keys) {
    readers_.erase({key, &flow});
  }
  if (flow.reads.networks != reads.networks) {
    if (reads.networks) {
      outside_.emplace(flow.key->remote, &flow);
    } else {
      outside_.erase({flow.key->remote, &flow});
    }
  }
  for (const std::uint64_t key : reads.keys) {
    new_readers_.emplace_back(key, &flow);
  }
  flow.reads = std::move(reads);
}

// Edges -----------------------------------------------------------------------------------------

EdgeBook::Coarse EdgeBook::coarse(const EdgeKey& key) {
  return {{key.from.kind, key.from.host, key.from.container},
          {key.to.kind, key.to.host, key.to.container},
          key.transport};
}

std::uint64_t EdgeBook::read_key(const Coarse& coarse) {
  ReadKey key(kReported);
  for (const End* const end : {&std::get<0>(coarse), &std::get<1>(coarse)}) {
    key.add(static_cast<std::uint64_t>(std::get<0>(*end)));
    key.add(std::get<1>(*end).number()).add(std::get<2>(*end));
  }
  return key.add(static_cast<std::uint64_t>(std::get<2>(coarse))).value();
}

void EdgeBook::tell(Flow& flow, const EdgeKey& key) {
  if (flow.is_told && flow.edge->first == key) {
    return;
  }
  untell(flow);
  const auto [edge, is_new] = edges_.try_emplace(key);
  if (is_new) {
    for (const Party* const end : {&edge->first.from, &edge->first.to}) {
      if (end->kind == Party::Kind::Known) {
        touching_[end->host].insert({&edge->first, &edge->second});
      }
    }
  }
  std::vector<Flow*>& flows = tellers_[&edge->first].flows;
  flow.is_told = true;
  flow.edge = edge;
  flow.index = flows.size();
  flows.push_back(&flow);
  dirty(edge);
  if (flow.key->direction == Direction::Outbound) {
    if (const Coarse pair = coarse(key); count_in(reported_, pair)) {
      due_readers(read_key(pair));
    }
  }
}

void EdgeBook::untell(Flow& flow) {
  if (!std::exchange(flow.is_told, false)) {
    return;
  }
  const auto edge = flow.edge;
  std::vector<Flow*>& flows = tellers_.at(&edge->first).flows;
  flows.back()->index = flow.index;
  flows[flow.index] = flows.back();
  flows.pop_back();
  dirty(edge);
  if (flow.key->direction == Direction::Outbound) {
    if (const Coarse pair = coarse(edge->first); count_out(reported_, pair)) {
      due_readers(read_key(pair));
    }
  }
}

void EdgeBook::dirty(Edges::iterator edge) {
  if (!std::exchange(tellers_.at(&edge->first).is_dirty, true)) {
    dirty_.push_back(edge);
  }
}

void EdgeBook::sum_dirty() {
  for (const Edges::iterator edge : std::exchange(dirty_, {})) {
    const EdgeKey* const key = &edge->first;
    const auto tellers = tellers_.find(key);
    tellers->second.is_dirty = false;
    if (tellers->second.flows.empty()) {
      tellers_.erase(tellers);
      for (const Party* const end : {&key->from, &key->to}) {
        const auto touching = touching_.find(end->host);
        if (end->kind == Party::Kind::Known && touching != touching_.end()) {
          touching->second.erase({key, &edge->second});
          if (touching->second.empty()) {
            touching_.erase(touching);
          }
        }
      }
      changes_.gone.push_back(edges_.extract(edge));
      continue;
    }
    EdgeFacts sum;
    for (const Flow* const flow : tellers->second.flows) {
      const bool is_outbound = flow->key->direction == Direction::Outbound;
      sum += is_outbound ? outward(flow->facts) : inward(flow->facts);
    }
    edge->second = sum;
    changes_.changed.push_back({key, &edge->second});
  }
}

}  // namespace weft::app
