// One agent: every service of this host, and who feeds whom (the map is in wiring.cc).
//
// Owns the services; the caller owns what they stand on (io_context, clock, store, netdev), which
// must outlive it. Single-threaded. Destroying it leaves every kernel object in place, so that
// containers keep talking.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "agent/attach/attach_api.h"
#include "agent/config.h"
#include "agent/control/desk.h"
#include "agent/control_api.h"
#include "agent/dns/dns_api.h"
#include "agent/dns/kept_names.h"
#include "agent/identity.h"
#include "agent/ipam/api.h"
#include "agent/ipam/guests.h"
#include "agent/password_file.h"
#include "agent/placement.h"
#include "agent/proxy/docker_proxy.h"
#include "app/io/app_service.h"
#include "base/entropy.h"
#include "base/result.h"
#include "dns/io/dns_service.h"
#include "ipam/io/dual_stack.h"
#include "plugin/io/docker_service.h"
#include "plugin/io/docker_watch.h"
#include "probe/io/probe_service.h"
#include "router/connector.h"
#include "router/io/datapath_service.h"
#include "router/io/mesh_service.h"
#include "router/io/sealed_path.h"
#include "sys/clock.h"
#include "sys/http/unix_relay.h"
#include "sys/http_server.h"
#include "sys/netdev.h"
#include "sys/network_watch.h"
#include "sys/store.h"

namespace weft::agent {

class Agent {
 public:
  // What the services stand on.
  struct Host {
    boost::asio::io_context& io;
    const sys::Clock& clock;
    sys::Store& store;
    sys::Netdev& netdev;
    Entropy& entropy;
  };
  // Who we are and whom to look for.
  struct Seat {
    Identity identity;
    std::optional<PasswordKeys> passwords;
    std::vector<std::string> targets;
    bool is_rebuilt = false;  // The store was of no use: what it said of addresses is lost.
    app::Access ui_access{};
    std::optional<sys::Certificate> ui_certificate{};
    std::string http_token{};  // Empty: the control API asks for none.
    std::optional<sys::Certificate> http_certificate{};
  };

  // Run when the control API is told to stop, and when the agent has to be started again, with the
  // store as it is then. Both return before anything has ended.
  struct Exits {
    std::function<void()> stop;
    std::function<void()> restart;
  };

  // The agent is ready when this returns.
  static Result<std::unique_ptr<Agent>> start(const Host& host,
                                              Config config,
                                              const Seat& seat,
                                              Exits exits);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Reads the password file again; on failure nothing has changed, and the log says why.
  Result<Ok> reload();

 private:
  Agent(const Host& host, Config config) : host_(host), config_(std::move(config)) {}

  Result<Ok> start_sealed(const Seat& seat);
  Result<Ok> start_datapath(PeerName self);
  Result<Ok> start_ipam(const Seat& seat);
  Result<Ok> start_mesh(const Seat& seat);
  void look_for_old_friends(const std::vector<std::string>& targets);
  Result<Ok> start_metrics();
  void start_weave_api(const ControlHooks& hooks);
  Result<Ok> listen_weave(const ControlHooks& hooks);
  void on_weave_request(const sys::HttpRequest& request,
                        const ControlHooks& hooks,
                        const AttachHooks& attach);
  Result<Ok> listen_status();
  Result<std::unique_ptr<sys::HttpServer>> listen_at(
      const ListenPlace& place, std::function<void(const sys::HttpRequest&)> on_request);
  Result<Ok> start_dns(const Identity& identity);
  void listen_for_dns();
  void keep_dns_open();
  void tell_dns_clients_later();
  void watch_containers();
  Result<Ok> restore_container_names();
  void drop_containers_that_ended();
  void on_container(const plugin::ContainerNames& container);
  void on_container_gone(const plugin::ContainerNames& container);
  Result<Ok> start_engine_relay();
  // Into the log, and into the status for as long as the agent runs.
  void note_not_listening(const std::string& what, const Error& why);
  Result<Ok> start_docker();
  void start_probe(const Seat& seat);
  void start_app(const Seat& seat);
  void start_controls(const Seat& seat);
  Result<Ok> start_control(std::function<void()> on_stop);

  void on_mesh(router::MeshAction action);
  void come_back(Incarnation earlier);
  void on_record(const RecordChanged& change);
  void on_ipam(ipam::AllocatorAction action);
  void on_docker(plugin::DockerAction action);
  void plug(const plugin::PlugPort& request);
  void unplug(const plugin::UnplugPort& request);
  ipam::IpamService::OnAnswer address_to_docker(RequestId call);
  void cancel_address(RequestId call);
  void cancel_later(RequestId call);
  void look_for_lost_addresses();
  // ipam/wiring_guests.cc
  void adopt_guests();
  void claim_found(const Cidr& address);
  void claim_found_later(const Cidr& address);
  void plug_guest(const sys::Guest& guest);
  void look_for_dead_owners();
  void release_if_dead_later(const std::string& owner);
  void release_if_dead(const std::string& owner);
  void set_gateways(plugin::SetGateways wanted);
  // True while the container's end of a port is on the host.
  bool is_at_home(const plugin::Port& port) const;
  void recheck_port(const plugin::Port& port);
  void drop_port(const plugin::Port& port);

  // probe/wiring_probe.cc
  void on_probe_message(PeerName from, ByteView payload);
  void tell(probe::Tell report);
  void watch(app::SendWatch watch);
  probe::OverlayFacts overlay_facts() const;
  std::vector<app::PeerFacts> peer_facts() const;
  void ask_app(RequestId call, const std::string& target);
  std::string all_metrics();

  void place_peer_later(PeerName peer);
  void place_peers();
  void place_peer(const router::PeerStatus& peer, const Ip& underlay);
  bool is_trusted(const Ip& underlay) const;
  std::vector<PeerName> find_relays(PeerName peer) const;
  bool is_linked(PeerName peer) const;
  std::optional<PeerName> next_hop(PeerName peer) const;
  void remember(const StoreBatch& changes);
  void remember_places(StoreBatch changes);

  // dns/wiring_dns.cc
  Result<Ok> restore_names();
  void drop_names_of_the_dead();
  void keep_names_later();
  Result<Ok> add_name(const NameRequest& request);
  std::size_t remove_names(const dns::Names::Filter& filter);
  DnsHooks dns_hooks();

  // attach/wiring_attach.cc
  Result<std::vector<Exposure>> load_exposed();
  Result<Ok> start_attachments();
  Result<Ok> plug_attachment(const Attachment& attachment);
  void unplug_attachment(const Attachment& attachment);
  void drop_lost_attachments();
  void forget_attachment(const std::string& owner);
  void release_addresses_later(const std::string& owner);
  Attachment new_attachment(const std::string& owner, std::uint64_t netns);
  Result<Ok> attach(const AttachCall& call);
  Result<Ok> detach(const DetachCall& call);
  Result<Ok> expose(const Exposure& exposure);
  Result<Ok> hide(const Cidr& address);
  void keep_clients_addresses();
  std::string tracker_name() const { return config_.no_masq_local ? "no-masq-local" : ""; }
  AttachHooks attach_hooks();

  Result<Ok> connect(const TargetsCall& call);
  Result<Ok> forget(const TargetsCall& call);
  router::Target target_of(const std::string& text) const;
  AgentStatus status() const;
  std::optional<PeerName> find_peer(const std::string& name_or_nickname) const;
  bool is_in_range(const Ip& address) const;     // Of either family.
  bool may_run(const std::string& owner) const;  // False: a container known to have died.

  template <class Work>
  void post(Work work) {
    boost::asio::post(host_.io, std::move(work));
  }

  Host host_;
  Config config_;
  std::unique_ptr<router::SealedPath> sealed_;  // Nothing without a password, or in clear.
  std::unique_ptr<router::DatapathService> datapath_;
  std::unique_ptr<ipam::DualStack> ipam_;
  std::unique_ptr<router::MeshService> mesh_;
  std::unique_ptr<sys::UnixRelay> engine_relay_;   // With --docker-tcp.
  std::unique_ptr<plugin::DockerService> docker_;  // Nothing with --no-docker.
  std::unique_ptr<IpamApi> ipam_api_;
  std::unique_ptr<probe::ProbeService> probe_;
  std::unique_ptr<ControlDesk> desk_;  // Outlives the app, which calls it.
  std::unique_ptr<app::AppService> app_;
  std::optional<probe::HostReport> own_report_;  // Of this host, while its metrics are scraped.
  TimePoint scraped_{};                          // When that last happened.
  std::unique_ptr<dns::DnsService> dns_;         // Nothing with --no-dns.
  std::string dns_reason_;                       // Why it does not listen.
  std::unique_ptr<plugin::DockerWatch> watch_;   // Nothing with --no-docker.
  std::unique_ptr<DockerProxy> proxy_;           // Outlives the control API, which it calls.
  std::unique_ptr<sys::HttpServer> control_;
  std::map<RequestId, RequestId> asked_;  // Docker's calls that wait for an address: ipam's ids.
  FoundGuests found_guests_;
  std::set<Ip> found_claims_;   // Under way.
  std::set<Ip> found_refused_;  // Said so once.
  Placement placement_;
  std::map<std::string, Attachment> attachments_;        // By owner.
  std::map<std::uint32_t, std::string> attached_links_;  // Their host ends: who has them.
  std::unique_ptr<sys::NetworkWatch> attachment_watch_;
  std::vector<Exposure> exposed_;
  std::optional<std::vector<sys::AddressRun>> kept_;  // As the data path knows them.
  KeptNames kept_names_;
  KeptNames container_names_{kContainerNamesTable};
  bool names_are_due_ = false;                // To be written to the store.
  bool clients_are_due_ = false;              // To be told to DNS.
  std::unique_ptr<sys::HttpServer> metrics_;  // Nothing without --metrics-addr.
  std::unique_ptr<IpamApi> weave_ipam_api_;
  std::unique_ptr<sys::HttpServer> weave_api_;   // Nothing if --http-addr is off, or taken.
  std::unique_ptr<sys::HttpServer> status_api_;  // The same of --status-addr.
  std::vector<std::string> not_listening_;       // What could not, and why.
  std::function<void()> on_restart_;
  std::string http_token_;
  std::optional<sys::Certificate> http_certificate_;
  std::set<router::Target> old_friends_;  // Targets of the first seconds that no operator named.
  StoreBatch unsaved_places_;
  std::set<PeerName> unplaced_;  // Peers whose place on the underlay is to be looked up.
};

}  // namespace weft::agent
