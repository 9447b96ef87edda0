// Many allocators in one simulated world: a lossy network, stores that keep only what was applied,
// clients that remember every address they were given, and checkers that look after every event.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/address.h"
#include "base/peer_name.h"
#include "base/store_batch.h"
#include "ipam/allocator.h"
#include "tests/sim/world.h"

namespace weft::ipam::sim {

using weft::sim::NodeId;
using weft::sim::World;

struct Faults {
  std::uint32_t loss_percent = 0;
  std::uint32_t duplicate_percent = 0;
  std::uint32_t latency_ms_max = 20;  // Drawn per message, so messages overtake each other.
};

// What was said, however many heard it.
struct Traffic {
  std::uint64_t message_count = 0;
  std::uint64_t byte_count = 0;
};

struct ClusterOptions {
  NodeId nodes = 3;
  std::string range = "10.32.0.0/24";
  std::size_t elector_count = 3;
  bool chain =
      false;  // Node i is a neighbour of i-1 and i+1 only; others are reached through them.
  // Neighbours of a node, an even number; all others if 0. The mesh reaches everybody else.
  NodeId degree = 0;
  Faults faults{};
  Duration forfeit_after{};
  // Watch what entries of rings own, too (docs/adr/0062). Not with crash_at_action(): what is made
  // and lost before anybody sees it may be made again otherwise.
  bool watch_ends = false;
  std::string replay{};  // How to repeat this run; printed when a checker fails.
};

class Cluster {
 public:
  Cluster(World& world, ClusterOptions options);

  // What clients do. Owners are named after their node, so that a repetition asks for the same.
  void allocate(NodeId node, const std::string& owner);
  void allocate_in(NodeId node, const std::string& owner, const std::string& subnet);
  void claim(NodeId node, const std::string& owner, const std::string& address);
  void release_all(NodeId node, const std::string& owner);
  void prime(NodeId node);
  void remove_peer(NodeId node, NodeId victim);
  void leave(NodeId node);
  // The containers of this node are gone with it: nobody relies on their addresses.
  void abandon(NodeId node);
  // `count` containers each on every node that is up, in the whole range.
  void everyone_allocates(int count);
  // Asks again on behalf of every client that has no answer, as an orchestrator would.
  void retry_unanswered();

  // What happens to them.
  void start(NodeId node);
  void crash(NodeId node);
  void lose_store(NodeId node);  // Of a node that is down: it starts as a new one.
  // The node that performs the n-th action from now (0 is the next) loses that action, all later
  // ones and its memory, and starts again after `downtime`.
  void crash_at_action(std::uint64_t index, Duration downtime);
  void no_more_crashes() { crash_action_.reset(); }
  // The node's process gets no time: what is sent to it and its own deadlines wait.
  void freeze(NodeId node, Duration duration);
  void partition(const std::set<NodeId>& side);  // These cannot hear the rest.
  void heal();
  void set_faults(const Faults& faults) { options_.faults = faults; }

  // What can be seen.
  bool is_up(NodeId node) const { return nodes_[node].allocator != nullptr; }
  const Allocator& allocator(NodeId node) const { return *nodes_[node].allocator; }
  // The error of the last claim or allocation of this owner, empty if it holds an address.
  std::string refusal(NodeId node, const std::string& owner) const;
  std::optional<Ip> address_of(NodeId node, const std::string& owner) const;
  // What became of removals and departures: the count of addresses, or why not.
  const std::vector<std::string>& removals() const { return removals_; }
  // Whom this node was told to be gone for good.
  const std::set<PeerName>& gone(NodeId node) { return gone_[node]; }
  std::size_t answered_count() const { return given_.size(); }
  std::size_t unanswered_count() const;
  bool rings_agree() const;
  std::size_t ring_entry_count() const;
  std::uint64_t actions_performed() const { return actions_performed_; }
  std::uint64_t crash_count() const { return crash_count_; }
  // By kind, of all nodes since the beginning; each neighbour's copy counts.
  const std::map<std::string, Traffic>& traffic() const { return traffic_; }
  PeerName name(NodeId node) const { return PeerName(0x100 + node); }

 private:
  struct Wish {
    Cidr subnet;
    std::optional<Cidr> claimed;
    bool open = true;
  };
  struct Node {
    std::unique_ptr<Allocator> allocator;  // Null while it is down.
    std::map<std::string, StoreTable> store;
    std::uint64_t life = 0;  // Counts starts; timers and messages of an earlier life are void.
    std::map<std::string, Wish> wishes;
    std::map<std::string, std::string> refusals;
    std::map<RequestId, std::string> requests;
    TimePoint timer = kNever;
    TimePoint frozen_until{};
    bool missed = false;  // By the mesh, having been frozen for long.
    // As the checkers saw it last.
    std::map<Ip, std::string> held;
    IntervalSet authority;
    std::uint64_t ring_digest = 0;
  };
  struct Holder {
    NodeId node = 0;
    std::string owner;
  };

  bool connected(NodeId a, NodeId b) const;  // Some path of live nodes.
  bool adjacent(NodeId a, NodeId b) const;   // A direct connection.
  bool linked(NodeId a, NodeId b) const;     // There would be one if both were up.
  void announce();                           // Tells everybody what changed in reachability.
  void announce_about(NodeId node);
  void update_reachable(NodeId a, NodeId b);
  void update_adjacent(NodeId a, NodeId b);
  void perform(NodeId node, AllocatorActions actions);
  void perform(NodeId node, const AllocatorAction& action);
  void on_answer(NodeId node, const Answer& answer);
  using Payload = std::shared_ptr<const Bytes>;
  void send(NodeId from, NodeId to, Topic topic, const Payload& payload);
  void deliver(NodeId from, NodeId to, std::uint64_t life, Topic topic, const Payload& payload);
  void note_traffic(Topic topic, const Bytes& payload);
  void arm(NodeId node);
  void submit(NodeId node, const std::string& owner);
  // Prints how to repeat the run, and when and what failed, and aborts.
  void require(bool holds, const char* what) const;
  void check(NodeId node);
  void check_holdings(NodeId node);
  void check_authority(NodeId node);
  void check_ring(NodeId node);
  void check_ends(const Ring& ring);

  World& world_;
  ClusterOptions options_;
  Cidr range_;
  std::vector<Node> nodes_;
  std::set<NodeId> side_;
  // By node and node.
  std::vector<std::vector<bool>> known_reachable_;
  std::vector<std::vector<bool>> known_adjacent_;
  std::map<Ip, Holder> given_;  // Answered, not released since.
  // By basis, token and version of each entry: the last address it owned where it was made.
  std::map<std::tuple<std::uint64_t, Uint128, std::uint64_t>, Uint128> made_;
  std::uint64_t last_request_ = 0;
  std::uint64_t actions_performed_ = 0;
  std::optional<std::uint64_t> crash_action_;
  Duration downtime_{};
  std::uint64_t crash_count_ = 0;
  std::map<std::string, Traffic> traffic_;
  std::vector<std::string> removals_;
  std::map<NodeId, std::set<PeerName>> gone_;
};

// WEFT_SEED repeats one run; otherwise a few seeds every time.
std::vector<std::uint64_t> seeds(std::uint64_t count);

}  // namespace weft::ipam::sim
