// Keeps up with one kind of a Kubernetes cluster's objects: lists them, then watches, as a pure
// state machine (what client-go calls a reflector).
//
// A watch that ends goes on from the last resource version seen, bookmarks included. Where the
// server no longer keeps that (410), everything is listed again, and what is not there any more is
// removed. What was known stays known while nobody answers.
//
// The shell (policy/io/cluster_watch.h) owns the connection: one request at a time. Inputs are
// total.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/rng.h"
#include "base/time.h"
#include "policy/read.h"

namespace weft::policy {

// GET `target`: on_head(), on_bytes()…, on_end(). Replaces a request under way.
struct StartRequest {
  std::string target;

  friend bool operator==(const StartRequest&, const StartRequest&) = default;
};
struct SetObject {
  Object object;

  friend bool operator==(const SetObject&, const SetObject&) = default;
};
struct RemoveObject {
  Kind kind = Kind::Pods;
  ObjectName id;

  friend bool operator==(const RemoveObject&, const RemoveObject&) = default;
};
// All that the server has was told, for the first time or anew.
struct Listed {
  Kind kind = Kind::Pods;

  friend bool operator==(const Listed&, const Listed&) = default;
};
// Something the server said, or did not say, that is to be logged and counted.
struct Problem {
  Kind kind = Kind::Pods;
  std::string what;

  friend bool operator==(const Problem&, const Problem&) = default;
};
using ReflectorAction = std::variant<StartRequest, SetObject, RemoveObject, Listed, Problem>;
using ReflectorActions = std::vector<ReflectorAction>;

class Reflector {
 public:
  struct Options {
    Kind kind = Kind::Pods;
    std::uint64_t seed = 0;
    std::size_t page_objects = 500;  // As client-go asks for.
    // 500 pods of 100 kB each; etcd keeps none above 1.5 MB.
    std::size_t page_bytes_max = std::size_t{64} << 20U;
    std::size_t line_bytes_max = std::size_t{8} << 20U;
    std::size_t objects_max = 200'000;
  };
  struct Stats {
    std::uint64_t lists = 0;
    std::uint64_t watches = 0;
    std::uint64_t events = 0;
    std::uint64_t failures = 0;  // Requests that ended otherwise than they should.
  };

  explicit Reflector(Options options) : options_(options), rng_(options.seed) {}

  void on_head(TimePoint now, unsigned status, ReflectorActions& out);
  void on_bytes(TimePoint now, std::string_view bytes, ReflectorActions& out);
  void on_end(TimePoint now, bool is_complete, ReflectorActions& out);
  void on_deadline(TimePoint now, ReflectorActions& out);
  TimePoint next_deadline() const { return due_; }

  bool is_listed() const { return is_listed_; }
  bool is_watching() const { return state_ == State::Watching; }
  Stats stats() const { return stats_; }
  void check_invariants() const;

 private:
  enum class State : std::uint8_t { Waiting, Listing, Opening, Watching };

  void list(ReflectorActions& out);
  void watch(ReflectorActions& out);
  void on_page(TimePoint now, ReflectorActions& out);
  void finish_list(ReflectorActions& out);
  void on_line(TimePoint now, std::string_view line, ReflectorActions& out);
  void on_set(WatchEvent event, ReflectorActions& out);
  void fail(TimePoint now, std::string what, ReflectorActions& out);
  void retry_at(TimePoint when);
  Duration with_jitter(Duration pause);

  const Options options_;
  Rng rng_;
  State state_ = State::Waiting;
  TimePoint due_{};  // When to ask again.
  Duration pause_{};
  unsigned status_ = 0;
  std::string buffer_;           // Of a page, or of a line.
  std::string version_;          // To go on from; empty: list.
  std::string continuation_;     // Of the list under way.
  std::set<ObjectName> known_;   // What the server is known to have.
  std::set<ObjectName> listed_;  // In the list under way.
  bool is_listed_ = false;
  Stats stats_;
};

}  // namespace weft::policy
