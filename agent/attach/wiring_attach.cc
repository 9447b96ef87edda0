// Containers attached by hand, and exposed subnets, in the agent.
#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <utility>

#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "agent/wiring.h"
#include "base/log.h"
#include "plugin/cni/owner.h"
#include "sys/guest/guest.h"

namespace weft::agent {

namespace {

// As long as Weave kept the addresses of a container that had died, in which it may be started and
// attached again.
constexpr std::chrono::seconds kAddressGrace{30};

std::vector<Ip> bare(const std::vector<Cidr>& addresses) {
  std::vector<Ip> all;
  for (const Cidr& address : addresses) {
    all.push_back(address.address());
  }
  return all;
}

router::DatapathService::PortRequest port_of(const Attachment& attachment) {
  return {.host = attachment.host,
          .guest = attachment.guest(),
          .mac = attachment.mac,
          .addresses = bare(attachment.addresses),
          .mtu = attachment.mtu,
          .hairpin = attachment.hairpin};
}

// Adds what is not there yet, in the order given.
void add_all(std::vector<Cidr>& to, const std::vector<Cidr>& more) {
  for (const Cidr& address : more) {
    if (std::find(to.begin(), to.end(), address) == to.end()) {
      to.push_back(address);
    }
  }
}

}  // namespace

// The data path gets exposures with its options: it would otherwise take them away for a moment.
Result<std::vector<Exposure>> Agent::load_exposed() {
  const StoreTable rows = WEFT_TRY(host_.store.load(kExposedTable));
  return read_exposures(rows);
}

// Behind the data path, which knows which interfaces are still there.
Result<Ok> Agent::start_attachments() {
  const StoreTable rows = WEFT_TRY(host_.store.load(kAttachmentsTable));
  attachments_ = WEFT_TRY(read_attachments(rows));
  attachment_watch_ = WEFT_TRY(sys::NetworkWatch::watch(
      host_.io.get_executor(),
      [this](std::uint32_t index) { return attached_links_.contains(index); },
      [this](const sys::NetworkChange& change) {
        if (change.links) {
          drop_lost_attachments();
        }
        if (change.firewall) {
          keep_dns_open();
        }
      }));
  for (auto& [owner, attachment] : attachments_) {
    if (!datapath_->has_port(attachment.host)) {
      continue;
    }
    if (const auto plugged = plug_attachment(attachment); !plugged.ok()) {
      log::warning("attachment not plugged", {"container", owner}, {"why", plugged.error()});
    }
  }
  drop_lost_attachments();
  return Ok{};
}

Result<Ok> Agent::plug_attachment(const Attachment& attachment) {
  tell_dns_clients_later();
  WEFT_TRY(datapath_->plug(port_of(attachment)));
  const auto link = WEFT_TRY(host_.netdev.find_link(attachment.host));
  if (link) {
    attached_links_.insert_or_assign(link->index, attachment.owner);
  }
  return Ok{};
}

void Agent::unplug_attachment(const Attachment& attachment) {
  tell_dns_clients_later();
  std::erase_if(attached_links_, [&](const auto& link) { return link.second == attachment.owner; });
  datapath_->unplug(port_of(attachment));
}

// A container that ended took its interface with it.
void Agent::drop_lost_attachments() {
  std::vector<std::string> lost;
  for (const auto& [owner, attachment] : attachments_) {
    if (!datapath_->has_port(attachment.host)) {
      lost.push_back(owner);
    }
  }
  for (const std::string& owner : lost) {
    log::info("attached container has gone", {"container", owner});
    forget_attachment(owner);
    if (dns_) {
      remove_names({.owner = owner, .address = {}, .name = {}});
    }
    // Runtimes say themselves when an address is free (CNI DEL).
    if (!plugin::cni::parse_owner(owner)) {
      release_addresses_later(owner);
    }
  }
}

void Agent::forget_attachment(const std::string& owner) {
  const auto node = attachments_.extract(owner);
  if (!node.empty()) {
    unplug_attachment(node.mapped());
    remember({erase_attachment(owner)});
  }
}

void Agent::release_addresses_later(const std::string& owner) {
  auto timer = std::make_shared<boost::asio::steady_timer>(host_.io, kAddressGrace);
  timer->async_wait([this, timer, owner](const boost::system::error_code& error) {
    if (!error && !attachments_.contains(owner)) {
      ipam_->release_all(owner, [] {});
    }
  });
}

Attachment Agent::new_attachment(const std::string& owner, std::uint64_t netns) {
  Attachment attachment;
  attachment.owner = owner;
  attachment.netns = netns;
  const auto is_taken = [this](const std::string& host) {
    return std::any_of(attachments_.begin(), attachments_.end(), [&host](const auto& other) {
      return other.second.host == host;
    });
  };
  Mac::Octets octets{};
  do {
    host_.entropy.fill(octets);
    attachment.host = host_end_name(static_cast<std::uint32_t>(octets[2]) << 24U
                                    | static_cast<std::uint32_t>(octets[3]) << 16U
                                    | static_cast<std::uint32_t>(octets[4]) << 8U | octets[5]);
  } while (is_taken(attachment.host));
  // Locally administered, and never one that Docker's endpoints make of their addresses (02:…).
  constexpr std::uint8_t kAttached = 0x0a;
  octets[0] = kAttached;
  attachment.mac = Mac(octets);
  return attachment;
}

Result<Ok> Agent::attach(const AttachCall& call) {
  const std::string netns_path = config_.host_paths.here(call.netns);
  const std::uint64_t netns = WEFT_TRY(sys::netns_identity(netns_path));
  const std::uint64_t own = WEFT_TRY(sys::own_netns_identity());
  if (netns == own) {
    return Error{Errc::Invalid, "the container shares the host's network: nothing to attach"};
  }
  const auto known = attachments_.find(call.owner);
  const bool is_there = known != attachments_.end() && known->second.netns == netns
                        && datapath_->has_port(known->second.host);
  if (known != attachments_.end() && !is_there) {
    forget_attachment(call.owner);  // Of the container's last life.
  }
  Attachment attachment = is_there ? known->second : new_attachment(call.owner, netns);
  if (!is_there) {
    attachment.mac = call.mac.value_or(attachment.mac);
    attachment.mtu = call.mtu;
  }
  attachment.hairpin = call.hairpin;
  add_all(attachment.addresses, call.addresses);
  if (attachment.addresses.size() > kAttachedAddressesMax) {
    return Error{Errc::Exhausted,
                 fmt::format("more than {} addresses in one container", kAttachedAddressesMax)};
  }
  // On disk first: what is plugged and forgotten would never be taken away.
  WEFT_TRY(host_.store.apply({write_attachment(attachment)}));
  Result<Ok> attached = plug_attachment(attachment);
  if (attached.ok()) {
    attached = sys::ensure_guest(attachment.guest(),
                                 {.netns = netns_path,
                                  .name = call.interface,
                                  .addresses = attachment.addresses,
                                  .gone = {},
                                  .multicast_route = call.multicast_route,
                                  .routes = call.routes});
  }
  if (!attached.ok() && !is_there) {
    unplug_attachment(attachment);
    remember({erase_attachment(call.owner)});
    return attached;
  }
  attachments_.insert_or_assign(call.owner, std::move(attachment));
  return attached;
}

Result<Ok> Agent::detach(const DetachCall& call) {
  const auto found = attachments_.find(call.owner);
  if (found == attachments_.end()) {
    const bool is_told = !call.interface.empty() && !call.netns.empty();
    return is_told ? sys::remove_guest(config_.host_paths.here(call.netns), call.interface)
                   : Result<Ok>(Ok{});
  }
  Attachment& attachment = found->second;
  std::vector<Cidr> rest = attachment.addresses;
  std::erase_if(rest, [&call](const Cidr& address) {
    return call.addresses.empty()
           || std::find(call.addresses.begin(), call.addresses.end(), address)
                  != call.addresses.end();
  });
  for (const Cidr& address : attachment.addresses) {
    const bool stays = std::find(rest.begin(), rest.end(), address) != rest.end();
    if (dns_ && !stays) {
      remove_names({.owner = call.owner, .address = address.address(), .name = {}});
    }
    // Nobody but who gave it by number can give it to the next.
    if (!stays && !is_in_range(address.address())) {
      ipam_->release(call.owner, address.address(), [] {});
    }
  }
  if (rest.empty()) {
    forget_attachment(call.owner);
    return Ok{};
  }
  attachment.addresses = rest;
  WEFT_TRY(host_.store.apply({write_attachment(attachment)}));
  WEFT_TRY(datapath_->plug(port_of(attachment)));
  return sys::ensure_guest(attachment.guest(),
                           {.netns = config_.host_paths.here(call.netns),
                            .addresses = {},
                            .gone = call.addresses,
                            .multicast_route = false});
}

namespace {

// What the host reaches elsewhere, its underlay for one, would be looked for among containers.
Result<Ok> check_takes_no_route(const Cidr& address,
                                const std::string& bridge,
                                const std::vector<RouteInfo>& routes) {
  for (const RouteInfo& route : routes) {
    if (route.link != bridge && route.destination.prefix() >= address.prefix()
        && route.destination.overlaps(address.network())) {
      return Error{Errc::Conflict,
                   fmt::format("{} would take over the route {} (dev {}) of this host: expose an "
                               "address of another subnet",
                               address.to_string(),
                               route.destination.to_string(),
                               route.link)};
    }
  }
  return Ok{};
}

}  // namespace

Result<Ok> Agent::expose(const Exposure& exposure) {
  const std::vector<RouteInfo> routes = WEFT_TRY(host_.netdev.routes());
  WEFT_TRY(check_takes_no_route(exposure.address, config_.bridge, routes));
  std::vector<Exposure> wanted = exposed_;
  std::erase_if(wanted, [&](const Exposure& other) { return other.address == exposure.address; });
  wanted.push_back(exposure);
  if (wanted.size() > kExposedMax) {
    return Error{Errc::Exhausted, fmt::format("more than {} addresses exposed", kExposedMax)};
  }
  WEFT_TRY(host_.store.apply({write_exposure(exposure)}));
  exposed_ = std::move(wanted);
  return datapath_->set_exposed(exposed_);
}

Result<Ok> Agent::hide(const Cidr& address) {
  std::erase_if(exposed_, [&](const Exposure& other) { return other.address == address; });
  WEFT_TRY(host_.store.apply({erase_exposure(address)}));
  return datapath_->set_exposed(exposed_);
}

// --no-masq-local: of clients of containers that are here, to which this host's own ranges belong.
void Agent::keep_clients_addresses() {
  if (!config_.no_masq_local) {
    return;
  }
  std::vector<ipam::Span> owned = ipam_->owned();
  const std::size_t count = owned.size();
  if (count > sys::kKeptRunsMax) {
    std::stable_sort(owned.begin(), owned.end(), [](const ipam::Span& a, const ipam::Span& b) {
      return a.size() > b.size();
    });
    owned.resize(sys::kKeptRunsMax);
  }
  std::vector<sys::AddressRun> kept;
  kept.reserve(owned.size());
  for (const ipam::Span& span : owned) {
    kept.push_back({ipam::ip_of(span.first), ipam::ip_of(span.last)});
  }
  if (kept_ == kept) {
    return;
  }
  if (count > kept.size()) {
    log::warning("clients of containers in this host's smallest ranges do not keep their address",
                 {"ranges", count - kept.size()});
  }
  kept_ = kept;
  (void)datapath_->set_kept(std::move(kept));  // It has said in the status what went wrong.
}

AttachHooks Agent::attach_hooks() {
  return {.list =
              [this] {
                Attached attached;
                for (const auto& [owner, attachment] : attachments_) {
                  attached.attachments.push_back(attachment);
                }
                attached.exposed = exposed_;
                for (const plugin::Port& port :
                     docker_ ? docker_->driver().ports() : std::vector<plugin::Port>()) {
                  attached.endpoints.push_back({.id = port.id, .mac = port.mac});
                }
                const auto bridge = host_.netdev.find_link(config_.bridge).value_or(std::nullopt);
                attached.bridge = bridge ? bridge->mac : Mac();
                return attached;
              },
          .attach = [this](const AttachCall& call) { return attach(call); },
          .detach = [this](const DetachCall& call) { return detach(call); },
          .expose = [this](const Exposure& exposure) { return expose(exposure); },
          .hide = [this](const Cidr& address) { return hide(address); }};
}

}  // namespace weft::agent
