#include "agent/cli/cli.h"

#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "agent/cli/attach/attach.h"
#include "agent/cli/client.h"
#include "agent/cli/completion.h"
#include "agent/cli/dns.h"
#include "agent/cli/help.h"
#include "agent/cli/ipam_commands.h"
#include "agent/cli/launch.h"
#include "agent/cli/options.h"
#include "agent/cli/process.h"
#include "agent/cli/reset.h"
#include "agent/cli/see/see.h"
#include "agent/cni/setup.h"
#include "agent/config.h"
#include "agent/npc/npc.h"
#include "agent/run_agent.h"
#include "agent/version.h"

namespace weft::agent {

namespace {

ExitCode usage_error(const Error& error) {
  fmt::print(stderr, "weft: {}\n", error.what);
  return ExitCode::Usage;
}

std::string host_name() {
  std::array<char, 256> name{};  // HOST_NAME_MAX is 64; POSIX allows 255.
  if (::gethostname(name.data(), name.size() - 1) != 0) {
    return "unknown";
  }
  return name.data();
}

ExitCode run_help(const Settings& settings) {
  const std::string topic = settings.arguments().empty() ? "" : settings.arguments().front();
  if (topic.empty()) {
    fmt::print("{}", overview_help());
    return ExitCode::Ok;
  }
  if (topic == "exit-codes") {
    fmt::print("{}", exit_codes_help());
    return ExitCode::Ok;
  }
  if (topic == "options") {
    fmt::print("{}", options_help());
    return ExitCode::Ok;
  }
  const auto command = parse_command(topic);
  if (!command.ok()) {
    return usage_error(command.error());
  }
  fmt::print("{}", command_help(command.value()));
  return ExitCode::Ok;
}

ExitCode run_completion(const Settings& settings) {
  const auto script = completion_script(settings.arguments().front());
  if (!script.ok()) {
    return usage_error(script.error());
  }
  fmt::print("{}", script.value());
  return ExitCode::Ok;
}

ExitCode run_configured(Command command,
                        const Settings& settings,
                        std::span<const std::string> words) {
  const auto config = make_config(settings, host_name());
  if (!config.ok()) {
    return usage_error(config.error());
  }
  if (settings.flag("print-peer-name")) {
    return print_peer_name(config.value());
  }
  return command == Command::Agent ? run_agent(config.value()) : run_launch(config.value(), words);
}

ExitCode run_command(Command command,
                     const Settings& settings,
                     std::span<const std::string> words) {
  switch (command) {
    case Command::Agent:
    case Command::Launch:
      return run_configured(command, settings, words);
    case Command::Stop:
      return run_stop(settings);
    case Command::Connect:
      return run_connect(settings);
    case Command::Forget:
      return run_forget(settings);
    case Command::Attach:
      return run_attach(settings);
    case Command::Detach:
      return run_detach(settings);
    case Command::Expose:
      return run_expose(settings);
    case Command::Hide:
      return run_hide(settings);
    case Command::Ps:
      return run_ps(settings);
    case Command::Graph:
      return run_graph(settings);
    case Command::Edges:
      return run_edges(settings);
    case Command::Top:
      return run_top(settings);
    case Command::Reach:
      return run_reach(settings);
    case Command::UiUser:
      return run_ui_user(settings);
    case Command::Status:
      return run_status(settings);
    case Command::Prime:
      return run_prime(settings);
    case Command::Rmpeer:
      return run_rmpeer(settings);
    case Command::Report:
      return run_report(settings);
    case Command::Reload:
      return run_reload(settings);
    case Command::DnsAdd:
      return run_dns_add(settings);
    case Command::DnsRemove:
      return run_dns_remove(settings);
    case Command::DnsLookup:
      return run_dns_lookup(settings);
    case Command::DnsArgs:
      return run_dns_args(settings);
    case Command::SetupCni:
      return run_setup_cni(settings);
    case Command::Npc:
      return run_npc(settings);
    case Command::Reset:
      return run_reset(settings);
    case Command::Completion:
      return run_completion(settings);
    case Command::Version:
      fmt::print("weft {}\n", kVersion);
      return ExitCode::Ok;
    case Command::Help:
      return run_help(settings);
  }
  return ExitCode::Usage;
}

}  // namespace

ExitCode run_cli(std::span<const std::string> words) {
  if (words.empty()) {
    fmt::print(stderr, "{}", overview_help());
    return ExitCode::Usage;
  }
  if (words.front() == "--help" || words.front() == "-h") {
    fmt::print("{}", overview_help());
    return ExitCode::Ok;
  }
  const auto command = parse_command(words.front() == "--version" ? "version" : words.front());
  if (!command.ok()) {
    return usage_error(command.error());
  }
  std::vector<std::string> rest(words.begin() + 1, words.end());
  if (command.value() == Command::Npc) {
    rest = npc_words(rest);
  }
  const auto settings = parse_settings(command.value(), rest, environment);
  if (!settings.ok()) {
    return usage_error(settings.error());
  }
  if (settings.value().help_wanted()) {
    fmt::print("{}", command_help(command.value()));
    return ExitCode::Ok;
  }
  const CommandSpec& spec = spec_of(command.value());
  if (spec.needs_root && ::geteuid() != 0) {
    fmt::print(stderr, "weft: {} must be run as root\n", spec.name);
    return ExitCode::Denied;
  }
  return run_command(command.value(), settings.value(), rest);
}

}  // namespace weft::agent
