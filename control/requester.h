// Takes people's wishes on the agent they talk to (a browser, Scope's API) and brings them to the
// host where the container runs; joins browsers' WebSockets to pipes from there.
//
// A person needs the control's role (catalog.h). A pipe is known by 128 random bits, has one
// browser, the last that came, and ends when that leaves or nobody comes for it. Every wish is in
// the audit, granted or not. Sans-IO; the shell is control/io/control_service.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/entropy.h"
#include "base/peer_name.h"
#include "base/request.h"
#include "base/result.h"
#include "base/strong_id.h"
#include "base/time.h"
#include "control/catalog.h"
#include "control/message.h"
#include "control/performer.h"
#include "control/stream.h"

namespace weft::control {

using BrowserId = StrongId<struct BrowserIdTag>;

// Stopping takes ten seconds; what takes longer is no answer.
inline constexpr Duration kAnswerMax = std::chrono::seconds(30);
// Scope's: a pipe nobody connects to.
inline constexpr Duration kBrowserMax = std::chrono::seconds(60);

struct Person {
  std::string name;  // With the address it came from.
  Role role = Role::Viewer;

  friend bool operator==(const Person&, const Person&) = default;
};

// A wish, as in POST /api/control/<peer>/<node>/<control>, percent-decoded, with the body (JSON, an
// object of texts, or nothing).
struct Wish {
  std::string peer{};
  std::string node{};
  std::string control{};
  std::string body{};
};

struct Answer {
  RequestId request;
  unsigned status = 200;
  std::string body;  // JSON.

  friend bool operator==(const Answer&, const Answer&) = default;
};
struct ToBrowser {
  BrowserId browser;
  Bytes data;

  friend bool operator==(const ToBrowser&, const ToBrowser&) = default;
};
struct CloseBrowser {
  BrowserId browser;
  std::string reason;

  friend bool operator==(const CloseBrowser&, const CloseBrowser&) = default;
};
using RequesterAction = std::variant<Answer, ToBrowser, CloseBrowser, SendMessage, Audit>;
using RequesterActions = std::vector<RequesterAction>;

class Requester {
 public:
  struct Options {
    PeerName self;
    std::size_t calls_max = 64;
    std::size_t pipes_max = 64;
  };

  // The entropy must outlive it.
  Requester(Options options, Entropy& entropy) : options_(options), entropy_(entropy) {}

  // Answered once, now or later.
  void on_wish(TimePoint now,
               RequestId request,
               const Person& person,
               const Wish& wish,
               RequesterActions& out);
  // Precondition: the message is not from an asker.
  void on_message(TimePoint now, PeerName from, const Message& message, RequesterActions& out);

  // Scope's GET /api/pipe/<pipe>/check: false once it has ended. One that was never there is told
  // to be open, so that browsers may ask before it is.
  bool may_be_open(std::string_view pipe) const { return !closed_.contains(pipe); }
  void on_delete(TimePoint now, const std::string& pipe, RequesterActions& out);

  Result<Ok> on_browser(TimePoint now,
                        BrowserId browser,
                        const Person& person,
                        const std::string& pipe,
                        RequesterActions& out);
  void on_browser_bytes(TimePoint now, BrowserId browser, ByteView data, RequesterActions& out);
  // All that was sent to it has left.
  void on_browser_drained(TimePoint now, BrowserId browser, RequesterActions& out);
  void on_browser_gone(TimePoint now, BrowserId browser, RequesterActions& out);

  void on_deadline(TimePoint now, RequesterActions& out);
  TimePoint next_deadline() const;

  std::size_t pipe_count() const { return pipes_.size(); }
  void check_invariants() const;

 private:
  struct Call {
    RequestId request;
    PeerName peer;
    Ask ask;
    Role role = Role::Viewer;  // Of who wished.
    TimePoint until{};
  };
  struct Pipe {
    PeerName peer;
    std::string control;
    Role role = Role::Admin;  // Who may connect.
    Stream stream;
    std::optional<BrowserId> browser;
    TimePoint browser_by{};
    Bytes waiting;               // For the browser that comes.
    std::size_t in_browser = 0;  // Bytes on their way to it.
  };

  void refuse(RequestId request,
              unsigned status,
              std::string_view why,
              const Person& person,
              const Wish& wish,
              RequesterActions& out);
  void on_told(TimePoint now, PeerName from, const Told& told, RequesterActions& out);
  void on_piece(TimePoint now, PeerName from, const Piece& piece, RequesterActions& out);
  std::string new_pipe();
  void pump(const std::string& name, Signals signals, RequesterActions& out);
  void close(TimePoint now,
             const std::string& name,
             std::string_view reason,
             RequesterActions& out);
  void forget(const std::string& name, RequesterActions& out, const std::string& reason);

  Options options_;
  Entropy& entropy_;
  std::uint64_t last_call_ = 0;
  TimePoint now_{};
  std::map<std::uint64_t, Call> calls_;
  std::map<std::string, Pipe, std::less<>> pipes_;
  std::map<BrowserId, std::string> browsers_;
  std::map<std::string, TimePoint, std::less<>> closed_;  // Until when it is remembered.
};

}  // namespace weft::control
