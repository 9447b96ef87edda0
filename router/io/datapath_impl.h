// The inside of DatapathService, in five files by what they are about:
//
//   datapath_service.cc    what others ask for, and what the Forwarding core decides
//   datapath_paths.cc      which way frames to peers take: the Paths core, probes, relaying
//   datapath_mtu.cc        how large their frames may be
//   datapath_checksums.cc  whether devices can be trusted with their checksums
//   datapath_devices.cc    the devices it stands on: made, adopted, repaired on the kernel's news
//
// Private to these files.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "router/checksums/checksum_tests.h"
#include "router/datapath/carrier.h"
#include "router/datapath/flood_limit.h"
#include "router/datapath/flood_plan.h"
#include "router/datapath/path_mtu.h"
#include "router/datapath/paths.h"
#include "router/io/datapath_service.h"
#include "router/io/device_names.h"
#include "router/io/vxlan_sender.h"
#include "sys/core_driver.h"
#include "sys/lifetime.h"
#include "sys/link/ethertype_socket.h"
#include "sys/link/link_remover.h"
#include "sys/network_watch.h"
#include "sys/tap.h"

namespace weft::router {

class DatapathService::Impl {
 public:
  Impl(boost::asio::any_io_executor executor,
       const sys::Clock& clock,
       sys::Netdev& netdev,
       Options options,
       OnPublish on_publish)
      : executor_(std::move(executor)),
        clock_(clock),
        netdev_(netdev),
        options_(std::move(options)),
        on_publish_(std::move(on_publish)),
        vxlan_(options_.bridge + std::string(kVxlanSuffix)),
        tap_name_(options_.bridge + std::string(kTapSuffix)),
        seal_port_(options_.bridge + std::string(kSealPortSuffix)),
        seal_end_(options_.bridge + std::string(kSealEndSuffix)),
        lane_port_(options_.bridge + std::string(kLanePortSuffix)),
        lane_end_(options_.bridge + std::string(kLaneEndSuffix)),
        timer_(executor_),
        exposed_(options_.exposed),
        kept_(options_.kept),
        look_(executor_),
        relay_limit_(Forwarding::Options{}.flood_rate_max, clock.now()),
        checksums_(Rng(options_.seed + 2)) {}

  Result<Ok> start();
  Result<Ok> plug(const PortRequest& port);
  void unplug(const PortRequest& port);
  void sweep(const std::string& prefix, const std::set<std::string>& owned);
  bool has_port(const std::string& host);
  Result<Ok> set_gateways(std::vector<Cidr> gateways);
  Result<Ok> set_exposed(std::vector<Exposure> exposed);
  Result<Ok> set_kept(std::vector<sys::AddressRun> kept);
  void set_docker_bridge(const std::string& bridge);
  void on_record(const RecordChanged& change);
  void set_underlay(PeerName peer, const std::optional<Ip>& underlay);
  DatapathStatus status() const;

 private:
  struct Port {
    Mac mac;
    std::uint32_t ifindex = 0;
    bool hairpin = false;
  };
  using Driver =
      sys::CoreDriver<Forwarding, ForwardingAction, std::function<void(ForwardingAction)>>;
  using MtuDriver = sys::CoreDriver<PathMtus, MtuAction, std::function<void(MtuAction)>>;
  using PathDriver = sys::CoreDriver<Paths, PathAction, std::function<void(PathAction)>>;
  struct ClearRelay {
    Ip at;
    bool by_agent = false;
  };

  void load_programs();
  Result<Ok> ensure_devices();
  Result<Ok> ensure_firewall();
  // Opened frames go straight to their containers; where policies are asked, over the bridge.
  bool delivers_sealed() const { return options_.sealed != nullptr && !options_.policies; }
  Result<Ok> ensure_vxlan();
  Result<Ok> ensure_seal();
  Result<Ok> ensure_lane();
  bool is_clear_allowed(const Ip& peer) const {
    return options_.sealed == nullptr || clear_.contains(peer);
  }
  bool needs_vxlan() const { return options_.clear_possible || has_esp_; }
  bool is_esp(const Ip& peer) const { return esp_.contains(peer) && path_to(peer).way == Way::Esp; }
  // By us, that is; what is for such a peer leaves as VXLAN in no case.
  bool is_sealed(const Ip& peer) const {
    return options_.sealed != nullptr && !is_esp(peer)
           && (path_to(peer).way != Way::Clear || !is_clear_allowed(peer));
  }
  void set_clear(const Ip& peer, bool agreed);
  void set_esp(const Ip& peer, bool ready);
  void begin_esp();
  Result<Ok> offer_esp();
  std::uint32_t payload_max(const Ip& peer, std::uint32_t mtu) const;
  void send_to_peers(const FrameToPeers& action);
  Result<Ok> ensure_container_port(const std::string& host, const Port& port);
  Result<Ok> ensure_gateways();
  Result<Ok> settle_host();
  std::vector<Cidr> host_addresses() const;
  Forwarding::Adopted adopt();
  std::vector<FdbEntry> remote_entries(Mac mac, const Ip& underlay) const;
  void set_entries(Mac mac, std::vector<FdbEntry> wanted);
  Result<Ok> ensure_tap();
  bool is_watched(std::uint32_t ifindex) const;
  void repair(const sys::NetworkChange& change);
  void schedule_repair();

  std::uint32_t wanted_mtu();
  void refresh_path(const Ip& peer);
  void tell_fast_path(const Ip& peer);
  void attach_underlay(const std::optional<PathInfo>& path);
  void refresh_mtu();

  void start_paths();
  Result<Ok> ensure_carriers();
  void tell_paths(PeerName peer);
  Path path_to(const Ip& peer) const;
  std::optional<ClearRelay> clear_relay(const Path& path) const;
  void perform(PathAction action);
  void find_relays(PeerName peer);
  void use_path(const UsePath& action);
  void apply_path(const Ip& peer);
  void send_straight(PeerName to, Way way, ByteView frame);
  void send_through(PeerName via, std::vector<PeerName> targets, ByteView frame, std::uint8_t hops);
  void send_on(ByteView frame, const std::vector<PeerName>& peers, std::uint8_t hops);
  void send_probe(const SendProbe& action);
  void on_carrier(ByteView frame);
  void on_probe(const Probe& probe);
  void on_answer(const Answer& answer);
  void on_relay(const Relay& relay);
  void start_mtus();
  void tell_route_mtu(const Ip& peer);
  std::uint32_t path_mtu(const Ip& peer) const;
  sys::FastPath::SizeLimit size_limit(const Ip& peer) const;
  void perform(MtuAction action);
  void send_sized(const SendSized& action);
  void apply_mtu(const Ip& peer);
  void tell_frame_max(const Ip& peer);
  Result<Ok> ensure_checksum_listener();
  void test_checksums();
  void on_checksum_probe(ByteView frame);
  void on_checksum_heard(const ChecksumHeard& heard);
  void set_offload(const SetChecksumOffload& action);
  std::vector<OffloadStatus> offloads() const;
  void look_for_traffic();
  void note_traffic();

  void perform(ForwardingAction action);
  void place(const SetLocal& action);
  void place(const SetRemote& action);
  void drop(Mac mac);
  void add_peer(const Ip& peer);
  void drop_peer(const Ip& peer);
  void publish(PublishRecord record);
  // Keeps what went wrong visible in status(), and says it once.
  void note(const std::string& topic, const Result<Ok>& result);

  boost::asio::any_io_executor executor_;
  const sys::Clock& clock_;
  sys::Netdev& netdev_;
  Options options_;
  OnPublish on_publish_;
  std::string vxlan_;
  std::string tap_name_;
  std::string seal_port_;
  std::string seal_end_;
  std::string lane_port_;
  std::string lane_end_;
  boost::asio::steady_timer timer_;

  std::unique_ptr<sys::FastPath> fast_path_;  // Nothing in bridge mode.
  std::string reason_;
  std::uint32_t mtu_ = 0;
  std::uint32_t bridge_index_ = 0;
  std::uint32_t vxlan_index_ = 0;
  std::uint32_t seal_index_ = 0;  // Of the end that the sealing thread listens on.
  std::uint32_t lane_index_ = 0;  // Of the end at which BPF seals.
  std::map<Mac, Ip> remotes_;     // Of containers elsewhere.
  std::set<Ip> clear_;            // Peers that agreed to go in clear, where others are sealed.
  std::set<Ip> esp_;              // Peers whose VXLAN the kernels seal, if it is sent.
  bool has_esp_ = false;          // There may be such.
  std::unique_ptr<sys::Tap> tap_;
  std::unique_ptr<VxlanSender> sender_;
  std::unique_ptr<sys::LinkRemover> remover_;
  std::unique_ptr<sys::NetworkWatch> watch_;
  std::map<std::string, Port> ports_;  // By host end.
  std::vector<Cidr> gateways_;         // The host's addresses among the containers,
  std::vector<Exposure> exposed_;      // and more of them, open to the world.
  std::optional<std::vector<sys::AddressRun>> kept_;
  std::map<Mac, std::vector<FdbEntry>> entries_;   // What the bridge was told of each MAC.
  std::map<Ip, std::optional<PathInfo>> peers_;    // Nothing: no route now.
  std::map<std::uint32_t, std::string> underlay_;  // Devices with our filter.
  std::map<std::string, std::string> warnings_;    // By topic.
  std::unique_ptr<Forwarding> forwarding_;
  std::unique_ptr<Driver> driver_;

  std::unique_ptr<Paths> paths_;
  std::unique_ptr<PathDriver> path_driver_;
  std::unique_ptr<PathMtus> mtus_;
  std::unique_ptr<MtuDriver> mtu_driver_;
  std::unique_ptr<sys::EthertypeSocket> carriers_;
  std::map<PeerName, Ip> places_;
  std::map<Ip, PeerName> names_;
  std::set<PeerName> relays_in_kernel_;  // Peers that pass VXLAN on without their agent.
  boost::asio::steady_timer look_;
  std::uint64_t sent_ = 0;               // By all ports, at the last look …
  std::map<Ip, std::uint64_t> sent_to_;  // … and to each peer.
  FloodLimit relay_limit_;
  RelayStats relays_;
  ChecksumTests checksums_;
  std::unique_ptr<sys::EthertypeSocket> checksum_listener_;
  sys::Lifetime lifetime_;
};

}  // namespace weft::router
