#include "agent/cni/plugin.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "agent/cli/attach/addresses.h"
#include "agent/cli/process.h"
#include "plugin/cni/owner.h"
#include "plugin/cni/plan.h"
#include "sys/guest/guest.h"

namespace weft::agent {
namespace {

using cni::Code;
using cni::Verb;
using cni::Version;

// Larger ones are refused by cni::parse_object, which says so.
constexpr std::size_t kInputMax = std::size_t{8} << 20U;

std::string read_input() {
  std::string text;
  std::array<char, 65536> buffer{};
  std::size_t count = 0;
  while (text.size() < kInputMax
         && (count = std::fread(buffer.data(), 1, buffer.size(), stdin)) > 0) {
    text.append(buffer.data(), count);
  }
  return text;
}

// --- failures ------------------------------------------------------------------------------------

Code code_of_config(const Error& error) {
  switch (error.code) {
    case Errc::Conflict:
      return Code::IncompatibleVersion;
    case Errc::Denied:
      return Code::UnsupportedField;
    case Errc::Invalid:
    case Errc::NotFound:
    case Errc::Exhausted:
    case Errc::Unavailable:
    case Errc::Os:
      return Code::InvalidConfig;
  }
  return Code::InvalidConfig;
}

Code code_of(const Error& error) {
  switch (error.code) {
    case Errc::Unavailable:
    case Errc::Exhausted:
      return Code::TryAgainLater;
    case Errc::NotFound:
      return Code::UnknownContainer;
    case Errc::Os:
      return Code::Io;
    case Errc::Invalid:
    case Errc::Conflict:
    case Errc::Denied:
      return Code::Failed;
  }
  return Code::Failed;
}

int fail(const cni::Failure& failure, Version version) {
  fmt::print("{}\n", cni::render(failure, version));
  return 1;
}

// --- the verbs -----------------------------------------------------------------------------------

Result<Ok> check_netns(const std::string& netns) {
  const std::uint64_t wanted = WEFT_TRY(sys::netns_identity(netns));
  const std::uint64_t own = WEFT_TRY(sys::own_netns_identity());
  if (wanted == own) {
    return Error{Errc::Invalid, fmt::format("{} is the host's own network namespace", netns)};
  }
  return Ok{};
}

// What ADD took, when it comes to nothing.
void undo_addresses(const CniSession& session) {
  ::setenv("CNI_COMMAND", "DEL", 1);  // For a foreign plugin.
  if (const auto undone = cni_release(session); !undone.ok()) {
    fmt::print(stderr, "weft: addresses not given back: {}\n", undone.error().what);
  }
}

Result<cni::AddResult> attach(const CniSession& session, cni::AddResult result) {
  for (cni::IpConfig& ip : result.ips) {
    if (cni::needs_gateway(session.config, result, ip)) {
      ip.gateway = WEFT_TRY(cni_gateway(session, ip.address.network()));
    }
  }
  result.routes = cni::plan_routes(session.config, result);
  WEFT_TRY(cni_attach(session, result, result.routes));
  const CniAttached attached = WEFT_TRY(cni_attached(session));
  const auto own = std::find_if(attached.attachments.begin(),
                                attached.attachments.end(),
                                [&session](const auto& one) { return one.owner == session.owner; });
  const std::string& interface = session.call.attachment.interface;
  const sys::GuestState guest = WEFT_TRY(sys::observe_guest(session.call.netns, interface));
  if (own == attached.attachments.end() || !guest.link) {
    return Error{Errc::Os, fmt::format("interface {} went as soon as it was there", interface)};
  }
  const std::uint32_t mtu = guest.link->mtu;
  result.interfaces = {
      {.name = own->host, .mac = {}, .mtu = mtu, .sandbox = {}},
      {.name = interface, .mac = guest.link->mac, .mtu = mtu, .sandbox = session.call.netns}};
  for (cni::IpConfig& ip : result.ips) {
    ip.interface = 1;
  }
  result.dns = session.config.dns == cni::Dns() ? result.dns : session.config.dns;
  return result;
}

Result<std::string> add(const CniSession& session) {
  if (session.role == CniRole::Addresses) {
    const cni::AddResult addresses = WEFT_TRY(cni_take(session));
    return cni::render(addresses, session.config.version);
  }
  WEFT_TRY(check_netns(session.call.netns));
  // Of an ADD that is repeated, they are in use.
  bool is_new = true;
  if (!session.is_foreign()) {
    const std::vector<CniHolding> held = WEFT_TRY(cni_held(session));
    is_new = std::none_of(held.begin(), held.end(), [&session](const CniHolding& holding) {
      return holding.owner == session.owner;
    });
  }
  auto addresses = cni_take(session);
  auto result = addresses.ok() ? attach(session, std::move(addresses).value()) : addresses;
  if (!result.ok()) {
    if (is_new) {
      undo_addresses(session);
    }
    return std::move(result).error();
  }
  return cni::render(result.value(), session.config.version);
}

Result<std::string> del(const CniSession& session) {
  if (session.role == CniRole::Interface) {
    if (const auto detached = cni_detach(session, session.owner); !detached.ok()) {
      // The namespace may be gone, and its interface with it. If it is the agent that is gone, that
      // is said below.
      fmt::print(stderr, "weft: interface not removed: {}\n", detached.error().what);
    }
  }
  WEFT_TRY(cni_release(session));
  return std::string();
}

Result<std::string> check(const CniSession& session) {
  if (!session.config.previous) {
    return Error{Errc::Invalid, "prevResult is missing"};
  }
  WEFT_TRY(cni_check_addresses(session));
  if (session.role == CniRole::Addresses) {
    return std::string();
  }
  const std::string& interface = session.call.attachment.interface;
  const CniAttached attached = WEFT_TRY(cni_attached(session));
  const bool is_attached = std::any_of(attached.attachments.begin(),
                                       attached.attachments.end(),
                                       [&](const auto& one) { return one.owner == session.owner; });
  if (!is_attached) {
    return Error{Errc::Conflict, fmt::format("the agent knows of no {}", interface)};
  }
  sys::GuestState guest = WEFT_TRY(sys::observe_guest(session.call.netns, interface));
  const cni::Observed observed{.link = std::move(guest.link),
                               .addresses = std::move(guest.addresses),
                               .routes = std::move(guest.routes)};
  WEFT_TRY(cni::check(*session.config.previous, interface, observed));
  return std::string();
}

Result<std::string> status(const CniSession& session) {
  WEFT_TRY(cni_is_ready(session));
  if (session.is_foreign()) {
    (void)WEFT_TRY(cni_delegate(session));
  }
  return std::string();
}

// Owners of attachments of this network that the runtime has not.
Result<std::vector<std::string>> stale_owners(const CniSession& session) {
  const std::vector<CniHolding> held = WEFT_TRY(cni_held(session));
  const CniAttached attached = WEFT_TRY(cni_attached(session));
  std::vector<std::string> owners;
  for (const CniHolding& holding : held) {
    owners.push_back(holding.owner);
  }
  for (const CniAttached::One& one : attached.attachments) {
    owners.push_back(one.owner);
  }
  std::sort(owners.begin(), owners.end());
  owners.erase(std::unique(owners.begin(), owners.end()), owners.end());
  const std::vector<cni::AttachmentId>& valid = *session.config.valid;
  std::erase_if(owners, [&](const std::string& text) {
    const auto owner = cni::parse_owner(text);
    return !owner || owner->network != session.config.name
           || std::find(valid.begin(), valid.end(), owner->attachment) != valid.end();
  });
  return owners;
}

// As much as can be: the last error is told.
Result<std::string> collect_garbage(CniSession& session) {
  if (!session.config.valid) {
    return Error{Errc::Invalid, "cni.dev/valid-attachments is missing"};
  }
  const std::vector<std::string> owners = WEFT_TRY(stale_owners(session));
  Result<Ok> done = Ok{};
  for (const std::string& owner : owners) {
    fmt::print(stderr, "weft: GC frees {}\n", owner);
    Result<Ok> freed = cni_detach(session, owner);
    if (freed.ok() && !session.is_foreign()) {
      session.owner = owner;
      freed = cni_release(session);
    }
    done = freed.ok() ? done : freed;
  }
  if (session.is_foreign()) {
    const auto delegated = cni_delegate(session);
    done = delegated.ok() ? done : Result<Ok>(delegated.error());
  }
  return done.ok() ? Result<std::string>(std::string()) : Result<std::string>(done.error());
}

Result<std::string> perform(CniSession& session) {
  switch (session.call.verb) {
    case Verb::Add:
      return add(session);
    case Verb::Del:
      return del(session);
    case Verb::Check:
      return check(session);
    case Verb::Status:
      return status(session);
    case Verb::Gc:
      return collect_garbage(session);
    case Verb::Version:
      break;  // Answered before there is a session.
  }
  return std::string();
}

// The first version of the specification that has the verb.
Version version_of(Verb verb) {
  switch (verb) {
    case Verb::Status:
    case Verb::Gc:
      return Version::V110;
    case Verb::Check:
      return Version::V040;
    case Verb::Add:
    case Verb::Del:
    case Verb::Version:
      return Version::V010;
  }
  return Version::V010;
}

// The code of a failure of STATUS says what may not work.
Code status_code(const Error& error) {
  return error.code == Errc::Unavailable ? Code::UnavailableAndLimited : Code::Unavailable;
}

Result<cni::NetworkConfig> read_config(CniRole role,
                                       const boost::json::object& object,
                                       const cni::Call& call) {
  cni::NetworkConfig config = WEFT_TRY(cni::parse_config(object, call));
  if (config.version < version_of(call.verb)) {
    return Error{Errc::Conflict,
                 fmt::format("cniVersion {} has no such command (expected {} or later)",
                             cni::name_of(config.version),
                             cni::name_of(version_of(call.verb)))};
  }
  if (role == CniRole::Interface) {
    WEFT_TRY(cni::parse_interface_config(object, config));
  }
  return config;
}

int run_session(CniSession& session) {
  const Version version = session.config.version;
  std::vector<std::string> words;
  if (!session.config.run_dir.empty()) {
    words.push_back("--run-dir=" + session.config.run_dir);
  }
  auto settings = parse_settings(Command::SetupCni, words, environment);
  if (!settings.ok()) {
    return fail({.code = Code::InvalidEnvironment, .message = settings.error().what}, version);
  }
  session.settings = std::move(settings).value();
  session.owner =
      cni::to_string({.attachment = session.call.attachment, .network = session.config.name});
  const auto answer = perform(session);
  if (!answer.ok()) {
    const Code code =
        session.call.verb == Verb::Status ? status_code(answer.error()) : code_of(answer.error());
    return fail({.code = code, .message = answer.error().what}, version);
  }
  if (!answer.value().empty()) {
    fmt::print("{}\n", answer.value());
  }
  return 0;
}

}  // namespace

std::optional<CniRole> cni_role(std::string_view program) {
  program = program.substr(program.rfind('/') + 1);
  if (program == "weft-net" || program == "weave-net") {
    return CniRole::Interface;
  }
  if (program == "weft-ipam" || program == "weave-ipam") {
    return CniRole::Addresses;
  }
  return std::nullopt;
}

int run_cni(CniRole role) {
  CniSession session;
  session.role = role;
  auto call = cni::parse_call(environment);
  if (!call.ok()) {
    return fail({.code = Code::InvalidEnvironment, .message = call.error().what}, Version::V110);
  }
  session.call = std::move(call).value();
  session.text = read_input();
  const auto object = cni::parse_object(session.text);
  if (!object.ok()) {
    return fail({.code = Code::Undecodable, .message = object.error().what}, Version::V110);
  }
  if (session.call.verb == Verb::Version) {
    const auto* const asked = object.value().if_contains("cniVersion");
    fmt::print("{}\n",
               cni::render_versions(asked != nullptr && asked->is_string()
                                        ? std::string_view(asked->as_string())
                                        : std::string_view()));
    return 0;
  }
  auto config = read_config(role, object.value(), session.call);
  if (!config.ok()) {
    return fail({.code = code_of_config(config.error()), .message = config.error().what},
                Version::V110);
  }
  session.config = std::move(config).value();
  return run_session(session);
}

}  // namespace weft::agent
