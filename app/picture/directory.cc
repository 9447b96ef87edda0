#include "app/picture/directory.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "app/facts.h"

namespace weft::app {
namespace {

using probe::ContainerFacts;
using probe::Direction;
using probe::FlowKey;
using probe::HostReport;
using probe::PortMapping;
using probe::ProcessFacts;

// What kinds of things there are to read.
enum Kind : std::uint64_t {
  kAddress = 1,
  kPublished,
  kPlace,
  kPlaceForClient,
  kService,
  kServiceForClient,
  kAsked,
};

std::uint64_t key_of_address(const Ip& address) {
  return ReadKey(kAddress).add(address).value();
}

template <class Published>
std::uint64_t key_of_published(const Published& published) {
  const auto& [host, transport, port] = published;
  return ReadKey(kPublished)
      .add(host.number())
      .add(static_cast<std::uint64_t>(transport))
      .add(port)
      .value();
}

template <class Place>
ReadKey key_of_place(Kind kind, const Place& place) {
  const auto& [host, netns, address, transport, port] = place;
  ReadKey key(kind);
  key.add(host.number()).add(netns).add(address).add(static_cast<std::uint64_t>(transport));
  key.add(port);
  return key;
}

template <class Service>
ReadKey key_of_service(Kind kind, const Service& service) {
  const auto& [host, container, transport, port] = service;
  ReadKey key(kind);
  key.add(host.number()).add(container).add(static_cast<std::uint64_t>(transport)).add(port);
  return key;
}

template <class Inside>
std::uint64_t key_of_inside(const Inside& inside) {
  const auto& [host, netns, server, client, transport, port] = inside;
  ReadKey key(kAsked);
  key.add(host.number()).add(netns).add(server).add(client);
  return key.add(static_cast<std::uint64_t>(transport)).add(port).value();
}

// Whether both ends are in one network namespace.
bool is_inside(const FlowKey& key, const Ip& address) {
  return address.is_loopback() || address == key.local;
}

template <class Items>
void sort(Items& items) {
  std::sort(items.begin(), items.end());
}

// Calls `remove` for what is only before and `add` for what is only after.
template <class Items, class Remove, class Add>
void difference(const Items& before, const Items& after, Remove remove, Add add) {
  Items only;
  std::set_difference(
      before.begin(), before.end(), after.begin(), after.end(), std::back_inserter(only));
  std::for_each(only.begin(), only.end(), remove);
  only.clear();
  std::set_difference(
      after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(only));
  std::for_each(only.begin(), only.end(), add);
}

// A process of a container, none of another or of none.
const ProcessFacts* process_in(const HostReport& host,
                               const std::string& container,
                               std::uint32_t pid) {
  const auto found = std::lower_bound(
      host.processes.begin(),
      host.processes.end(),
      pid,
      [](const ProcessFacts& process, std::uint32_t of) { return process.pid < of; });
  const bool is_there =
      found != host.processes.end() && found->pid == pid && found->container == container;
  return is_there ? &*found : nullptr;
}

// From the process up, as far as its container goes. The host's first process has begun all others
// and serves for none of them.
std::vector<std::uint32_t> ancestry(const HostReport& host,
                                    const std::string& container,
                                    std::uint32_t pid) {
  constexpr std::size_t kDepthMax = 32;  // What hosts tell may be a circle.
  constexpr std::uint32_t kInit = 1;
  std::vector<std::uint32_t> pids;
  const ProcessFacts* process = process_in(host, container, pid);
  while (process != nullptr && process->pid != kInit && pids.size() < kDepthMax) {
    pids.push_back(process->pid);
    process = process_in(host, container, process->parent);
  }
  return pids;
}

// The closest that all of them descend from, who may be one of them; those that have ended do not
// count, unless the host tells only some of its processes. 0 if there is none.
std::uint32_t common_parent(const HostReport& host,
                            const std::string& container,
                            const std::set<std::uint32_t>& pids) {
  std::vector<std::uint32_t> common;
  for (const std::uint32_t pid : pids) {
    const std::vector<std::uint32_t> own = ancestry(host, container, pid);
    if (own.empty() && host.folded.processes > 0) {
      return 0;
    }
    if (own.empty()) {
      continue;
    }
    if (common.empty()) {
      common = own;
      continue;
    }
    std::erase_if(common, [&](std::uint32_t one) {
      return std::find(own.begin(), own.end(), one) == own.end();
    });
    if (common.empty()) {
      return 0;
    }
  }
  return common.empty() ? 0 : common.front();
}

void claim_shared(const HostReport& host, Claims& claims) {
  using Service = std::tuple<Transport, std::uint16_t, std::string_view>;
  std::vector<std::pair<Service, std::uint32_t>> servers;
  for (const auto& [key, facts] : host.flows) {
    if (key.direction == Direction::Inbound && key.pid != 0) {
      servers.push_back({{key.transport, key.port, key.container}, key.pid});
    }
  }
  std::sort(servers.begin(), servers.end());
  for (auto at = servers.begin(); at != servers.end();) {
    const Service service = at->first;
    std::set<std::uint32_t> pids;
    for (; at != servers.end() && at->first == service; ++at) {
      pids.insert(at->second);
    }
    const auto& [transport, port, container] = service;
    const std::string id(container);
    const std::uint32_t parent = pids.size() > 1 ? common_parent(host, id, pids) : 0;
    if (parent != 0) {
      claims.shared.emplace_back(transport, port, id, parent);
    }
  }
}

}  // namespace

Claims claims_of(const HostReport& host) {
  Claims claims;
  std::set<Ip> overlay;
  for (const probe::EndpointFacts& endpoint : host.overlay.endpoints) {
    overlay.insert(endpoint.addresses.begin(), endpoint.addresses.end());
  }
  for (const ContainerFacts& container : host.containers) {
    if (container.host_network) {
      claims.on_host_network.push_back(container.id);
    }
    if (container.host_network || !is_up(container)) {
      continue;
    }
    for (const Ip& address : container.addresses) {
      claims.containers.emplace_back(address, container.id);
      if (overlay.contains(address)) {
        claims.overlay.emplace_back(address, container.id);
      }
    }
    for (const PortMapping& port : container.ports) {
      if (port.outside.port != 0) {
        claims.published.emplace_back(port.transport, port.outside.port, container.id, port.inside);
      }
    }
  }
  for (const Cidr& network : host.host.networks) {
    claims.networks.push_back(network.network());
    claims.own.push_back(network.address());
  }
  if (const auto range = Cidr::parse(host.overlay.range); range.ok()) {
    claims.networks.push_back(range.value().network());
  }
  claims.names = {host.names.begin(), host.names.end()};
  sort(claims.containers);
  sort(claims.overlay);
  sort(claims.published);
  sort(claims.own);
  sort(claims.networks);
  sort(claims.on_host_network);
  claim_shared(host, claims);
  return claims;
}

// Filling it -------------------------------------------------------------------------------------

void Directory::touch(bool has_changed, std::uint64_t key) {
  if (has_changed) {
    touched_.push_back(key);
  }
}

void Directory::touch_network(bool has_changed, const Cidr& network) {
  if (has_changed) {
    touched_networks_.push_back(network);
  }
}

Directory::Affected Directory::change(PeerName host, const Claims& before, const Claims& after) {
  Affected affected;
  difference(
      before.containers,
      after.containers,
      [&](const auto& item) {
        (void)disclaim(local_, Scoped(host, item.first), item.second);
        affected.remotes.insert(item.first);
      },
      [&](const auto& item) {
        (void)claim(local_, Scoped(host, item.first), item.second);
        affected.remotes.insert(item.first);
      });
  difference(
      before.overlay,
      after.overlay,
      [&](const auto& item) {
        touch(disclaim(global_, item.first, ContainerAt(host, item.second)),
              key_of_address(item.first));
      },
      [&](const auto& item) {
        touch(claim(global_, item.first, ContainerAt(host, item.second)),
              key_of_address(item.first));
      });
  const auto change_published = [&](const auto& item, bool is_claimed) {
    const Published key(host, std::get<0>(item), std::get<1>(item));
    const std::pair<std::string, std::uint16_t> value(std::get<2>(item), std::get<3>(item));
    touch(is_claimed ? claim(published_, key, value) : disclaim(published_, key, value),
          key_of_published(key));
  };
  difference(
      before.published,
      after.published,
      [&](const auto& item) { change_published(item, false); },
      [&](const auto& item) { change_published(item, true); });
  difference(
      before.own,
      after.own,
      [&](const Ip& address) {
        (void)count_out(own_, Scoped(host, address));
        affected.remotes.insert(address);
        touch(disclaim(host_of_, address, host), key_of_address(address));
      },
      [&](const Ip& address) {
        (void)count_in(own_, Scoped(host, address));
        affected.remotes.insert(address);
        touch(claim(host_of_, address, host), key_of_address(address));
      });
  difference(
      before.networks,
      after.networks,
      [&](const Cidr& network) { touch_network(count_out(networks_, network), network); },
      [&](const Cidr& network) { touch_network(count_in(networks_, network), network); });
  difference(
      before.on_host_network,
      after.on_host_network,
      [&](const std::string& id) {
        affected.all |= count_out(on_host_network_, ContainerAt(host, id));
      },
      [&](const std::string& id) {
        affected.all |= count_in(on_host_network_, ContainerAt(host, id));
      });
  change_names(host, before, after, affected);
  change_shared(host, before, after);
  return affected;
}

// A host's names are for its own flows alone.
void Directory::change_names(PeerName host,
                             const Claims& before,
                             const Claims& after,
                             Affected& affected) {
  difference(
      before.names,
      after.names,
      [&](const auto& item) {
        names_.erase({host, item.first});
        affected.remotes.insert(item.first);
      },
      [&](const auto& item) {
        names_.insert_or_assign(Scoped(host, item.first), item.second);
        affected.remotes.insert(item.first);
      });
}

void Directory::change_shared(PeerName host, const Claims& before, const Claims& after) {
  const auto service_of = [host](const auto& item) {
    return Service(host, std::get<2>(item), std::get<0>(item), std::get<1>(item));
  };
  difference(
      before.shared,
      after.shared,
      [&](const auto& item) {
        const Service service = service_of(item);
        shared_.erase(service);
        touch(true, key_of_service(kService, service).value());
      },
      [&](const auto& item) {
        const Service service = service_of(item);
        shared_.insert_or_assign(service, std::get<3>(item));
        touch(true, key_of_service(kService, service).value());
      });
}

void Directory::add_flow(PeerName host, const FlowKey& key, const Claims& claims) {
  if (key.direction == Direction::Outbound) {
    const Inside inside(host, key.netns, key.remote, key.local, key.transport, key.port);
    touch(count_in(asked_, inside), key_of_inside(inside));
    return;
  }
  if (key.pid != 0) {
    add_server(host, key);
  }
  for (const Place& place : answered_places(host, key, claims)) {
    Answers& answers = answering_[place];
    touch(answers.to_all.add({key.container, key.pid}), key_of_place(kPlace, place).value());
    touch(answers.to_client[key.remote].add({key.container, key.pid}),
          key_of_place(kPlaceForClient, place).add(key.remote).value());
  }
}

void Directory::remove_flow(PeerName host, const FlowKey& key, const Claims& claims) {
  if (key.direction == Direction::Outbound) {
    const Inside inside(host, key.netns, key.remote, key.local, key.transport, key.port);
    touch(count_out(asked_, inside), key_of_inside(inside));
    return;
  }
  if (key.pid != 0) {
    remove_server(host, key);
  }
  for (const Place& place : answered_places(host, key, claims)) {
    const auto at = answering_.find(place);
    Answers& answers = at->second;
    touch(answers.to_all.remove({key.container, key.pid}), key_of_place(kPlace, place).value());
    touch(disclaim(answers.to_client, key.remote, Answerer(key.container, key.pid)),
          key_of_place(kPlaceForClient, place).add(key.remote).value());
    if (answers.to_all.empty()) {
      answering_.erase(at);
    }
  }
}

void Directory::add_server(PeerName host, const FlowKey& key) {
  const Service service(host, key.container, key.transport, key.port);
  Servers& servers = servers_[service];
  touch(servers.of_all.add(key.pid), key_of_service(kService, service).value());
  touch(claim(servers.of_client, key.remote, key.pid),
        key_of_service(kServiceForClient, service).add(key.remote).value());
}

void Directory::remove_server(PeerName host, const FlowKey& key) {
  const Service service(host, key.container, key.transport, key.port);
  const auto at = servers_.find(service);
  touch(at->second.of_all.remove(key.pid), key_of_service(kService, service).value());
  touch(disclaim(at->second.of_client, key.remote, key.pid),
        key_of_service(kServiceForClient, service).add(key.remote).value());
  if (at->second.empty()) {
    servers_.erase(at);
  }
}

// An address is one place on a host but for those of the loopback, which every network namespace
// has for itself.
Directory::Place Directory::at_address(PeerName host, const FlowKey& key, const Ip& address) {
  return {host, address.is_loopback() ? key.netns : 0, address, key.transport, key.port};
}

// A socket for datagrams that is bound to no address answers at all of its namespace's.
std::vector<Directory::Place> Directory::answered_places(PeerName host,
                                                         const FlowKey& key,
                                                         const Claims& claims) const {
  if (key.pid == 0 && key.container.empty()) {
    return {};
  }
  if (!key.local.is_unspecified()) {
    return {at_address(host, key, key.local)};
  }
  std::vector<Place> places{
      at_address(host, key, key.remote)};  // If it is on the loopback, or asks itself.
  const bool is_on_host =
      key.container.empty()
      || std::binary_search(
          claims.on_host_network.begin(), claims.on_host_network.end(), key.container);
  if (is_on_host) {
    for (const Ip& address : claims.own) {
      places.push_back(at_address(host, key, address));
    }
  }
  return places;
}

bool Directory::Answering::add(const Answerer& answerer) {
  const bool has_changed = who.add(answerer);
  return container.add(answerer.first) || has_changed;
}

bool Directory::Answering::remove(const Answerer& answerer) {
  const bool has_changed = who.remove(answerer);
  return container.remove(answerer.first) || has_changed;
}

std::optional<Directory::Answerer> Directory::Answering::value() const {
  if (const Answerer* const one = who.value()) {
    return *one;
  }
  // Several processes of one container, as where a server forks.
  const std::string* const id = container.value();
  return id == nullptr ? std::nullopt : std::optional(Answerer(*id, 0));
}

// Looking up -------------------------------------------------------------------------------------

// Who answers at an address whose owner does not tell which container it is: that of the host, or
// of a network namespace that several share. The one with a connection from this very address,
// else the only one.
std::optional<Directory::Answerer> Directory::answerer(const Place& place,
                                                       const Ip& from,
                                                       Reads& reads) const {
  reads.keys.push_back(key_of_place(kPlace, place).value());
  reads.keys.push_back(key_of_place(kPlaceForClient, place).add(from).value());
  const auto found = answering_.find(place);
  if (found == answering_.end()) {
    return std::nullopt;
  }
  const auto exact = found->second.to_client.find(from);
  return exact == found->second.to_client.end() ? found->second.to_all.value()
                                                : exact->second.value();
}

// Of several that answer.
std::uint32_t Directory::parent_of_servers(const Service& service, Reads& reads) const {
  reads.keys.push_back(key_of_service(kService, service).value());
  const auto found = shared_.find(service);
  return found == shared_.end() ? 0 : found->second;
}

// The process that answers: the one with a connection from this very address, else the only one,
// else the parent of them all.
std::uint32_t Directory::server_pid(const Service& service, const Ip& from, Reads& reads) const {
  reads.keys.push_back(key_of_service(kServiceForClient, service).add(from).value());
  const std::uint32_t parent = parent_of_servers(service, reads);
  const auto found = servers_.find(service);
  if (found == servers_.end()) {
    return 0;
  }
  const auto exact = found->second.of_client.find(from);
  const std::uint32_t* const pid =
      exact == found->second.of_client.end() ? found->second.of_all.value() : exact->second.value();
  return pid == nullptr ? parent : *pid;
}

bool Directory::is_local_network(const Ip& address) const {
  return address.is_loopback()
         || std::any_of(networks_.begin(), networks_.end(), [&](const auto& item) {
              return item.first.is_v4() == address.is_v4() && item.first.contains(address);
            });
}

std::optional<PeerName> Directory::host_at(PeerName reporter, const Ip& address) const {
  if (own_.contains({reporter, address})) {
    return reporter;
  }
  const auto found = host_of_.find(address);
  const PeerName* const host = found == host_of_.end() ? nullptr : found->second.value();
  return host == nullptr ? std::nullopt : std::optional(*host);
}

Party Directory::remote_party(PeerName host, const FlowKey& key, Reads& reads) const {
  const Ip& address = key.remote;
  if (is_inside(key, address)) {
    // The host's network is nobody's in particular.
    const bool is_shared = on_host_network_.contains({host, key.container});
    return {.kind = Party::Kind::Known,
            .host = host,
            .container = is_shared ? std::string() : key.container};
  }
  const auto own = local_.find({host, address});
  if (const std::string* const id = own == local_.end() ? nullptr : own->second.value()) {
    return {.kind = Party::Kind::Known, .host = host, .container = *id};
  }
  reads.keys.push_back(key_of_address(address));
  const auto anywhere = global_.find(address);
  const ContainerAt* const container =
      anywhere == global_.end() ? nullptr : anywhere->second.value();
  if (container != nullptr) {
    return {.kind = Party::Kind::Known, .host = container->first, .container = container->second};
  }
  if (const auto at = host_at(host, address)) {
    return {.kind = Party::Kind::Known, .host = *at};
  }
  reads.networks = true;
  return {.kind = is_local_network(address) ? Party::Kind::LocalNetwork : Party::Kind::Internet};
}

EdgeKey Directory::outbound_edge(PeerName host, const FlowKey& key, Reads& reads) const {
  Target target{.party = remote_party(host, key, reads), .port = key.port};
  const bool is_host = target.party.kind == Party::Kind::Known && target.party.container.empty();
  if (is_host && !key.remote.is_loopback()) {
    const Published published(target.party.host, key.transport, key.port);
    reads.keys.push_back(key_of_published(published));
    const auto found = published_.find(published);
    const auto* const mapped = found == published_.end() ? nullptr : found->second.value();
    if (mapped != nullptr) {
      target.party.container = mapped->first;
      target.port = mapped->second;
      target.translated = true;
    }
  }
  if (target.party.kind == Party::Kind::Known) {
    const bool by_address = !target.translated && (is_host || is_inside(key, key.remote));
    const auto found =
        by_address ? answerer(at_address(target.party.host, key, key.remote), key.local, reads)
                   : std::nullopt;
    if (found) {
      target.party.container = found->first;
      target.party.pid = found->second;
      if (target.party.pid == 0) {
        target.party.pid = parent_of_servers(
            {target.party.host, target.party.container, key.transport, key.port}, reads);
      }
    } else {
      target.party.pid =
          server_pid({target.party.host, target.party.container, key.transport, target.port},
                     key.local,
                     reads);
    }
  }
  if (target.party.kind == Party::Kind::Internet) {
    const auto name = names_.find({host, key.remote});
    target.party.name = name == names_.end() ? std::string() : name->second;
  }
  return {.from = {.kind = Party::Kind::Known,
                   .host = host,
                   .container = key.container,
                   .pid = key.pid},
          .to = std::move(target.party),
          .transport = key.transport,
          .port = key.port};
}

bool Directory::is_asked(PeerName host, const FlowKey& inbound, Reads& reads) const {
  const Inside inside(
      host, inbound.netns, inbound.local, inbound.remote, inbound.transport, inbound.port);
  reads.keys.push_back(key_of_inside(inside));
  return asked_.contains(inside);
}

}  // namespace weft::app
