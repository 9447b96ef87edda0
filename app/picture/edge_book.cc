#include "app/picture/edge_book.h"

#include <algorithm>
#include <iterator>
#include <limits>

#include "base/assert.h"

namespace weft::app {
namespace {

using probe::Direction;
using probe::FlowFacts;
using probe::FlowKey;
using probe::HostReport;

constexpr std::uint64_t kReported = 100;  // A kind of things to read, beyond those of Directory.

template <class Item>
Item take_last(std::vector<Item>& items) {
  const Item last = items.back();
  items.pop_back();
  return last;
}

}  // namespace

void EdgeBook::update(const HostReport& report) {
  WEFT_ASSERT(!is_settling_);
  Host& host = hosts_[report.origin];
  if (Claims claims = claims_of(report); claims != host.claims) {
    change_claims(report.origin, host, std::move(claims));
  }
  change_flows(report.origin, host, report.flows);
}

void EdgeBook::settle() {
  std::size_t work = std::numeric_limits<std::size_t>::max();
  WEFT_ASSERT(settle(work));
}

void EdgeBook::forget(PeerName host) {
  if (hosts_.contains(host)) {
    HostReport nothing;
    nothing.origin = host;
    update(nothing);
    hosts_.erase(host);
  }
}

std::span<const EdgeRef> EdgeBook::touching(PeerName host) const {
  const auto found = touching_.find(host);
  return found == touching_.end() ? std::span<const EdgeRef>() : found->second;
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
        if (flow.tellers != nullptr) {
          dirty(*flow.tellers);
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
  readers_.for_each(key, [this](Flow& flow) { due(flow); });
}

void EdgeBook::due_touched() {
  touched_ = directory_.take_touched();
  for (const Cidr& network : directory_.take_touched_networks()) {
    const Ip last = network.last();
    for (auto at = outside_.lower_bound({network.first(), nullptr});
         at != outside_.end() && at->first <= last;
         ++at) {
      due(*at->second);
    }
  }
}

// What outbound flows change is read by inbound ones alone, so these come after them: whom clients
// have told of is known by then.
bool EdgeBook::settle(std::size_t& work) {
  if (!std::exchange(is_settling_, true)) {
    due_touched();
  }
  for (; !touched_.empty() && work > 0; --work) {
    due_readers(take_last(touched_));
  }
  if (!touched_.empty()) {
    return false;
  }
  for (; !due_outbound_.empty() && work > 0; --work) {
    resolve_outbound(*take_last(due_outbound_));
  }
  for (; due_outbound_.empty() && !due_inbound_.empty() && work > 0; --work) {
    resolve_inbound(*take_last(due_inbound_));
  }
  const bool is_resolved = due_outbound_.empty() && due_inbound_.empty();
  for (; is_resolved && !dirty_.empty() && work > 0; --work) {
    sum(*take_last(dirty_));
  }
  is_settling_ = !is_resolved || !dirty_.empty();
  return !is_settling_;
}

void EdgeBook::resolve_outbound(Flow& flow) {
  flow.is_due = false;
  Reads reads;
  const EdgeKey key = directory_.outbound_edge(flow.host, *flow.key, reads);
  set_reads(flow, reads);
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
  set_reads(flow, reads);
  if (is_known) {
    untell(flow);
  } else {
    tell(flow, edge);
  }
}

void EdgeBook::set_reads(Flow& flow, const Reads& reads) {
  const bool are_same = std::equal(
      flow.reads.begin(),
      flow.reads.end(),
      reads.keys.begin(),
      reads.keys.end(),
      [this](Readers<Flow>::Slot slot, std::uint64_t key) { return readers_.key(slot) == key; });
  if (!are_same) {
    for (const Readers<Flow>::Slot slot : flow.reads) {
      readers_.remove(slot);
    }
    flow.reads.clear();
    flow.reads.reserve(reads.keys.size());
    for (const std::uint64_t key : reads.keys) {
      flow.reads.push_back(readers_.add(key, &flow));
    }
  }
  if (std::exchange(flow.reads_networks, reads.networks) != reads.networks) {
    if (reads.networks) {
      outside_.emplace(flow.key->remote, &flow);
    } else {
      outside_.erase({flow.key->remote, &flow});
    }
  }
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
  if (flow.tellers != nullptr && flow.tellers->edge->first == key) {
    return;
  }
  untell(flow);
  const auto [edge, is_new] = edges_.try_emplace(key);
  Tellers& tellers = tellers_[&edge->first];
  if (is_new) {
    tellers.edge = edge;
    touch(tellers);
  }
  flow.tellers = &tellers;
  flow.index = tellers.flows.size();
  tellers.flows.push_back(&flow);
  dirty(tellers);
  if (flow.key->direction == Direction::Outbound) {
    if (const Coarse pair = coarse(key); count_in(reported_, pair)) {
      due_readers(read_key(pair));
    }
  }
}

void EdgeBook::untell(Flow& flow) {
  Tellers* const tellers = std::exchange(flow.tellers, nullptr);
  if (tellers == nullptr) {
    return;
  }
  std::vector<Flow*>& flows = tellers->flows;
  flows.back()->index = flow.index;
  flows[flow.index] = flows.back();
  flows.pop_back();
  dirty(*tellers);
  if (flow.key->direction == Direction::Outbound) {
    if (const Coarse pair = coarse(tellers->edge->first); count_out(reported_, pair)) {
      due_readers(read_key(pair));
    }
  }
}

void EdgeBook::dirty(Tellers& tellers) {
  if (!std::exchange(tellers.is_dirty, true)) {
    dirty_.push_back(&tellers);
  }
}

void EdgeBook::sum(Tellers& tellers) {
  tellers.is_dirty = false;
  if (tellers.flows.empty()) {
    drop(tellers);
    return;
  }
  EdgeFacts sum;
  for (const Flow* const flow : tellers.flows) {
    const bool is_outbound = flow->key->direction == Direction::Outbound;
    sum += is_outbound ? flow->facts : flow->facts.reversed();
  }
  auto& [key, facts] = *tellers.edge;
  facts = sum;
  changes_.changed.push_back({&key, &facts});
}

void EdgeBook::drop(Tellers& tellers) {
  const auto edge = tellers.edge;
  untouch(edge->first, tellers);
  tellers_.erase(&edge->first);
  changes_.gone.push_back(edges_.extract(edge));
}

// Which edges touch a host ------------------------------------------------------------------------

namespace {

bool is_on(const Party& party, PeerName host) {
  return party.kind == Party::Kind::Known && party.host == host;
}

bool is_known(const Party& party) {
  return party.kind == Party::Kind::Known;
}

// Both ends on one host touch it once.
bool touches_twice(const EdgeKey& key) {
  return is_known(key.to) && !is_on(key.from, key.to.host);
}

}  // namespace

void EdgeBook::touch(Tellers& tellers) {
  const auto& [key, facts] = *tellers.edge;
  if (is_known(key.from)) {
    std::vector<EdgeRef>& edges = touching_[key.from.host];
    tellers.index_from = edges.size();
    edges.push_back({&key, &facts});
  }
  if (touches_twice(key)) {
    std::vector<EdgeRef>& edges = touching_[key.to.host];
    tellers.index_to = edges.size();
    edges.push_back({&key, &facts});
  }
}

void EdgeBook::untouch(const EdgeKey& key, const Tellers& tellers) {
  if (is_known(key.from)) {
    untouch(key.from.host, tellers.index_from);
  }
  if (touches_twice(key)) {
    untouch(key.to.host, tellers.index_to);
  }
}

void EdgeBook::untouch(PeerName host, std::size_t index) {
  const auto found = touching_.find(host);
  std::vector<EdgeRef>& edges = found->second;
  const EdgeKey& moved = *edges.back().key;
  Tellers& tellers = tellers_.at(&moved);
  (is_on(moved.from, host) ? tellers.index_from : tellers.index_to) = index;
  edges[index] = edges.back();
  edges.pop_back();
  if (edges.empty()) {
    touching_.erase(found);
  }
}

}  // namespace weft::app
