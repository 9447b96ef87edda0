#include "router/sealed/sessions.h"

#include <algorithm>
#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/sealed/session_wire.h"

namespace weft::router {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr TimePoint kStart{1000s};
const PeerName kA(1);
const PeerName kB(2);
const Endpoint kAtA{Ipv4(0x0a000001), 6783};
const Endpoint kAtB{Ipv4(0x0a000002), 6783};

template <class Action>
const Action* find(const SessionActions& actions) {
  for (const SessionAction& action : actions) {
    if (const auto* found = std::get_if<Action>(&action)) {
      return found;
    }
  }
  return nullptr;
}

// Two sides whose datagrams the test carries by hand.
class SessionsTest : public testing::Test {
 protected:
  SessionsTest()
      : entropy_(Rng(1)),
        key_a_(KeyPair::generate(entropy_)),
        key_b_(KeyPair::generate(entropy_)),
        a_(options(key_a_), entropy_, kStart),
        b_(options(key_b_), entropy_, kStart) {}

  static Sessions::Options options(const KeyPair& key) {
    Sessions::Options options;
    options.key = key;
    options.incarnation = Incarnation(1);
    options.ciphers = {CipherId::Aes256Gcm, CipherId::ChaCha20Poly1305};
    return options;
  }

  void introduce(bool a_clear = false, bool b_clear = false) {
    a_.set_peer(kStart, kB, {.key = key_b_.pub, .endpoint = kAtB, .clear = a_clear}, out_a_);
    b_.set_peer(kStart, kA, {.key = key_a_.pub, .endpoint = kAtA, .clear = b_clear}, out_b_);
  }

  Bytes initiation(TimePoint now) {
    out_a_.clear();
    a_.on_wanted(now, kB, out_a_);
    return find<SendDatagram>(out_a_)->datagram;
  }

  SeededEntropy entropy_;
  KeyPair key_a_;
  KeyPair key_b_;
  Sessions a_;
  Sessions b_;
  SessionActions out_a_;
  SessionActions out_b_;
};

TEST_F(SessionsTest, BothSidesEndWithTheSameKeysCrossed) {
  introduce();
  out_b_.clear();
  b_.on_datagram(kStart, kAtA, initiation(kStart), out_b_);
  out_a_.clear();
  a_.on_datagram(kStart, kAtB, find<SendDatagram>(out_b_)->datagram, out_a_);

  const AddSession* of_a = find<AddSession>(out_a_);
  const AddSession* of_b = find<AddSession>(out_b_);
  ASSERT_NE(of_a, nullptr);
  ASSERT_NE(of_b, nullptr);
  EXPECT_EQ(of_a->send_key.bytes(), of_b->receive_key.bytes());
  EXPECT_EQ(of_a->receive_key.bytes(), of_b->send_key.bytes());
  EXPECT_EQ(of_a->local, of_b->remote);
  EXPECT_EQ(of_a->cipher, CipherId::Aes256Gcm);
  // The initiator speaks first; the responder waits to hear it.
  EXPECT_NE(find<UseSession>(out_a_), nullptr);
  EXPECT_NE(find<SendKeepalive>(out_a_), nullptr);
  EXPECT_EQ(find<UseSession>(out_b_), nullptr);
  out_b_.clear();
  b_.on_confirmed(kStart, of_b->local, out_b_);
  EXPECT_NE(find<UseSession>(out_b_), nullptr);
}

TEST_F(SessionsTest, AnInitiationCountsOnce) {
  introduce();
  const Bytes datagram = initiation(kStart);
  b_.on_datagram(kStart, kAtA, datagram, out_b_);
  out_b_.clear();

  b_.on_datagram(kStart + 1s, kAtA, datagram, out_b_);

  EXPECT_TRUE(out_b_.empty());
  EXPECT_EQ(b_.stats().replays, 1U);
}

TEST_F(SessionsTest, InitiationsInARowAreLimited) {
  introduce();
  b_.on_datagram(kStart, kAtA, initiation(kStart), out_b_);
  out_a_.clear();
  a_.on_deadline(kStart + 2s, out_a_);
  const Bytes second = find<SendDatagram>(out_a_)->datagram;
  out_b_.clear();

  b_.on_datagram(kStart + 1ms, kAtA, second, out_b_);

  EXPECT_TRUE(out_b_.empty());
  EXPECT_EQ(b_.stats().limited, 1U);
}

TEST_F(SessionsTest, AnAlteredResponseLeavesTheHandshakeAlive) {
  introduce();
  b_.on_datagram(kStart, kAtA, initiation(kStart), out_b_);
  const Bytes response = find<SendDatagram>(out_b_)->datagram;
  for (std::size_t i = 12; i < response.size(); ++i) {
    Bytes altered = response;
    altered[i] ^= 1U;
    out_a_.clear();
    a_.on_datagram(kStart, kAtB, altered, out_a_);
    if (i < response.size() - sizeof(Code)) {  // The second code is not looked at without load.
      ASSERT_EQ(find<AddSession>(out_a_), nullptr) << i;
    }
    if (find<AddSession>(out_a_) != nullptr) {
      return;
    }
  }
  FAIL() << "the response was never accepted";
}

TEST_F(SessionsTest, APairGoesInClearOnlyIfBothAgree) {
  for (const bool a_clear : {true, false}) {
    for (const bool b_clear : {true, false}) {
      Sessions a(options(key_a_), entropy_, kStart);
      Sessions b(options(key_b_), entropy_, kStart);
      SessionActions out_a;
      SessionActions out_b;
      a.set_peer(kStart, kB, {.key = key_b_.pub, .endpoint = kAtB, .clear = a_clear}, out_a);
      b.set_peer(kStart, kA, {.key = key_a_.pub, .endpoint = kAtA, .clear = b_clear}, out_b);
      out_a.clear();
      out_b.clear();
      a.on_wanted(kStart, kB, out_a);
      if (find<SendDatagram>(out_a) == nullptr) {
        a.on_deadline(kStart + 2s, out_a);  // Consent was asked for at once.
      }
      b.on_datagram(kStart, kAtA, find<SendDatagram>(out_a)->datagram, out_b);
      out_a.clear();
      for (const SessionAction& action : out_b) {
        if (const auto* sent = std::get_if<SendDatagram>(&action)) {
          a.on_datagram(kStart, kAtB, sent->datagram, out_a);
        }
      }

      const AgreeClear* of_a = find<AgreeClear>(out_a);
      const AgreeClear* of_b = find<AgreeClear>(out_b);
      EXPECT_EQ(of_a != nullptr && of_a->agreed, a_clear && b_clear);
      EXPECT_EQ(of_b != nullptr && of_b->agreed, a_clear && b_clear);
    }
  }
}

TEST_F(SessionsTest, KernelsSealOnlyIfBothCanAndThePairIsNotInClear) {
  for (const bool a_esp : {true, false}) {
    for (const bool b_esp : {true, false}) {
      for (const bool clear : {true, false}) {
        Sessions a(options(key_a_), entropy_, kStart);
        Sessions b(options(key_b_), entropy_, kStart);
        SessionActions first;
        SessionActions out_a;
        SessionActions out_b;
        const Sessions::PeerSpec at_a{
            .key = key_b_.pub, .endpoint = kAtB, .clear = clear, .esp = a_esp};
        const Sessions::PeerSpec at_b{
            .key = key_a_.pub, .endpoint = kAtA, .clear = false, .esp = b_esp};
        a.set_peer(kStart, kB, at_a, first);
        b.set_peer(kStart, kA, at_b, out_b);
        if (clear) {
          b.set_peer(
              kStart, kA, {.key = at_b.key, .endpoint = kAtA, .clear = true, .esp = b_esp}, out_b);
        }
        out_b.clear();
        a.on_wanted(kStart, kB, first);
        b.on_datagram(kStart, kAtA, find<SendDatagram>(first)->datagram, out_b);
        a.on_datagram(kStart, kAtB, find<SendDatagram>(out_b)->datagram, out_a);

        const bool expected = a_esp && b_esp && !clear;
        EXPECT_EQ(find<AddSession>(out_a)->esp, expected);
        EXPECT_EQ(find<AddSession>(out_b)->esp, expected);
        EXPECT_EQ(a.status().at(0).esp, expected);
      }
    }
  }
}

TEST_F(SessionsTest, SmallFramesAreTheKernelsOnlyIfBothCanAndUntilOneGivesUp) {
  for (const bool a_lane : {true, false}) {
    for (const bool b_lane : {true, false}) {
      Sessions a(options(key_a_), entropy_, kStart);
      Sessions b(options(key_b_), entropy_, kStart);
      SessionActions first;
      SessionActions out_a;
      SessionActions out_b;
      a.set_peer(kStart, kB, {.key = key_b_.pub, .endpoint = kAtB, .lane = a_lane}, first);
      b.set_peer(kStart, kA, {.key = key_a_.pub, .endpoint = kAtA, .lane = b_lane}, out_b);
      out_b.clear();
      a.on_wanted(kStart, kB, first);
      b.on_datagram(kStart, kAtA, find<SendDatagram>(first)->datagram, out_b);
      a.on_datagram(kStart, kAtB, find<SendDatagram>(out_b)->datagram, out_a);

      EXPECT_EQ(find<AddSession>(out_a)->lane, a_lane && b_lane);
      EXPECT_EQ(find<AddSession>(out_b)->lane, a_lane && b_lane);
      EXPECT_EQ(a.status().at(0).lane, a_lane && b_lane);

      // A new session at once, if the one in use has a lane that leads nowhere.
      SessionActions given_up;
      a.set_peer(kStart, kB, {.key = key_b_.pub, .endpoint = kAtB, .lane = false}, given_up);
      EXPECT_EQ(find<SendDatagram>(given_up) != nullptr, a_lane && b_lane);
    }
  }
}

TEST_F(SessionsTest, ALaneGivenUpDuringAHandshakeIsNotLeftToThePeer) {
  const Sessions::PeerSpec lane_to_b{.key = key_b_.pub, .endpoint = kAtB, .lane = true};
  const Sessions::PeerSpec none_to_b{.key = key_b_.pub, .endpoint = kAtB};
  a_.set_peer(kStart, kB, lane_to_b, out_a_);
  b_.set_peer(kStart, kA, {.key = key_a_.pub, .endpoint = kAtA, .lane = true}, out_b_);
  out_b_.clear();
  b_.on_datagram(kStart, kAtA, initiation(kStart), out_b_);
  a_.set_peer(kStart, kB, none_to_b, out_a_);  // While it is under way.
  out_a_.clear();
  a_.on_datagram(kStart, kAtB, find<SendDatagram>(out_b_)->datagram, out_a_);

  ASSERT_TRUE(find<AddSession>(out_b_)->lane);
  EXPECT_FALSE(find<AddSession>(out_a_)->lane);
  const SendDatagram* const again = find<SendDatagram>(out_a_);
  ASSERT_NE(again, nullptr);
  out_b_.clear();
  b_.on_datagram(kStart + 1s, kAtA, again->datagram, out_b_);
  EXPECT_FALSE(find<AddSession>(out_b_)->lane);
  out_a_.clear();
  a_.on_datagram(kStart + 1s, kAtB, find<SendDatagram>(out_b_)->datagram, out_a_);
  EXPECT_EQ(find<SendDatagram>(out_a_), nullptr);  // And that was that.
}

TEST_F(SessionsTest, ALaneGivenUpBeforeASessionIsConfirmedIsNotLeftToThePeer) {
  a_.set_peer(kStart, kB, {.key = key_b_.pub, .endpoint = kAtB, .lane = true}, out_a_);
  b_.set_peer(kStart, kA, {.key = key_a_.pub, .endpoint = kAtA, .lane = true}, out_b_);
  b_.on_datagram(kStart, kAtA, initiation(kStart), out_b_);
  out_b_.clear();

  b_.set_peer(kStart, kA, {.key = key_a_.pub, .endpoint = kAtA}, out_b_);

  EXPECT_NE(find<SendDatagram>(out_b_), nullptr);
}

TEST_F(SessionsTest, KernelsThatComeIntoQuestionLaterGetASessionOfTheirOwnAtOnce) {
  introduce();
  out_b_.clear();
  b_.on_datagram(kStart, kAtA, initiation(kStart), out_b_);
  out_a_.clear();
  a_.on_datagram(kStart, kAtB, find<SendDatagram>(out_b_)->datagram, out_a_);
  ASSERT_FALSE(find<AddSession>(out_a_)->esp);

  // One side alone asks once.
  out_a_.clear();
  a_.set_peer(kStart, kB, {.key = key_b_.pub, .endpoint = kAtB, .esp = true}, out_a_);
  ASSERT_NE(find<SendDatagram>(out_a_), nullptr);
  out_b_.clear();
  b_.on_datagram(kStart + 1s, kAtA, find<SendDatagram>(out_a_)->datagram, out_b_);
  out_a_.clear();
  a_.on_datagram(kStart + 1s, kAtB, find<SendDatagram>(out_b_)->datagram, out_a_);
  EXPECT_FALSE(find<AddSession>(out_a_)->esp);
  EXPECT_EQ(find<SendDatagram>(out_a_), nullptr);
  a_.set_peer(kStart + 1s, kB, {.key = key_b_.pub, .endpoint = kAtB, .esp = true}, out_a_);
  EXPECT_EQ(find<SendDatagram>(out_a_), nullptr);

  // The other, when it can as well.
  out_b_.clear();
  b_.set_peer(kStart + 2s, kA, {.key = key_a_.pub, .endpoint = kAtA, .esp = true}, out_b_);
  ASSERT_NE(find<SendDatagram>(out_b_), nullptr);
  out_a_.clear();
  a_.on_datagram(kStart + 2s, kAtB, find<SendDatagram>(out_b_)->datagram, out_a_);
  EXPECT_TRUE(find<AddSession>(out_a_)->esp);
}

TEST_F(SessionsTest, KernelsThatComeIntoQuestionDuringAHandshakeAreProposedAfterIt) {
  introduce();
  out_b_.clear();
  b_.on_datagram(kStart, kAtA, initiation(kStart), out_b_);
  out_a_.clear();
  a_.set_peer(kStart, kB, {.key = key_b_.pub, .endpoint = kAtB, .esp = true}, out_a_);
  EXPECT_EQ(find<SendDatagram>(out_a_), nullptr);  // One at a time.
  const Bytes response = find<SendDatagram>(out_b_)->datagram;
  out_b_.clear();
  b_.set_peer(kStart, kA, {.key = key_a_.pub, .endpoint = kAtA, .esp = true}, out_b_);

  a_.on_datagram(kStart, kAtB, response, out_a_);
  ASSERT_NE(find<SendDatagram>(out_a_), nullptr);
  out_b_.clear();
  b_.on_datagram(kStart + 1s, kAtA, find<SendDatagram>(out_a_)->datagram, out_b_);

  EXPECT_TRUE(find<AddSession>(out_b_)->esp);
}

TEST_F(SessionsTest, WithoutASessionThatKernelsMightSealIsNoReasonForOne) {
  introduce();
  out_a_.clear();

  a_.set_peer(kStart, kB, {.key = key_b_.pub, .endpoint = kAtB, .esp = true}, out_a_);

  EXPECT_EQ(find<SendDatagram>(out_a_), nullptr);
}

TEST_F(SessionsTest, KeysThatKernelsSealUnderAreRenewedWhetherOrNotWeSeeTraffic) {
  a_.set_peer(kStart, kB, {.key = key_b_.pub, .endpoint = kAtB, .esp = true}, out_a_);
  b_.set_peer(kStart, kA, {.key = key_a_.pub, .endpoint = kAtA, .esp = true}, out_b_);
  out_b_.clear();
  b_.on_datagram(kStart, kAtA, initiation(kStart), out_b_);
  out_a_.clear();
  a_.on_datagram(kStart, kAtB, find<SendDatagram>(out_b_)->datagram, out_a_);
  // The kernel takes it for an SPI.
  EXPECT_GE(find<AddSession>(out_a_)->local, kSessionIndexMin);

  EXPECT_EQ(a_.next_deadline(), kStart + 120s);
  out_a_.clear();
  a_.on_deadline(kStart + 120s, out_a_);

  EXPECT_NE(find<SendDatagram>(out_a_), nullptr);
}

TEST_F(SessionsTest, ConsentEndsWhenThePeerIsGone) {
  introduce(true, true);
  out_a_.clear();
  a_.on_deadline(kStart + 2s, out_a_);
  out_b_.clear();
  b_.on_datagram(kStart, kAtA, find<SendDatagram>(out_a_)->datagram, out_b_);
  ASSERT_TRUE(b_.status().at(0).clear);
  out_b_.clear();

  b_.remove_peer(kA, out_b_);

  EXPECT_EQ(*find<AgreeClear>(out_b_), (AgreeClear{kA, false}));
  EXPECT_NE(find<RemoveSession>(out_b_), nullptr);
  EXPECT_EQ(b_.next_deadline(), kNever);
  b_.check_invariants();
}

TEST_F(SessionsTest, PasswordsAreReplacedPeerByPeer) {
  Psk fresh;
  fresh.bytes().fill(5);
  introduce();
  a_.set_passwords(kStart, fresh, Psk(), out_a_);  // B has only the old one yet.
  TimePoint now = kStart;
  b_.on_datagram(now, kAtA, initiation(now), out_b_);
  ASSERT_EQ(b_.stats().strangers, 1U);

  now = a_.next_deadline();
  out_a_.clear();
  out_b_.clear();
  a_.on_deadline(now, out_a_);  // The next attempt is with the old one.
  b_.on_datagram(now, kAtA, find<SendDatagram>(out_a_)->datagram, out_b_);
  ASSERT_NE(find<SendDatagram>(out_b_), nullptr);
  a_.on_datagram(now, kAtB, find<SendDatagram>(out_b_)->datagram, out_a_);
  EXPECT_TRUE(a_.status().at(0).cipher.has_value());

  out_a_.clear();
  a_.set_passwords(now, fresh, std::nullopt, out_a_);
  EXPECT_NE(find<RemoveSession>(out_a_), nullptr);
  EXPECT_FALSE(a_.status().at(0).cipher.has_value());
}

TEST_F(SessionsTest, VolumeRenewsTheKeys) {
  introduce();
  b_.on_datagram(kStart, kAtA, initiation(kStart), out_b_);
  a_.on_datagram(kStart, kAtB, find<SendDatagram>(out_b_)->datagram, out_a_);
  out_a_.clear();

  a_.on_activity(kStart + 1s, kB, {.sent_data = 5, .sent = 5, .counter = 1ULL << 26U}, out_a_);

  EXPECT_NE(find<SendDatagram>(out_a_), nullptr);
}

TEST_F(SessionsTest, KeysDieAfterThreeMinutesWhateverHappens) {
  introduce();
  b_.on_datagram(kStart, kAtA, initiation(kStart), out_b_);
  a_.on_datagram(kStart, kAtB, find<SendDatagram>(out_b_)->datagram, out_a_);
  out_a_.clear();
  out_b_.clear();

  a_.on_deadline(kStart + 180s, out_a_);
  b_.on_deadline(kStart + 180s, out_b_);

  EXPECT_NE(find<RemoveSession>(out_a_), nullptr);
  EXPECT_NE(find<RemoveSession>(out_b_), nullptr);
}

TEST_F(SessionsTest, AHandshakeNobodyAnswersIsGivenUp) {
  introduce();
  initiation(kStart);
  TimePoint now = kStart;
  std::size_t sent = 1;
  while (a_.next_deadline() != kNever) {
    ASSERT_LT(now, kStart + 100s);
    now = a_.next_deadline();
    out_a_.clear();
    a_.on_deadline(now, out_a_);
    sent += find<SendDatagram>(out_a_) != nullptr ? 1U : 0U;
  }

  EXPECT_EQ(sent, 40U);
  out_a_.clear();
  a_.on_wanted(now, kB, out_a_);
  EXPECT_NE(find<SendDatagram>(out_a_), nullptr);
}

}  // namespace
}  // namespace weft::router
