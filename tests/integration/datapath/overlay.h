// Hosts that run the real DatapathService in namespaces of their own, joined by a switch, and
// containers behind them. What a host publishes reaches the others at once, as the mesh would.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/address.h"
#include "router/io/datapath_service.h"
#include "sys/clock.h"
#include "sys/netdev.h"
#include "tests/integration/datapath/namespace.h"

namespace weft::test {

// The network between the hosts: 192.0.2.0/24 and 2001:db8::/64 on one switch.
class Underlay {
 public:
  explicit Underlay(std::uint32_t mtu);
  // Gives the namespace a device u0 with address `number`.
  void join(Namespace& member, std::uint32_t number);
  // Larger packets to and from it vanish; the member knows nothing of it.
  void set_port_mtu(std::uint32_t number, std::uint32_t mtu);

 private:
  std::uint32_t mtu_;
  Namespace switch_;
};

struct Container {
  Namespace net;
  Mac mac;
  std::string ipv4;
  std::string ipv6;
  router::DatapathService::PortRequest port;

  bool reaches(const std::string& address);
};

class Cluster;

class Host {
 public:
  Host(Cluster& cluster, std::uint32_t number);
  ~Host();

  void start(router::DatapathService::Options options);
  // Why a start with these options fails; empty if it does not.
  std::string start_error(router::DatapathService::Options options);
  void stop();
  Result<Ok> plug(const router::DatapathService::PortRequest& port);
  void unplug(const router::DatapathService::PortRequest& port);
  bool has_port(const std::string& host);
  void sweep(const std::set<std::string>& owned);  // Of container ports.
  Result<Ok> reset();
  std::unique_ptr<Container> run_container(std::uint8_t number);
  router::DatapathStatus status();
  void learn(const RecordChanged& change);
  void learn_peer(PeerName peer, const Ip& underlay);
  bool is_running() const { return service_ != nullptr; }

  Namespace net;
  PeerName name;
  Ip underlay;

 private:
  Result<std::unique_ptr<router::DatapathService>> try_start(
      router::DatapathService::Options options);

  Cluster& cluster_;
  sys::SystemClock clock_;
  std::unique_ptr<sys::Netdev> netdev_;
  std::unique_ptr<router::DatapathService> service_;
};

class Cluster {
 public:
  explicit Cluster(std::size_t hosts, std::uint32_t mtu = 1500);

  Host& operator[](std::size_t index) { return *hosts_.at(index); }
  // Starts every host and makes them know each other.
  void start(bool bpf);
  // One host; it knows those that run already, and they it.
  void start_one(std::size_t index, bool bpf);
  // What every host will take for able to pass frames on to any peer.
  void set_relays(std::vector<PeerName> relays) {
    relays_ = [relays = std::move(relays)](PeerName) { return relays; };
  }
  // Nothing gets through between the two any more / again.
  void cut(std::size_t one, std::size_t other);
  void heal(std::size_t one, std::size_t other);
  void introduce(Host& host);
  void tell_others(PeerName origin, PublishRecord record);

  Underlay underlay;

 private:
  std::function<std::vector<PeerName>(PeerName)> relays_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::mutex told_mutex_;            // Every host publishes from a thread of its own.
  std::vector<RecordChanged> told_;  // For hosts that start again.
};

// Waits until each of the first two hosts knows of one container elsewhere.
bool know_each_other(Cluster& cluster);

// Waits until `condition` holds, for at most ten seconds.
bool eventually(const std::function<bool()>& condition);

}  // namespace weft::test
