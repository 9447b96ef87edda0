// One end of a pipe between two agents: bytes in order, once each, over gossip that loses messages.
//
// The mesh delivers at most once and may reorder when its routes change, which is seldom: what is
// not taken in kResendAfter is sent again from there on (go-back-N, as TCP without selective
// acknowledgements), and what comes out of order is dropped. The receiver says what it has taken
// away, so that a terminal nobody reads stops who writes to it. A silent other end is given up.
// Sans-IO; the owner (requester.h, performer.h) wraps the signals in messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "control/message.h"

namespace weft::control {

// On its way and not taken yet, at most: a quarter of a megabyte fills a terminal a hundred times,
// and over a path of 100 ms gives 2.5 MB/s.
inline constexpr std::size_t kWindow = 256 * 1024;
inline constexpr Duration kResendAfter = std::chrono::seconds(1);
// Each end says this often that it lives; three may be lost.
inline constexpr Duration kSignOfLifeEvery = std::chrono::seconds(8);
inline constexpr Duration kSilenceMax = std::chrono::seconds(30);

struct SendPiece {
  std::uint64_t offset = 0;
  Bytes data{};

  friend bool operator==(const SendPiece&, const SendPiece&) = default;
};
struct SendTaken {
  std::uint64_t offset = 0;

  friend bool operator==(const SendTaken&, const SendTaken&) = default;
};
// All that was to be sent has been taken; there is nothing more.
struct SendEnded {
  std::string reason{};

  friend bool operator==(const SendEnded&, const SendEnded&) = default;
};
// The other end has been silent for too long.
struct GiveUp {
  friend bool operator==(GiveUp, GiveUp) = default;
};
using Signal = std::variant<SendPiece, SendTaken, SendEnded, GiveUp>;
using Signals = std::vector<Signal>;

class Stream {
 public:
  explicit Stream(TimePoint now) : heard_(now), said_(now) {}

  // Takes all, whatever can be sent now: the owner stops its source while it is_full().
  void send(TimePoint now, ByteView data, Signals& out);
  bool is_full() const { return unsent_.size() >= kWindow; }
  // No more is to be sent; SendEnded follows when all before has been taken.
  void end(TimePoint now, std::string reason, Signals& out);

  // What is new in it, and next in order; maybe nothing.
  Bytes on_piece(TimePoint now, const Piece& piece, Signals& out);
  // Whoever got bytes from on_piece() has taken them away.
  void consume(TimePoint now, std::size_t count, Signals& out);
  // An offset that was never sent is ignored.
  void on_taken(TimePoint now, std::uint64_t offset, Signals& out);

  void on_deadline(TimePoint now, Signals& out);
  TimePoint next_deadline() const;
  void check_invariants() const;

 private:
  void send_what_fits(TimePoint now, Signals& out);
  void say_taken(TimePoint now, Signals& out);
  std::uint64_t end_of_sent() const { return taken_ + sent_; }

  // Sending: unsent_[0, sent_) is on its way, the rest waits for room in the window.
  std::vector<std::uint8_t> unsent_;
  std::uint64_t taken_ = 0;  // The offset of unsent_[0].
  std::size_t sent_ = 0;
  TimePoint resend_ = kNever;
  std::optional<std::string> ending_;
  bool is_ended_ = false;
  // Receiving.
  std::uint64_t received_ = 0;
  std::uint64_t consumed_ = 0;
  std::uint64_t told_ = 0;  // What the other end has heard of consumed_.
  TimePoint heard_;
  TimePoint said_;
};

}  // namespace weft::control
