// Addresses for attachments of CNI networks: the agent's, or a foreign plugin's.
#include "agent/cli/attach/addresses.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "agent/cni/session.h"
#include "agent/http/form.h"
#include "dns/names.h"
#include "sys/posix/run_program.h"

namespace weft::agent {
namespace {

namespace fs = std::filesystem;

constexpr int kCallTimeoutSeconds = 10;

// Who waits for longer is told to try again, and the runtime does: no container is worth a call
// that never ends. kubelet itself gives up after two minutes or so.
constexpr int kPatienceSeconds = 60;

// The answer of a plugin for addresses; a result has a few.
constexpr std::size_t kDelegateOutputMax = std::size_t{1} << 20U;

// Of the subnet that an address without a prefix is meant to be in.
Result<std::uint8_t> prefix_for(const CniSession& session, const cni::RequestedIp& ip) {
  if (ip.prefix) {
    return *ip.prefix;
  }
  std::vector<Cidr> subnets = session.config.ipam.subnets;
  if (subnets.empty()) {
    const std::string text =
        WEFT_TRY(ask_agent(session.settings, "GET", "/ipinfo/defaultsubnet", kCallTimeoutSeconds));
    subnets.push_back(WEFT_TRY(Cidr::parse(text)));
  }
  const auto found = std::find_if(subnets.begin(), subnets.end(), [&ip](const Cidr& subnet) {
    return subnet.contains(ip.address);
  });
  if (found == subnets.end()) {
    return Error{Errc::Invalid,
                 fmt::format("{} has no prefix length and is not in {}",
                             ip.address.to_string(),
                             subnets.front().to_string())};
  }
  return found->prefix();
}

// What to ask the agent for, in the words of `weft attach`.
Result<std::vector<AddressWord>> words_of(const CniSession& session) {
  using Kind = AddressWord::Kind;
  std::vector<AddressWord> words;
  for (const cni::RequestedIp& ip : session.config.ips) {
    const std::uint8_t prefix = WEFT_TRY(prefix_for(session, ip));
    if (prefix > ip.address.bits()) {
      return Error{Errc::Invalid, fmt::format("{}/{}", ip.address.to_string(), prefix)};
    }
    words.push_back({Kind::Exact, Cidr(ip.address, prefix)});
  }
  if (words.empty()) {
    for (const Cidr& subnet : session.config.ipam.subnets) {
      words.push_back({Kind::Subnet, subnet});
    }
  }
  if (words.empty()) {
    words.emplace_back();
  }
  return words;
}

Result<std::string> find_plugin(const std::string& folders, const std::string& name) {
  std::string_view rest = folders;
  while (!rest.empty()) {
    const std::string_view folder = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), folder.size() + 1));
    const fs::path path = fs::path(folder) / name;
    std::error_code error;
    if (!folder.empty() && fs::is_regular_file(path, error)) {
      return path.string();
    }
  }
  return Error{Errc::Invalid, fmt::format("no plugin {} in CNI_PATH={}", name, folders)};
}

// What a plugin that failed said of it.
Error delegated_error(const std::string& name, const sys::ProgramAnswer& answer) {
  const auto object = cni::parse_object(answer.output);
  std::string what = fmt::format("{} ended with {}", name, answer.status);
  Errc code = Errc::Os;
  if (object.ok()) {
    if (const auto* const message = object.value().if_contains("msg");
        message != nullptr && message->is_string()) {
      what = fmt::format("{}: {}", name, std::string_view(message->as_string()));
    }
    const auto* const number = object.value().if_contains("code");
    const bool is_later = number != nullptr && number->is_int64()
                          && number->as_int64() == static_cast<int>(cni::Code::TryAgainLater);
    code = is_later ? Errc::Unavailable : code;
  }
  return Error{code, std::move(what)};
}

Result<cni::AddResult> delegate_add(const CniSession& session) {
  const std::string answer = WEFT_TRY(cni_delegate(session));
  const auto object = WEFT_TRY(cni::parse_object(answer));
  cni::AddResult result = WEFT_TRY(cni::parse_result(object));
  if (result.ips.empty()) {
    return Error{Errc::Invalid, session.config.ipam.type + " gave no address"};
  }
  return result;
}

}  // namespace

Result<std::string> cni_delegate(const CniSession& session) {
  const std::string& name = session.config.ipam.type;
  const std::string path = WEFT_TRY(find_plugin(session.call.path, name));
  sys::ProgramAnswer answer = WEFT_TRY(sys::run_program(path, session.text, kDelegateOutputMax));
  if (answer.status != 0) {
    return delegated_error(name, answer);
  }
  return std::move(answer.output);
}

Result<cni::AddResult> cni_take(const CniSession& session) {
  if (session.is_foreign()) {
    return delegate_add(session);
  }
  const std::vector<AddressWord> words = WEFT_TRY(words_of(session));
  const std::vector<Cidr> addresses =
      WEFT_TRY(take_addresses(session.settings, session.owner, words, kPatienceSeconds));
  const cni::IpamConfig& ipam = session.config.ipam;
  cni::AddResult result;
  for (const Cidr& address : addresses) {
    const bool has_gateway = ipam.gateway && ipam.gateway->is_v4() == address.is_v4();
    result.ips.push_back({.address = address,
                          .gateway = has_gateway ? ipam.gateway : std::nullopt,
                          .interface = {}});
  }
  result.routes = ipam.routes.value_or(std::vector<cni::Route>());
  return result;
}

Result<Ok> cni_release(const CniSession& session) {
  if (session.is_foreign()) {
    (void)WEFT_TRY(cni_delegate(session));
    return Ok{};
  }
  const auto released = ask_agent(
      session.settings, "DELETE", "/ip/" + encode_percent(session.owner), kCallTimeoutSeconds);
  // A second DEL, or one after an ADD that came to nothing (agent/ipam/api.h).
  constexpr std::string_view kNone = "Delete: no addresses for";
  if (!released.ok() && !released.error().what.starts_with(kNone)) {
    return released.error();
  }
  return Ok{};
}

Result<Ok> cni_check_addresses(const CniSession& session) {
  if (session.is_foreign()) {
    (void)WEFT_TRY(cni_delegate(session));
    return Ok{};
  }
  const std::vector<CniHolding> held = WEFT_TRY(cni_held(session));
  const auto own = std::find_if(held.begin(), held.end(), [&session](const CniHolding& holding) {
    return holding.owner == session.owner;
  });
  for (const cni::IpConfig& ip : session.config.previous->ips) {
    const bool is_held =
        own != held.end()
        && std::any_of(own->addresses.begin(), own->addresses.end(), [&ip](const Cidr& address) {
             return address.address() == ip.address.address();
           });
    if (!is_held) {
      return Error{Errc::Conflict,
                   fmt::format("{} is not held by {}",
                               ip.address.address().to_string(),
                               session.call.attachment.container)};
    }
  }
  return Ok{};
}

Result<Ip> cni_gateway(const CniSession& session, const Cidr& subnet) {
  const CniAttached attached = WEFT_TRY(cni_attached(session));
  for (const Cidr& exposed : attached.exposed) {
    if (exposed.network() == subnet) {
      return exposed.address();  // As an operator exposed it, masqueraded or not.
    }
  }
  const auto taken = take_addresses(
      session.settings, dns::kExposeOwner, {{AddressWord::Kind::Subnet, subnet}}, kPatienceSeconds);
  if (!taken.ok()) {
    Error error = taken.error();
    return std::move(error).with_context(
        fmt::format("no gateway in {} (give one as ipam.gateway, or routes)", subnet.to_string()));
  }
  const Cidr& address = taken.value().front();
  (void)WEFT_TRY(
      ask_agent(session.settings,
                "POST",
                fmt::format("/expose/{}/{}", address.address().to_string(), address.prefix()),
                kCallTimeoutSeconds));
  return address.address();
}

}  // namespace weft::agent
