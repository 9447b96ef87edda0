// Hosts with addresses and ordered byte streams between them, in virtual time.
//
// Models TCP as a control protocol sees it: latency and jitter; loss as the delay of
// retransmission; partitions (in one direction or both) as silence while bytes wait; refusal where
// a host is up and nobody listens; silence where the host is gone; a close that arrives after the
// data before it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/address.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/strong_id.h"
#include "tests/sim/world.h"

namespace weft::sim {

// One end of a stream; the other end differs in the lowest bit.
using EndId = StrongId<struct EndIdTag>;

class Net {
 public:
  class Host {
   public:
    Host() = default;
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;
    virtual ~Host() = default;
    virtual void on_accepted(EndId end, Endpoint local, Endpoint remote) = 0;
    virtual void on_connected(EndId end, Endpoint local, Endpoint remote) = 0;
    virtual void on_bytes(EndId end, const Bytes& bytes) = 0;
    virtual void on_closed(EndId end, const std::string& reason) = 0;
  };

  struct Options {
    Duration latency_min = std::chrono::milliseconds(1);
    Duration latency_max = std::chrono::milliseconds(10);
    std::uint32_t loss_percent = 0;
    // RTO of RFC 6298 at its usual minimum; it doubles with each loss.
    Duration retransmit = std::chrono::milliseconds(200);
  };

  explicit Net(World& world) : world_(world) {}

  Options& options() { return options_; }

  // `host` listens at `where` until it is detached; all its streams end then: with a reset if the
  // process died, in silence if the machine did.
  void attach(Endpoint where, Host& host) {
    WEFT_ASSERT(!hosts_.contains(where.address));
    hosts_[where.address] = {&host, where.port};
    dark_.erase(where.address);
  }
  enum class Death : std::uint8_t { Process, Machine };
  void detach(const Ip& address, Death death) {
    hosts_.erase(address);
    if (death == Death::Machine) {
      dark_.insert(address);
    }
    for (auto& [id, end] : ends_) {
      if (end.local.address == address && end.open) {
        end.open = false;
        if (death == Death::Process) {
          transmit(id,
                   Segment{.arrives = {}, .bytes = {}, .last = true, .reason = "connection reset"});
        }
      }
    }
  }

  EndId dial(const Ip& from, Endpoint to) {
    const EndId id(next_end_);
    next_end_ += 2;
    const std::uint16_t port = static_cast<std::uint16_t>(32768 + next_end_ % 28000);
    ends_[id].local = {from, port};
    ends_[id].remote = to;
    ends_[id].open = true;
    ends_[other(id)].local = to;
    ends_[other(id)].remote = {from, port};
    world_.after(delay(), [this, id] { on_syn(id, 0); });
    return id;
  }

  void send(EndId id, Bytes bytes) {
    const auto at = ends_.find(id);
    if (at != ends_.end() && at->second.open) {
      transmit(id, Segment{.arrives = {}, .bytes = std::move(bytes), .last = false, .reason = {}});
    }
  }

  // What was sent before still arrives.
  void close(EndId id) {
    const auto at = ends_.find(id);
    if (at != ends_.end() && at->second.open) {
      at->second.open = false;
      transmit(id,
               Segment{.arrives = {}, .bytes = {}, .last = true, .reason = "closed by the peer"});
    }
  }

  // Nothing gets from `from` to `to`.
  void cut(const Ip& from, const Ip& to) { cuts_.insert({from, to}); }
  void partition(const std::set<Ip>& here, const std::set<Ip>& there) {
    for (const Ip& a : here) {
      for (const Ip& b : there) {
        cut(a, b);
        cut(b, a);
      }
    }
  }
  void heal() { cuts_.clear(); }

  std::size_t dials() const { return (next_end_ - 2) / 2; }

 private:
  struct Segment {
    TimePoint arrives;
    Bytes bytes;
    bool last = false;
    std::string reason;
  };
  struct Attached {
    Host* host = nullptr;
    std::uint16_t port = 0;
  };
  struct End {
    Endpoint local;
    Endpoint remote;
    bool open = false;
    std::deque<Segment> inbound;  // On its way to this end.
    bool pumping = false;
    TimePoint ready;  // Nothing arrives at a dialler before its connection stands.
  };

  static EndId other(EndId id) { return EndId(id.value() ^ 1U); }

  Duration delay() {
    const Duration span = options_.latency_max - options_.latency_min;
    Duration total = options_.latency_min + span * world_.rng().below(1000) / 1000;
    Duration retransmit = options_.retransmit;
    for (int tries = 0; tries < 6 && world_.rng().chance(options_.loss_percent); ++tries) {
      total += retransmit;
      retransmit *= 2;
    }
    return total;
  }

  bool passes(const Endpoint& from, const Endpoint& to) const {
    return !cuts_.contains({from.address, to.address}) && !dark_.contains(to.address)
           && !dark_.contains(from.address);
  }

  // The dialler tries for half a minute; whoever gave up before has closed its end.
  void on_syn(EndId id, int tries) {
    const auto at = ends_.find(id);
    if (at == ends_.end() || !at->second.open) {
      return;  // Given up.
    }
    End& dialler = at->second;
    if (!passes(dialler.local, dialler.remote) || !passes(dialler.remote, dialler.local)) {
      if (tries < 30) {
        world_.after(std::chrono::seconds(1), [this, id, tries] { on_syn(id, tries + 1); });
      } else {
        finish(id, "connection timed out");
      }
      return;
    }
    const auto listener = hosts_.find(dialler.remote.address);
    if (listener == hosts_.end() || listener->second.port != dialler.remote.port) {
      world_.after(delay(), [this, id] { finish(id, "connection refused"); });
      return;
    }
    End& acceptor = ends_.at(other(id));
    acceptor.open = true;
    Host* host = listener->second.host;
    dialler.ready = world_.now() + delay();
    world_.at(dialler.ready, [this, id] {
      const auto dialled = ends_.find(id);
      if (dialled == ends_.end() || !dialled->second.open) {
        return;
      }
      if (Host* dialler_host = host_of(id)) {
        dialler_host->on_connected(id, dialled->second.local, dialled->second.remote);
      }
    });
    host->on_accepted(other(id), acceptor.local, acceptor.remote);
  }

  Host* host_of(EndId id) {
    const auto at = hosts_.find(ends_.at(id).local.address);
    return at == hosts_.end() ? nullptr : at->second.host;
  }

  void transmit(EndId from, Segment segment) {
    const EndId to = other(from);
    End& end = ends_.at(to);
    segment.arrives = std::max(world_.now() + delay(), end.ready);
    if (!end.inbound.empty()) {
      segment.arrives = std::max(segment.arrives, end.inbound.back().arrives);
    }
    end.inbound.push_back(std::move(segment));
    if (!end.pumping) {
      end.pumping = true;
      world_.at(end.inbound.front().arrives, [this, to] { pump(to); });
    }
  }

  void pump(EndId to) {
    const auto at = ends_.find(to);
    if (at == ends_.end()) {
      return;
    }
    End& end = at->second;
    end.pumping = false;
    if (end.inbound.empty()) {
      return;
    }
    if (!passes(end.remote, end.local)) {
      end.pumping = true;
      world_.after(std::chrono::milliseconds(500), [this, to] { pump(to); });
      return;
    }
    const Segment segment = std::move(end.inbound.front());
    end.inbound.pop_front();
    if (!end.inbound.empty()) {
      end.pumping = true;
      world_.at(std::max(world_.now(), end.inbound.front().arrives), [this, to] { pump(to); });
    }
    world_.note(to.value() ^ (segment.bytes.size() << 32U)
                ^ static_cast<std::uint64_t>(world_.now().time_since_epoch().count()));
    if (!end.open) {
      if (segment.last) {
        forget(to);
      }
      return;
    }
    if (segment.last) {
      finish(to, segment.reason);
    } else if (Host* host = host_of(to)) {
      host->on_bytes(to, segment.bytes);
    }
  }

  void finish(EndId id, const std::string& reason) {
    const auto at = ends_.find(id);
    if (at == ends_.end()) {
      return;
    }
    const bool was_open = std::exchange(at->second.open, false);
    Host* host = host_of(id);
    // The other end may still be sending; it is told, too.
    const auto peer = ends_.find(other(id));
    if (peer != ends_.end() && !peer->second.open) {
      forget(id);
    }
    if (was_open && host != nullptr) {
      host->on_closed(id, reason);
    }
  }

  void forget(EndId id) {
    const auto peer = ends_.find(other(id));
    if (peer == ends_.end() || !peer->second.open) {
      ends_.erase(id);
      ends_.erase(other(id));
    }
  }

  World& world_;
  Options options_;
  std::map<Ip, Attached> hosts_;
  std::set<Ip> dark_;  // Machines that are off.
  std::set<std::pair<Ip, Ip>> cuts_;
  std::map<EndId, End> ends_;
  std::uint64_t next_end_ = 2;
};

}  // namespace weft::sim
