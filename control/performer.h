// Carries out controls on the host where a container runs, for whichever agent a person asked.
//
// One Ask is one Told. What opens a pipe (shell, attach, logs) is told once the engine has opened
// it; from then on a Stream (stream.h) joins it to the asker's. Who may ask is decided there, by
// the roles of people; here stands what this host allows at all: nothing, what it asked itself, or
// also what other members of a mesh with a password ask for. Sans-IO; the shell
// (control/io/control_service.h) talks to the Docker engine and runs shells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/peer_name.h"
#include "base/strong_id.h"
#include "base/time.h"
#include "control/docker_frames.h"
#include "control/message.h"
#include "control/stream.h"

namespace weft::control {

using EngineCallId = StrongId<struct EngineCallIdTag>;
// What is at our end of a pipe: a stream of the engine, or a shell.
using SourceId = StrongId<struct SourceIdTag>;

// One request to the Docker engine: answer with on_engine().
struct CallEngine {
  EngineCallId call;
  std::string method;
  std::string target;
  std::string body;

  friend bool operator==(const CallEngine&, const CallEngine&) = default;
};
// A request whose answer is a stream: answer with on_open(), then on_output() until on_end().
struct OpenStream {
  SourceId source;
  std::string method;
  std::string target;
  std::string body;
  bool both_ways = false;

  friend bool operator==(const OpenStream&, const OpenStream&) = default;
};
// A root shell of the host, answered the same way.
struct OpenShell {
  SourceId source;

  friend bool operator==(const OpenShell&, const OpenShell&) = default;
};
// Input for a source: answer with on_written().
struct WriteSource {
  SourceId source;
  Bytes data;

  friend bool operator==(const WriteSource&, const WriteSource&) = default;
};
// Read no more, or again.
struct HoldSource {
  SourceId source;
  bool hold = false;

  friend bool operator==(const HoldSource&, const HoldSource&) = default;
};
// Let go of it; nothing more is heard of it.
struct CloseSource {
  SourceId source;

  friend bool operator==(const CloseSource&, const CloseSource&) = default;
};
struct ResizeShell {
  SourceId source;
  std::uint16_t columns = 0;
  std::uint16_t rows = 0;

  friend bool operator==(const ResizeShell&, const ResizeShell&) = default;
};
// Tell a process that its terminal is gone: the engine leaves the shells of those who left running.
struct HangUp {
  std::uint32_t pid = 0;

  friend bool operator==(const HangUp&, const HangUp&) = default;
};
struct SendMessage {
  PeerName to;
  Bytes message;

  friend bool operator==(const SendMessage&, const SendMessage&) = default;
};
// For the log: who did what here, and with which outcome.
struct Audit {
  std::string who;
  std::string peer;
  std::string node;
  std::string control;
  std::string outcome;

  friend bool operator==(const Audit&, const Audit&) = default;
};
using PerformerAction = std::variant<CallEngine,
                                     OpenStream,
                                     OpenShell,
                                     WriteSource,
                                     HoldSource,
                                     CloseSource,
                                     ResizeShell,
                                     HangUp,
                                     SendMessage,
                                     Audit>;
using PerformerActions = std::vector<PerformerAction>;

class Performer {
 public:
  struct Options {
    PeerName self;
    bool enabled = false;     // The one switch.
    bool for_others = false;  // Also what other peers ask for: the mesh has a password.
    bool host_shell = false;
    // People at terminals; a script that opens more is told so.
    std::size_t pipes_max = 64;
    std::size_t calls_max = 64;
  };
  struct Stats {
    std::uint64_t performed = 0;
    std::uint64_t refused = 0;
  };

  explicit Performer(Options options) : options_(std::move(options)) {}

  // Precondition: the message is from an asker.
  void on_message(TimePoint now, PeerName from, const Message& message, PerformerActions& out);
  // The status is 0 if the engine could not be asked.
  void on_engine(TimePoint now,
                 EngineCallId call,
                 unsigned status,
                 const std::string& body,
                 PerformerActions& out);
  // An empty reason: it is open.
  void on_open(TimePoint now, SourceId source, const std::string& error, PerformerActions& out);
  void on_output(TimePoint now, SourceId source, ByteView data, PerformerActions& out);
  void on_written(TimePoint now, SourceId source, std::size_t count, PerformerActions& out);
  void on_end(TimePoint now, SourceId source, PerformerActions& out);

  void on_deadline(TimePoint now, PerformerActions& out);
  TimePoint next_deadline() const;

  Stats stats() const { return stats_; }
  std::size_t pipe_count() const { return ends_.size(); }
  void check_invariants() const;

 private:
  enum class Step : std::uint8_t {
    Act,
    Remove,
    CreateExec,
    InspectForAttach,
    InspectForLogs,
    Ignore,
    FindExec
  };
  struct Call {
    PeerName asker;
    Ask ask;
    std::string container;
    Step step = Step::Act;
  };
  struct End {
    PeerName asker;
    Ask ask;
    std::string container;
    std::string exec;  // The engine's id of a shell in a container; empty for anything else.
    bool raw_tty = true;
    std::string resize_control;
    std::optional<DockerFrames> frames;  // What has no terminal.
    Stream stream;
    bool is_open = false;
    bool is_held = false;
    bool is_over = false;  // The source has ended; what it said is still on its way.
    // The size asked for before the first output: the engine resizes nothing that has not begun.
    bool has_spoken = false;
    std::optional<Ask> early_resize{};
  };
  using Name = std::pair<PeerName, std::string>;

  void on_ask(TimePoint now, PeerName from, const Ask& ask, PerformerActions& out);
  std::optional<std::string> refusal(PeerName from, const Ask& ask) const;
  void on_container_ask(TimePoint now, PeerName from, const Ask& ask, PerformerActions& out);
  void on_resize(PeerName from, const Ask& ask, PerformerActions& out);
  void resize_in_engine(const End& end, const Ask& ask, PerformerActions& out);
  void call_engine(
      Call call, std::string method, std::string target, std::string body, PerformerActions& out);
  void tell(PeerName to, const Ask& ask, Told told, PerformerActions& out);
  void refuse(PeerName to, const Ask& ask, std::string why, PerformerActions& out);
  SourceId add_end(TimePoint now, End end);
  void on_exec_created(TimePoint now,
                       const Call& call,
                       const std::string& body,
                       PerformerActions& out);
  void on_inspected(TimePoint now,
                    const Call& call,
                    const std::string& body,
                    PerformerActions& out);
  void pump(SourceId source, Signals signals, PerformerActions& out);
  void hold_if_full(SourceId source, PerformerActions& out);
  void drop(SourceId source, PerformerActions& out);

  Options options_;
  std::uint64_t last_id_ = 0;
  std::map<EngineCallId, Call> calls_;
  std::map<SourceId, End> ends_;
  std::map<Name, SourceId> by_name_;
  Stats stats_;
};

}  // namespace weft::control
