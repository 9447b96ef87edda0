// Which containers of this host run on weft's networks, and what they are called: dockerd's event
// stream as a pure state machine.
//
// An event only says that something changed; what is true is asked of dockerd each time (inspect).
// Whenever the stream opens, and now and then while it is open, all running containers are listed
// and compared, so that no lost event leaves anything stale. While dockerd does not answer, what
// was known last stays: its containers may well run on.
//
// The shell (plugin/io/docker_watch.h) owns the socket. Inputs are total.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/strong_id.h"
#include "base/time.h"

namespace weft::plugin {

using DockerAskId = StrongId<struct DockerAskTag>;

// Open the event stream at `target`: on_stream_open(), on_stream_bytes()…, on_stream_end().
struct OpenStream {
  std::string target;

  friend bool operator==(const OpenStream&, const OpenStream&) = default;
};
// GET `target`, answered by on_answer().
struct AskDocker {
  DockerAskId id;
  std::string target;

  friend bool operator==(const AskDocker&, const AskDocker&) = default;
};
// All that a container is called on weft's networks, if it is on any. A name without a final dot is
// relative to whatever domain there is.
struct ContainerNames {
  struct Entry {
    std::string name;
    Ip address;

    friend auto operator<=>(const Entry&, const Entry&) = default;
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  std::string container;  // Its id.
  std::vector<Entry> entries;
  bool running = true;   // False: none of its names holds any more, wherever it came from.
  bool removed = false;  // And it will not be started again.

  friend bool operator==(const ContainerNames&, const ContainerNames&) = default;
};
using EventsAction = std::variant<OpenStream, AskDocker, ContainerNames>;
using EventsActions = std::vector<EventsAction>;

class DockerEvents {
 public:
  struct Options {
    // Whether an endpoint is one of weft's, by its id.
    std::function<bool(const std::string& endpoint)> is_ours;
    // Four times what schedulers allow on a host.
    std::size_t containers_max = 4096;
    // Names and aliases of one container, times its addresses.
    std::size_t names_max = 256;
    // dockerd takes a lock per container; more at once do not answer sooner.
    std::size_t asks_max = 8;
  };
  struct Stats {
    std::uint64_t events = 0;
    std::uint64_t malformed = 0;  // Events and answers that are not what dockerd says.
    std::uint64_t over_limit = 0;
    std::uint64_t streams_ended = 0;
  };

  explicit DockerEvents(Options options) : options_(std::move(options)) {}

  void on_stream_open(TimePoint now, EventsActions& out);
  void on_stream_bytes(TimePoint now, std::string_view bytes, EventsActions& out);
  // Also when it could not be opened.
  void on_stream_end(TimePoint now, EventsActions& out);
  // Status 0: no answer came.
  void on_answer(
      TimePoint now, DockerAskId ask, unsigned status, std::string_view body, EventsActions& out);
  void on_deadline(TimePoint now, EventsActions& out);
  TimePoint next_deadline() const { return due_; }

  bool is_watching() const { return state_ == State::Open; }
  // Whether dockerd has said which containers run, since the stream was opened.
  bool has_listed() const { return listed_; }
  // As dockerd last said. True while nothing is known, as with dockerd away.
  bool may_run(const std::string& container) const;
  Stats stats() const { return stats_; }
  void check_invariants() const;

 private:
  enum class State : std::uint8_t { Waiting, Opening, Open };
  struct Container {
    bool asked = false;                        // An inspect is queued or under way.
    bool changed = false;                      // Since it was sent: its answer says nothing.
    std::optional<bool> told_running{};        // Nothing: nobody was told of it.
    std::vector<ContainerNames::Entry> names;  // As told.
  };

  void on_event(std::string_view line, EventsActions& out);
  void list(EventsActions& out);
  void on_list(unsigned status, std::string_view body, EventsActions& out);
  void inspect(const std::string& id, EventsActions& out);
  void on_inspected(const std::string& id,
                    unsigned status,
                    std::string_view body,
                    EventsActions& out);
  void ask_more(EventsActions& out);
  void on_stopped(const std::string& id, EventsActions& out);

  const Options options_;
  State state_ = State::Waiting;
  TimePoint due_{};  // When to open the stream, or to list again.
  Duration pause_{};
  std::string line_;  // What has arrived of an event.
  std::map<std::string, Container> containers_;
  std::deque<std::string> to_inspect_;
  std::map<DockerAskId, std::string> inspecting_;
  std::optional<DockerAskId> listing_;
  bool listed_ = false;
  std::uint64_t last_ask_ = 0;
  Stats stats_;
};

// What GET /containers/ID/json says, but for the id. Nothing if it makes no sense.
std::optional<ContainerNames> parse_inspect(std::string_view body,
                                            const DockerEvents::Options& options);

// Asked once the stream is open: what the engine calls the bridge of its default network.
inline constexpr const char* kDefaultNetworkTarget = "/networks/bridge";
// What it answers to that; nothing if there is none.
std::optional<std::string> parse_default_bridge(std::string_view body);

}  // namespace weft::plugin
