// The times and limits of the mesh, each with its reason. Private to mesh_*.cc.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace weft::router {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A dial, a handshake or a verdict that takes longer is not going to work: five round trips of the
// worst satellite link.
inline constexpr Duration kHandshakeMax = seconds(5);
// A sign of life every 1.25 s, about 40 bytes, answered at once: with the other end's own beat, so
// that the two share one acknowledgement. Two missed ones are a suspicion, which costs nobody
// anything but the use of that link, and leaves the rest of three seconds to tell everybody; it is
// closed only much later, because a peer that was merely stopped for a while goes on with it as if
// nothing had happened.
inline constexpr Duration kHeartbeatInterval = milliseconds(1250);
inline constexpr Duration kSuspectAfter = milliseconds(1700);
inline constexpr Duration kSilenceMax = seconds(5);
// Our own timers are late by this much: we are the slow one.
inline constexpr Duration kLateMin = milliseconds(250);
// An accusation has done its work by then, one way or the other.
inline constexpr Duration kAccusationLife = seconds(30);
// However ill we are and however often it was silent: more than twice the longest pause of a
// machine on which anything still works.
inline constexpr Duration kPatienceMax = seconds(8);
// So many late turns in a row excuse a neighbour that was not heard.
inline constexpr unsigned kExcusesMax = 2;
// How long an earlier run of an agent has to prove that it is alive before a later one replaces it.
inline constexpr Duration kChallengeMax = seconds(1);
// Accepted connections that have not proved anything yet; memory and CPU for strangers. A member
// proves itself within a round trip. The second is for one source: many hosts may share a NAT.
inline constexpr std::size_t kStrangersMax = 256;
inline constexpr std::size_t kSourceStrangersMax = 16;
// Keys change this often, so that a stolen one opens little. Nobody notices the cost: one block.
inline constexpr Duration kRekeyInterval = std::chrono::minutes(5);
// Refused connections are shown for this long after their last attempt, which is longer than the
// longest pause between two attempts of one peer.
inline constexpr Duration kRefusalShown = std::chrono::minutes(2);
inline constexpr std::size_t kRefusalsMax = 64;
// Warnings are repeated by whatever causes them; without it they go.
inline constexpr Duration kWarningShown = std::chrono::minutes(10);
inline constexpr std::size_t kWarningsMax = 16;
// Addresses that others see us at: one per network we are behind.
inline constexpr std::size_t kObservedMax = 4;
// Our Links record follows our connections after this delay if others wait for it (a peer that can
// be reached over us only, a loss), else after the second: a joining peer makes many links, and so
// do those it joins, but one after the other. Shorter, a thousand peers that start at once state so
// much that they settle in twice the time.
inline constexpr Duration kStatementDelay = milliseconds(50);
inline constexpr Duration kStatementDelayCalm = seconds(4);
// A peer that many join over would state something every few milliseconds; in a large cluster each
// statement goes to many. On a starved host everything takes longer, so there is less worth
// stating: this and the pauses between computations are stretched by our own health.
inline constexpr Duration kStatementInterval = milliseconds(100);
inline constexpr Duration kStatementIntervalLarge = milliseconds(1000);
inline constexpr std::size_t kLarge = 200;
inline constexpr std::size_t kSmall = 32;
// Paths follow what is stated; while changes go on, the pause between two computations doubles (as
// OSPF implementations throttle theirs) up to so much for each member, which keeps it a small part
// of one core: 1,000 peers cost half a millisecond.
inline constexpr Duration kTopologyDelay = milliseconds(50);
inline constexpr Duration kTopologyHold = milliseconds(200);
inline constexpr Duration kTopologyHoldPerMember = milliseconds(2);
inline constexpr Duration kTopologyHoldMax = seconds(2);
// The first path to somebody is worth more than a better one, and takes no path from anybody.
inline constexpr Duration kTopologyDelayMeeting = milliseconds(20);
inline constexpr Duration kTopologyHoldMeeting = milliseconds(50);
// Bytes of records per frame: a window of router/overlay/broadcast.h holds four.
inline constexpr std::size_t kDeltaBytesMax = 64U << 10U;
// A neighbour confirms what it received with its heartbeats, and at once after this much.
inline constexpr std::uint64_t kConfirmBytes = 64U << 10U;
// Heartbeats whose hash differs from ours before we compare stores. News on its way explains a
// few; in a cluster that never rests, the second number says that something may be missing anyway.
inline constexpr unsigned kDiffersQuiet = 2;
inline constexpr unsigned kDiffersMax = 4;
inline constexpr Duration kQuiet = milliseconds(1500);
inline constexpr Duration kReconcilePause = seconds(1);
// A new neighbour of which nothing is known by then belongs to another part of a cluster that is
// starting up. The first one asked has answered by then, and who it named is in the same part. Who
// dialled asks; the other end steps in if nothing has come of it.
inline constexpr Duration kMeetDelay = milliseconds(100);
inline constexpr Duration kMeetDelayAccepted = milliseconds(250);
// Where many agents start on few processors the first one asked answers later. To ask another
// meanwhile would bring the same twice, and make all of them busier.
inline constexpr Duration kMeetPatience = milliseconds(500);
// Of whom we first heard less than this ago, and who cannot be reached yet, is starting and not on
// the other side of a partition: news of it came over somebody with whom it is connected.
inline constexpr Duration kMissedMin = seconds(1);
// After a start, modules state their records anew within a few seconds; dockerd may take longer to
// come up. What was not restated by then is gone.
inline constexpr Duration kRestateGrace = seconds(30);
// A host that has lost its store takes the place of one that has been missed for so long: as long
// as the council waits before it shares out what is free there (ipam/council/voter.h).
inline constexpr Duration kLostAfter = seconds(10);
// Runs are counted one by one: a number beyond is a lie, and would leave no room for later ones.
inline constexpr std::uint64_t kOutrunMax = 1U << 30U;
// An unreachable peer is forgotten after a day: longer than any outage that is being repaired.
inline constexpr Duration kForgetAfter = hours(24);
// Who leaves is out of reach within seconds. Who is still there then was cut off from whoever
// removed it, and lives: its next outage is like everybody's.
inline constexpr Duration kDismissalMax = std::chrono::minutes(1);
inline constexpr Duration kDiscoveryInterval = seconds(1);
// Connections beyond the limit are given up when the last one is this old: in the middle of a start
// their ends would at once look for others, and those that are branches would be missed. A large
// cluster's start has no quiet moment.
inline constexpr Duration kTrimQuiet = milliseconds(500);
// After news that may change whom to look for: at once while we have no connection, and where a
// full mesh is the aim; else what is known gets better with a little patience.
inline constexpr Duration kDiscoveryDelay = milliseconds(20);
inline constexpr Duration kDiscoveryDelayLinked = milliseconds(1000);
// Of two peers the lower name dials at once, the other after this, in case the first cannot.
inline constexpr Duration kSecondDialDelay = seconds(3);
// The first few connections of a full mesh are made at once, each further one this much later:
// a cluster that is starting up learns how large it is before everybody has dialled everybody.
inline constexpr std::size_t kAtOnce = 4;
inline constexpr Duration kFullMeshPace = milliseconds(150);
// All peers that can reach each other together try so many of those they cannot reach per second,
// and each of them one every so often at least: a healed partition is noticed within a second or
// two, whatever its size, and nobody is stampeded.
inline constexpr std::size_t kRescuesPerSecond = 4;
inline constexpr std::size_t kRescueSecondsMax = 30;
// After ten minutes a twentieth of that: who is gone that long comes back by itself.
inline constexpr Duration kRescueEager = std::chrono::minutes(10);
inline constexpr std::size_t kRescueLateFactor = 20;
// Peers that probe a suspect of their own accord, and probes under way at a time.
inline constexpr std::size_t kProbers = 3;
inline constexpr std::size_t kProbesMax = 4;
// Peers a full one named to us and that we have not tried yet.
inline constexpr std::size_t kReferralsHeldMax = 16;
// Failures remembered in order to report each once.
inline constexpr std::size_t kReportedMax = 1024;

}  // namespace weft::router
