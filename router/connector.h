// Decides whom to dial and when.
//
// Sans-IO: it never opens a socket and never reads a clock. Feed it what happened, run it at
// next_deadline(), and dial the goals it appends.
//
//   waiting --deadline--> dialling --connected--> connected --lost--> waiting
//      ^                     \----failed----> waiting (backoff doubles, with jitter)
//      \--- retry() --- given up (never dialled by itself)
//
// No more than dials_max goals are dialled at a time, those due longest first, so that a mass
// restart ramps up instead of stampeding. Not thread safe; lives on the control strand.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/peer_name.h"
#include "base/result.h"
#include "base/rng.h"
#include "base/time.h"

namespace weft::router {

// What an operator named: a host name or address, and a port.
struct Target {
  std::string host;
  std::uint16_t port = 0;

  // "host", "host:port", an IPv6 address bare or in brackets, "[v6]:port".
  static Result<Target> parse(const std::string& text, std::uint16_t default_port);
  std::string to_string() const;

  friend auto operator<=>(const Target&, const Target&) = default;
  friend bool operator==(const Target&, const Target&) = default;
};

// Somewhere, or somebody wherever that is.
using Goal = std::variant<Target, PeerName>;

class Connector {
 public:
  struct Options {
    // Hosts that are rolled out together dial each other a moment too early.
    Duration backoff_min = std::chrono::milliseconds(250);
    // A minute: a healed partition joins again soon, and a thousand peers looking for a dead one
    // cost nobody more than a few packets a second.
    Duration backoff_max = std::chrono::seconds(60);
    // A connection that lasted this long was a good one; a failure after it starts from the bottom.
    Duration stable_min = std::chrono::seconds(30);
    std::size_t goals_max = 8192;
    // A handshake costs a fraction of a millisecond of CPU and one round trip or two.
    std::size_t dials_max = 16;
  };
  enum class State : std::uint8_t { Waiting, Dialling, Connected, GivenUp };
  struct Entry {
    State state = State::Waiting;
    TimePoint due;
    TimePoint connected_since;
    Duration backoff{};
    std::size_t attempts = 0;  // Since the last good connection.
    std::string reason;        // Of the last failure.
  };

  Connector(Options options, Rng rng);

  // Starts tracking `goal`; the first attempt is due after `delay`. False if the table is full.
  bool add(TimePoint now, const Goal& goal, Duration delay);
  void remove(const Goal& goal);
  // Whatever was the matter, try again at once, unless connected.
  void retry(TimePoint now, const Goal& goal);

  void on_connected(TimePoint now, const Goal& goal);
  // The attempt failed, or the connection is lost.
  void on_lost(TimePoint now, const Goal& goal, const std::string& reason);
  void give_up(const Goal& goal, const std::string& reason);

  // Appends every goal to be dialled now.
  void on_deadline(TimePoint now, std::vector<Goal>& out);
  // The earliest time at which on_deadline() has something to do, or kNever.
  TimePoint next_deadline() const;

  const Entry* find(const Goal& goal) const;
  const std::map<Goal, Entry>& goals() const { return goals_; }
  std::size_t dialling_count() const { return dialling_; }
  void check_invariants() const;

 private:
  void set_state(Entry& entry, State state);

  const Options options_;
  Rng rng_;
  std::map<Goal, Entry> goals_;  // Ordered: iteration order reaches the network.
  std::size_t dialling_ = 0;
};

}  // namespace weft::router
