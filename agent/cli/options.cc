#include "agent/cli/options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <memory>
#include <numeric>
#include <set>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "agent/ipam/init.h"
#include "base/address.h"
#include "base/log.h"
#include "base/netdev.h"
#include "base/peer_name.h"
#include "dns/message.h"

namespace weft::agent {

namespace {

constexpr std::uint32_t bit(Command command) {
  return 1U << static_cast<std::uint32_t>(command);
}

constexpr std::uint32_t kRun = bit(Command::Agent) | bit(Command::Launch);
constexpr std::uint32_t kControl =
    bit(Command::Stop) | bit(Command::Connect) | bit(Command::Forget) | bit(Command::Status)
    | bit(Command::Prime) | bit(Command::Rmpeer) | bit(Command::Report) | bit(Command::Reload);

constexpr std::uint32_t kNames = bit(Command::DnsAdd) | bit(Command::DnsRemove);
constexpr std::uint32_t kContainers =
    bit(Command::Attach) | bit(Command::Detach) | bit(Command::Ps);
constexpr std::uint32_t kAttach = kContainers | bit(Command::Expose) | bit(Command::Hide);
constexpr std::uint32_t kDns = kNames | bit(Command::DnsLookup) | bit(Command::DnsArgs);

constexpr std::uint32_t kSee = bit(Command::Graph) | bit(Command::Edges) | bit(Command::Top);

// Arguments are peers; more than a mesh takes links for is a mistake of a script.
constexpr std::size_t kPeersMax = 200;

constexpr std::array kCommands{
    CommandSpec{
        Command::Agent, "agent", "[PEER…]", "run the agent in the foreground", 0, kPeersMax, true},
    CommandSpec{Command::Launch,
                "launch",
                "[PEER…]",
                "start the agent in the background and wait until it is ready",
                0,
                kPeersMax,
                true},
    CommandSpec{Command::Stop, "stop", "", "stop the agent; containers keep talking", 0, 0, false},
    CommandSpec{Command::Connect,
                "connect",
                "PEER…",
                "connect to more peers (with --replace: to these alone), now and after a restart",
                1,
                kPeersMax,
                false},
    CommandSpec{Command::Forget,
                "forget",
                "PEER…",
                "no longer try to connect to these peers",
                1,
                kPeersMax,
                false},
    CommandSpec{Command::Attach,
                "attach",
                "[ADDRESS…] CONTAINER",
                "give a running container addresses on weft's network (without: of the default "
                "subnet)",
                1,
                kPeersMax,
                false},
    CommandSpec{Command::Detach,
                "detach",
                "[ADDRESS…] CONTAINER",
                "take addresses back; with the last one its interface goes",
                1,
                kPeersMax,
                false},
    CommandSpec{Command::Expose,
                "expose",
                "[ADDRESS…] [-h NAME]",
                "let this host and whoever routes through it reach containers' subnets",
                0,
                kPeersMax,
                false},
    CommandSpec{Command::Hide, "hide", "[ADDRESS…]", "the reverse of expose", 0, kPeersMax, false},
    CommandSpec{Command::Ps,
                "ps",
                "[CONTAINER…]",
                "list containers with their MAC and addresses",
                0,
                kPeersMax,
                false},
    CommandSpec{Command::Graph,
                "graph",
                "[TOPOLOGY]",
                "print who talks to whom in the cluster, for graphviz (default: containers)",
                0,
                1,
                false},
    CommandSpec{Command::Edges,
                "edges",
                "[TOPOLOGY]",
                "list who talks to whom in the cluster, and how it goes (default: containers)",
                0,
                1,
                false},
    CommandSpec{Command::Top,
                "top",
                "[TOPOLOGY]",
                "list what uses CPU and memory in the cluster (default: containers)",
                0,
                1,
                false},
    CommandSpec{Command::Status,
                "status",
                "[peers|connections|paths|ipam|dns|targets]",
                "show what the agent knows",
                0,
                1,
                false},
    CommandSpec{Command::Prime, "prime", "", "wait until addresses can be handed out", 0, 0, false},
    CommandSpec{Command::Rmpeer,
                "rmpeer",
                "PEER…",
                "take over the addresses of peers that are gone for good (name or nickname)",
                1,
                kPeersMax,
                false},
    CommandSpec{Command::Report,
                "report",
                "",
                "print everything the agent knows as JSON, with the names Weave gave it",
                0,
                0,
                false},
    CommandSpec{Command::Reload,
                "reload",
                "",
                "read the password file again; connections stay (SIGHUP does the same)",
                0,
                0,
                false},
    CommandSpec{Command::DnsAdd,
                "dns-add",
                "[IP…] [CONTAINER] [-h NAME]",
                "give a container's addresses, or addresses outside, a name",
                1,
                kPeersMax,
                false},
    CommandSpec{Command::DnsRemove,
                "dns-remove",
                "[IP…] [CONTAINER] [-h NAME]",
                "take names back; without -h all of them",
                1,
                kPeersMax,
                false},
    CommandSpec{Command::DnsLookup,
                "dns-lookup",
                "NAME|IP",
                "ask this host's DNS and print bare answers",
                1,
                1,
                false},
    CommandSpec{Command::DnsArgs,
                "dns-args",
                "",
                "print what docker run needs to use this DNS",
                0,
                0,
                false},
    CommandSpec{Command::Reset,
                "reset",
                "",
                "stop the agent and remove every trace of it from this host",
                0,
                0,
                true},
    CommandSpec{Command::Completion,
                "completion",
                "bash|zsh|fish",
                "print what a shell needs to complete weft's commands and flags",
                1,
                1,
                false},
    CommandSpec{Command::Version, "version", "", "print the version", 0, 0, false},
    CommandSpec{Command::Help,
                "help",
                "[COMMAND|options|exit-codes]",
                "explain a command, all options or the exit codes",
                0,
                1,
                false},
};

constexpr std::array kOptions{
    OptionSpec{"name",
               ValueKind::PeerName,
               "",
               "peer name (default: random at the first start, then kept)",
               kRun},
    OptionSpec{"nickname", ValueKind::Text, "", "label of this peer (default: host name)", kRun},
    OptionSpec{"host",
               ValueKind::Ip,
               "",
               "address to listen on and to be reached at (default: all)",
               kRun},
    OptionSpec{"port", ValueKind::Port, "6783", "TCP port of the mesh, here and of peers", kRun},
    OptionSpec{"password-file",
               ValueKind::Path,
               "",
               "file with the cluster's password; peers without it are refused. While it replaces "
               "another one, that is on the second line",
               kRun},
    OptionSpec{"plaintext-data",
               ValueKind::Flag,
               "false",
               "do not encrypt containers' traffic although a password is set; the same on every "
               "host",
               kRun},
    OptionSpec{"trusted-subnets",
               ValueKind::Text,
               "",
               "CIDR,…: do not encrypt between hosts whose addresses both lie in these networks",
               kRun},
    OptionSpec{"ipalloc-range",
               ValueKind::Cidr,
               "10.32.0.0/12",
               "addresses shared out among all peers; the same on every host",
               kRun},
    OptionSpec{
        "ipalloc-default-subnet",
        ValueKind::Cidr,
        "",
        "subnet of networks that ask for none (default: 10.32.0.0/13; if --ipalloc-range is given, "
        "all of that)",
        kRun},
    OptionSpec{
        "ipalloc-init",
        ValueKind::IpallocInit,
        "",
        "who founds the cluster: consensus[=N] (N peers; default: the peers given, and this one), "
        "seed=NAME,… (exactly these, without an election), observer (others)",
        kRun},
    OptionSpec{
        "no-discovery", ValueKind::Flag, "false", "connect only to peers given by hand", kRun},
    OptionSpec{"conn-limit",
               ValueKind::Count,
               "200",
               "connections with other peers (0: as many as there can be peers)",
               kRun},
    OptionSpec{"resume",
               ValueKind::Flag,
               "false",
               "return to the peers of the last run, and look for all peers it knew",
               kRun},
    OptionSpec{
        "metrics-addr",
        ValueKind::Endpoint,
        "",
        "serve /metrics there over TCP, such as 127.0.0.1:6782 (default: only on the control "
        "socket)",
        kRun},
    OptionSpec{"http-addr",
               ValueKind::ListenAt,
               "127.0.0.1:6784",
               "serve Weave's control API there: a loopback address and port, the path of a Unix "
               "socket, or off",
               kRun},
    OptionSpec{"status-addr",
               ValueKind::ListenAt,
               "off",
               "serve its status, report and metrics alone there, such as 127.0.0.1:6782",
               kRun},
    OptionSpec{"format",
               ValueKind::Text,
               "",
               "a Go template for the report, also as -f: {{.Router.Name}}",
               bit(Command::Report)},
    OptionSpec{"replace",
               ValueKind::Flag,
               "false",
               "forget all other peers given by hand",
               bit(Command::Connect)},
    OptionSpec{
        "no-bpf", ValueKind::Flag, "false", "forward through the kernel's bridge alone", kRun},
    OptionSpec{"no-docker", ValueKind::Flag, "false", "do not serve Docker", kRun},
    OptionSpec{"mtu",
               ValueKind::Mtu,
               "0",
               "MTU of containers' interfaces (0: taken from the underlay)",
               kRun},
    OptionSpec{
        "bridge", ValueKind::Interface, "weft", "name of the bridge", kRun | bit(Command::Reset)},
    OptionSpec{"docker-plugin-socket",
               ValueKind::Path,
               "/run/docker/plugins/weft.sock",
               "where Docker looks for the plugin",
               kRun | bit(Command::Reset)},
    OptionSpec{"docker-socket",
               ValueKind::Path,
               "/run/docker.sock",
               "where the Docker engine answers: what runs, and what it is called",
               kRun | kNames | kContainers},
    OptionSpec{"ui-listen",
               ValueKind::Listen,
               "127.0.0.1:4040",
               "address and port of the web UI and its API (beyond loopback: with a token), or off",
               kRun},
    OptionSpec{"ui-token-file",
               ValueKind::Path,
               "",
               "file with the token that the web UI asks for (16 characters or more)",
               kRun},
    OptionSpec{"state-dir",
               ValueKind::Path,
               "/var/lib/weft",
               "identity, addresses and networks that outlive a restart",
               kRun | bit(Command::Reset)},
    OptionSpec{"run-dir",
               ValueKind::Path,
               "/run/weft",
               "where the control socket weft.sock is",
               kRun | kControl | kAttach | kSee | kDns | bit(Command::Reset)},
    OptionSpec{"no-dns", ValueKind::Flag, "false", "do not serve DNS", kRun},
    OptionSpec{"dns-domain",
               ValueKind::Domain,
               "weft.local.",
               "the domain containers' names are in; the same on every host",
               kRun | bit(Command::DnsArgs)},
    OptionSpec{"dns-listen-address",
               ValueKind::Place,
               "",
               "ADDRESS[:PORT] to serve DNS at (default: port 53 of the bridge docker0)",
               kRun},
    OptionSpec{
        "dns-ttl", ValueKind::Seconds, "1", "seconds that answers may be kept by clients", kRun},
    OptionSpec{"dns-local-first",
               ValueKind::Flag,
               "false",
               "answer containers on this host before others",
               kRun},
    OptionSpec{"dns-fallback-timeout",
               ValueKind::Seconds,
               "5",
               "seconds to wait for each server that other names are asked of",
               kRun},
    OptionSpec{"resolv-conf",
               ValueKind::Path,
               "/etc/resolv.conf",
               "where those servers are listed; changes are followed",
               kRun},
    OptionSpec{"fqdn",
               ValueKind::Text,
               "",
               "the name, also as -h; without a dot below the domain",
               kNames | bit(Command::Expose)},
    OptionSpec{"without-dns",
               ValueKind::Flag,
               "false",
               "do not give the container's name to its addresses",
               bit(Command::Attach)},
    OptionSpec{"rewrite-hosts",
               ValueKind::Flag,
               "false",
               "write its addresses into the container's /etc/hosts",
               bit(Command::Attach)},
    OptionSpec{"add-host",
               ValueKind::List,
               "",
               "NAME:ADDRESS to write there as well; may be given more than once",
               bit(Command::Attach)},
    OptionSpec{"no-multicast-route",
               ValueKind::Flag,
               "false",
               "do not lead multicast (224.0.0.0/4) to the container's new interface",
               bit(Command::Attach)},
    OptionSpec{"without-masquerade",
               ValueKind::Flag,
               "false",
               "who comes in through this host keeps its own address",
               bit(Command::Expose)},
    OptionSpec{"service-port",
               ValueKind::Port,
               "",
               "make the name a service at this port: _http._tcp.web (SRV)",
               bit(Command::DnsAdd)},
    OptionSpec{"log-level", ValueKind::LogLevel, "info", "debug, info, warning or error", kRun},
    OptionSpec{"log-file",
               ValueKind::Path,
               "",
               "where logs go (default: stderr; under launch /var/log/weft.log)",
               kRun},
    OptionSpec{"quiet",
               ValueKind::Flag,
               "false",
               "print nothing but the process id",
               bit(Command::Launch)},
    OptionSpec{"json", ValueKind::Flag, "false", "print JSON", bit(Command::Status) | kSee},
    OptionSpec{"verbose",
               ValueKind::Flag,
               "false",
               "with connections: the paths of containers' frames, too, with their history (-v)",
               bit(Command::Status)},
};

Error expected(std::string_view text, std::string_view what) {
  return Error{Errc::Invalid, fmt::format("\"{}\" (expected {})", text, what)};
}

Result<std::uint32_t> parse_number(std::string_view text, std::uint32_t min, std::uint32_t max) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < min || number > max) {
    return expected(text, fmt::format("a number from {} to {}", min, max));
  }
  return number;
}

Result<std::string> checked_flag(const std::string& text) {
  for (const std::string_view yes : {"true", "1", "yes", "on"}) {
    if (text == yes) {
      return std::string("true");
    }
  }
  for (const std::string_view no : {"false", "0", "no", "off"}) {
    if (text == no) {
      return std::string("false");
    }
  }
  return expected(text, "true or false");
}

Result<std::string> checked_cidr(const std::string& text) {
  const auto cidr = Cidr::parse(text);
  if (!cidr.ok() || !cidr.value().is_v4()) {
    return expected(text, "an IPv4 block such as 10.32.0.0/12");
  }
  if (!cidr.value().is_network()) {
    return expected(
        text, fmt::format("no bits behind the prefix: {}", cidr.value().network().to_string()));
  }
  // Network and broadcast address, and two to give out.
  if (cidr.value().v4_count() < 4) {
    return expected(text, "at least 4 addresses: a prefix of at most /30");
  }
  return text;
}

// The 68 bytes every IPv4 link carries (RFC 791), the 65,535 of the largest packet.
constexpr std::uint32_t kMtuMin = 68;
constexpr std::uint32_t kMtuMax = 65535;

// As many peers as a mesh knows (router::Mesh::Options::peers_max).
constexpr std::uint32_t kCountMax = 4096;

Result<std::string> checked_number(const std::string& text,
                                   std::string_view prefix,
                                   std::uint32_t min,
                                   std::uint32_t max) {
  const auto number = parse_number(std::string_view(text).substr(prefix.size()), min, max);
  return number.ok() ? Result<std::string>(text)
                     : expected(text, fmt::format("{}a number from {} to {}", prefix, min, max));
}

Result<std::string> checked_domain(const std::string& text) {
  const auto name = dns::Name::parse(text);
  return name.ok() && !name.value().is_root() ? Result<std::string>(text)
                                              : expected(text, "a domain such as weft.local");
}

Result<std::string> checked_seconds(const std::string& text) {
  constexpr std::uint32_t kDay = 86400;
  const std::string_view number =
      std::string_view(text).substr(0, text.size() - (text.ends_with('s') ? 1 : 0));
  const auto seconds = parse_number(number, 1, kDay);
  return seconds.ok() ? Result<std::string>(text)
                      : expected(text, fmt::format("seconds from 1 to {}", kDay));
}

Result<std::string> checked_interface(const std::string& text) {
  // The kernel's rule (dev_valid_name) less the characters nobody means.
  const bool valid = !text.empty() && text.size() <= kInterfaceNameMax && text.front() != '.'
                     && std::all_of(text.begin(), text.end(), [](char c) {
                          return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-'
                                 || c == '_' || c == '.';
                        });
  if (!valid) {
    return expected(text, "an interface name of at most 15 characters");
  }
  return text;
}

// The value in its canonical form, or what was expected.
Result<std::string> checked(ValueKind kind, const std::string& text) {
  switch (kind) {
    case ValueKind::Flag:
      return checked_flag(text);
    case ValueKind::Text:
    case ValueKind::List:
      return text;
    case ValueKind::Path:
      return text.starts_with('/') ? Result<std::string>(text) : expected(text, "an absolute path");
    case ValueKind::Port:
      return checked_number(text, "", 1, 65535);
    case ValueKind::Count:
      return checked_number(text, "", 0, kCountMax);
    case ValueKind::Endpoint:
      return Endpoint::parse(text).ok() ? Result<std::string>(text)
                                        : expected(text, "ADDRESS:PORT");
    case ValueKind::Listen:
      return text == "off" || Endpoint::parse(text).ok()
                 ? Result<std::string>(text)
                 : expected(text, "an address and a port such as 127.0.0.1:4040, or off");
    case ValueKind::Ip:
      return Ip::parse(text).ok() ? Result<std::string>(text)
                                  : expected(text, "an IPv4 or IPv6 address");
    case ValueKind::Cidr:
      return checked_cidr(text);
    case ValueKind::PeerName:
      return PeerName::parse(text).ok() ? Result<std::string>(text)
                                        : expected(text, "a name such as 7a:01:02:03:04:05");
    case ValueKind::Mtu:
      return text == "0" ? Result<std::string>(text) : checked_number(text, "", kMtuMin, kMtuMax);
    case ValueKind::Interface:
      return checked_interface(text);
    case ValueKind::IpallocInit:
      (void)WEFT_TRY(parse_ipam_init(text));
      return text;
    case ValueKind::Domain:
      return checked_domain(text);
    case ValueKind::Place:
      return parse_listen(text, dns::kPort).ok() ? Result<std::string>(text)
                                                 : expected(text, "an address, or address:port");
    case ValueKind::ListenAt:
      return text == "off" || text.starts_with('/') || Endpoint::parse(text).ok()
                 ? Result<std::string>(text)
                 : expected(text, "an address and a port, the path of a Unix socket, or off");
    case ValueKind::Seconds:
      return checked_seconds(text);
    case ValueKind::LogLevel:
      (void)WEFT_TRY(log::parse_level(text));
      return text;
  }
  return Error{Errc::Invalid, "unknown kind of option"};
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j + 1] + 1, row[j] + 1, replaced});
    }
  }
  return row.back();
}

}  // namespace

std::span<const CommandSpec> commands() {
  return kCommands;
}

std::span<const OptionSpec> options() {
  return kOptions;
}

const CommandSpec& spec_of(Command command) {
  const auto* spec = std::find_if(
      kCommands.begin(), kCommands.end(), [&](const CommandSpec& c) { return c.id == command; });
  WEFT_ASSERT(spec != kCommands.end());
  return *spec;
}

std::string environment_name(const OptionSpec& option) {
  std::string name = "WEFT_";
  for (const char c : option.name) {
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates) {
  std::optional<std::string> best;
  // More than half of the word changed is no longer a typing error.
  std::size_t best_distance = word.size() / 2 + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

Result<Command> parse_command(std::string_view name) {
  std::vector<std::string> names;
  for (const CommandSpec& command : kCommands) {
    if (command.name == name) {
      return command.id;
    }
    names.emplace_back(command.name);
  }
  const auto near = nearest(name, names);
  return Error{Errc::Invalid,
               fmt::format("unknown command \"{}\"{}",
                           name,
                           near ? fmt::format("; did you mean \"{}\"?", *near) : "")};
}

std::uint32_t seconds_of(std::string_view text) {
  if (text.ends_with('s')) {
    text.remove_suffix(1);
  }
  return parse_number(text, 0, std::numeric_limits<std::uint32_t>::max()).value();
}

Result<Endpoint> parse_listen(std::string_view text, std::uint16_t default_port) {
  if (const auto address = Ip::parse(text); address.ok()) {
    return Endpoint{address.value(), default_port};
  }
  return Endpoint::parse(text);
}

const std::string& Settings::text(std::string_view option) const {
  const auto found = values_.find(option);
  WEFT_ASSERT(found != values_.end());
  return found->second.text;
}

bool Settings::is_given(std::string_view option) const {
  const auto found = values_.find(option);
  WEFT_ASSERT(found != values_.end());
  return found->second.given;
}

// The options that have a short form, as CLI11 takes it.
std::string_view letter_of(const OptionSpec& option) {
  if (option.name == "fqdn") {
    return "-h,";
  }
  if (option.name == "format") {
    return "-f,";
  }
  return option.name == "verbose" ? "-v," : "";
}

// CLI11 splits the words; what they mean is decided by the table.
class SettingsParser {
 public:
  SettingsParser(Command command, const Environment& environment)
      : command_(command),
        environment_(environment) {
    app_.set_help_flag();
    for (const OptionSpec& option : kOptions) {
      if (option.applies_to(command)) {
        declare(option);
      }
    }
    // Where -h is the name, as Weave's scripts have it, help is --help alone.
    const bool takes_name = words_.contains("fqdn");
    app_.add_flag(takes_name ? "--help" : "-h,--help", settings_.help_wanted_);
    app_.add_option("arguments", settings_.arguments_);
    app_.allow_extras();
  }

  Result<Settings> parse(std::span<const std::string> words) && {
    // CLI11 consumes from the back.
    std::vector<std::string> reversed(words.rbegin(), words.rend());
    try {
      app_.parse(std::move(reversed));
    } catch (const CLI::ParseError& error) {
      return Error{Errc::Invalid, error.what()};
    }
    for (const std::string& word : app_.remaining()) {
      return unknown_flag(word.substr(0, word.find('=')));
    }
    for (const OptionSpec& option : kOptions) {
      (void)WEFT_TRY(settle(option));
    }
    return check_arguments();
  }

 private:
  void declare(const OptionSpec& option) {
    const std::string flag = fmt::format("{}--{}", letter_of(option), option.name);
    std::string& word = words_[std::string(option.name)];
    auto* declared =
        option.kind == ValueKind::Flag ? app_.add_flag(flag, word) : app_.add_option(flag, word);
    // Wrappers append; the last word wins. A list has a line for each.
    declared->multi_option_policy(option.kind == ValueKind::List
                                      ? CLI::MultiOptionPolicy::Join
                                      : CLI::MultiOptionPolicy::TakeLast);
  }

  Result<Ok> settle(const OptionSpec& option) {
    Settings::Value& value = settings_.values_[std::string(option.name)];
    value.text = option.fallback;
    if (!option.applies_to(command_)) {
      return Ok{};
    }
    std::string source = fmt::format("--{}", option.name);
    std::optional<std::string> word;
    if (app_.count(source) > 0) {
      word = words_[std::string(option.name)];
    } else {
      source = environment_name(option);
      word = environment_(source);
    }
    // An empty value says "as if it were not there": `WEFT_NAME= weft launch`.
    if (!word || word->empty()) {
      return Ok{};
    }
    auto text = checked(option.kind, *word);
    if (!text.ok()) {
      return std::move(text).error().with_context(source);
    }
    value = {std::move(text).value(), true};
    return Ok{};
  }

  Error unknown_flag(const std::string& word) const {
    std::vector<std::string> flags{"--help"};
    for (const auto& [name, value] : words_) {
      flags.push_back("--" + name);
    }
    const auto near = nearest(word, flags);
    const std::string_view command = spec_of(command_).name;
    return Error{
        Errc::Invalid,
        near ? fmt::format("unknown flag {} for \"{}\"; did you mean {}?", word, command, *near)
             : fmt::format("unknown flag {} for \"{}\"; see weft help {}", word, command, command)};
  }

  Result<Settings> check_arguments() {
    const CommandSpec& spec = spec_of(command_);
    const std::size_t count = settings_.arguments_.size();
    if (settings_.help_wanted_) {
      return std::move(settings_);
    }
    if (count < spec.arguments_min) {
      return Error{Errc::Invalid, fmt::format("{} needs {}", spec.name, spec.arguments)};
    }
    if (count > spec.arguments_max) {
      return Error{Errc::Invalid,
                   fmt::format("{} takes at most {} arguments ({} given, from \"{}\")",
                               spec.name,
                               spec.arguments_max,
                               count,
                               settings_.arguments_[spec.arguments_max])};
    }
    return std::move(settings_);
  }

  Command command_;
  const Environment& environment_;
  CLI::App app_;
  std::map<std::string, std::string> words_;
  Settings settings_;
};

Result<Settings> parse_settings(Command command,
                                std::span<const std::string> words,
                                const Environment& environment) {
  return SettingsParser(command, environment).parse(words);
}

}  // namespace weft::agent
