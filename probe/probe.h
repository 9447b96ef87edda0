// When a host is looked at, and who is told.
//
// Nobody watching costs nothing: a probe acts only while it holds leases (Watch), each of which
// runs out unless renewed. Looking is kept below one hundredth of a CPU: dear looks become rare
// ones, and the report says so. What begins or ends is looked at when it does, from a budget of its
// own. Sans-IO; the shell (probe/io/probe_service.h) takes the samples.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/gossip.h"
#include "base/peer_name.h"
#include "base/time.h"
#include "probe/report/codec.h"
#include "probe/report/report.h"
#include "probe/sample.h"
#include "probe/tracker.h"

namespace weft::probe {

// Take one sample; answer with on_sample() or on_sample_failed().
struct TakeSample {
  friend bool operator==(TakeSample, TakeSample) = default;
};
// Nobody watches: let go of what sampling holds.
struct Rest {
  friend bool operator==(Rest, Rest) = default;
};
// Encoded for this watcher; ourselves included.
struct Tell {
  PeerName to;
  Bytes message;

  friend bool operator==(const Tell&, const Tell&) = default;
};
using ProbeAction = std::variant<TakeSample, Rest, Tell>;
using ProbeActions = std::vector<ProbeAction>;

class Probe {
 public:
  struct Options {
    PeerName self;
    Incarnation incarnation;
    std::string version;
    // What the name server here has told that an address is called; empty text if it has not. None:
    // there is none.
    std::function<std::string(const Ip&)> name_of{};
    // Every agent can be watched from; more than a few people at once means a loop somewhere.
    std::size_t watchers_max = 64;
    // Gossip's limit, less room for the envelope.
    std::size_t report_size_max = kGossipPayloadMax - 4096;
  };
  struct Stats {
    std::uint64_t samples = 0;
    std::uint64_t samples_failed = 0;
    std::uint64_t reports = 0;
    std::uint64_t watchers_refused = 0;
  };

  explicit Probe(Options options);

  void on_watch(TimePoint now, PeerName watcher, const Watch& watch, ProbeActions& out);
  // Something worth an early look happened, such as the start of a container, or the end of the
  // last connection of a kind.
  void on_change(TimePoint now);
  void on_sample(TimePoint now, const Sample& sample, OverlayFacts overlay, ProbeActions& out);
  void on_sample_failed(TimePoint now);

  void on_deadline(TimePoint now, ProbeActions& out);
  TimePoint next_deadline() const;

  bool is_watched() const { return !watchers_.empty(); }
  Stats stats() const { return stats_; }
  void check_invariants() const;

 private:
  struct Watcher {
    TimePoint until{};
    Duration interval{};
    TimePoint due{};  // When it is to be told next.
  };

  Duration interval() const;
  void add_names(HostReport& report) const;
  void add_rates(TimePoint now, OverlayFacts& overlay);
  void look_again(TimePoint now);
  void note_cost(TimePoint now, Duration cost);

  Options options_;
  std::map<PeerName, Watcher> watchers_;
  Tracker tracker_;
  std::map<PeerName, FlowFacts> carried_;  // By paths, as last told of.
  TimePoint carried_at_{};
  bool sampling_ = false;
  bool changed_ = false;  // Since the sample that is being taken began.
  TimePoint next_sample_ = kNever;
  TimePoint last_sample_{};
  Duration cost_{};  // Of a look, of late.
  bool is_first_look_ = true;
  bool is_for_news_ = false;   // The look that is due.
  bool was_for_news_ = false;  // The last one.
  Duration news_credit_;       // CPU time that looks for news may take, and less than nothing.
  TimePoint cost_noted_{};
  std::uint64_t sequence_ = 0;
  Stats stats_;
};

}  // namespace weft::probe
