// Every option of every command, in one table: from it come the command-line flags, the WEFT_*
// environment variables, `weft help` and the table in the documentation.
//
// Precedence: flag, then environment, then default. Values are checked here, so that whoever reads
// a Settings need not.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "sys/posix/host_paths.h"

namespace weft::agent {

enum class Command : std::uint8_t {
  Agent,
  Launch,
  Stop,
  Connect,
  Forget,
  Attach,
  Detach,
  Expose,
  Hide,
  Ps,
  Graph,
  Edges,
  Top,
  Reach,
  UiUser,
  Status,
  DnsAdd,
  DnsRemove,
  DnsLookup,
  DnsArgs,
  Prime,
  Rmpeer,
  Report,
  Reload,
  SetupCni,
  Npc,
  Reset,
  Completion,
  Version,
  Help,
};

// An --http-addr that begins so is the agent of another host, which the command is for.
inline constexpr std::string_view kRemoteScheme = "https://";

struct CommandSpec {
  Command id;
  std::string_view name;
  std::string_view arguments;  // As shown in the usage line.
  std::string_view summary;
  std::size_t arguments_min;
  std::size_t arguments_max;
  bool needs_root;
};

enum class ValueKind : std::uint8_t {
  Flag,
  Text,
  List,  // Texts, one a line; may be given more than once.
  Path,
  HostPath,  // The fallback is below --host-root.
  Port,
  Count,
  Endpoint,
  Listen,
  Ip,
  Cidr,
  PeerName,
  Mtu,
  Interface,
  IpallocInit,
  LogLevel,
  Domain,
  Place,
  ListenAt,  // An endpoint, the path of a Unix socket, or off; of a client: https://….
  Seconds,
  Controls,  // off, login or loopback.
  OnOffAuto,
};

struct OptionSpec {
  std::string_view name;  // Without dashes; the variable is WEFT_NAME.
  ValueKind kind;
  std::string_view fallback;
  std::string_view help;
  std::uint32_t commands;  // Bit per Command.

  bool applies_to(Command command) const {
    return (commands >> static_cast<std::uint32_t>(command) & 1U) != 0;
  }
};

std::span<const CommandSpec> commands();
std::span<const OptionSpec> options();
const CommandSpec& spec_of(Command command);
std::string environment_name(const OptionSpec& option);

// The command of that name, or an Error that names the nearest one.
Result<Command> parse_command(std::string_view name);

// What the user asked for. Every option has a valid value; asking for one not in the table is a
// bug.
class Settings {
 public:
  const std::string& text(std::string_view option) const;
  // False for an option of other commands.
  bool has(std::string_view option) const { return values_.contains(option); }
  bool flag(std::string_view option) const { return text(option) == "true"; }
  // True if a flag or a variable set it.
  bool is_given(std::string_view option) const;
  bool help_wanted() const { return help_wanted_; }
  const std::vector<std::string>& arguments() const { return arguments_; }

 private:
  friend class SettingsParser;

  struct Value {
    std::string text;
    bool given = false;
  };
  std::map<std::string, Value, std::less<>> values_;
  std::vector<std::string> arguments_;
  bool help_wanted_ = false;
};

// As --host-root and --proc-path say.
sys::HostPaths host_paths(const Settings& settings);

// "5" or, as Weave's flags had it, "5s". Precondition: a checked ValueKind::Seconds.
std::uint32_t seconds_of(std::string_view text);
// "address" or "address:port" ("[v6]:port").
Result<Endpoint> parse_listen(std::string_view text, std::uint16_t default_port);

// getenv(3) in production, a map in tests.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// `words` are those behind the command.
Result<Settings> parse_settings(Command command,
                                std::span<const std::string> words,
                                const Environment& environment);

// The candidate with the smallest edit distance to `word`, unless none is anywhere near.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace weft::agent
