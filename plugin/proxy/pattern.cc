#include "plugin/proxy/pattern.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <stdexcept>
#include <string_view>

#include <boost/regex.hpp>
#include <fmt/format.h>

namespace weft::plugin::proxy {
namespace {

constexpr std::string_view kGroupOfGo = "(?P<";
constexpr std::string_view kGroupOfPerl = "(?<";

// Groups with names as Perl writes them.
std::string to_perl(std::string_view pattern) {
  std::string perl;
  bool is_class = false;
  while (!pattern.empty()) {
    if (!is_class && pattern.starts_with(kGroupOfGo)) {
      perl += kGroupOfPerl;
      pattern.remove_prefix(kGroupOfGo.size());
      continue;
    }
    const std::size_t size = std::min<std::size_t>(pattern.front() == '\\' ? 2 : 1, pattern.size());
    is_class = pattern.front() == '[' || (is_class && pattern.front() != ']');
    perl += pattern.substr(0, size);
    pattern.remove_prefix(size);
  }
  return perl;
}

Result<boost::regex> compile(const std::string& pattern) {
  try {
    return boost::regex(to_perl(pattern), boost::regex::perl);
  } catch (const boost::regex_error& error) {
    return Error{Errc::Invalid,
                 fmt::format("\"{}\" is no regular expression: {}", pattern, error.what())};
  }
}

bool is_word(char octet) {
  return (octet >= '0' && octet <= '9') || (octet >= 'a' && octet <= 'z')
         || (octet >= 'A' && octet <= 'Z') || octet == '_';
}

// Takes the name behind a dollar sign off the front, braces and all; nothing if there is none.
std::optional<std::string_view> take_name(std::string_view& text) {
  const bool has_braces = text.starts_with('{');
  const std::string_view inner = text.substr(has_braces ? 1 : 0);
  const auto size = static_cast<std::size_t>(std::find_if_not(inner.begin(), inner.end(), is_word)
                                             - inner.begin());
  if (size == 0 || (has_braces && (size == inner.size() || inner[size] != '}'))) {
    return std::nullopt;
  }
  text.remove_prefix(size + (has_braces ? 2 : 0));
  return inner.substr(0, size);
}

// What a group matched; nothing if it did not, or is not there.
std::string group_of(const boost::smatch& match, std::string_view name) {
  int number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool is_number = error == std::errc() && end == name.data() + name.size();
  return is_number ? match[number].str() : match[std::string(name)].str();
}

std::string expand(const boost::smatch& match, std::string_view replacement) {
  std::string expanded;
  while (!replacement.empty()) {
    const char octet = replacement.front();
    replacement.remove_prefix(1);
    if (octet != '$') {
      expanded += octet;
    } else if (replacement.starts_with('$')) {
      expanded += '$';
      replacement.remove_prefix(1);
    } else if (const auto name = take_name(replacement)) {
      expanded += group_of(match, *name);
    } else {
      expanded += '$';
    }
  }
  return expanded;
}

}  // namespace

Result<Ok> check_pattern(const std::string& pattern) {
  WEFT_TRY(compile(pattern));
  return Ok{};
}

// What is empty right behind a match is none: "(.*)" matches a name once.
Result<std::string> replace_matches(const std::string& text,
                                    const std::string& pattern,
                                    const std::string& replacement) {
  const boost::regex compiled = WEFT_TRY(compile(pattern));
  std::string replaced;
  auto rest = text.begin();
  bool has_match = false;
  try {
    for (boost::sregex_iterator at(text.begin(), text.end(), compiled), none; at != none; ++at) {
      const auto& match = (*at)[0];
      if (has_match && match.length() == 0 && match.first == rest) {
        continue;
      }
      has_match = true;
      replaced.append(rest, match.first);
      replaced += expand(*at, replacement);
      rest = match.second;
    }
  } catch (const std::runtime_error& error) {  // Too many ways to match.
    return Error{Errc::Exhausted, fmt::format("\"{}\" in \"{}\": {}", pattern, text, error.what())};
  }
  return replaced.append(rest, text.end());
}

}  // namespace weft::plugin::proxy
