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
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/strong_id.h"
#include "tests/sim/world.h"

namespace weft::sim {

// One end of a stream; the other end differs in the lowest bit.
using EndId = StrongId<struct EndIdTag>;

class Net final : private EventSink {
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
  void detach(const Ip& address, Death death);

  EndId dial(const Ip& from, Endpoint to);

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
  void heal() {
    cuts_.clear();
    bad_.clear();
  }

  // What gets from `from` to `to` takes longer, and some of it is lost on the way.
  struct Badness {
    Duration delay{};
    std::uint32_t loss_percent = 0;
  };
  void worsen(const Ip& from, const Ip& to, Badness badness) { bad_[{from, to}] = badness; }

  // The process is stopped (SIGSTOP): its kernel still takes connections and bytes, which it finds
  // all at once when it goes on.
  void freeze(Host& host) { frozen_.try_emplace(&host); }
  void thaw(Host& host) {
    auto waiting = frozen_.extract(&host);
    if (!waiting.empty()) {
      for (const auto& message : waiting.mapped()) {
        message();
      }
    }
  }
  bool is_frozen(const Host& host) const { return frozen_.contains(&host); }

  std::size_t dials() const { return (next_end_ - 2) / 2; }
  // What a switch between the hosts would count, as far as TCP decides it: Ethernet, IPv4 and TCP
  // headers with time stamps, segments of a full MTU, acknowledgements that wait 40 ms for
  // something to travel with; no retransmissions.
  std::uint64_t wire_bytes() const { return wire_bytes_; }
  std::uint64_t wire_packets() const { return wire_packets_; }

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
    int tries = 0;
    TimePoint ack_due = kNever;  // Of what has arrived here.
    TimePoint ready;             // Nothing arrives at a dialler before its connection stands.
  };

  // What happens to an end at a certain time.
  enum class Step : std::uint64_t { Syn, Refused, Stands, Arrives };

  void on_event(std::uint64_t what, std::uint64_t detail) override;
  void schedule(TimePoint when, Step step, EndId id) {
    world_.at(when, *this, static_cast<std::uint64_t>(step), id.value());
  }
  void after(Duration delay, Step step, EndId id) { schedule(world_.now() + delay, step, id); }

  static EndId other(EndId id) { return EndId(id.value() ^ 1U); }

  // Of one segment to this end, whose remote has sent it.
  Duration delay(const End& to) {
    const Duration span = options_.latency_max - options_.latency_min;
    Duration total = options_.latency_min + span * world_.rng().below(1000) / 1000;
    Duration retransmit = options_.retransmit;
    std::uint32_t loss_percent = options_.loss_percent;
    if (!bad_.empty()) {
      const auto bad = bad_.find({to.remote.address, to.local.address});
      total += bad == bad_.end() ? Duration::zero() : bad->second.delay;
      loss_percent += bad == bad_.end() ? 0 : bad->second.loss_percent;
    }
    for (int tries = 0; tries < 6 && world_.rng().chance(loss_percent); ++tries) {
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
  void on_syn(EndId id);

  void on_stands(EndId id);

  // To the process, which may be stopped; the kernel goes on without it.
  template <class Message>
  void deliver(Host& host, Message message) {
    const auto frozen = frozen_.find(&host);
    if (frozen == frozen_.end()) {
      message(host);
    } else {
      frozen->second.push_back([&host, message = std::move(message)] { message(host); });
    }
  }

  Host* host_of(EndId id) {
    const auto at = hosts_.find(ends_.at(id).local.address);
    return at == hosts_.end() ? nullptr : at->second.host;
  }

  void transmit(EndId from, Segment segment);

  void pump(EndId to);

  void finish(EndId id, const std::string& reason);

  void forget(EndId id) {
    const auto peer = ends_.find(other(id));
    if (peer == ends_.end() || !peer->second.open) {
      ends_.erase(id);
      ends_.erase(other(id));
    }
  }

  // 14 (Ethernet) + 20 (IPv4) + 20 (TCP) + 12 (time stamps), and what a SYN has in options beside.
  static constexpr std::uint64_t kHeaderSize = 66;
  static constexpr std::uint64_t kSynSize = 74;
  static constexpr std::uint64_t kSegmentMax = 1448;
  static constexpr Duration kAckDelay = std::chrono::milliseconds(40);

  void count_packets(std::uint64_t packets, std::uint64_t bytes) {
    wire_packets_ += packets;
    wire_bytes_ += bytes;
  }
  // What leaves carries the acknowledgement that waits, unless its time has come before.
  void settle_ack(End& end) {
    if (end.ack_due <= world_.now()) {
      count_packets(1, kHeaderSize);
    }
    end.ack_due = kNever;
  }

  World& world_;
  Options options_;
  std::uint64_t wire_bytes_ = 0;
  std::uint64_t wire_packets_ = 0;
  std::map<Ip, Attached> hosts_;
  std::set<Ip> dark_;  // Machines that are off.
  std::set<std::pair<Ip, Ip>> cuts_;
  std::map<std::pair<Ip, Ip>, Badness> bad_;
  std::map<EndId, End> ends_;
  std::map<const Host*, std::vector<std::function<void()>>> frozen_;
  std::uint64_t next_end_ = 2;
};

}  // namespace weft::sim
