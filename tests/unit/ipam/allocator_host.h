// One allocator beside its store, for tests: performs what it persists, keeps what it says.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ipam/allocator.h"
#include "ipam/messages.h"
#include "ipam/ring.h"

namespace weft::ipam {

inline const PeerName kA(0xa);
inline const PeerName kB(0xb);
inline constexpr TimePoint kStart{};

inline Cidr cidr(const char* text) {
  return Cidr::parse(text).value();
}

inline Ip ip(const char* text) {
  return Ip::parse(text).value();
}

// One allocator, its store, and what it said.
struct Host {
  explicit Host(std::size_t elector_count = 1, const char* range = "10.32.0.0/24") {
    options = {.self = kA,
               .range = cidr(range),
               .default_subnet = cidr(range),
               .elector_count = elector_count};
    restart();
  }

  void restart() {
    allocator = Allocator::create(options, stored, Rng(1)).value();
    out.clear();
  }

  // Performs the Persists and forgets every action.
  void settle() {
    for (const AllocatorAction& action : out) {
      if (const auto* persist = std::get_if<Persist>(&action)) {
        for (const StoreWrite& write : persist->batch) {
          StoreTable& table = write.table == "ipam_ring"    ? stored.ring
                              : write.table == "ipam_owned" ? stored.owned
                              : write.table == "ipam_paxos" ? stored.paxos
                                                            : stored.council;
          if (write.value) {
            table[write.key] = *write.value;
          } else {
            table.erase(write.key);
          }
        }
      }
    }
    allocator->check_invariants();
    out.clear();
  }

  std::optional<Result<Cidr>> answer(std::uint64_t id) const {
    for (const AllocatorAction& action : out) {
      const auto* answer = std::get_if<Answer>(&action);
      if (answer != nullptr && answer->request == RequestId(id)) {
        return answer->result;
      }
    }
    return std::nullopt;
  }

  Result<Cidr> allocate(const char* owner,
                        const char* subnet = "10.32.0.0/24",
                        std::optional<Cidr> within = {}) {
    allocator->allocate(now,
                        {.id = RequestId(++last_id),
                         .owner = owner,
                         .subnet = cidr(subnet),
                         .within = within,
                         .fresh = fresh},
                        out);
    auto result = answer(last_id).value_or(Error{Errc::Unavailable, "waiting"});
    settle();
    return result;
  }

  Result<Cidr> claim(const char* owner, const char* address) {
    allocator->claim(now, RequestId(++last_id), owner, cidr(address), out);
    auto result = answer(last_id).value_or(Error{Errc::Unavailable, "waiting"});
    settle();
    return result;
  }

  // Gossip to us; what we say to it stays in `out`.
  void hear(const PeerMessage& message) {
    allocator->on_gossip(now, kB, Topic::Ipam, encode(message), out);
    acknowledge();
  }
  void hear(const Ring& ring) {
    allocator->on_gossip(now, kB, Topic::Ring, encode(ring), out);
    acknowledge();
  }
  // B has a seat on the council and is content with whatever we register.
  void acknowledge() {
    for (std::size_t i = 0; i < out.size(); ++i) {
      const auto* gossip = std::get_if<GossipTo>(&out[i]);
      if (gossip == nullptr || gossip->topic != Topic::Ipam || gossip->to != kB) {
        continue;
      }
      const PeerMessage message = decode_peer_message(gossip->payload).value();
      if (const auto* word = std::get_if<Register>(&message.body)) {
        const Registered answer{.decree = word->decree, .seq = word->seq, .nonce = word->nonce};
        allocator->on_gossip(
            now, kB, Topic::Ipam, encode(PeerMessage{.id = 0, .body = answer}), out);
      }
    }
  }
  std::vector<PeerMessage> said_to_b() const {
    std::vector<PeerMessage> said;
    for (const AllocatorAction& action : out) {
      const auto* gossip = std::get_if<GossipTo>(&action);
      if (gossip != nullptr && gossip->topic == Topic::Ipam && gossip->to == kB) {
        auto message = decode_peer_message(gossip->payload).value();
        if (!std::holds_alternative<Register>(message.body)) {
          said.push_back(std::move(message));
        }
      }
    }
    return said;
  }
  void tick() { allocator->on_deadline(now, out); }

  Allocator::Options options;
  Allocator::Stored stored;
  std::unique_ptr<Allocator> allocator;
  AllocatorActions out;
  TimePoint now = kStart;
  std::uint64_t last_id = 0;
  bool fresh = false;
};

inline std::string error_of(const Result<Cidr>& result) {
  return result.ok() ? "" : result.error().what;
}

inline Ring shared_ring() {
  return Ring::share_out(cidr("10.32.0.0/24"), {kA, kB});
}

}  // namespace weft::ipam
