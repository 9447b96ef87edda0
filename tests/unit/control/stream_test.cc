#include "control/stream.h"

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/overloaded.h"
#include "base/rng.h"

namespace weft::control {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::VariantWith;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;

constexpr TimePoint kStart(100s);

Piece piece(std::uint64_t offset, std::string_view text) {
  return {.pipe = "p", .offset = offset, .data = to_bytes(text)};
}

TEST(Stream, SendsWhatItIsGivenAtOnceWithinTheWindow) {
  Stream stream(kStart);
  Signals out;

  stream.send(kStart, as_bytes("hello"), out);

  EXPECT_THAT(out, ElementsAre(VariantWith<SendPiece>(SendPiece{0, to_bytes("hello")})));
}

TEST(Stream, KeepsBackWhatExceedsTheWindowUntilSomethingWasTaken) {
  Stream stream(kStart);
  Signals out;

  stream.send(kStart, Bytes(2 * kWindow, 'x'), out);
  EXPECT_EQ(out.size(), kWindow / kPieceMax);
  EXPECT_TRUE(stream.is_full());
  out.clear();
  stream.on_taken(kStart, 3 * kPieceMax, out);

  EXPECT_EQ(out.size(), 3U);
  stream.check_invariants();
}

TEST(Stream, SendsAgainFromWhereNothingWasTaken) {
  Stream stream(kStart);
  Signals out;
  stream.send(kStart, as_bytes("abc"), out);
  stream.on_taken(kStart, 1, out);
  out.clear();

  stream.on_deadline(kStart + kResendAfter, out);

  EXPECT_THAT(out, ElementsAre(VariantWith<SendPiece>(SendPiece{1, to_bytes("bc")})));
}

TEST(Stream, TakesEachByteOnceAndDropsWhatIsOutOfOrder) {
  Stream stream(kStart);
  Signals out;

  EXPECT_EQ(as_text(stream.on_piece(kStart, piece(0, "ab"), out)), "ab");
  EXPECT_THAT(stream.on_piece(kStart, piece(0, "ab"), out), IsEmpty());
  EXPECT_EQ(as_text(stream.on_piece(kStart, piece(1, "bcd"), out)), "cd");
  EXPECT_THAT(stream.on_piece(kStart, piece(9, "z"), out), IsEmpty());
  EXPECT_THAT(stream.on_piece(kStart, piece(~std::uint64_t{0}, "zz"), out), IsEmpty());
}

TEST(Stream, SaysWhatWasTakenAfterAMomentOrAQuarterOfTheWindow) {
  Stream stream(kStart);
  Signals out;
  const auto got = stream.on_piece(kStart, piece(0, "a"), out);
  stream.consume(kStart, got.size(), out);
  EXPECT_THAT(out, IsEmpty());

  stream.on_deadline(kStart + 200ms, out);

  EXPECT_THAT(out, ElementsAre(VariantWith<SendTaken>(SendTaken{1})));
}

TEST(Stream, TakesNoMoreThanAWindowFromWhoeverReadsNothing) {
  Stream stream(kStart);
  Signals out;
  std::uint64_t offset = 0;
  for (; offset < kWindow; offset += kPieceMax) {
    const Piece next{.pipe = "p", .offset = offset, .data = Bytes(kPieceMax, 'x')};
    EXPECT_EQ(stream.on_piece(kStart, next, out).size(), kPieceMax);
  }

  EXPECT_THAT(stream.on_piece(kStart, piece(offset, "x"), out), IsEmpty());
  stream.check_invariants();
}

TEST(Stream, EndsOnlyWhenAllWasTaken) {
  Stream stream(kStart);
  Signals out;
  stream.send(kStart, as_bytes("bye"), out);
  stream.end(kStart, "ended", out);
  out.clear();

  stream.on_taken(kStart, 3, out);

  EXPECT_THAT(out, ElementsAre(VariantWith<SendEnded>(SendEnded{"ended"})));
  EXPECT_EQ(stream.next_deadline(), kNever);
}

TEST(Stream, GivesUpAnEndThatIsSilent) {
  Stream stream(kStart);
  Signals out;

  stream.on_deadline(kStart + kSignOfLifeEvery, out);
  EXPECT_THAT(out, ElementsAre(VariantWith<SendTaken>(SendTaken{0})));
  out.clear();
  stream.on_deadline(kStart + kSilenceMax, out);

  EXPECT_THAT(out, ElementsAre(VariantWith<GiveUp>(GiveUp{})));
}

// Two ends over a mesh that loses, doubles and reorders.
class Pair {
 public:
  explicit Pair(std::uint64_t seed) : rng_(seed) {}

  void say(std::string_view text) {
    act(0, [&](Stream& s, Signals& out) { s.send(now_, as_bytes(text), out); });
  }

  // True once all that end 0 said has come to end 1.
  bool run_until_heard(std::size_t size) {
    const TimePoint limit = now_ + 600s;
    while (heard_.size() < size && now_ < limit) {
      now_ += 5ms;
      deliver_some();
      for (const std::size_t end : {0U, 1U}) {
        if (ends_[end].next_deadline() <= now_) {
          act(end, [&](Stream& s, Signals& out) { s.on_deadline(now_, out); });
        }
        ends_[end].check_invariants();
      }
    }
    return heard_.size() == size;
  }

  const std::string& heard() const { return heard_; }

 private:
  template <class Act>
  void act(std::size_t end, Act what) {
    Signals out;
    what(ends_[end], out);
    for (Signal& signal : out) {
      const bool is_lost = rng_.below(10) == 0;
      const bool is_doubled = rng_.below(20) == 0;
      for (int copy = 0; copy < (is_lost ? 0 : is_doubled ? 2 : 1); ++copy) {
        const bool is_overtaken = rng_.below(30) == 0;
        const auto at = static_cast<std::ptrdiff_t>(
            is_overtaken ? rng_.below(static_cast<std::uint32_t>(under_way_.size()) + 1)
                         : under_way_.size());
        under_way_.insert(under_way_.begin() + at, {1 - end, signal});
      }
    }
  }

  void deliver_some() {
    for (std::size_t count = rng_.below(8); count > 0 && !under_way_.empty(); --count) {
      const auto next = std::move(under_way_.front());
      under_way_.pop_front();
      const std::size_t end = next.first;
      std::visit(overloaded{
                     [&](const SendPiece& sent) {
                       act(end, [&](Stream& s, Signals& out) {
                         const Bytes got = s.on_piece(now_, {"p", sent.offset, sent.data}, out);
                         heard_ += as_text(got);
                         s.consume(now_, got.size(), out);
                       });
                     },
                     [&](const SendTaken& taken) {
                       act(end,
                           [&](Stream& s, Signals& out) { s.on_taken(now_, taken.offset, out); });
                     },
                     [](const auto&) {},
                 },
                 next.second);
    }
  }

  Rng rng_;
  TimePoint now_ = kStart;
  std::vector<Stream> ends_{Stream(kStart), Stream(kStart)};
  std::deque<std::pair<std::size_t, Signal>> under_way_;
  std::string heard_;
};

TEST(Stream, BringsEverythingOnceAndInOrderOverAMeshThatDoesNot) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Pair pair(seed);
    std::string said;
    for (int i = 0; i < 40'000; ++i) {
      said += std::to_string(i) + ",";
    }

    pair.say(said);

    ASSERT_TRUE(pair.run_until_heard(said.size())) << "seed " << seed;
    ASSERT_EQ(pair.heard(), said) << "seed " << seed;
  }
}

}  // namespace
}  // namespace weft::control
