// The kernel's ESP beside the sealed path: for each session whose peers agreed to it, keys for the
// kernel's VXLAN between the two hosts (docs/adr/0053).
//
// Sessions say when keys come, are used and go; this puts them into the kernel in the order that
// loses nothing (what the peer seals under is there before it may, and goes when it cannot any
// more) and leaks nothing: VXLAN with the peer needs ESP from before the first frame until the peer
// is forgotten, also while no keys are there. Which frames take that way is not decided here.
// SealedPath's, on its strand.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/address.h"
#include "base/peer_name.h"
#include "base/result.h"
#include "router/sealed/sessions.h"
#include "sys/xfrm/xfrm.h"

namespace weft::router {

class EspPath {
 public:
  struct Options {
    std::uint16_t port = 0;  // Of VXLAN.
    // No association carries more, or lives longer; far beyond the session's own ends. The kernel
    // ends it when no agent does.
    std::uint64_t packets_max = 1ULL << 28U;
    std::uint32_t seconds_max = 200;
  };
  // VXLAN with the peer at this underlay address is sealed by the kernels from now on, or it is
  // dropped.
  using OnReady = std::function<void(const Ip& underlay, bool ready)>;

  EspPath(std::shared_ptr<sys::Xfrm> xfrm, Options options, OnReady on_ready)
      : xfrm_(std::move(xfrm)),
        options_(options),
        on_ready_(std::move(on_ready)) {}

  // Our own address on the way to the peer; sessions before it is known go without ESP.
  void set_source(const Ip& underlay, const Ip& source);

  void add(const Ip& underlay, const AddSession& session);
  void use(const Ip& underlay, SessionIndex local);
  void remove(SessionIndex local);
  // VXLAN with the peer needs no ESP any more: it is gone, or both agreed to go in clear.
  void forget(const Ip& underlay);

  // How many packets were sealed for the peer under the session in use; 0 without one. Whether its
  // keys are still there is found out by that.
  std::uint64_t look(const Ip& underlay);

  bool is_ready(const Ip& underlay) const;
  // What the kernel refused last; empty: nothing since.
  const std::string& failure() const { return failure_; }

  // The largest inner IP packet (of VXLAN in ESP over IPv4) that makes an outer one of at most
  // `mtu` octets; 0: none.
  static std::uint32_t payload_max(std::uint32_t mtu);

 private:
  struct Keys {
    Ip underlay;
    sys::EspPair pair;
    SessionIndex remote = 0;
  };
  struct Peer {
    sys::EspPair pair;
    std::optional<SessionIndex> current;
  };

  Result<Ok> install(const sys::EspPair& pair, const AddSession& session);
  std::optional<sys::EspPair> pair_with(const Ip& underlay);
  void set_ready(const Ip& underlay, Peer& peer, std::optional<SessionIndex> current);
  bool note(const Result<Ok>& result);

  std::shared_ptr<sys::Xfrm> xfrm_;
  const Options options_;
  OnReady on_ready_;
  std::map<Ip, Ip> sources_;
  std::map<Ip, Peer> peers_;
  std::map<SessionIndex, Keys> keys_;
  std::set<std::uint16_t> groups_;  // Taken.
  std::string failure_;
};

}  // namespace weft::router
