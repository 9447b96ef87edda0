#include "agent/ipam/call.h"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>

#include "agent/http/form.h"

namespace weft::agent {
namespace {

// "/ip/ID/ADDRESS/LEN" has four parts; no call has more.
constexpr std::size_t kPartsMax = 5;

constexpr std::string_view kAnonymous = "_";

using Parts = std::vector<std::string>;

Result<Parts> split(std::string_view path) {
  Parts parts;
  while (!path.empty() && parts.size() < kPartsMax) {
    path.remove_prefix(1);  // The slash.
    const std::size_t end = std::min(path.find('/'), path.size());
    parts.push_back(WEFT_TRY(decode_percent(path.substr(0, end))));
    path.remove_prefix(end);
  }
  if (!path.empty()) {
    return Error{Errc::NotFound, "no such path"};
  }
  return parts;
}

bool has_flag(std::string_view target, std::string_view name) {
  const auto form = parse_request_form(target, "");
  return form.ok() && flag_of(form.value(), name);
}

Result<Cidr> parse_cidr(const std::string& address, const std::string& prefix) {
  return Cidr::parse(address + "/" + prefix);
}

Result<Cidr> parse_subnet(const Parts& parts, const Cidr& default_subnet) {
  if (parts.size() == 2) {
    return default_subnet;
  }
  const Cidr subnet = WEFT_TRY(parse_cidr(parts[2], parts[3]));
  if (!subnet.is_network()) {
    return Error{Errc::Invalid,
                 fmt::format("{} has bits behind its prefix (expected {})",
                             subnet.to_string(),
                             subnet.network().to_string())};
  }
  return subnet;
}

Result<IpamCall> parse_get(const Parts& parts, const Cidr& default_subnet) {
  if (parts.size() == 1) {
    return IpamCall(ListAddresses{});
  }
  const Cidr subnet = WEFT_TRY(parse_subnet(parts, default_subnet));
  return IpamCall(LookUpAddresses{.owner = parts[1], .subnet = subnet});
}

Result<IpamCall> parse_put(const Parts& parts, std::string_view target) {
  const Cidr address = WEFT_TRY(parse_cidr(parts[2], parts[3]));
  const std::string owner = parts[1] == kAnonymous ? address.address().to_string() : parts[1];
  return IpamCall(ClaimAddress{.owner = owner,
                               .address = address,
                               .tolerant = has_flag(target, "noErrorOnUnknown"),
                               .check_alive = has_flag(target, "check-alive")});
}

Result<IpamCall> parse_delete(const Parts& parts) {
  if (parts.size() == 2) {
    return IpamCall(FreeAllAddresses{parts[1]});
  }
  const Ip address = WEFT_TRY(Ip::parse(parts[2]));
  const std::string owner = parts[1] == kAnonymous ? address.to_string() : parts[1];
  return IpamCall(FreeAddress{.owner = owner, .address = address});
}

Result<IpamCall> parse_ip(std::string_view method,
                          std::string_view target,
                          const Parts& parts,
                          const Cidr& default_subnet) {
  const bool named = parts.size() >= 2 && !parts[1].empty();
  const bool whole = parts.size() == 2 || parts.size() == 4;
  if (method == "GET" && (parts.size() == 1 || (named && whole))) {
    return parse_get(parts, default_subnet);
  }
  if (method == "POST" && named && whole) {
    const Cidr subnet = WEFT_TRY(parse_subnet(parts, default_subnet));
    return IpamCall(TakeAddress{.owner = parts[1],
                                .subnet = subnet,
                                .anonymous = parts[1] == kAnonymous,
                                .check_alive = has_flag(target, "check-alive")});
  }
  if (method == "PUT" && named && parts.size() == 4) {
    return parse_put(parts, target);
  }
  if (method == "DELETE" && named && parts.size() <= 3) {
    return parse_delete(parts);
  }
  return Error{Errc::NotFound, "no such call"};
}

Result<IpamCall> parse_rest(std::string_view method, const Parts& parts) {
  if (method == "GET" && parts.size() == 1 && parts[0] == "ring") {
    return IpamCall(AwaitRing{});
  }
  if (method == "GET" && parts.size() == 2 && parts[0] == "ipinfo") {
    if (parts[1] == "defaultsubnet") {
      return IpamCall(AskDefaultSubnet{});
    }
    if (parts[1] == "tracker") {
      return IpamCall(AskTracker{});
    }
  }
  if (method == "DELETE" && parts[0] == "peer") {
    if (parts.size() == 1) {
      return IpamCall(LeaveRing{});
    }
    if (parts.size() == 2 && !parts[1].empty()) {
      return IpamCall(RemovePeer{parts[1]});
    }
  }
  return Error{Errc::NotFound, "no such call"};
}

}  // namespace

bool is_ipam_path(std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  constexpr std::array<std::string_view, 4> kFolders{"/ip", "/ipinfo", "/ring", "/peer"};
  return std::any_of(kFolders.begin(), kFolders.end(), [path](std::string_view folder) {
    return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
  });
}

Result<IpamCall> parse_ipam_call(std::string_view method,
                                 std::string_view target,
                                 const Cidr& default_subnet) {
  if (!is_ipam_path(target)) {
    return Error{Errc::NotFound, "no such path"};
  }
  const Parts parts = WEFT_TRY(split(target.substr(0, target.find('?'))));
  return parts[0] == "ip" ? parse_ip(method, target, parts, default_subnet)
                          : parse_rest(method, parts);
}

}  // namespace weft::agent
