// Meshes joined by wires that deliver at once: for scripts about a connection or two. What needs a
// network has a simulation (tests/sim/mesh).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/entropy.h"
#include "router/mesh.h"

namespace weft::router {

// One mesh and what came out of it.
class MeshUnderTest {
 public:
  explicit MeshUnderTest(Mesh::Options options, std::uint64_t seed = 1)
      : entropy_(Rng(seed)),
        mesh_(std::move(options), Rng(seed + 100), entropy_) {}

  Mesh& operator*() { return mesh_; }
  Mesh* operator->() { return &mesh_; }

  static Mesh::Options options(std::uint64_t name) {
    SeededEntropy entropy{Rng(name)};
    Mesh::Options options;
    options.name = PeerName(name);
    options.incarnation = Incarnation(1);
    options.nickname = "host-" + std::to_string(name);
    options.version = "test";
    options.key = KeyPair::generate(entropy);
    options.addresses = {Ipv4(static_cast<std::uint32_t>(name))};
    return options;
  }

  MeshActions out;  // Since the last take<>() of all.

  // The actions of one kind so far.
  template <class Action>
  std::vector<Action> all() const {
    std::vector<Action> found;
    for (const MeshAction& action : out) {
      if (const auto* match = std::get_if<Action>(&action)) {
        found.push_back(*match);
      }
    }
    return found;
  }

 private:
  SeededEntropy entropy_;
  Mesh mesh_;
};

// Carries bytes between two meshes until both are quiet.
class Wire {
 public:
  // `dialler` has been told to dial; its Dial action is answered here.
  Wire(TimePoint now, MeshUnderTest& dialler, LinkId dialled, MeshUnderTest& listener)
      : ends_{&dialler, &listener} {
    const Endpoint here{Ipv4(0x7f000001), 40000};
    const Endpoint there{Ipv4(0x7f000002), 6783};
    links_[0] = dialled;
    links_[1] = listener->on_accepted(now, there, here, listener.out);
    dialler->on_connected(now, dialled, here, there, dialler.out);
  }

  // Delivers everything sent and not yet carried; false if there was nothing.
  bool carry(TimePoint now) {
    bool any = false;
    for (std::size_t side = 0; side < 2; ++side) {
      for (; carried_[side] < ends_[side]->out.size(); ++carried_[side]) {
        const MeshAction action = ends_[side]->out[carried_[side]];
        MeshUnderTest& other = *ends_[1 - side];
        if (const auto* sent = std::get_if<SendBytes>(&action)) {
          if (sent->link == links_[side]) {
            other->on_bytes(now, links_[1 - side], sent->bytes, other.out);
            any = true;
          }
        } else if (const auto* closed = std::get_if<CloseLink>(&action)) {
          if (closed->link == links_[side]) {
            other->on_link_closed(now, links_[1 - side], "closed by the peer", other.out);
            any = true;
          }
        }
      }
    }
    return any;
  }

  void settle(TimePoint now) {
    do {
      ends_[0]->operator->()->on_deadline(now, ends_[0]->out);
      ends_[1]->operator->()->on_deadline(now, ends_[1]->out);
    } while (carry(now));
  }

  LinkId link(std::size_t side) const { return links_[side]; }

 private:
  MeshUnderTest* ends_[2];
  LinkId links_[2];
  std::size_t carried_[2] = {0, 0};
};

}  // namespace weft::router
