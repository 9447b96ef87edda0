// A real Mesh on a simulated host. Keeps what survives a restart (name, key, incarnation).
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/assert.h"
#include "base/entropy.h"
#include "base/overloaded.h"
#include "router/mesh.h"
#include "tests/sim/mesh_identity.h"
#include "tests/sim/net.h"
#include "tests/sim/world.h"

namespace weft::sim {

class MeshNode final : public Net::Host, private EventSink {
 public:
  // What is kept of what modules are told: all of a thousand peers would be most of a run's memory.
  enum class Watch : std::uint8_t { All, Counts };
  struct Options {
    Ip address;
    std::string nickname;
    std::optional<router::Psk> psk;
    std::size_t full_mesh_max = router::Mesh::Options{}.full_mesh_max;
    std::size_t degree = router::Mesh::Options{}.degree;
    bool deflates = router::Mesh::Options{}.deflates;
    std::size_t links_max = 200;
    router::RecordPool* pool = nullptr;
    Watch watch = Watch::All;
  };
  static constexpr std::uint16_t kPort = 6783;
  MeshNode(World& world, Net& net, Options options, MeshIdentity identity)
      : world_(world),
        net_(net),
        options_(std::move(options)),
        identity_(std::move(identity)),
        entropy_(world.rng().fork()) {}

  const MeshIdentity& identity() const { return identity_; }
  PeerName name() const { return identity_.name; }
  const Ip& address() const { return options_.address; }
  bool running() const { return mesh_ != nullptr; }
  const router::Mesh& mesh() const { return *mesh_; }

  // What its modules have seen since its start.
  const std::set<PeerName>& neighbours() const { return neighbours_; }
  const std::vector<PeerName>& reachable() const { return reachable_; }  // Ascending.
  bool reaches(PeerName peer) const {
    return std::binary_search(reachable_.begin(), reachable_.end(), peer);
  }
  const std::map<std::pair<PeerName, RecordKey>, Bytes>& records() const { return records_; }
  const std::vector<router::Deliver>& delivered() const { return delivered_; }
  const std::vector<router::MeshEvent>& events() const { return events_; }
  std::size_t withdrawals() const { return withdrawals_; }

  // Sees what modules are told, as it happens.
  void set_listener(std::function<void(const router::MeshAction& action)> listener) {
    listener_ = std::move(listener);
  }

  void start() {
    WEFT_ASSERT(!running());
    ++identity_.incarnation;
    ++generation_;
    neighbours_.clear();
    reachable_.clear();
    records_.clear();
    delivered_.clear();
    events_.clear();
    withdrawals_ = 0;
    router::Mesh::Options mesh;
    mesh.name = identity_.name;
    mesh.incarnation = Incarnation(identity_.incarnation);
    mesh.nickname = options_.nickname;
    mesh.version = "sim";
    mesh.key = identity_.key;
    mesh.psk = options_.psk;
    mesh.port = kPort;
    mesh.addresses = {options_.address};
    mesh.full_mesh_max = options_.full_mesh_max;
    mesh.degree = options_.degree;
    mesh.deflates = options_.deflates;
    mesh.links_max = options_.links_max;
    mesh.peers_max = 16384;
    mesh.pool = options_.pool;
    mesh.fresh = identity_.incarnation == 1;
    mesh_ = std::make_unique<router::Mesh>(std::move(mesh), world_.rng().fork(), entropy_);
    net_.attach({options_.address, kPort}, *this);
    settle();
  }

  // The process is stopped for a while.
  void freeze() { net_.freeze(*this); }
  void thaw() {
    net_.thaw(*this);
    settle();
  }

  void stop(Net::Death death) {
    WEFT_ASSERT(running());
    net_.detach(options_.address, death);
    mesh_.reset();
    links_.clear();
    ends_.clear();
    armed_ = kNever;
    ++generation_;
  }

  template <class Input>
  void feed(Input input) {
    input(*mesh_, world_.now(), actions_);
    settle();
  }
  void connect(const std::string& target) {
    feed([&](router::Mesh& mesh, TimePoint now, router::MeshActions& out) {
      mesh.connect(now, target, out);
    });
  }
  void publish(const PublishRecord& record) {
    feed([&](router::Mesh& mesh, TimePoint now, router::MeshActions& out) {
      mesh.publish(now, record, out);
    });
  }
  template <class Gossip>
  void send(const Gossip& gossip) {
    feed([&](router::Mesh& mesh, TimePoint now, router::MeshActions& out) {
      mesh.send(now, gossip, out);
    });
  }

  void on_accepted(EndId end, Endpoint local, Endpoint remote) override {
    feed([&](router::Mesh& mesh, TimePoint now, router::MeshActions& out) {
      // Known before the actions that mention it are performed.
      bind(mesh.on_accepted(now, local, remote, out), end);
    });
  }
  void on_connected(EndId end, Endpoint local, Endpoint remote) override {
    if (const auto at = links_.find(end); at != links_.end()) {
      feed([&](router::Mesh& mesh, TimePoint now, router::MeshActions& out) {
        mesh.on_connected(now, at->second, local, remote, out);
      });
    }
  }
  void on_bytes(EndId end, const Bytes& bytes) override {
    if (const auto at = links_.find(end); at != links_.end()) {
      const router::LinkId link = at->second;
      feed([&](router::Mesh& mesh, TimePoint now, router::MeshActions& out) {
        mesh.on_bytes(now, link, bytes, out);
      });
    }
  }
  void on_closed(EndId end, const std::string& reason) override {
    if (const auto at = links_.find(end); at != links_.end()) {
      const router::LinkId link = at->second;
      unbind(link);
      feed([&](router::Mesh& mesh, TimePoint now, router::MeshActions& out) {
        mesh.on_link_closed(now, link, reason, out);
      });
    }
  }

 private:
  void bind(router::LinkId link, EndId end) {
    links_[end] = link;
    ends_[link] = end;
  }
  void unbind(router::LinkId link) {
    const auto at = ends_.find(link);
    if (at != ends_.end()) {
      links_.erase(at->second);
      ends_.erase(at);
    }
  }

  void settle() {
    mesh_->on_deadline(world_.now(), actions_);
    for (router::MeshAction& action : std::exchange(actions_, {})) {
      perform(std::move(action));
    }
    for (auto& [link, bytes] : std::exchange(outbox_, {})) {
      transmit(link, std::move(bytes));
    }
    arm();
  }
  void arm() {
    const TimePoint due = std::max(mesh_->next_deadline(), world_.now());
    if (due >= armed_) {
      return;
    }
    armed_ = due;
    world_.at(due, *this, generation_, static_cast<std::uint64_t>(due.time_since_epoch().count()));
  }

  void on_event(std::uint64_t generation, std::uint64_t due) override {
    const auto armed = static_cast<std::uint64_t>(armed_.time_since_epoch().count());
    if (generation != generation_ || armed != due) {
      return;  // A later run, or an earlier timer that took its place.
    }
    armed_ = kNever;
    if (!net_.is_frozen(*this)) {
      settle();
    }
  }

  void perform(router::MeshAction action) {
    if (listener_) {
      listener_(action);
    }
    std::visit(
        overloaded{
            [this](router::Dial&& a) {
              bind(a.link, net_.dial(options_.address, {Ip::parse(a.host).value_or(Ip()), a.port}));
            },
            [this](router::SendBytes&& a) {
              Bytes& waiting = outbox_[a.link];
              waiting.insert(waiting.end(), a.bytes.begin(), a.bytes.end());
            },
            [this](router::CloseLink&& a) {
              transmit(a.link, std::move(outbox_[a.link]));
              outbox_.erase(a.link);
              if (const auto at = ends_.find(a.link); at != ends_.end()) {
                net_.close(at->second);
                unbind(a.link);
              }
            },
            [this](router::NeighbourUp&& a) { neighbours_.insert(a.peer); },
            [this](router::NeighbourDown&& a) { WEFT_ASSERT(neighbours_.erase(a.peer) == 1); },
            [this](router::PeerReachable&& a) {
              const auto at = std::lower_bound(reachable_.begin(), reachable_.end(), a.peer);
              WEFT_ASSERT(at == reachable_.end() || *at != a.peer);
              reachable_.insert(at, a.peer);
            },
            [this](router::PeerUnreachable&& a) {
              const auto at = std::lower_bound(reachable_.begin(), reachable_.end(), a.peer);
              WEFT_ASSERT(at != reachable_.end() && *at == a.peer);
              reachable_.erase(at);
            },
            [this](RecordChanged&& a) { on_record(std::move(a)); },
            [this](router::Deliver&& a) { delivered_.push_back(std::move(a)); },
            [](router::Outrun&&) {},  // Of interest to listeners.
            [this](router::MeshEvent&& a) {
              if (options_.watch == Watch::All) {
                events_.push_back(std::move(a));
              }
            },
        },
        std::move(action));
  }

  void transmit(router::LinkId link, Bytes bytes) {
    if (const auto at = ends_.find(link); at != ends_.end() && !bytes.empty()) {
      net_.send(at->second, std::move(bytes));
    }
  }

  void on_record(RecordChanged change) {
    if (options_.watch == Watch::Counts) {
      withdrawals_ += change.value ? 0U : 1U;
      return;
    }
    if (change.value) {
      records_[{change.origin, change.key}] = std::move(*change.value);
    } else {
      WEFT_ASSERT(records_.erase({change.origin, change.key}) == 1);  // As said.
      ++withdrawals_;
    }
  }

  World& world_;
  Net& net_;
  const Options options_;
  MeshIdentity identity_;
  SeededEntropy entropy_;
  std::function<void(const router::MeshAction& action)> listener_;
  std::unique_ptr<router::Mesh> mesh_;
  std::uint64_t generation_ = 0;
  TimePoint armed_ = kNever;
  router::MeshActions actions_;
  std::map<router::LinkId, Bytes> outbox_;  // Of one turn: leaves in one piece, as MeshLink has it.
  std::map<EndId, router::LinkId> links_;
  std::map<router::LinkId, EndId> ends_;
  std::set<PeerName> neighbours_;
  std::vector<PeerName> reachable_;
  std::map<std::pair<PeerName, RecordKey>, Bytes> records_;
  std::vector<router::Deliver> delivered_;
  std::vector<router::MeshEvent> events_;
  std::size_t withdrawals_ = 0;
};

}  // namespace weft::sim
