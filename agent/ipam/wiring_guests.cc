// Containers that run, in the agent: their addresses are claimed back when it starts, and those of
// the dead given back.
#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <utility>

#include <boost/asio/steady_timer.hpp>

#include "agent/wiring.h"
#include "base/log.h"
#include "ipam/claims.h"
#include "plugin/cni/owner.h"

namespace weft::agent {

namespace {

// How often guests nobody remembers are looked for again while there are any. One that went keeps
// its address for two looks: as long as Weave kept that of a container that had died.
constexpr std::chrono::seconds kLookInterval{15};

// A claim that was refused is made again this soon: once `weft rmpeer` has freed the address of a
// name that is no more, it is to be claimed before its new owner hands it out.
constexpr std::chrono::seconds kClaimRetry{1};

// As long as Weave kept the addresses of a container that had died, in which it may be started
// again.
constexpr std::chrono::seconds kDeathGrace{30};

router::DatapathService::PortRequest port_of(const sys::Guest& guest) {
  router::DatapathService::PortRequest request{
      .host = guest.port, .guest = guest.name, .mac = guest.mac, .addresses = {}};
  for (const Cidr& address : guest.addresses) {
    request.addresses.push_back(address.address());
  }
  return request;
}

}  // namespace

void Agent::claim_found(const Cidr& address) {
  if (!found_claims_.insert(address.address()).second) {
    return;
  }
  if (!found_refused_.contains(address.address())) {
    log::info("address in use that nobody remembers, claiming it", {"address", address});
  }
  ipam_->claim(ipam::kFoundOwner, address, [this, address](const Result<Cidr>& claimed) {
    found_claims_.erase(address.address());
    if (claimed.ok()) {
      found_refused_.erase(address.address());
      return;
    }
    if (found_refused_.insert(address.address()).second) {
      log::warning(
          "address in use cannot be claimed", {"address", address}, {"why", claimed.error()});
    }
    claim_found_later(address);
  });
}

void Agent::claim_found_later(const Cidr& address) {
  auto timer = std::make_shared<boost::asio::steady_timer>(host_.io, kClaimRetry);
  timer->async_wait([this, timer, address](const boost::system::error_code& error) {
    const auto held = ipam_->held();
    const bool is_held = std::any_of(held.begin(), held.end(), [&address](const auto& holding) {
      return holding.second.address() == address.address();
    });
    if (!error && !is_held && found_guests_.has(address.address())) {
      claim_found(address);
    }
  });
}

void Agent::plug_guest(const sys::Guest& guest) {
  const Result<Ok> plugged = datapath_->plug(port_of(guest));
  if (!plugged.ok()) {
    log::warning("port not plugged", {"port", guest.port}, {"why", plugged.error()});
  }
}

void Agent::adopt_guests() {
  const auto guests = sys::find_guests(config_.bridge, config_.host_paths);
  if (!guests.ok()) {
    log::warning("containers not looked through", {"why", guests.error()});
    return;
  }
  FoundGuests::Known known;
  for (const auto& [owner, address] : ipam_->held()) {
    known.held.insert(address.address());
    if (owner == ipam::kFoundOwner) {
      found_guests_.remember(address.address());
    }
  }
  for (const plugin::Port& port :
       docker_ ? docker_->driver().ports() : std::vector<plugin::Port>()) {
    known.ports.insert(port.host);
  }
  for (const auto& [owner, attachment] : attachments_) {
    known.ports.insert(attachment.host);
  }
  const FoundGuests::Steps steps = found_guests_.look(guests.value(), known);
  for (const Cidr& address : steps.claim) {
    claim_found(address);
  }
  for (const sys::Guest& guest : steps.plug) {
    plug_guest(guest);
  }
  for (const sys::Guest& guest : steps.unplug) {
    datapath_->unplug(port_of(guest));
  }
  for (const Ip& address : steps.release) {
    log::info("address found in use is free again", {"address", address});
    ipam_->release(ipam::kFoundOwner, address, [] {});
  }
  if (!found_guests_.empty()) {
    auto timer = std::make_shared<boost::asio::steady_timer>(host_.io, kLookInterval);
    timer->async_wait([this, timer](const boost::system::error_code& error) {
      if (!error) {
        adopt_guests();
      }
    });
  }
}

void Agent::look_for_dead_owners() {
  auto timer = std::make_shared<boost::asio::steady_timer>(host_.io, kDeathGrace);
  timer->async_wait([this, timer](const boost::system::error_code& error) {
    if (error) {
      return;
    }
    std::set<std::string> owners;
    for (const auto& [owner, address] : ipam_->held()) {
      owners.insert(owner);
    }
    for (const std::string& owner : owners) {
      release_if_dead(owner);
    }
  });
}

void Agent::release_if_dead_later(const std::string& owner) {
  if (ipam_->held_by(owner).empty()) {
    return;
  }
  auto timer = std::make_shared<boost::asio::steady_timer>(host_.io, kDeathGrace);
  timer->async_wait([this, timer, owner](const boost::system::error_code& error) {
    if (!error) {
      release_if_dead(owner);
    }
  });
}

// Docker may not know the container because another runtime has it: then its interface is there.
void Agent::release_if_dead(const std::string& owner) {
  const std::vector<Cidr> held = ipam_->held_by(owner);
  if (may_run(owner) || held.empty() || plugin::cni::parse_owner(owner)) {
    return;
  }
  const auto guests = sys::find_guests(config_.bridge, config_.host_paths);
  if (!guests.ok()) {
    return;
  }
  for (const sys::Guest& guest : guests.value()) {
    for (const Cidr& address : guest.addresses) {
      for (const Cidr& own : held) {
        if (own.address() == address.address()) {
          return;
        }
      }
    }
  }
  log::info(
      "container has gone, its addresses are free", {"container", owner}, {"count", held.size()});
  ipam_->release_all(owner, [] {});
}

}  // namespace weft::agent
