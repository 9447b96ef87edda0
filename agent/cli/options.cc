#include "agent/cli/options.h"

#include <algorithm>
#include <cctype>
#include <numeric>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "agent/cli/options/values.h"
#include "base/assert.h"

namespace weft::agent {
namespace {

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
  for (const CommandSpec& command : commands()) {
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

sys::HostPaths host_paths(const Settings& settings) {
  return {.root = settings.text("host-root"), .proc = settings.text("proc-path")};
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
    for (const OptionSpec& option : options()) {
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
    WEFT_TRY(check_place());
    for (const OptionSpec& option : options()) {
      (void)WEFT_TRY(settle(option));
    }
    find_host();
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
    auto text = checked_value(option.kind, *word);
    if (!text.ok()) {
      return std::move(text).error().with_context(source);
    }
    value = {std::move(text).value(), true};
    return Ok{};
  }

  // Where nothing else was said of files of the host, they are below its root.
  void find_host() {
    const sys::HostPaths host{.root = settings_.text("host-root")};
    for (const OptionSpec& option : options()) {
      Settings::Value& value = settings_.values_.find(option.name)->second;
      if (option.kind == ValueKind::HostPath && !value.given && !value.text.empty()) {
        value.text = host.here(value.text);
      }
    }
  }

  // Who has said that commands are for another host's agent does not mean this one, above all not
  // with stop or reset.
  Result<Ok> check_place() const {
    const auto takes = [this](std::string_view name) { return words_.contains(std::string(name)); };
    const auto place = environment_("WEFT_HTTP_ADDR");
    if (takes("http-addr") || !takes("run-dir") || !place || !place->starts_with(kRemoteScheme)) {
      return Ok{};
    }
    return Error{Errc::Invalid,
                 fmt::format("{} is for the agent of its own host alone, and WEFT_HTTP_ADDR is {} "
                             "(run it there, or without that variable)",
                             spec_of(command_).name,
                             *place)};
  }

  Error unknown_flag(const std::string& word) const {
    if (word == "--http-addr") {
      return Error{Errc::Invalid,
                   fmt::format("{} takes no --http-addr: it is for the agent of its own host alone",
                               spec_of(command_).name)};
    }
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
