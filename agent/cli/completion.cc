#include "agent/cli/completion.h"

#include <fmt/format.h>

#include "agent/cli/options.h"

namespace weft::agent {
namespace {

// Inside single quotes, as all three shells have them.
std::string quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return quoted + "'";
}

std::string flags_of(const CommandSpec& command) {
  std::string flags = "--help";
  for (const OptionSpec& option : options()) {
    if (option.applies_to(command.id)) {
      flags += fmt::format(" --{}", option.name);
    }
  }
  return flags;
}

std::string names() {
  std::string names;
  for (const CommandSpec& command : commands()) {
    names += fmt::format("{}{}", names.empty() ? "" : " ", command.name);
  }
  return names;
}

std::string for_bash() {
  std::string script = "_weft() {\n  local words\n";
  script += "  if ((COMP_CWORD == 1)); then\n";
  script += fmt::format("    words={}\n  else\n    case ${{COMP_WORDS[1]}} in\n", quoted(names()));
  for (const CommandSpec& command : commands()) {
    script += fmt::format("      {}) words={} ;;\n", command.name, quoted(flags_of(command)));
  }
  script +=
      "    esac\n  fi\n"
      "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\")\n}\n"
      "complete -o default -F _weft weft\n";
  return script;
}

std::string for_zsh() {
  std::string script = "#compdef weft\n_weft() {\n  local -a commands\n  commands=(\n";
  for (const CommandSpec& command : commands()) {
    script += fmt::format("    {}\n", quoted(fmt::format("{}:{}", command.name, command.summary)));
  }
  script += "  )\n  if ((CURRENT == 2)); then\n    _describe command commands\n    return\n  fi\n";
  script += "  case $words[2] in\n";
  for (const CommandSpec& command : commands()) {
    script += fmt::format("    {}) compadd -- {} ;;\n", command.name, flags_of(command));
  }
  script += "  esac\n}\ncompdef _weft weft\n";
  return script;
}

std::string for_fish() {
  std::string script;
  for (const CommandSpec& command : commands()) {
    script += fmt::format("complete -c weft -n __fish_use_subcommand -f -a {} -d {}\n",
                          command.name,
                          quoted(command.summary));
    for (const OptionSpec& option : options()) {
      if (option.applies_to(command.id)) {
        script +=
            fmt::format("complete -c weft -n '__fish_seen_subcommand_from {}' -l {}{} -d {}\n",
                        command.name,
                        option.name,
                        option.kind == ValueKind::Flag ? "" : " -r",
                        quoted(option.help));
      }
    }
  }
  return script;
}

}  // namespace

Result<std::string> completion_script(std::string_view shell) {
  if (shell == "bash") {
    return for_bash();
  }
  if (shell == "zsh") {
    return for_zsh();
  }
  if (shell == "fish") {
    return for_fish();
  }
  return Error{Errc::Invalid, fmt::format("shell \"{}\" (expected bash, zsh or fish)", shell)};
}

}  // namespace weft::agent
