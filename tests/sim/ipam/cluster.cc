#include "tests/sim/ipam/cluster.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/overloaded.h"
#include "ipam/messages.h"
#include "ipam/ring.h"

namespace weft::ipam::sim {
namespace {

std::string kind_of(const RingGossip& gossip) {
  return std::visit(overloaded{
                        [](const Ring&) { return "ring"; },
                        [](const Ring::Part&) { return "part of a ring"; },
                        [](const ElectorState&) { return "claims"; },
                        [](const ElectorNews&) { return "claims that changed"; },
                    },
                    gossip);
}

std::string kind_of(const PeerMessage& message) {
  return std::visit(
      overloaded{
          [](const SpaceRequest&) { return "space request"; },
          [](const ClaimRequest&) { return "claim request"; },
          [](const Grant&) { return "grant"; },
          [](const Denial&) { return "denial"; },
          [](const RingDigest&) { return "digest"; },
          [](const Register& body) { return body.state ? "registration" : "renewal"; },
          [](const Registered&) { return "acknowledgement"; },
          [](const auto&) { return "decree"; },
      },
      message.body);
}

}  // namespace

Cluster::Cluster(World& world, ClusterOptions options)
    : world_(world),
      options_(std::move(options)),
      range_(Cidr::parse(options_.range).value()),
      nodes_(options_.nodes),
      known_reachable_(options_.nodes, std::vector<bool>(options_.nodes)),
      known_adjacent_(known_reachable_) {
  for (NodeId node = 0; node < options_.nodes; ++node) {
    start(node);
  }
}

// Clients.

void Cluster::allocate(NodeId node, const std::string& owner) {
  allocate_in(node, owner, options_.range);
}

void Cluster::allocate_in(NodeId node, const std::string& owner, const std::string& subnet) {
  nodes_[node].wishes[owner] =
      Wish{.subnet = Cidr::parse(subnet).value(), .claimed = std::nullopt, .open = true};
  submit(node, owner);
}

void Cluster::claim(NodeId node, const std::string& owner, const std::string& address) {
  const Cidr claimed(Ip::parse(address).value(), range_.prefix());
  nodes_[node].wishes[owner] = Wish{.subnet = range_, .claimed = claimed, .open = true};
  submit(node, owner);
}

void Cluster::submit(NodeId node, const std::string& owner) {
  Node& n = nodes_[node];
  if (!n.allocator) {
    return;
  }
  if (world_.now() < n.frozen_until) {
    world_.at(n.frozen_until, [this, node, owner] {
      if (nodes_[node].wishes.contains(owner)) {
        submit(node, owner);
      }
    });
    return;
  }
  const RequestId id(++last_request_);
  n.requests[id] = owner;
  const Wish& wish = n.wishes.at(owner);
  AllocatorActions out;
  if (wish.claimed) {
    n.allocator->claim(world_.now(), id, owner, *wish.claimed, out);
  } else {
    n.allocator->allocate(
        world_.now(),
        {.id = id, .owner = owner, .subnet = wish.subnet, .within = {}, .fresh = false},
        out);
  }
  perform(node, std::move(out));
}

void Cluster::prime(NodeId node) {
  AllocatorActions out;
  nodes_[node].allocator->prime(world_.now(), RequestId(++last_request_), out);
  perform(node, std::move(out));
}

void Cluster::remove_peer(NodeId node, NodeId victim) {
  AllocatorActions out;
  nodes_[node].allocator->remove_peer(world_.now(), RequestId(++last_request_), name(victim), out);
  perform(node, std::move(out));
}

void Cluster::leave(NodeId node) {
  AllocatorActions out;
  nodes_[node].allocator->leave(world_.now(), RequestId(++last_request_), out);
  perform(node, std::move(out));
}

void Cluster::abandon(NodeId node) {
  std::erase_if(given_, [node](const auto& entry) { return entry.second.node == node; });
  nodes_[node].wishes.clear();
}

void Cluster::freeze(NodeId node, Duration duration) {
  // The mesh notices later than it does in truth, which leaves more time for harm.
  constexpr auto kMissedAfter = std::chrono::seconds(5);
  Node& n = nodes_[node];
  n.frozen_until = world_.now() + duration;
  if (duration <= kMissedAfter) {
    return;
  }
  const auto note = [this, node, life = n.life](bool missed) {
    if (life == nodes_[node].life && is_up(node)
        && missed == (world_.now() < nodes_[node].frozen_until)) {
      nodes_[node].missed = missed;
      announce_about(node);
    }
  };
  world_.after(kMissedAfter, [note] { note(true); });
  world_.at(n.frozen_until, [note] { note(false); });
}

void Cluster::release_all(NodeId node, const std::string& owner) {
  // From here on the client must not rely on the address, whether or not the release survives.
  for (auto it = given_.begin(); it != given_.end();) {
    it = it->second.node == node && it->second.owner == owner ? given_.erase(it) : std::next(it);
  }
  nodes_[node].wishes.erase(owner);
  if (!nodes_[node].allocator) {
    return;
  }
  AllocatorActions out;
  (void)nodes_[node].allocator->release_all(world_.now(), owner, out);  // Zero after a crash.
  perform(node, std::move(out));
}

void Cluster::everyone_allocates(int count) {
  for (NodeId node = 0; node < nodes_.size(); ++node) {
    for (int i = 0; i < count; ++i) {
      allocate(node, fmt::format("n{}c{}", node, i));
    }
  }
}

void Cluster::retry_unanswered() {
  for (NodeId node = 0; node < nodes_.size(); ++node) {
    const auto wishes = nodes_[node].wishes;
    for (const auto& [owner, wish] : wishes) {
      if (wish.open) {
        submit(node, owner);
      }
    }
  }
}

// Life and death.

void Cluster::start(NodeId node) {
  Node& n = nodes_[node];
  WEFT_ASSERT(!n.allocator);
  auto created = Allocator::create({.self = name(node),
                                    .range = range_,
                                    .default_subnet = range_,
                                    .elector_count = options_.elector_count,
                                    .forfeit_after = options_.forfeit_after},
                                   {.ring = n.store["ipam_ring"],
                                    .owned = n.store["ipam_owned"],
                                    .paxos = n.store["ipam_paxos"],
                                    .council = n.store["ipam_council"]},
                                   world_.rng().fork());
  require(created.ok(), "what was stored does not load");
  n.allocator = std::move(created).value();
  ++n.life;
  announce_about(node);
  check(node);
}

void Cluster::crash(NodeId node) {
  Node& n = nodes_[node];
  n.allocator.reset();
  n.missed = false;
  n.requests.clear();
  n.timer = kNever;
  ++crash_count_;
  check(node);
  announce_about(node);
}

void Cluster::lose_store(NodeId node) {
  WEFT_ASSERT(!is_up(node));
  nodes_[node].store.clear();
}

void Cluster::crash_at_action(std::uint64_t index, Duration downtime) {
  crash_action_ = actions_performed_ + index;
  downtime_ = downtime;
}

void Cluster::partition(const std::set<NodeId>& side) {
  side_ = side;
  announce();
}

void Cluster::heal() {
  side_.clear();
  announce();
}

bool Cluster::linked(NodeId a, NodeId b) const {
  if (options_.chain) {
    return a + 1 == b || b + 1 == a;
  }
  if (options_.degree == 0) {
    return a != b;
  }
  // A circulant graph: strides of the powers of three keep it connected and its diameter small.
  const auto count = static_cast<NodeId>(nodes_.size());
  const NodeId distance = (a + count - b) % count;
  for (NodeId i = 0, stride = 1; i < options_.degree / 2; ++i, stride *= 3) {
    if (distance == stride % count || distance == count - stride % count) {
      return a != b;
    }
  }
  return false;
}

bool Cluster::adjacent(NodeId a, NodeId b) const {
  return linked(a, b) && is_up(a) && is_up(b) && side_.contains(a) == side_.contains(b);
}

bool Cluster::connected(NodeId a, NodeId b) const {
  if (!options_.chain) {
    return a != b && is_up(a) && is_up(b) && side_.contains(a) == side_.contains(b);
  }
  for (NodeId node = std::min(a, b); node < std::max(a, b); ++node) {
    if (!adjacent(node, node + 1)) {
      return false;
    }
  }
  return a != b;
}

void Cluster::announce() {
  const auto count = static_cast<NodeId>(nodes_.size());
  for (NodeId a = 0; a < count; ++a) {
    for (NodeId b = 0; b < count; ++b) {
      update_reachable(a, b);
    }
  }
  for (NodeId a = 0; a < count; ++a) {
    for (NodeId b = 0; b < count; ++b) {
      update_adjacent(a, b);
    }
  }
}

void Cluster::announce_about(NodeId node) {
  if (options_.chain) {
    return announce();  // Others may have been connected through it.
  }
  const auto count = static_cast<NodeId>(nodes_.size());
  for (NodeId other = 0; other < count; ++other) {
    update_reachable(node, other);
    update_reachable(other, node);
  }
  for (NodeId other = 0; other < count; ++other) {
    update_adjacent(node, other);
    update_adjacent(other, node);
  }
}

void Cluster::update_reachable(NodeId a, NodeId b) {
  const bool reaches = connected(a, b) && !nodes_[b].missed;
  if (reaches == known_reachable_[a][b]) {
    return;
  }
  known_reachable_[a][b] = reaches;
  AllocatorActions out;
  if (reaches) {
    nodes_[a].allocator->on_peer_reachable(world_.now(), name(b), out);
  } else if (is_up(a)) {
    nodes_[a].allocator->on_peer_unreachable(world_.now(), name(b), out);
  }
  world_.after({}, [this, a, life = nodes_[a].life, out] {
    if (life == nodes_[a].life) {
      perform(a, out);
    }
  });
}

void Cluster::update_adjacent(NodeId a, NodeId b) {
  const bool meets = adjacent(a, b);
  if (meets == known_adjacent_[a][b]) {
    return;
  }
  known_adjacent_[a][b] = meets;
  if (!meets) {
    return;
  }
  world_.after({}, [this, a, b, life = nodes_[a].life] {
    if (life == nodes_[a].life && adjacent(a, b)) {
      AllocatorActions out;
      nodes_[a].allocator->on_neighbour_up(world_.now(), name(b), out);
      perform(a, std::move(out));
    }
  });
}

// Actions.

void Cluster::perform(NodeId node, AllocatorActions actions) {
  if (!is_up(node)) {
    return;
  }
  nodes_[node].allocator->on_deadline(world_.now(), actions);  // As sys/core_driver.h does.
  nodes_[node].allocator->check_invariants();
  for (const AllocatorAction& action : actions) {
    if (crash_action_ && actions_performed_ == *crash_action_) {
      crash_action_.reset();
      crash(node);
      world_.after(downtime_, [this, node] {
        if (!is_up(node)) {
          start(node);
          retry_unanswered();
        }
      });
      return;
    }
    ++actions_performed_;
    perform(node, action);
  }
  arm(node);
  check(node);
}

void Cluster::perform(NodeId node, const AllocatorAction& action) {
  world_.note(action.index() + (std::uint64_t{node} << 8U));
  std::visit(overloaded{
                 [&](const Persist& persist) {
                   for (const StoreWrite& write : persist.batch) {
                     StoreTable& table = nodes_[node].store[write.table];
                     if (write.value) {
                       table[write.key] = *write.value;
                     } else {
                       table.erase(write.key);
                     }
                   }
                 },
                 [&](const Answer& answer) { on_answer(node, answer); },
                 [&](const PeerRemoved& removed) {
                   removals_.push_back(removed.address_count.ok()
                                           ? std::to_string(removed.address_count.value())
                                           : removed.address_count.error().what);
                 },
                 [&](const PeerGone& gone) { gone_[node].insert(gone.peer); },
                 [&](const GossipAll& gossip) {
                   const auto payload = std::make_shared<const Bytes>(gossip.payload);
                   for (NodeId to = 0; to < nodes_.size(); ++to) {
                     if (adjacent(node, to) && gossip.except != name(to)) {
                       send(node, to, gossip.topic, payload);
                     }
                   }
                 },
                 [&](const GossipTo& gossip) {
                   const auto to = static_cast<NodeId>(gossip.to.number() - 0x100);
                   if (connected(node, to)) {
                     send(node, to, gossip.topic, std::make_shared<const Bytes>(gossip.payload));
                   }
                 },
             },
             action);
}

void Cluster::on_answer(NodeId node, const Answer& answer) {
  Node& n = nodes_[node];
  const auto request = n.requests.extract(answer.request);
  if (request.empty()) {
    return;  // A prime.
  }
  const std::string& owner = request.mapped();
  const auto wish = n.wishes.find(owner);
  if (wish == n.wishes.end()) {
    return;  // Released while it waited.
  }
  wish->second.open = false;
  if (!answer.result.ok()) {
    n.refusals[owner] = answer.result.error().what;
    return;
  }
  n.refusals.erase(owner);
  const Ip address = answer.result.value().address();
  const auto [holder, is_new] = given_.emplace(address, Holder{node, owner});
  // The checker of checkers: no address is ever in two clients' hands.
  require(is_new || (holder->second.node == node && holder->second.owner == owner),
          "an address was handed out twice");
}

void Cluster::send(NodeId from, NodeId to, Topic topic, const Payload& payload) {
  Rng& rng = world_.rng();
  const Faults& faults = options_.faults;
  note_traffic(topic, *payload);
  const int copies = rng.chance(faults.loss_percent)        ? 0
                     : rng.chance(faults.duplicate_percent) ? 2
                                                            : 1;
  for (int i = 0; i < copies; ++i) {
    const auto latency = std::chrono::milliseconds(1 + rng.below(faults.latency_ms_max));
    world_.after(latency, [this, from, to, life = nodes_[to].life, topic, payload] {
      deliver(from, to, life, topic, payload);
    });
  }
}

void Cluster::note_traffic(Topic topic, const Bytes& payload) {
  Traffic& traffic = traffic_[topic == Topic::Ring ? kind_of(decode_ring_gossip(payload).value())
                                                   : kind_of(decode_peer_message(payload).value())];
  ++traffic.message_count;
  traffic.byte_count += payload.size();
}

void Cluster::deliver(
    NodeId from, NodeId to, std::uint64_t life, Topic topic, const Payload& payload) {
  if (life != nodes_[to].life || !is_up(to) || side_.contains(from) != side_.contains(to)) {
    return;
  }
  if (world_.now() < nodes_[to].frozen_until) {
    world_.at(nodes_[to].frozen_until,
              [this, from, to, life, topic, payload] { deliver(from, to, life, topic, payload); });
    return;
  }
  AllocatorActions out;
  nodes_[to].allocator->on_gossip(world_.now(), name(from), topic, *payload, out);
  perform(to, std::move(out));
}

void Cluster::arm(NodeId node) {
  Node& n = nodes_[node];
  const TimePoint deadline = n.allocator->next_deadline();
  if (deadline == n.timer || deadline == kNever) {
    return;
  }
  n.timer = deadline;
  const TimePoint thawed = std::max(world_.now(), n.frozen_until);
  world_.at(std::max(deadline, thawed), [this, node, life = n.life, deadline] {
    if (life == nodes_[node].life && is_up(node) && nodes_[node].timer == deadline) {
      nodes_[node].timer = kNever;
      perform(node, AllocatorActions{});
    }
  });
}

// Views and checks.

std::string Cluster::refusal(NodeId node, const std::string& owner) const {
  const auto it = nodes_[node].refusals.find(owner);
  return it == nodes_[node].refusals.end() ? "" : it->second;
}

std::optional<Ip> Cluster::address_of(NodeId node, const std::string& owner) const {
  for (const auto& [address, holder] : given_) {
    if (holder.node == node && holder.owner == owner) {
      return address;
    }
  }
  return std::nullopt;
}

std::size_t Cluster::unanswered_count() const {
  std::size_t count = 0;
  for (const Node& node : nodes_) {
    count += static_cast<std::size_t>(
        std::count_if(node.wishes.begin(), node.wishes.end(), [](const auto& entry) {
          return entry.second.open;
        }));
  }
  return count;
}

bool Cluster::rings_agree() const {
  const Ring* first = nodes_[0].allocator ? nodes_[0].allocator->ring() : nullptr;
  return first != nullptr && std::all_of(nodes_.begin(), nodes_.end(), [first](const Node& node) {
           return node.allocator && node.allocator->ring() != nullptr
                  && *node.allocator->ring() == *first;
         });
}

std::size_t Cluster::ring_entry_count() const {
  std::size_t count = 0;
  for (const Node& node : nodes_) {
    if (node.allocator && node.allocator->ring() != nullptr) {
      count = std::max(count, node.allocator->ring()->entries().size());
    }
  }
  return count;
}

void Cluster::require(bool holds, const char* what) const {
  if (!holds) {
    fmt::print(stderr,
               "{} at {} ms of virtual time, event {}; repeat with {}\n",
               what,
               (world_.now() - TimePoint{}) / std::chrono::milliseconds(1),
               world_.events_run(),
               options_.replay);
    std::abort();
  }
}

// What this node did cannot have made anything wrong elsewhere, so only what changed here is
// compared with what all others last were.
void Cluster::check(NodeId node) {
  if (!is_up(node)) {
    nodes_[node].authority = IntervalSet();
    nodes_[node].held.clear();
    nodes_[node].ring_digest = 0;
    return;
  }
  check_holdings(node);
  check_authority(node);
  check_ring(node);
}

// No address is held on two live nodes, and whoever was given one still has it.
void Cluster::check_holdings(NodeId node) {
  std::map<Ip, std::string> held;
  for (const auto& [owner, address] : nodes_[node].allocator->held()) {
    held.emplace(address.address(), owner);
  }
  if (held == nodes_[node].held) {
    return;
  }
  for (const auto& [address, owner] : held) {
    for (NodeId other = 0; other < nodes_.size() && range_.contains(address); ++other) {
      require(other == node || !nodes_[other].held.contains(address), "an address is held twice");
    }
  }
  for (const auto& [address, holder] : given_) {
    if (holder.node != node || !range_.contains(address)) {
      continue;
    }
    const auto it = held.find(address);
    require(it != held.end(), "an address that was given out is lost");
    require(it->second == holder.owner, "an address changed its owner");
  }
  nodes_[node].held = std::move(held);
}

// No two nodes may hand out or hold one address.
void Cluster::check_authority(NodeId node) {
  const IntervalSet authority = nodes_[node].allocator->authority();
  if (authority == nodes_[node].authority) {
    return;
  }
  for (const Span& span : authority.minus(nodes_[node].authority)) {
    for (NodeId other = 0; other < nodes_.size(); ++other) {
      require(other == node || nodes_[other].authority.count_in(span) == 0,
              "two nodes may hand out one address");
    }
  }
  nodes_[node].authority = authority;
}

void Cluster::check_ring(NodeId node) {
  const Ring* const ring = nodes_[node].allocator->ring();
  if (ring == nullptr || ring->digest() == nodes_[node].ring_digest) {
    return;
  }
  nodes_[node].ring_digest = ring->digest();
  IntervalSet covered;
  for (const Ring::Piece& piece : ring->pieces()) {
    require(covered.count_in(piece.span) == 0, "ring entries overlap");
    covered.add(piece.span);
  }
  require(covered.size() == Span::of(range_).size(), "the ring has a hole");
  if (options_.watch_ends) {
    check_ends(*ring);
  }
}

// Who makes an entry is the first to have it.
void Cluster::check_ends(const Ring& ring) {
  for (const Ring::Piece& piece : ring.pieces()) {
    const auto made =
        made_.try_emplace({ring.basis(), piece.span.first, piece.entry.version}, piece.span.last);
    require(piece.span.last <= made.first->second,
            "an entry of a ring owns more than it did where it was made");
  }
}

std::vector<std::uint64_t> seeds(std::uint64_t count) {
  if (const char* text = std::getenv("WEFT_SEED")) {
    return {std::strtoull(text, nullptr, 0)};
  }
  std::vector<std::uint64_t> list;
  for (std::uint64_t seed = 1; seed <= count; ++seed) {
    list.push_back(seed);
  }
  return list;
}

}  // namespace weft::ipam::sim
