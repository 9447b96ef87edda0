// How many links a peer keeps, with whom, and whom it lets in: the active view of HyParView
// (Leitao, Pereira, Rodrigues 2007).
//
// Up to full_mesh_max peers everybody is linked with everybody. Beyond, each peer looks for links
// until it has `degree`, accepts others' until it has degree_max, and gives up what is above that.
// A peer with no link at all is let in a little beyond the limit: somebody has to. Who is turned
// away is told of others (referrals) and tries one of those.
//
// HyParView's passive view, with its shuffles, exists because its peers know few others. Here every
// peer holds the Peer record of every other, which is the largest passive view there is; candidates
// are drawn from it, of a few the one with fewest links, which keeps degrees even.
//
// Links with targets an operator named come on top. Pure; lives on the control strand.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include "base/peer_name.h"
#include "base/rng.h"
#include "base/time.h"

namespace weft::router {

class Views {
 public:
  struct Options {
    std::size_t full_mesh_max = 8;
    // HyParView's figure for 10,000 peers: a random graph of this degree survives the loss of most
    // of its peers in one piece.
    std::size_t degree = 5;
    // Fewer where peers are few: each link costs two heartbeats and an acknowledgement, and they
    // are most of what a cluster at rest says.
    std::size_t degree_few = 4;
    std::size_t few_max = 200;
    std::size_t degree_urgent = 2;
    std::size_t degree_max = 8;
    // Newcomers without any link are accepted up to here.
    std::size_t degree_alone_max = 12;
    // Who refused or failed is left alone for this long.
    Duration avoid = std::chrono::seconds(5);
    std::size_t avoided_max = 1024;
    // Of so many random candidates the one with fewest links is tried: a refusal costs both ends a
    // handshake.
    std::size_t choices = 4;
    // Dials under way at a time: a peer that starts finds its links within a few round trips, and a
    // cluster that starts does not drown in handshakes.
    std::size_t seeking_max = 2;
  };
  struct Candidate {
    PeerName peer;
    std::size_t degree = 0;  // As it states.
  };
  struct Link {
    PeerName peer;
    std::size_t degree = 0;  // Of the other end, as it states.
    bool is_target = false;  // An operator wants it.
    bool is_branch = false;  // Of the broadcast tree: giving it up costs a repair.
  };

  Views(Options options, Rng rng) : options_(options), rng_(rng) {}

  bool is_full_mesh(std::size_t members) const { return members <= options_.full_mesh_max; }
  // True as long as the loss of one link could cut us off: the rest is looked for at leisure, one
  // after the other, when all that start together have found each other and say how many links
  // they have.
  bool is_urgent(std::size_t links, std::size_t members) const {
    return is_full_mesh(members) || links < options_.degree_urgent;
  }
  // Links to be looked for; `members` counts ourselves.
  std::size_t wanted(std::size_t links, std::size_t seeking, std::size_t members) const;
  // Up to `count` of them, without those to be avoided.
  std::vector<PeerName> choose(TimePoint now, std::vector<Candidate> candidates, std::size_t count);
  // It refused us or could not be reached.
  void avoid(TimePoint now, PeerName peer);

  // Whether to accept a link beside `links` others; `alone`: the other end has none.
  enum class Standing : std::uint8_t { Linked, Alone };
  bool admits(std::size_t links, Standing standing, std::size_t members) const;
  // The link to give up, if there are too many.
  std::optional<PeerName> spare(const std::vector<Link>& links, std::size_t members);

 private:
  std::size_t degree(std::size_t members) const {
    return members <= options_.few_max ? std::min(options_.degree, options_.degree_few)
                                       : options_.degree;
  }

  const Options options_;
  Rng rng_;
  std::map<PeerName, TimePoint> avoided_;  // Until when.
};

}  // namespace weft::router
