#include "tests/sim/mesh/cluster.h"

#include <algorithm>

#include <fmt/format.h>

namespace weft::sim {

Cluster::Cluster(Options options) : options_(options), world_(options.seed), net_(world_) {
  net_.options().loss_percent = options_.loss_percent;
  if (options_.latency) {
    net_.options().latency_min = net_.options().latency_max = *options_.latency;
  }
  for (std::size_t i = 0; i < options_.peers; ++i) {
    add(std::nullopt, password(1));
  }
}

Ip Cluster::address(std::size_t index) {
  return Ipv4(0x0a000001U + static_cast<std::uint32_t>(index));
}

router::Psk Cluster::password(std::uint8_t which) {
  std::array<std::uint8_t, 32> bytes{};
  bytes.fill(which);
  return router::Psk(bytes);
}

MeshNode& Cluster::add(std::optional<MeshIdentity> identity, std::optional<router::Psk> psk) {
  if (!identity) {
    SeededEntropy entropy(world_.rng().fork());
    identity.emplace();
    identity->name = PeerName(1 + (world_.rng().next() >> 17U));
    identity->key = router::KeyPair::generate(entropy);
  }
  const std::size_t index = nodes_.size();
  MeshNode::Options node;
  node.address = address(index);
  node.nickname = fmt::format("host-{}", index);
  node.psk = std::move(psk);
  node.full_mesh_max = options_.full_mesh_max;
  node.degree = options_.degree;
  node.deflates = options_.deflates;
  node.pool = &pool_;
  node.watch = options_.watch;
  nodes_.push_back(std::make_unique<MeshNode>(world_, net_, std::move(node), *identity));
  return *nodes_.back();
}

void Cluster::start_all(Duration apart) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    nodes_[i]->start();
    if (i > 0) {
      nodes_[i]->connect(target(world_.rng().below(static_cast<std::uint32_t>(i))));
    }
    world_.run_for(apart);
  }
}

bool Cluster::run_until(Duration limit, const std::function<bool()>& done) {
  const TimePoint end = world_.now() + limit;
  while (!done()) {
    if (world_.now() >= end) {
      return false;
    }
    world_.run_for(nodes_.size() < 100 ? std::chrono::milliseconds(250)
                                       : std::chrono::milliseconds(100));
    // Of a large cluster, another part each time.
    const std::size_t step = std::max<std::size_t>(1, nodes_.size() / 100);
    for (std::size_t i = ++checks_ % step; i < nodes_.size(); i += step) {
      if (nodes_[i]->running()) {
        nodes_[i]->mesh().check_invariants();
      }
    }
  }
  return true;
}

bool Cluster::settled() const {
  std::size_t running = 0;
  for (const auto& node : nodes_) {
    running += node->running() ? 1U : 0U;
  }
  for (const auto& node : nodes_) {
    if (!node->running() || net_.is_frozen(*node)) {
      continue;
    }
    if (node->reachable().size() + 1 < running) {
      return false;
    }
  }
  return true;
}

bool Cluster::stores_agree() const {
  std::optional<std::uint64_t> hash;
  for (const auto& node : nodes_) {
    if (node->running() && !net_.is_frozen(*node)) {
      if (hash.value_or(node->mesh().records_hash()) != node->mesh().records_hash()) {
        return false;
      }
      hash = node->mesh().records_hash();
    }
  }
  return true;
}

bool Cluster::settles_within(Duration limit) {
  return run_until(limit, [this] { return settled(); });
}

std::size_t Cluster::degree_max() const {
  std::size_t most = 0;
  for (const auto& node : nodes_) {
    most = std::max(most, node->running() ? node->neighbours().size() : 0);
  }
  return most;
}

bool Cluster::converges_within(Duration limit) {
  return run_until(limit, [this] { return converged(); });
}

bool Cluster::converged() const {
  std::set<std::size_t> members;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i]->running()) {
      members.insert(i);
    }
  }
  return converged(members);
}

bool Cluster::converged(const std::set<std::size_t>& members) const {
  const auto& first = nodes_.at(*members.begin());
  for (const std::size_t index : members) {
    const MeshNode& node = *nodes_[index];
    if (!sees_all(node, members)) {
      return false;
    }
    // Records of third parties are the same everywhere; one's own are not told to oneself.
    for (const auto& [key, value] : first->records()) {
      const auto at = node.records().find(key);
      if (key.first != node.name() && (at == node.records().end() || at->second != value)) {
        return false;
      }
    }
  }
  return true;
}

bool Cluster::sees_all(const MeshNode& node, const std::set<std::size_t>& members) const {
  if (!node.running() || node.reachable().size() + 1 != members.size()) {
    return false;
  }
  return std::all_of(members.begin(), members.end(), [&](std::size_t index) {
    const MeshNode& peer = *nodes_[index];
    return &peer == &node
           || (node.reaches(peer.name())
               && node.records().contains({peer.name(), RecordKey{RecordKind::Peer, {}}}));
  });
}

std::optional<std::size_t> Cluster::index_of(PeerName name) const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i]->running() && nodes_[i]->name() == name) {
      return i;
    }
  }
  return std::nullopt;
}

bool Cluster::routes_lead_home() const {
  std::map<PeerName, std::map<PeerName, PeerName>> hops;
  for (const auto& node : nodes_) {
    if (!node->running()) {
      continue;
    }
    for (const router::PeerStatus& peer : node->mesh().peers()) {
      if (peer.next_hop) {
        hops[node->name()][peer.name] = *peer.next_hop;
      }
    }
  }
  for (const auto& [from, ways] : hops) {
    for (const auto& [to, first] : ways) {
      PeerName at = from;
      for (std::size_t steps = 0; at != to; ++steps) {
        if (steps > hops.size() || !index_of(at) || !hops[at].contains(to)) {
          return false;
        }
        at = hops[at].at(to);
      }
    }
  }
  return true;
}

std::size_t Cluster::connections() const {
  std::size_t count = 0;
  for (const auto& node : nodes_) {
    count += node->running() ? node->neighbours().size() : 0;
  }
  return count / 2;
}

}  // namespace weft::sim
