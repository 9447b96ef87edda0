#include "agent/ipam/api.h"

#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

namespace weft::agent {

namespace json = boost::json;

namespace {

// What Weave answered whose container died meanwhile; its scripts look for the word.
constexpr std::string_view kCancelled = "cancelled";

// As Weave's script had it.
constexpr std::string_view kNoRange =
    "IP address allocation must be enabled to use 'net:' (this agent has no --ipalloc-range)\n";

bool needs_range(const IpamCall& call) {
  return std::holds_alternative<TakeAddress>(call) || std::holds_alternative<AskDefaultSubnet>(call)
         || std::holds_alternative<AskTracker>(call) || std::holds_alternative<AwaitRing>(call);
}

}  // namespace

IpamApi::IpamApi(
    ipam::DualStack& ipam, Respond respond, FindPeer find_peer, MayRun may_run, std::string tracker)
    : ipam_(ipam),
      respond_(std::move(respond)),
      find_peer_(std::move(find_peer)),
      may_run_(std::move(may_run)),
      tracker_(std::move(tracker)) {}

void IpamApi::on_request(const sys::HttpRequest& request) {
  auto parsed = parse_ipam_call(request.method, request.target, ipam_.default_subnet());
  if (!parsed.ok()) {
    answer(
        request.id, parsed.error().code == Errc::NotFound ? 404 : 400, parsed.error().what + "\n");
    return;
  }
  if (!ipam_.hands_out() && needs_range(parsed.value())) {
    answer(request.id, 404, std::string(kNoRange));
    return;
  }
  std::visit([&](auto&& call) { perform(request.id, std::forward<decltype(call)>(call)); },
             std::move(parsed).value());
}

void IpamApi::on_hangup(RequestId call) {
  takers_.erase(call);
  const auto found = waiting_.extract(call);
  if (!found.empty()) {
    ipam_.cancel(found.mapped());
  }
}

void IpamApi::on_death(const std::string& owner) {
  std::vector<RequestId> calls;
  for (const auto& [call, taker] : takers_) {
    const auto waiting = waiting_.find(call);
    if (taker == owner && waiting != waiting_.end() && ipam_.cancel(waiting->second)) {
      calls.push_back(call);
    }
  }
  for (const RequestId call : calls) {
    answer(call, 200, std::string(kCancelled));
  }
}

void IpamApi::answer(RequestId call, unsigned status, std::string body) {
  waiting_.erase(call);
  takers_.erase(call);
  respond_(call, {.status = status, .content_type = "text/plain", .body = std::move(body)});
}

void IpamApi::perform(RequestId call, const ListAddresses&) {
  json::array owned;
  std::string owner;
  for (const auto& [holder, address] : ipam_.held()) {
    if (owned.empty() || holder != owner) {
      owner = holder;
      owned.push_back(json::object{{"containerid", owner}, {"addrs", json::array()}});
    }
    owned.back().at("addrs").as_array().emplace_back(address.to_string());
  }
  const json::value list = owned.empty() ? json::value(nullptr) : json::value(std::move(owned));
  respond_(call,
           {.status = 200,
            .content_type = "application/json",
            .body = json::serialize(json::object{{"owned", list}})});
}

void IpamApi::perform(RequestId call, const LookUpAddresses& look_up) {
  std::string text;
  for (const Cidr& address : ipam_.held_by(look_up.owner)) {
    if (look_up.subnet.contains(address.address())) {
      text += (text.empty() ? "" : " ") + address.to_string();
    }
  }
  answer(call, 200, std::move(text));
}

void IpamApi::perform(RequestId call, TakeAddress take) {
  if (take.check_alive && !may_run_(take.owner)) {
    answer(call, 200, std::string(kCancelled));
    return;
  }
  takers_.emplace(call, take.owner);
  await(call,
        ipam_.allocate({.id = {},
                        .owner = std::move(take.owner),
                        .subnet = take.subnet,
                        .within = {},
                        .fresh = false,
                        .anonymous = take.anonymous},
                       [this, call](const Result<Cidr>& address) {
                         if (address.ok()) {
                           answer(call, 200, address.value().to_string());
                         } else {
                           refuse(call, address.error().what);
                         }
                       }));
}

void IpamApi::perform(RequestId call, ClaimAddress claim) {
  if (claim.check_alive && !may_run_(claim.owner)) {
    answer(call, 200, std::string(kCancelled));
    return;
  }
  takers_.emplace(call, claim.owner);
  const bool answers_now = claim.tolerant && !ipam_.has_ring(claim.address.address());
  const RequestId request = ipam_.claim(
      claim.owner, claim.address, [this, call, tolerant = claim.tolerant](const auto& address) {
        const bool unknown = !address.ok() && address.error().code == Errc::Unavailable;
        if (address.ok() || (tolerant && unknown)) {
          answer(call, 204, "");
        } else {
          refuse(call, "Unable to claim: " + address.error().what);
        }
      });
  if (answers_now) {
    answer(call, 204, "");  // The claim goes on waiting.
  } else {
    await(call, request);
  }
}

void IpamApi::perform(RequestId call, const FreeAddress& free) {
  if (!ipam_.release(free.owner, free.address, [this, call] { answer(call, 204, ""); })) {
    refuse(
        call,
        fmt::format(
            "Unable to free: address {} is not held by {}", free.address.to_string(), free.owner));
  }
}

void IpamApi::perform(RequestId call, const FreeAllAddresses& free) {
  if (ipam_.release_all(free.owner, [this, call] { answer(call, 204, ""); }) == 0) {
    refuse(call, "Delete: no addresses for " + free.owner);
  }
}

void IpamApi::perform(RequestId call, const AskDefaultSubnet&) {
  answer(call, 200, ipam_.default_subnet().to_string());
}

void IpamApi::perform(RequestId call, const AskTracker&) {
  answer(call, 200, tracker_ + "\n");
}

void IpamApi::perform(RequestId call, const AwaitRing&) {
  await(call, ipam_.prime([this, call](const Result<Cidr>& ready) {
    if (ready.ok()) {
      answer(call, 200, "");
    } else {
      refuse(call, ready.error().what);
    }
  }));
}

void IpamApi::perform(RequestId call, const LeaveRing&) {
  if (!ipam_.hands_out()) {
    answer(call, 204, "");
    return;
  }
  ipam_.leave([this, call](const Result<std::uint64_t>& address_count) {
    if (address_count.ok()) {
      answer(call, 204, "");
    } else {
      refuse(call, address_count.error().what);
    }
  });
}

void IpamApi::perform(RequestId call, const RemovePeer& remove) {
  if (!ipam_.hands_out()) {
    answer(call, 200, "");
    return;
  }
  const auto peer = find_peer_(remove.peer);
  if (!peer) {  // As Weave: scripts remove peers that may be gone already.
    answer(call, 200, fmt::format("0 IPs taken over from {}\n", remove.peer));
    return;
  }
  ipam_.remove_peer(
      *peer, [this, call, name = remove.peer](const Result<std::uint64_t>& address_count) {
        if (address_count.ok()) {
          answer(
              call, 200, fmt::format("{} IPs taken over from {}\n", address_count.value(), name));
        } else {
          refuse(call, address_count.error().what);
        }
      });
}

}  // namespace weft::agent
