// What a mesh knows of one of its connections. Private to mesh_*.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/address.h"
#include "base/time.h"
#include "router/channel.h"
#include "router/connector.h"
#include "router/keys.h"
#include "router/mesh.h"
#include "router/mesh_limits.h"
#include "router/mesh_wire.h"
#include "router/overlay/deflate.h"
#include "router/overlay/link_meter.h"
#include "router/overlay/liveness.h"

namespace weft::router {

// Retired: another connection with the peer has taken its place here, and perhaps not yet there.
enum class LinkStage : std::uint8_t { Dialling, Handshake, Verdict, Up, Retired };

struct Link {
  LinkId id;
  LinkStage stage = LinkStage::Dialling;
  bool outbound = false;
  std::optional<Goal> goal;  // Why we dialled.
  std::string address;       // As dialled, or the remote endpoint.
  Endpoint remote;
  std::uint64_t dial_serial = 0;
  std::unique_ptr<Channel> channel;
  TimePoint deadline = kNever;  // Of the stage, unless Up.
  TimePoint heard;
  TimePoint sent;
  // From the handshake:
  Hello hello;
  PublicKey key{};
  bool authenticated = false;
  TimePoint rekey_due = kNever;
  // Verdicts:
  bool accept_sent = false;
  bool accept_received = false;
  bool duplicate = false;       // Refused because there is another; nothing to tell anybody.
  bool waits = false;           // For what becomes of a better connection with the peer.
  std::uint64_t challenge = 0;  // Nonce; an earlier run is being asked whether it is alive.
  TimePoint decision_due = kNever;
  // Up:
  LinkMeter meter{{.interval = kHeartbeatInterval}};
  std::uint8_t cost_level = LinkMeter::kUnmeasured;  // As last stated.
  TimePoint beat_due = kNever;
  TimePoint unmet_due = kNever;  // If we still hold nothing of the peer by then, we ask it for all.
  bool replaces = false;         // Others, which are retired.
  bool silent = false;           // Not heard for a while: kept, but not used.
  TimePoint silent_since;
  Patience patience;           // With its silence.
  unsigned excuses = 0;        // Turns of ours that came late since it was last heard.
  bool mutual = false;         // Both ends have stated it.
  bool goodbye = false;        // The peer closes it and lives on.
  std::uint64_t received = 0;  // Bytes of Delta frames, and how much of that was confirmed.
  std::uint64_t confirmed = 0;
  unsigned differs = 0;  // Heartbeats in a row with a hash other than ours.
  Deflater deflater;     // Of what is sent, if the other end reads it.
  Inflater inflater;
};

}  // namespace weft::router
