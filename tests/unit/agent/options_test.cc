#include "agent/cli/options.h"

#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/cli/completion.h"
#include "agent/cli/exit_code.h"
#include "agent/cli/help.h"

namespace weft::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Environment environment_of(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const std::string& name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
  };
}

Result<Settings> parse(Command command,
                       std::vector<std::string> words,
                       std::map<std::string, std::string> variables = {}) {
  return parse_settings(command, words, environment_of(std::move(variables)));
}

TEST(Options, HaveUniqueNamesAndHelpAndValidDefaults) {
  std::set<std::string_view> names;
  for (const OptionSpec& option : options()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name;
    EXPECT_FALSE(option.help.empty()) << option.name;
    EXPECT_NE(option.commands, 0U) << option.name;
    if (option.fallback.empty()) {
      continue;
    }
    const auto given = parse_settings(Command::Agent,
                                      std::vector<std::string>{"--" + std::string(option.name) + "="
                                                               + std::string(option.fallback)},
                                      environment_of({}));
    if (option.applies_to(Command::Agent)) {
      EXPECT_TRUE(given.ok()) << option.name;
    }
  }
}

TEST(Options, TakeTheFlagBeforeTheVariableBeforeTheDefault) {
  const std::map<std::string, std::string> variables{{"WEFT_PORT", "7001"}, {"WEFT_MTU", "9000"}};

  const auto settings = parse(Command::Agent, {"--port", "7000"}, variables);

  ASSERT_TRUE(settings.ok()) << settings.error().what;
  EXPECT_EQ(settings.value().text("port"), "7000");
  EXPECT_EQ(settings.value().text("mtu"), "9000");
  EXPECT_EQ(settings.value().text("ipalloc-range"), "10.32.0.0/12");
  EXPECT_TRUE(settings.value().is_given("mtu"));
  EXPECT_FALSE(settings.value().is_given("ipalloc-range"));
}

TEST(Options, KeepPeersApartFromFlagsInAnyOrder) {
  const auto settings = parse(Command::Launch, {"host1", "--no-bpf", "host2:7000", "--port=6000"});

  ASSERT_TRUE(settings.ok()) << settings.error().what;
  EXPECT_THAT(settings.value().arguments(), ElementsAre("host1", "host2:7000"));
  EXPECT_TRUE(settings.value().flag("no-bpf"));
  EXPECT_FALSE(settings.value().flag("no-docker"));
  EXPECT_EQ(settings.value().text("port"), "6000");
}

TEST(Options, LetTheLastOfARepeatedFlagWin) {
  const auto settings = parse(Command::Agent, {"--port", "1", "--port", "2"});

  ASSERT_TRUE(settings.ok()) << settings.error().what;
  EXPECT_EQ(settings.value().text("port"), "2");
}

TEST(Options, TakeAFlagFromTheEnvironment) {
  EXPECT_TRUE(parse(Command::Agent, {}, {{"WEFT_NO_DOCKER", "1"}}).value().flag("no-docker"));
  EXPECT_FALSE(parse(Command::Agent, {}, {{"WEFT_NO_DOCKER", "0"}}).value().flag("no-docker"));
  EXPECT_FALSE(parse(Command::Agent, {}, {{"WEFT_NO_DOCKER", ""}}).value().flag("no-docker"));
}

TEST(Options, NameTheNearestOfAnUnknownFlag) {
  const auto settings = parse(Command::Launch, {"--ipaloc-range", "10.0.0.0/8"});

  ASSERT_FALSE(settings.ok());
  EXPECT_EQ(settings.error().code, Errc::Invalid);
  EXPECT_EQ(settings.error().what,
            "unknown flag --ipaloc-range for \"launch\"; did you mean --ipalloc-range?");
}

TEST(Options, PointToHelpWhenNoFlagIsNear) {
  const auto settings = parse(Command::Stop, {"--xyzzy=1"});

  ASSERT_FALSE(settings.ok());
  EXPECT_EQ(settings.error().what, "unknown flag --xyzzy for \"stop\"; see weft help stop");
}

TEST(Options, RefuseAFlagOfAnotherCommand) {
  const auto settings = parse(Command::Status, {"--no-bpf"});

  ASSERT_FALSE(settings.ok());
  EXPECT_THAT(settings.error().what, HasSubstr("unknown flag --no-bpf"));
}

TEST(Options, RefuseAFlagWithoutItsValue) {
  const auto settings = parse(Command::Agent, {"--port"});

  ASSERT_FALSE(settings.ok());
  EXPECT_THAT(settings.error().what, HasSubstr("--port"));
}

TEST(Options, SayWhatWasExpectedOfABadValue) {
  struct Case {
    std::string flag;
    std::string value;
    std::string expected;
  };
  const std::vector<Case> cases{
      {"--port", "0", "--port: \"0\" (expected a number from 1 to 65535)"},
      {"--port", "67830", "--port: \"67830\" (expected a number from 1 to 65535)"},
      {"--port", "6783x", "--port: \"6783x\" (expected a number from 1 to 65535)"},
      {"--host", "me", "--host: \"me\" (expected an IPv4 or IPv6 address)"},
      {"--name", "host", "--name: \"host\" (expected a name such as 7a:01:02:03:04:05)"},
      {"--mtu", "60", "--mtu: \"60\" (expected a number from 68 to 65535)"},
      {"--state-dir", "state", "--state-dir: \"state\" (expected an absolute path)"},
      {"--bridge",
       "a/b",
       "--bridge: \"a/b\" (expected an interface name of at most 15 characters)"},
      {"--ipalloc-range",
       "10.32.0.0",
       "--ipalloc-range: \"10.32.0.0\" (expected an IPv4 block such as 10.32.0.0/12)"},
      {"--ipalloc-range",
       "fd00::/64",
       "--ipalloc-range: \"fd00::/64\" (expected an IPv4 block such as 10.32.0.0/12)"},
      {"--ipalloc-range",
       "10.33.0.0/12",
       "--ipalloc-range: \"10.33.0.0/12\" (expected no bits behind the prefix: 10.32.0.0/12)"},
      {"--ipalloc-range",
       "10.32.0.0/31",
       "--ipalloc-range: \"10.32.0.0/31\" (expected at least 4 addresses: a prefix of at most "
       "/30)"},
      {"--ipalloc-range",
       "10.32.0.0/12,10.64.0.0/12",
       "--ipalloc-range: \"10.32.0.0/12,10.64.0.0/12\" (expected behind the comma an IPv6 block "
       "such as fd00:32::/48)"},
      {"--ipalloc-range",
       "10.32.0.0/12,fd00::/127",
       "--ipalloc-range: \"10.32.0.0/12,fd00::/127\" (expected at least 4 addresses: a prefix of "
       "at most /126)"},
      {"--ipalloc-init",
       "founder",
       "--ipalloc-init: \"founder\" (expected consensus[=N], seed=NAME,… or observer)"},
      {"--ipalloc-init",
       "consensus=0",
       "--ipalloc-init: \"consensus=0\" (expected consensus=a number from 1 to 200)"},
      {"--no-bpf", "maybe", "--no-bpf: \"maybe\" (expected true or false)"},
      {"--log-level",
       "loud",
       "--log-level: log level \"loud\" (expected debug, info, warning or error)"},
  };
  for (const Case& c : cases) {
    const auto settings = parse(Command::Agent, {c.flag + "=" + c.value});

    ASSERT_FALSE(settings.ok()) << c.flag << " " << c.value;
    EXPECT_EQ(settings.error().what, c.expected);
  }
}

TEST(Options, NameTheVariableOfABadValue) {
  const auto settings = parse(Command::Agent, {}, {{"WEFT_PORT", "x"}});

  ASSERT_FALSE(settings.ok());
  EXPECT_THAT(settings.error().what, HasSubstr("WEFT_PORT: \"x\""));
}

TEST(Options, LetNoCommandThatIsForItsOwnHostMeanAnother) {
  const std::map<std::string, std::string> elsewhere{{"WEFT_HTTP_ADDR", "https://10.0.0.1"}};

  for (const Command command : {Command::Stop, Command::Reset, Command::Ps, Command::Top}) {
    EXPECT_THAT(parse(command, {}, elsewhere).error().what,
                HasSubstr("is for the agent of its own host alone, and WEFT_HTTP_ADDR is "
                          "https://10.0.0.1"));
    EXPECT_THAT(parse(command, {"--http-addr", "https://10.0.0.1"}).error().what,
                HasSubstr("takes no --http-addr"));
    EXPECT_TRUE(parse(command, {}, {{"WEFT_HTTP_ADDR", "10.0.0.1:6784"}}).ok());
  }
  for (const Command command : {Command::Status, Command::DnsArgs, Command::Expose}) {
    EXPECT_TRUE(parse(command, {}, elsewhere).ok());
  }
  EXPECT_TRUE(parse(Command::Version, {}, elsewhere).ok());
}

TEST(Options, CountTheArgumentsOfACommand) {
  EXPECT_EQ(parse(Command::Connect, {}).error().what, "connect needs PEER…");
  EXPECT_THAT(parse(Command::Stop, {"now"}).error().what, HasSubstr("takes at most 0 arguments"));
  EXPECT_TRUE(parse(Command::Connect, {"--help"}).value().help_wanted());
}

TEST(Commands, NameTheNearestOfAnUnknownOne) {
  EXPECT_EQ(parse_command("launch").value(), Command::Launch);
  EXPECT_EQ(parse_command("lunch").error().what,
            "unknown command \"lunch\"; did you mean \"launch\"?");
  EXPECT_EQ(parse_command("qqqqqq").error().what, "unknown command \"qqqqqq\"");
}

TEST(Help, ListsEveryCommandOptionVariableAndExitCode) {
  for (const CommandSpec& command : commands()) {
    EXPECT_THAT(overview_help(), HasSubstr(std::string(command.name)));
    EXPECT_THAT(command_help(command.id), HasSubstr(std::string(command.summary)));
  }
  for (const OptionSpec& option : options()) {
    EXPECT_THAT(options_help(), HasSubstr("`" + environment_name(option) + "`"));
    EXPECT_THAT(options_help(), HasSubstr(std::string(option.help)));
  }
  for (const ExitCodeInfo& info : kExitCodes) {
    EXPECT_THAT(exit_codes_help(), HasSubstr(std::string(info.meaning)));
  }
  EXPECT_THAT(command_help(Command::Launch), HasSubstr("--ipalloc-range CIDR"));
  EXPECT_THAT(command_help(Command::Launch), HasSubstr("(default: 10.32.0.0/12)"));
  EXPECT_THAT(command_help(Command::Stop), testing::Not(HasSubstr("--ipalloc-range")));
}

TEST(Completion, KnowsEveryCommandAndFlag) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = completion_script(shell).value();
    for (const CommandSpec& command : commands()) {
      EXPECT_THAT(script, HasSubstr(std::string(command.name))) << shell;
    }
    for (const OptionSpec& option : options()) {
      EXPECT_THAT(script, HasSubstr(std::string(option.name))) << shell;
    }
  }
  EXPECT_FALSE(completion_script("tcsh").ok());
}

TEST(Docs, AgreeWithTheProgram) {
  std::ifstream file(WEFT_DOCS_DIR "/OPERATING.md");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());

  EXPECT_THAT(text, HasSubstr(options_help()));
  for (const ExitCodeInfo& info : kExitCodes) {
    EXPECT_THAT(text,
                HasSubstr(fmt::format("| {} | {} |", static_cast<int>(info.code), info.meaning)));
  }
}

}  // namespace
}  // namespace weft::agent
