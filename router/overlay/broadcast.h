// How news of records travels: pushed along a tree, announced beside it (Plumtree: Leitao, Pereira,
// Rodrigues 2007).
//
// Each neighbour is eager (a branch of the tree: gets news itself) or lazy (hears only that there
// is news, and only if the hash in its heartbeats says that it may lack it). Plumtree grows its
// tree from chance; here the owner knows who is connected to whom and sets the branches of a tree
// that everybody computes alike (set_role). Between two computations the tree mends itself as
// Plumtree's does: a link that joins two parts of the cluster starts eager, one between peers that
// already knew of each other lazy; what arrives twice prunes the second way, in that direction
// only, if the owner tells of it (on_duplicate); what was announced and does not arrive is
// asked for, and grafts the way it was announced on; when a branch breaks, all others become eager.
//
// What a neighbour is owed is a set of origins, not a queue of messages: while a slow neighbour
// catches up, updates merge. Nothing more is pushed to one that has not yet confirmed a window of
// bytes.
//
// Pure; lives on the control strand. The owner turns steps into frames (router/mesh_gossip.cc).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "base/peer_name.h"
#include "base/time.h"
#include "router/overlay/records.h"

namespace weft::router {

class Broadcast {
 public:
  enum class Role : std::uint8_t { Eager, Lazy };

  struct Options {
    // A first piece of news leaves at once; what follows it within this time travels together.
    Duration push_pace = std::chrono::milliseconds(20);
    // After a push of many origins the cluster is in upheaval, and more of it is on its way.
    Duration push_pace_busy = std::chrono::milliseconds(100);
    std::size_t push_busy_min = 16;
    // While newcomers come in, of whom there have been some, also the first piece of news waits for
    // what follows it: much of it turns out to be held already by then, or changes again. Where
    // they are few there is little to spare.
    Duration push_hold = std::chrono::milliseconds(30);
    Duration newcomers_since = std::chrono::milliseconds(500);  // After the last it is over.
    std::size_t newcomers_min = 16;
    // News as old as this that a neighbour seems not to have is announced: the tree is nearly
    // always faster, and then nothing has to be said.
    Duration announce_delay = std::chrono::milliseconds(200);
    // More origins than this at once are not announced: comparing hashes costs less.
    std::size_t announce_max = 64;
    // What was announced is asked for if it has not arrived by then: a few hops of the tree.
    Duration graft_delay = std::chrono::milliseconds(200);
    std::size_t missing_max = 1024;
    // A neighbour whose last pushes brought nothing new is asked to stop. One alone may be chance:
    // of a circle of branches two could be cut at once, and the tree with them.
    unsigned duplicates_max = 2;
    // Pushed and not confirmed. Confirmations come with every heartbeat, and at once every quarter
    // of it: 256 KiB in a round trip of 100 ms are 2.5 MB/s.
    std::uint64_t window_bytes = 256U << 10U;
  };

  // What to do, in order.
  struct Push {
    PeerName to;
    std::map<PeerName, OriginVersion> news;  // Origins, and what the neighbour holds of each.
    bool solicited = false;                  // It asked for some of it.
  };
  struct Announce {
    PeerName to;
    std::vector<PeerName> origins;
  };
  struct Graft {  // Ask `to` for these, and to be eager; none: just to be eager.
    PeerName to;
    std::vector<PeerName> origins;
  };
  struct Prune {
    PeerName to;
  };
  using Step = std::variant<Push, Announce, Graft, Prune>;

  struct Stats {
    std::uint64_t announcements_skipped = 0;  // Over announce_max.
    std::uint64_t missing_skipped = 0;        // Over missing_max.
    std::uint64_t windows_full = 0;           // Pushes put off for a slow neighbour.
  };

  // What waits for one neighbour.
  struct Queue {
    std::size_t origins = 0;              // With news that has not been pushed yet.
    std::uint64_t unconfirmed_bytes = 0;  // Pushed, and not known to have arrived.
    std::uint64_t merged = 0;             // News that joined earlier news still waiting, so far.
    std::uint64_t held_back = 0;          // Pushes put off because the window was full, so far.

    friend bool operator==(const Queue&, const Queue&) = default;
  };

  explicit Broadcast(Options options) : options_(options) {}

  void add(PeerName neighbour, Role role);
  // True if news travelled over it: something may have been lost.
  bool remove(TimePoint now, PeerName neighbour);
  // Both ends know, and nothing needs to be said.
  void set_role(TimePoint now, PeerName neighbour, Role role);

  // We now hold more of `origin` than `before`; `from` told us, or nobody: it is our own.
  void on_news(TimePoint now, PeerName origin, OriginVersion before, std::optional<PeerName> from);
  // `from` holds all of `origin` that we hold: nobody needs to tell it.
  void on_held(PeerName from, PeerName origin);
  // `from` pushed what we had, and nothing else; or something that we had not.
  void on_duplicate(PeerName from);
  void on_useful(PeerName from);
  void on_pruned(PeerName from);
  void on_grafted(TimePoint now, PeerName from);
  // `from` announced more of `origin` than we hold.
  void on_announced(TimePoint now, PeerName from, PeerName origin);
  // What the hash in a heartbeat of `neighbour` says: it holds what we hold, or something else.
  void on_agrees(PeerName neighbour);
  void on_differs(TimePoint now, PeerName neighbour);
  // A neighbour is known to hold no more of `origin` than `held` and to want the rest.
  void owe(TimePoint now, PeerName neighbour, PeerName origin, OriginVersion held);

  // Flow control: what was pushed, and what the neighbour says it has received in all.
  void on_sent(TimePoint now, PeerName neighbour, std::uint64_t bytes, std::size_t origins);
  void on_confirmed(TimePoint now, PeerName neighbour, std::uint64_t bytes);

  void on_deadline(TimePoint now, std::vector<Step>& out);
  TimePoint next_deadline() const;

  bool is_branch(PeerName neighbour) const;  // In either direction.
  std::size_t owed_count(PeerName neighbour) const;
  Queue queue(PeerName neighbour) const;
  const Stats& stats() const { return stats_; }
  void check_invariants() const;

 private:
  struct Neighbour {
    Role role = Role::Lazy;
    std::map<PeerName, OriginVersion> owed;  // At most as many as there are origins.
    bool solicited = false;
    TimePoint push_due = kNever;
    TimePoint push_after{};                      // Not before.
    std::map<PeerName, OriginVersion> announce;  // News it was not pushed, and what it held before.
    TimePoint announce_since;                    // Of the first of them.
    bool announce_due = false;
    bool feeds = false;       // What it pushes is news to us.
    unsigned duplicates = 0;  // Pushes in a row that brought nothing new.
    bool prune_due = false;
    bool graft_due = false;
    std::uint64_t sent = 0;
    std::uint64_t confirmed = 0;
    std::uint64_t merged = 0;
    std::uint64_t held_back = 0;
  };
  struct Missing {
    PeerName at;
    TimePoint due;
  };

  void schedule(TimePoint now, Neighbour& neighbour) const;
  void make_eager(TimePoint now, Neighbour& neighbour) const;
  void run_missing(TimePoint now, std::vector<Step>& out);

  const Options options_;
  std::size_t newcomers_ = 0;  // That came in one after the other,
  TimePoint calm_after_{};     // and when that is over.
  std::map<PeerName, Neighbour> neighbours_;
  std::map<PeerName, Missing> missing_;
  Stats stats_;
};

}  // namespace weft::router
