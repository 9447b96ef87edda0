// A cluster of mesh nodes in one world, and what must be true of it.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "router/overlay/record_pool.h"
#include "tests/sim/mesh_node.h"
#include "tests/sim/net.h"
#include "tests/sim/world.h"

namespace weft::sim {

class Cluster {
 public:
  struct Options {
    std::size_t peers = 3;
    std::uint64_t seed = 1;
    std::uint32_t loss_percent = 0;
    std::size_t full_mesh_max = router::Mesh::Options{}.full_mesh_max;
    std::size_t degree = router::Mesh::Options{}.degree;
    bool deflates = router::Mesh::Options{}.deflates;
    MeshNode::Watch watch = MeshNode::Watch::All;
    std::optional<Duration> latency{};  // One way, of everybody; without: Net's own.
  };

  explicit Cluster(Options options);

  World& world() { return world_; }
  Net& net() { return net_; }
  std::uint64_t wire_bytes() const { return net_.wire_bytes(); }
  std::uint64_t wire_packets() const { return net_.wire_packets(); }
  std::size_t size() const { return nodes_.size(); }
  MeshNode& node(std::size_t index) { return *nodes_.at(index); }
  const MeshNode& node(std::size_t index) const { return *nodes_.at(index); }

  static Ip address(std::size_t index);
  static std::string target(std::size_t index) { return address(index).to_string(); }
  static router::Psk password(std::uint8_t which);

  // Another host, not started. Without an identity it makes up its own.
  MeshNode& add(std::optional<MeshIdentity> identity, std::optional<router::Psk> psk);
  // Starts everybody, `apart` after each other; each knows one random earlier peer.
  void start_all(Duration apart);

  // Runs until `done` or for `limit`; checks safety all along. True if it was done.
  bool run_until(Duration limit, const std::function<bool()>& done);
  bool converges_within(Duration limit);

  // Everybody who runs (of `members`, if given) sees everybody else, and the same records.
  bool converged() const;
  bool converged(const std::set<std::size_t>& members) const;
  // Following next hops gets from anybody to anybody without visiting anyone twice.
  bool routes_lead_home() const;
  std::size_t connections() const;

  // For clusters too large for converged(): everybody reaches everybody; all stores are alike.
  bool settled() const;
  bool stores_agree() const;
  bool settles_within(Duration limit);
  std::size_t degree_max() const;

 private:
  bool sees_all(const MeshNode& node, const std::set<std::size_t>& members) const;
  std::optional<std::size_t> index_of(PeerName name) const;

  const Options options_;
  World world_;
  Net net_;
  router::RecordPool pool_;
  std::vector<std::unique_ptr<MeshNode>> nodes_;
  std::size_t checks_ = 0;
};

// WEFT_SEED repeats a run; otherwise the scenario's own seed.
inline std::uint64_t seed_or(std::uint64_t fallback) {
  const char* text = std::getenv("WEFT_SEED");
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 0);
}

}  // namespace weft::sim
