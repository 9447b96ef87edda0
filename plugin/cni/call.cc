#include "plugin/cni/call.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/netdev.h"

namespace weft::plugin::cni {
namespace {

constexpr std::array<std::pair<std::string_view, Verb>, 6> kVerbs{{{"ADD", Verb::Add},
                                                                   {"DEL", Verb::Del},
                                                                   {"CHECK", Verb::Check},
                                                                   {"STATUS", Verb::Status},
                                                                   {"GC", Verb::Gc},
                                                                   {"VERSION", Verb::Version}}};

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

Error invalid(std::string_view variable, std::string_view value, std::string_view expected) {
  constexpr std::size_t kShown = 100;
  return Error{Errc::Invalid,
               fmt::format("{}={} (expected {})", variable, value.substr(0, kShown), expected)};
}

Result<std::string> read(const Environment& environment, const std::string& name) {
  std::string value = environment(name).value_or("");
  if (value.size() > kVariableMax) {
    return invalid(name, value, fmt::format("at most {} characters", kVariableMax));
  }
  return value;
}

Result<std::string> require(const Environment& environment, const std::string& name) {
  std::string value = WEFT_TRY(read(environment, name));
  if (value.empty()) {
    return Error{Errc::Invalid, fmt::format("{} is missing", name)};
  }
  return value;
}

Result<Verb> parse_verb(std::string_view word) {
  const auto* const found = std::find_if(
      kVerbs.begin(), kVerbs.end(), [word](const auto& verb) { return verb.first == word; });
  if (found == kVerbs.end()) {
    return invalid("CNI_COMMAND", word, "ADD, DEL, CHECK, STATUS, GC or VERSION");
  }
  return found->second;
}

Result<AttachmentId> parse_attachment(const Environment& environment) {
  AttachmentId id;
  id.container = WEFT_TRY(require(environment, "CNI_CONTAINERID"));
  id.interface = WEFT_TRY(require(environment, "CNI_IFNAME"));
  if (!is_identifier(id.container) || id.container.size() > kContainerIdMax) {
    return invalid(
        "CNI_CONTAINERID",
        id.container,
        fmt::format("a letter or digit, then such, _, . and -; {} at most", kContainerIdMax));
  }
  if (!is_interface_name(id.interface)) {
    return invalid(
        "CNI_IFNAME",
        id.interface,
        fmt::format("the name of an interface, of {} characters at most", kInterfaceNameMax));
  }
  return id;
}

// "FOO=BAR;ABC=123"
Result<std::map<std::string, std::string>> parse_arguments(std::string_view text) {
  std::map<std::string, std::string> arguments;
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find(';'));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    if (pair.empty()) {
      continue;
    }
    if (equals == std::string_view::npos || arguments.size() == kArgumentsMax) {
      return invalid("CNI_ARGS", pair, fmt::format("KEY=VALUE;…, {} at most", kArgumentsMax));
    }
    arguments.insert_or_assign(std::string(pair.substr(0, equals)),
                               std::string(pair.substr(equals + 1)));
  }
  return arguments;
}

}  // namespace

bool is_identifier(std::string_view text) {
  return !text.empty() && is_alphanumeric(text.front())
         && std::all_of(text.begin(), text.end(), [](char c) {
              return is_alphanumeric(c) || c == '_' || c == '.' || c == '-';
            });
}

bool is_interface_name(std::string_view text) {
  return !text.empty() && text.size() <= kInterfaceNameMax && text != "." && text != ".."
         && std::all_of(text.begin(), text.end(), [](char c) {
              return c > ' ' && c <= '~' && c != '/' && c != ':';
            });
}

Result<Call> parse_call(const Environment& environment) {
  Call call;
  const std::string word = WEFT_TRY(require(environment, "CNI_COMMAND"));
  call.verb = WEFT_TRY(parse_verb(word));
  call.path = WEFT_TRY(read(environment, "CNI_PATH"));
  if (call.verb != Verb::Add && call.verb != Verb::Del && call.verb != Verb::Check) {
    return call;
  }
  call.attachment = WEFT_TRY(parse_attachment(environment));
  call.netns = WEFT_TRY(read(environment, "CNI_NETNS"));
  if (call.netns.empty() ? call.verb != Verb::Del : !call.netns.starts_with('/')) {
    return invalid("CNI_NETNS", call.netns, "the path of a network namespace");
  }
  const std::string arguments = WEFT_TRY(read(environment, "CNI_ARGS"));
  call.arguments = WEFT_TRY(parse_arguments(arguments));
  return call;
}

}  // namespace weft::plugin::cni
