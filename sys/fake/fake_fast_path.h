// sys/fast_path.h in memory, for tests: keeps what it is told, and can refuse everything.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "sys/fast_path.h"

namespace weft::sys {

class FakeFastPath final : public FastPath {
 public:
  struct Route {
    Ip source;
    std::uint32_t ifindex = 0;
    bool sealed = false;

    friend bool operator==(const Route&, const Route&) = default;
  };

  FakeFastPath() = default;
  explicit FakeFastPath(Entries adopted) : entries_(std::move(adopted)) {}

  Entries entries() const override { return entries_; }

  Result<Ok> attach_port(std::uint32_t ifindex) override { return attach(ports_, ifindex); }
  Result<Ok> attach_vxlan(std::uint32_t ifindex) override { return attach(vxlan_, ifindex); }
  Result<Ok> attach_underlay(std::uint32_t ifindex) override { return attach(underlay_, ifindex); }

  Result<Ok> set_local(Mac mac, std::uint32_t ifindex) override {
    WEFT_TRY(check());
    entries_.remotes.erase(mac);
    entries_.locals.insert_or_assign(mac, ifindex);
    return Ok{};
  }
  Result<Ok> set_remote(Mac mac, const Ip& underlay) override {
    WEFT_TRY(check());
    entries_.locals.erase(mac);
    entries_.remotes.insert_or_assign(mac, underlay);
    return Ok{};
  }
  Result<Ok> drop_mac(Mac mac) override {
    WEFT_TRY(check());
    entries_.locals.erase(mac);
    entries_.remotes.erase(mac);
    return Ok{};
  }
  Result<Ok> set_peer(const Ip& underlay, const Ip& source, std::uint32_t ifindex) override {
    WEFT_TRY(check());
    entries_.peers.insert(underlay);
    routes_.insert_or_assign(underlay,
                             Route{.source = source, .ifindex = ifindex, .sealed = false});
    return Ok{};
  }
  Result<Ok> set_sealed_peer(const Ip& underlay, std::uint32_t device) override {
    WEFT_TRY(check());
    entries_.peers.insert(underlay);
    routes_.insert_or_assign(underlay, Route{.source = {}, .ifindex = device, .sealed = true});
    return Ok{};
  }
  Result<Ok> drop_peer(const Ip& underlay) override {
    WEFT_TRY(check());
    entries_.peers.erase(underlay);
    routes_.erase(underlay);
    return Ok{};
  }

  FastPathStats stats() const override { return {}; }

  // From now on every change is refused, as by a kernel without memory.
  void fail() { failing_ = true; }
  const std::set<std::uint32_t>& ports() const { return ports_; }
  const std::set<std::uint32_t>& vxlan() const { return vxlan_; }
  const std::set<std::uint32_t>& underlay() const { return underlay_; }
  const std::map<Ip, Route>& routes() const { return routes_; }

 private:
  Result<Ok> check() const {
    if (failing_) {
      return Error{Errc::Os, "fast path map: told to fail", 12};
    }
    return Ok{};
  }
  Result<Ok> attach(std::set<std::uint32_t>& devices, std::uint32_t ifindex) {
    WEFT_TRY(check());
    devices.insert(ifindex);
    return Ok{};
  }

  Entries entries_;
  std::set<std::uint32_t> ports_;
  std::set<std::uint32_t> vxlan_;
  std::set<std::uint32_t> underlay_;
  std::map<Ip, Route> routes_;
  bool failing_ = false;
};

}  // namespace weft::sys
