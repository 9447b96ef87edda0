// Which way frames to each peer take: straight (in clear, sealed by the kernels, or sealed by the
// agents), or through another peer.
//
// What is possible is told by the owner (set_peer, set_relays); what works is found by probes that
// travel the data path itself, as a control connection says nothing of UDP. The path in use is
// probed while there is traffic on it: silence for `lost_after` is a failure. The peer is "lost"
// then: frames go on as before, all its paths are asked at once, and the first answer decides. No
// path is taken that has not answered: behind the silence may be an agent that stands still, whose
// kernel goes on forwarding, and any other way would lose its frames. Better paths that failed are
// probed now and then, and taken again after some answers in a row, of which more are asked for the
// more often a path has failed (damping).
//
// Order: in clear, by the kernels' ESP, sealed, relays in the order they were told. ESP carries
// nothing before it has answered: it depends on what is not ours. Sans-IO; control strand only.
// Shell: router/io/datapath_paths.cc.
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/peer_name.h"
#include "base/rng.h"
#include "base/time.h"
#include "router/datapath/flood_limit.h"

namespace weft::router {

// The numbers are on the wire (router/datapath/carrier.h).
enum class Way : std::uint8_t { Clear = 0, Sealed = 1, Relay = 2, Esp = 3 };

struct Path {
  Way way = Way::Clear;
  PeerName via;  // Of a relay.

  friend auto operator<=>(const Path&, const Path&) = default;
};
std::string to_string(const Path& path);  // "clear", "esp", "sealed", "relay 02:…"

// Ask the peer over this path whether it is there. Answer with on_answer.
struct SendProbe {
  PeerName peer;
  Path path;
  std::uint64_t id = 0;

  friend bool operator==(const SendProbe&, const SendProbe&) = default;
};
// Who could pass frames on to the peer? Answer with set_relays.
struct FindRelays {
  PeerName peer;

  friend bool operator==(const FindRelays&, const FindRelays&) = default;
};
// From here on.
struct UsePath {
  PeerName peer;
  Path path;
  std::string reason;
  bool is_first = false;  // Not a change: the peer has just become known.

  friend bool operator==(const UsePath&, const UsePath&) = default;
};

using PathAction = std::variant<SendProbe, FindRelays, UsePath>;
using PathActions = std::vector<PathAction>;

struct PathEvent {
  TimePoint at;
  Path path;
  std::string reason;
};

struct PathStatus {
  PeerName peer;
  Path path;
  bool lost = false;            // Nothing has answered yet since the path in use failed.
  std::optional<Duration> rtt;  // Of the path in use, there and back.
  std::uint64_t switches = 0;
  std::vector<PathEvent> history;  // Oldest first.
  bool encrypted = false;          // On every hop. Filled in by who knows whether there are keys.
};

struct PathsStats {
  std::uint64_t probes_sent = 0;
  std::uint64_t probes_limited = 0;  // Over probe_rate_max.
  std::uint64_t answers = 0;
  std::uint64_t answers_refused = 0;  // To nothing that was asked.
  std::uint64_t switches = 0;
};

class Paths {
 public:
  struct Options {
    // A failure is to be noticed within a second, with the time to learn that there is traffic.
    Duration probe_interval = std::chrono::milliseconds(200);
    Duration lost_after = std::chrono::milliseconds(600);
    // Traffic is looked for a few times a second; one look may miss it.
    Duration active_for = std::chrono::seconds(2);
    std::uint32_t recover_answers = 3;
    Duration retry_min = std::chrono::seconds(1);
    Duration retry_max = std::chrono::seconds(30);
    Duration forgive_after = std::chrono::minutes(5);
    // A host that talks to 200 others at once; 2,000 small frames a second cost 1 % of a CPU.
    std::uint32_t probe_rate_max = 1000;
    std::size_t relays_max = 3;
    std::size_t history_max = 8;
    // So long after the start a connection that is not there means nothing: none of them is yet.
    Duration doubt_after = Duration::zero();
    // Our own clock is this late: answers may lie unread.
    Duration late_min = std::chrono::milliseconds(100);
  };
  // What the pair could do.
  struct Possible {
    bool clear = false;
    bool esp = false;
    bool sealed = false;
    // False: the control connection that should be there is not, so the way is probably cut.
    bool linked = true;
  };

  Paths(Options options, Rng rng, TimePoint now);

  // Again whenever something has changed, or may have: what failed is tried again soon.
  // Precondition: clear or sealed; ESP only where sealed is possible, too.
  void set_peer(TimePoint now, PeerName peer, const Possible& possible, PathActions& out);
  void remove_peer(PeerName peer);
  void set_relays(TimePoint now,
                  PeerName peer,
                  const std::vector<PeerName>& relays,
                  PathActions& out);
  // Frames have been sent to the peer.
  void on_traffic(TimePoint now, PeerName peer);
  void on_answer(
      TimePoint now, PeerName peer, const Path& path, std::uint64_t id, PathActions& out);
  // The peer's probe came through `via`: it does not reach us straight.
  void on_relayed_probe(TimePoint now, PeerName peer, PeerName via, PathActions& out);

  void on_deadline(TimePoint now, PathActions& out);
  TimePoint next_deadline() const;

  // When the probe was sent that the path in use answered last; the beginning of time: none.
  TimePoint answered_probe(PeerName peer) const;
  // Nothing for peers nobody told us of.
  std::optional<Path> path(PeerName peer) const;
  std::vector<PathStatus> status() const;  // By name.
  const PathsStats& stats() const { return stats_; }
  void check_invariants() const;

 private:
  enum class Health : std::uint8_t { Unknown, Good, Bad };
  static constexpr std::size_t kWindow = 16;  // Probes whose answers still count.

  struct Candidate {
    Path path;
    std::uint64_t tag = 0;  // Makes ids that nobody guesses.
    Health health = Health::Unknown;
    std::uint64_t sent = 0;
    std::uint64_t answered = 0;  // Of the probes sent, up to which.
    std::array<TimePoint, kWindow> sent_at{};
    TimePoint answered_at{};
    TimePoint answered_sent_at{};  // When that probe was sent.
    std::uint32_t answers = 0;     // In a row.
    std::uint32_t failures = 0;
    TimePoint failed_at{};
    Duration retry{};
    TimePoint retry_at = kNever;
    std::optional<Duration> rtt;

    bool is_waiting() const { return sent > answered; }
    TimePoint waits_since() const { return sent_at.at(answered % kWindow); }
  };
  struct Peer {
    std::vector<Candidate> candidates;  // In order of preference; never empty.
    std::size_t current = 0;
    bool lost = false;
    std::string failure;          // While lost: what was said of the path in use.
    TimePoint round_at = kNever;  // While lost: when all paths are asked again.
    Duration round_wait{};        // And how long after that.
    TimePoint active_until{};
    TimePoint idle_until{};        // Until then nothing was due, whatever its deadline is now.
    TimePoint relays_at = kNever;  // When to ask for relays again.
    std::uint64_t switches = 0;
    std::deque<PathEvent> history;
  };

  Candidate make_candidate(const Path& path);
  static std::size_t unproven(const Peer& peer);
  bool is_probed(TimePoint now, const Peer& peer, std::size_t index) const;
  TimePoint probe_at(TimePoint now, const Peer& peer, std::size_t index) const;
  TimePoint verdict_at(const Candidate& candidate) const;
  TimePoint deadline(TimePoint now, const Peer& peer) const;
  void forgive_lateness(TimePoint now);
  void settle(TimePoint now, PeerName name, Peer& peer, PathActions& out);
  void begin_rounds(TimePoint now, Peer& peer) const;
  void ask_all(TimePoint now, Peer& peer) const;
  void end_rounds(TimePoint now, Peer& peer) const;
  void probe(TimePoint now, PeerName name, Peer& peer, std::size_t index, PathActions& out);
  void fail(TimePoint now, Candidate& candidate) const;
  void doubt(Candidate& candidate, TimePoint ask_at) const;
  std::uint32_t answers_needed(const Peer& peer, const Candidate& candidate) const;
  void choose(
      TimePoint now, PeerName name, Peer& peer, const std::string& reason, PathActions& out);
  void use(TimePoint now,
           PeerName name,
           Peer& peer,
           std::size_t index,
           const std::string& reason,
           PathActions& out);

  const Options options_;
  Rng rng_;
  FloodLimit limit_;
  const TimePoint started_;
  TimePoint now_;  // Of the last input, for deadlines.
  std::map<PeerName, Peer> peers_;
  std::set<PeerName> busy_;  // With something to do at a time to come.
  PathsStats stats_;
};

}  // namespace weft::router
