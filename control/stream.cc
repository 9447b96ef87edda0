#include "control/stream.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace weft::control {
namespace {

// The other end hears of room before it has run out of it.
constexpr std::uint64_t kTellEvery = kWindow / 4;

// Less than that waits for more, or for this long, so that each key typed is one message, not two.
constexpr std::chrono::milliseconds kTellAfter(200);

}  // namespace

void Stream::send(TimePoint now, ByteView data, Signals& out) {
  if (ending_) {
    return;
  }
  unsent_.insert(unsent_.end(), data.begin(), data.end());
  send_what_fits(now, out);
}

void Stream::send_what_fits(TimePoint now, Signals& out) {
  const std::size_t limit = std::min(unsent_.size(), kWindow);
  while (sent_ < limit) {
    const std::size_t size = std::min(kPieceMax, limit - sent_);
    const auto from = unsent_.begin() + static_cast<std::ptrdiff_t>(sent_);
    out.emplace_back(SendPiece{.offset = end_of_sent(),
                               .data = Bytes(from, from + static_cast<std::ptrdiff_t>(size))});
    sent_ += size;
    said_ = now;
    if (resend_ == kNever) {
      resend_ = now + kResendAfter;
    }
  }
  if (unsent_.empty() && ending_ && !is_ended_) {
    is_ended_ = true;
    out.emplace_back(SendEnded{*ending_});
  }
}

void Stream::end(TimePoint now, std::string reason, Signals& out) {
  if (!ending_) {
    ending_ = std::move(reason);
    send_what_fits(now, out);
  }
}

Bytes Stream::on_piece(TimePoint now, const Piece& piece, Signals& out) {
  heard_ = now;
  const std::uint64_t end = piece.offset + piece.data.size();
  const bool is_next = piece.offset <= received_ && end > received_;
  if (!is_next) {
    say_taken(now, out);  // Known already, or a gap: where we are tells the sender.
    return {};
  }
  if (end - consumed_ > kWindow) {
    return {};  // More than we said there is room for: it comes again.
  }
  const auto skip = static_cast<std::ptrdiff_t>(received_ - piece.offset);
  received_ = end;
  return {piece.data.begin() + skip, piece.data.end()};
}

void Stream::consume(TimePoint now, std::size_t count, Signals& out) {
  consumed_ += count;
  WEFT_ASSERT(consumed_ <= received_);
  if (consumed_ - told_ >= kTellEvery) {
    say_taken(now, out);
  }
}

void Stream::say_taken(TimePoint now, Signals& out) {
  told_ = consumed_;
  said_ = now;
  out.emplace_back(SendTaken{consumed_});
}

void Stream::on_taken(TimePoint now, std::uint64_t offset, Signals& out) {
  heard_ = now;
  if (offset <= taken_ || offset > end_of_sent()) {
    return;
  }
  const auto count = static_cast<std::size_t>(offset - taken_);
  unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(count));
  taken_ = offset;
  sent_ -= count;
  resend_ = sent_ == 0 ? kNever : now + kResendAfter;
  send_what_fits(now, out);
}

void Stream::on_deadline(TimePoint now, Signals& out) {
  if (is_ended_) {
    return;
  }
  if (now - heard_ >= kSilenceMax) {
    is_ended_ = true;
    out.emplace_back(GiveUp{});
    return;
  }
  if (resend_ <= now) {
    resend_ = kNever;
    sent_ = 0;
    send_what_fits(now, out);
  }
  const bool is_untold = consumed_ != told_ && now - said_ >= kTellAfter;
  if (is_untold || now - said_ >= kSignOfLifeEvery) {
    say_taken(now, out);
  }
}

TimePoint Stream::next_deadline() const {
  if (is_ended_) {
    return kNever;
  }
  const TimePoint tell =
      said_ + (consumed_ != told_ ? Duration(kTellAfter) : Duration(kSignOfLifeEvery));
  return std::min({resend_, tell, heard_ + kSilenceMax});
}

void Stream::check_invariants() const {
  WEFT_ASSERT(sent_ <= unsent_.size());
  WEFT_ASSERT(sent_ <= kWindow);
  WEFT_ASSERT(told_ <= consumed_);
  WEFT_ASSERT(consumed_ <= received_);
  WEFT_ASSERT(received_ - consumed_ <= kWindow);
}

}  // namespace weft::control
