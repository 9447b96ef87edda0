#include "agent/cli/help.h"

#include <array>

#include <fmt/format.h>

#include "agent/cli/exit_code.h"

namespace weft::agent {

namespace {

std::string_view placeholder(ValueKind kind) {
  switch (kind) {
    case ValueKind::Flag:
      return "";
    case ValueKind::Text:
    case ValueKind::List:
      return "TEXT";
    case ValueKind::Path:
    case ValueKind::HostPath:
      return "PATH";
    case ValueKind::Port:
      return "PORT";
    case ValueKind::Count:
      return "COUNT";
    case ValueKind::Endpoint:
    case ValueKind::ListenAt:
    case ValueKind::Listen:
      return "ADDRESS:PORT";
    case ValueKind::Ip:
      return "ADDRESS";
    case ValueKind::Cidr:
      return "CIDR[,CIDR]";
    case ValueKind::PeerName:
      return "NAME";
    case ValueKind::Mtu:
      return "BYTES";
    case ValueKind::Interface:
      return "INTERFACE";
    case ValueKind::IpallocInit:
      return "HOW";
    case ValueKind::Domain:
      return "DOMAIN";
    case ValueKind::Place:
      return "ADDRESS";
    case ValueKind::Seconds:
      return "SECONDS";
    case ValueKind::Controls:
      return "WHO";
    case ValueKind::OnOffAuto:
      return "WHEN";
    case ValueKind::LogLevel:
      return "LEVEL";
  }
  return "";
}

bool shows_fallback(const OptionSpec& option) {
  return option.kind != ValueKind::Flag && option.kind != ValueKind::Mtu
         && !option.fallback.empty();
}

struct Example {
  Command command;
  std::string_view line;
};
constexpr std::array kExamples{
    Example{Command::Launch, "weft launch --password-file /etc/weft/password host1 host2:7000"},
    Example{Command::Connect, "weft connect host3 192.0.2.4:7000"},
    Example{Command::Attach, "weft attach web"},
    Example{Command::Attach, "weft attach 10.2.1.7/24 net:10.2.2.0/24 pid:4711"},
    Example{Command::Detach, "weft detach 10.2.1.7/24 web"},
    Example{Command::Expose, "weft expose net:10.2.1.0/24 -h gateway"},
    Example{Command::Graph, "weft graph hosts | dot -Tsvg >hosts.svg"},
    Example{Command::Reach, "weft reach web 10.32.0.9"},
    Example{Command::UiUser, "echo secret | weft ui-user ann admin >>/etc/weft/users"},
    Example{Command::Rmpeer, "weft rmpeer host3"},
    Example{Command::Report, "weft report -f '{{.Router.Name}}'"},
    Example{Command::DnsAdd, "weft dns-add 192.0.2.7 -h printer"},
    Example{Command::DnsAdd, "weft dns-add 10.32.0.5 -h _http._tcp.web --service-port 80"},
    Example{Command::DnsRemove, "weft dns-remove 192.0.2.7 -h printer"},
    Example{Command::DnsLookup, "weft dns-lookup web"},
    Example{Command::DnsLookup, "weft dns-lookup _http._tcp.web"},
    Example{Command::Completion, "source <(weft completion bash)"},
};

std::string examples_of(Command command) {
  std::string text;
  for (const Example& example : kExamples) {
    if (example.command == command) {
      text += fmt::format("  {}\n", example.line);
    }
  }
  return text.empty() ? text : "\nSuch as:\n" + text;
}

std::string usage_line(const CommandSpec& command) {
  const bool has_options = [&] {
    for (const OptionSpec& option : options()) {
      if (option.applies_to(command.id)) {
        return true;
      }
    }
    return false;
  }();
  std::string line = fmt::format("weft {}", command.name);
  if (has_options) {
    line += " [FLAG…]";
  }
  if (!command.arguments.empty()) {
    line += fmt::format(" {}", command.arguments);
  }
  return line;
}

}  // namespace

std::string overview_help() {
  std::string text = "weft: one network for the containers of many hosts\n\nCommands:\n";
  for (const CommandSpec& command : commands()) {
    text += fmt::format("  {:<9} {}\n", command.name, command.summary);
  }
  text +=
      "\nweft help COMMAND explains a command; weft help exit-codes lists what is returned.\n"
      "A PEER is HOST or HOST:PORT, where HOST is a name, an IPv4 address or an [IPv6] address.\n";
  return text;
}

std::string command_help(Command command) {
  const CommandSpec& spec = spec_of(command);
  std::string text = fmt::format("{}: {}\n", usage_line(spec), spec.summary);
  if (spec.needs_root) {
    text += "Needs root.\n";
  }
  text += "\nFlags (each also as an environment variable WEFT_…, which a flag overrides):\n";
  for (const OptionSpec& option : options()) {
    if (!option.applies_to(command)) {
      continue;
    }
    const std::string flag = fmt::format("--{} {}", option.name, placeholder(option.kind));
    text += fmt::format("  {:<36} {}", flag, option.help);
    text += shows_fallback(option) ? fmt::format(" (default: {})\n", option.fallback) : "\n";
  }
  text += fmt::format("  {:<36} {}\n", "--help", "this text");
  text += examples_of(command);
  return text;
}

std::string exit_codes_help() {
  std::string text = "Exit codes:\n";
  for (const ExitCodeInfo& info : kExitCodes) {
    text += fmt::format("  {}  {}\n", static_cast<int>(info.code), info.meaning);
  }
  return text;
}

std::string options_help() {
  std::string text = "| Flag | Variable | Default | Meaning | Commands |\n|---|---|---|---|---|\n";
  for (const OptionSpec& option : options()) {
    std::string used_by;
    for (const CommandSpec& command : commands()) {
      if (option.applies_to(command.id)) {
        used_by += used_by.empty() ? "" : ", ";
        used_by += command.name;
      }
    }
    text += fmt::format("| `--{}{}{}` | `{}` | {} | {} | {} |\n",
                        option.name,
                        option.kind == ValueKind::Flag ? "" : " ",
                        placeholder(option.kind),
                        environment_name(option),
                        shows_fallback(option) ? fmt::format("`{}`", option.fallback) : "",
                        option.help,
                        used_by);
  }
  return text;
}

}  // namespace weft::agent
