// DNS in the agent: where it listens, and whose names it is told.
#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "agent/wiring.h"
#include "base/log.h"
#include "sys/firewall.h"

namespace weft::agent {

namespace {

// The way out of containers whose networks have no gateway.
constexpr const char* kDockerWayOut = "docker_gwbridge";

// How long names given by hand may wait for the disk, so that a script that gives thousands does
// not wait for each.
constexpr std::chrono::milliseconds kKeepDelay{100};

// By then dockerd has said which containers run, if it says anything.
constexpr std::chrono::seconds kContainersKnown{30};

// How soon after dockerd has said which containers run the names of others go.
constexpr std::chrono::milliseconds kListedLook{200};

// Docker may come up after us.
constexpr std::chrono::seconds kListenRetry{1};

}  // namespace

Result<Ok> Agent::start_dns(const Identity& identity) {
  std::array<std::uint8_t, 8> seed{};
  host_.entropy.fill(seed);
  const std::uint64_t seed_number = WEFT_TRY(Reader(seed).u64());
  dns_ = WEFT_TRY(
      dns::DnsService::start(host_.io.get_executor(),
                             host_.clock,
                             {.self = identity.name,
                              .run = identity.incarnation.value(),
                              .zone = {.domain = config_.dns.domain,
                                       .ttl_seconds = config_.dns.ttl_seconds,
                                       .local_first = config_.dns.local_first},
                              .resolv_conf = config_.dns.resolv_conf,
                              .upstream_timeout = config_.dns.upstream_timeout,
                              .seed = seed_number},
                             // In place: a name is on its way before this host's own zone is built.
                             // The mesh tells what comes of it later, never from within.
                             [this](PublishRecord record) { mesh_->publish(std::move(record)); }));
  WEFT_TRY(restore_names());
  if (config_.dns.listen) {
    return dns_->listen(*config_.dns.listen);
  }
  listen_for_dns();
  return Ok{};
}

// At Docker's own bridge, as soon as there is one: its address is one that every container of the
// host reaches, on whatever network, and that nobody else's resolver listens at. What is in the way
// there is said once and shown in the status; containers' networks do not depend on it.
void Agent::listen_for_dns() {
  Result<Ok> listening =
      Error{Errc::NotFound, fmt::format("there is no {} yet", config_.dns.docker_bridge)};
  const auto addresses = host_.netdev.addresses(config_.dns.docker_bridge);
  for (const Cidr& address : addresses.ok() ? addresses.value() : std::vector<Cidr>()) {
    if (address.is_v4()) {
      listening = dns_->listen({address.address(), dns::kPort});
      break;
    }
  }
  if (listening.ok()) {
    log::info("DNS listens", {"address", *dns_->status().address});
    keep_dns_open();
    return;
  }
  if (dns_reason_ != listening.error().what) {
    dns_reason_ = listening.error().what;
    log::warning("DNS does not listen", {"why", listening.error()});
    dns_->set_reason(dns_reason_);
  }
  auto timer = std::make_shared<boost::asio::steady_timer>(host_.io, kListenRetry);
  timer->async_wait([this, timer](const boost::system::error_code& error) {
    if (!error) {
      listen_for_dns();
    }
  });
}

// Containers ask from Docker's bridges or from weft's own, whichever leads out of them. A host that
// drops what it is sent would leave them without an answer; who flushes its rules, too.
void Agent::keep_dns_open() {
  const std::optional<Endpoint> address = dns_ ? dns_->status().address : std::nullopt;
  if (config_.dns.listen || !address || !address->address.is_v4()) {
    return;  // What an operator chose is an operator's to open.
  }
  const auto open =
      sys::ensure_dns_accept({.address = address->address.v4(),
                              .links = {config_.dns.docker_bridge, kDockerWayOut, config_.bridge}});
  const std::string why = open.ok() ? std::string() : open.error().what;
  if (dns_reason_ != why) {
    dns_reason_ = why;
    log::warning("port 53 not opened", {"why", why});
  }
}

// Many containers start at once, as hosts do.
void Agent::tell_dns_clients_later() {
  if (std::exchange(clients_are_due_, true)) {
    return;
  }
  post([this] {
    clients_are_due_ = false;
    if (!dns_) {
      return;
    }
    std::vector<Cidr> clients;
    for (const plugin::Port& port :
         docker_ ? docker_->driver().ports() : std::vector<plugin::Port>()) {
      clients.insert(clients.end(), port.addresses.begin(), port.addresses.end());
    }
    for (const auto& [owner, attachment] : attachments_) {
      clients.insert(clients.end(), attachment.addresses.begin(), attachment.addresses.end());
    }
    dns_->set_clients(std::move(clients));
  });
}

void Agent::watch_containers() {
  watch_ = std::make_unique<plugin::DockerWatch>(
      host_.io.get_executor(),
      host_.clock,
      config_.docker_socket,
      plugin::DockerEvents::Options{
          .is_ours =
              [this](const std::string& endpoint) { return docker_->driver().has_port(endpoint); }},
      [this](const plugin::ContainerNames& container) {
        on_container(container);
        if (proxy_ && container.running) {
          proxy_->on_running(container.container);
        }
      },
      [this] { probe_->on_change(); },
      [this](const std::string& bridge) {
        if (!config_.dns.docker_bridge_chosen) {
          config_.dns.docker_bridge = bridge;
          datapath_->set_docker_bridge(bridge);
          keep_dns_open();
        }
      });
}

// Names given by hand come back with the agent. Those of containers that ended meanwhile go again
// once it is known that they did.
Result<Ok> Agent::restore_names() {
  const StoreTable rows = WEFT_TRY(host_.store.load(kNamesTable));
  WEFT_TRY(kept_names_.load(rows));
  for (const auto& [owner, entry] : kept_names_.all()) {
    if (const auto added = dns_->add(owner, entry); !added.ok()) {
      log::warning("name not restored", {"name", entry.name.to_string()}, {"why", added.error()});
    }
  }
  if (kept_names_.all().empty()) {
    return Ok{};
  }
  auto timer = std::make_shared<boost::asio::steady_timer>(host_.io, kContainersKnown);
  timer->async_wait([this, timer](const boost::system::error_code& error) {
    if (!error) {
      drop_names_of_the_dead();
    }
  });
  return Ok{};
}

// As Docker called its containers before the restart, for those whose interfaces are there: the
// engine may be away while they run on. What it says replaces this.
Result<Ok> Agent::restore_container_names() {
  if (!dns_) {
    return Ok{};
  }
  const StoreTable rows = WEFT_TRY(host_.store.load(kContainerNamesTable));
  WEFT_TRY(container_names_.load(rows));
  std::set<Ip> alive;
  for (const plugin::Port& port : docker_->driver().ports()) {
    for (const Cidr& address :
         datapath_->has_port(port.host) ? port.addresses : std::vector<Cidr>()) {
      alive.insert(address.address());
    }
  }
  std::map<std::string, std::vector<dns::NameEntry>> names;
  for (const auto& [owner, entry] : container_names_.all()) {
    if (alive.contains(entry.address)) {
      names[owner].push_back(entry);
    }
  }
  for (const auto& [owner, entries] : names) {
    if (const auto watched = dns_->watch(owner, entries); !watched.ok()) {
      log::warning("names not restored", {"container", owner}, {"why", watched.error()});
    }
  }
  drop_containers_that_ended();
  return Ok{};
}

// Once the engine says which run: it tells of the others no more.
void Agent::drop_containers_that_ended() {
  if (container_names_.all().empty()) {
    return;
  }
  if (watch_->events().has_listed()) {
    std::set<std::string> ended;
    for (const auto& [owner, entry] : container_names_.all()) {
      if (!may_run(owner)) {
        ended.insert(owner);
      }
    }
    for (const std::string& owner : ended) {
      on_container({.container = owner, .entries = {}, .running = false});
    }
    return;
  }
  auto timer = std::make_shared<boost::asio::steady_timer>(host_.io, kListedLook);
  timer->async_wait([this, timer](const boost::system::error_code& error) {
    if (!error) {
      drop_containers_that_ended();
    }
  });
}

void Agent::drop_names_of_the_dead() {
  std::set<std::string> dead;
  for (const auto& [owner, entry] : kept_names_.all()) {
    if (!may_run(owner)) {
      dead.insert(owner);
    }
  }
  for (const std::string& owner : dead) {
    remove_names({.owner = owner, .address = {}, .name = {}});
  }
}

std::size_t Agent::remove_names(const dns::Names::Filter& filter) {
  kept_names_.remove(filter);
  keep_names_later();
  return dns_->remove(filter);
}

void Agent::keep_names_later() {
  if (std::exchange(names_are_due_, true)) {
    return;
  }
  auto timer = std::make_shared<boost::asio::steady_timer>(host_.io, kKeepDelay);
  timer->async_wait([this, timer](const boost::system::error_code& error) {
    names_are_due_ = false;
    if (!error) {
      StoreBatch changes = kept_names_.take_changes();
      for (auto& change : container_names_.take_changes()) {
        changes.push_back(std::move(change));
      }
      remember(changes);
    }
  });
}

// Whoever starts it again finds its addresses for a while. At once are free those of one that is
// removed, for the next that is made in its place, and those outside the range, which somebody has
// to ask for by number anyway.
void Agent::on_container_gone(const plugin::ContainerNames& container) {
  for (const Cidr& address : ipam_->held_by(container.container)) {
    if (container.removed || !is_in_range(address.address())) {
      ipam_->release(container.container, address.address(), [] {});
    }
  }
  release_if_dead_later(container.container);
  ipam_api_->on_death(container.container);
  if (weave_ipam_api_) {
    weave_ipam_api_->on_death(container.container);
  }
  if (dns_) {
    container_names_.replace(container.container, {});
    remove_names({.owner = container.container, .address = {}, .name = {}});
  }
}

void Agent::on_container(const plugin::ContainerNames& container) {
  if (!container.running) {
    on_container_gone(container);
    return;
  }
  if (!dns_) {
    return;
  }
  std::vector<dns::NameEntry> entries;
  for (const auto& [text, address] : container.entries) {
    // What is no name, or one of another domain, is nobody's mistake: Docker's rules are its own.
    if (const auto name = dns_->qualify(text).value_or(std::nullopt)) {
      entries.push_back({.name = *name, .address = address});
    }
  }
  if (const auto watched = dns_->watch(container.container, entries); !watched.ok()) {
    log::warning("container without its names",
                 {"container", container.container},
                 {"why", watched.error()});
    return;
  }
  container_names_.replace(container.container, entries);
  keep_names_later();
}

Result<Ok> Agent::add_name(const NameRequest& request) {
  const auto name =
      WEFT_TRY(dns_->qualify(request.fqdn + (request.fqdn.ends_with('.') ? "" : ".")));
  if (!name) {
    return Ok{};  // Outside the domain, which Weave ignores.
  }
  // A container that died meanwhile must not leave a name behind.
  if (request.check_alive && !may_run(request.owner)) {
    return Ok{};
  }
  const dns::NameEntry entry{.name = *name, .address = request.address, .port = request.port};
  WEFT_TRY(dns_->add(request.owner, entry));
  kept_names_.add(request.owner, entry);
  keep_names_later();
  return Ok{};
}

DnsHooks Agent::dns_hooks() {
  return {.status = [this] { return dns_->status(); },
          .add = [this](const NameRequest& request) { return add_name(request); },
          .remove = [this](const dns::Names::Filter& filter) { return remove_names(filter); }};
}

}  // namespace weft::agent
