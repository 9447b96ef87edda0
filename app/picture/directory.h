// Who is at an address, and who answers there, as all hosts tell: what is needed to say who is at
// the other end of a flow.
//
// The address is looked up from the reporter's point of view: in its own network namespace, among
// its own containers, among the overlay's, through published ports, among hosts, and is otherwise
// the Internet's. What an ambiguous address leads to is nobody.
//
// Hosts put in what they claim and take it out again. A look-up notes what it read, as numbers, and
// what changes is told by the same numbers: so EdgeBook looks up again what may have changed, and
// nothing else. Two things of one number cost a look-up too many.
// Pure. Used by EdgeBook alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "app/graph.h"
#include "app/picture/agreed.h"
#include "app/picture/read_key.h"
#include "probe/report/report.h"

namespace weft::app {

// What one host says of addresses, each ascending.
struct Claims {
  std::vector<std::pair<Ip, std::string>> containers;  // That are up, by address.
  std::vector<std::pair<Ip, std::string>> overlay;     // Those of them that are on the overlay.
  std::vector<std::tuple<Transport, std::uint16_t, std::string, std::uint16_t>> published;
  std::vector<Ip> own;
  std::vector<Cidr> networks;                     // Attached, and the overlay's.
  std::vector<std::pair<Ip, std::string>> names;  // Of addresses on the Internet.
  std::vector<std::string> on_host_network;       // Containers.
  // Services that several processes answer for, and who is the parent of all of these: a server
  // that forks, or hands connections to workers.
  std::vector<std::tuple<Transport, std::uint16_t, std::string, std::uint32_t>> shared;

  friend bool operator==(const Claims&, const Claims&) = default;
};
Claims claims_of(const probe::HostReport& host);

// What a look-up read.
struct Reads {
  std::vector<std::uint64_t> keys;
  bool networks = false;  // Which networks there are around the flow's remote address.

  friend bool operator==(const Reads&, const Reads&) = default;
};

class Directory {
 public:
  // What of a host's own flows may lead elsewhere after its claims changed.
  struct Affected {
    std::set<Ip> remotes;
    bool all = false;
  };
  Affected change(PeerName host, const Claims& before, const Claims& after);
  // `claims` are the host's at this moment; the same when the flow is removed.
  void add_flow(PeerName host, const probe::FlowKey& key, const Claims& claims);
  void remove_flow(PeerName host, const probe::FlowKey& key, const Claims& claims);

  EdgeKey outbound_edge(PeerName host, const probe::FlowKey& key, Reads& reads) const;
  // Who is at the remote address of a host's flow, on whichever port.
  Party remote_party(PeerName host, const probe::FlowKey& key, Reads& reads) const;
  // Whether an inbound flow's client is of the same network namespace, and tells it.
  bool is_asked(PeerName host, const probe::FlowKey& inbound, Reads& reads) const;

  // Since the last call.
  std::vector<std::uint64_t> take_touched() { return std::exchange(touched_, {}); }
  std::vector<Cidr> take_touched_networks() { return std::exchange(touched_networks_, {}); }

 private:
  using ContainerAt = std::pair<PeerName, std::string>;  // Its id.
  using Scoped = std::pair<PeerName, Ip>;
  using Published = std::tuple<PeerName, Transport, std::uint16_t>;
  using Service = std::tuple<PeerName, std::string, Transport, std::uint16_t>;
  using Place = std::tuple<PeerName, std::uint64_t, Ip, Transport, std::uint16_t>;
  using Inside = std::tuple<PeerName, std::uint64_t, Ip, Ip, Transport, std::uint16_t>;
  using Answerer = std::pair<std::string, std::uint32_t>;  // Container, process.
  // Who serves, to all clients and to each.
  struct Servers {
    Agreed<std::uint32_t> of_all;
    std::map<Ip, Agreed<std::uint32_t>> of_client;

    bool empty() const { return of_all.empty(); }
  };
  struct Answering {
    Agreed<Answerer> who;
    Agreed<std::string> container;  // Perhaps several processes of it.

    bool add(const Answerer& answerer);
    bool remove(const Answerer& answerer);
    bool empty() const { return who.empty(); }
    std::optional<Answerer> value() const;
  };
  struct Answers {
    Answering to_all;
    std::map<Ip, Answering> to_client;
  };
  struct Target {
    Party party;
    std::uint16_t port = 0;
    bool translated = false;
  };

  static Place at_address(PeerName host, const probe::FlowKey& key, const Ip& address);
  std::vector<Place> answered_places(PeerName host,
                                     const probe::FlowKey& key,
                                     const Claims& claims) const;
  void change_names(PeerName host, const Claims& before, const Claims& after, Affected& affected);
  void change_shared(PeerName host, const Claims& before, const Claims& after);
  void add_server(PeerName host, const probe::FlowKey& key);
  void remove_server(PeerName host, const probe::FlowKey& key);
  std::optional<PeerName> host_at(PeerName reporter, const Ip& address) const;
  bool is_local_network(const Ip& address) const;
  std::optional<Answerer> answerer(const Place& place, const Ip& from, Reads& reads) const;
  std::uint32_t server_pid(const Service& service, const Ip& from, Reads& reads) const;
  std::uint32_t parent_of_servers(const Service& service, Reads& reads) const;
  void touch(bool has_changed, std::uint64_t key);
  void touch_network(bool has_changed, const Cidr& network);

  std::map<Scoped, Agreed<std::string>> local_;  // By address on their host.
  std::map<Ip, Agreed<ContainerAt>> global_;     // Those on the overlay, by address anywhere.
  std::map<Ip, Agreed<PeerName>> host_of_;
  std::map<Published, Agreed<std::pair<std::string, std::uint16_t>>> published_;
  std::map<Scoped, std::uint32_t> own_;     // Addresses of hosts.
  std::map<Cidr, std::uint32_t> networks_;  // Attached to some host, or the overlay.
  std::map<Scoped, std::string> names_;     // What a host's programs know an address by.
  std::map<ContainerAt, std::uint32_t> on_host_network_;
  std::map<Service, Servers> servers_;
  std::map<Service, std::uint32_t> shared_;
  std::map<Place, Answers> answering_;
  std::map<Inside, std::uint32_t> asked_;  // Outbound flows.
  std::vector<std::uint64_t> touched_;
  std::vector<Cidr> touched_networks_;
};

}  // namespace weft::app
