#include "agent/cli/attach/addresses.h"

#include <sstream>

#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "agent/http/agent_call.h"
#include "agent/http/form.h"

namespace weft::agent {
namespace {

// What the agent answers from memory, or with a few netlink calls.
constexpr int kCallTimeoutSeconds = 10;

std::string in_path(const Cidr& cidr) {
  return fmt::format("{}/{}", cidr.address().to_string(), cidr.prefix());
}

std::string path_of(const std::string& owner, const AddressWord& word) {
  const std::string path = "/ip/" + encode_percent(owner);
  return word.kind == AddressWord::Kind::Default ? path : path + "/" + in_path(word.cidr);
}

Result<std::vector<Cidr>> parse_list(const std::string& text) {
  std::vector<Cidr> addresses;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    addresses.push_back(WEFT_TRY(Cidr::parse(word)));
  }
  return addresses;
}

}  // namespace

Result<std::optional<AddressWord>> parse_address_word(std::string_view word) {
  constexpr std::string_view kExact = "ip:";
  constexpr std::string_view kSubnet = "net:";
  using Kind = AddressWord::Kind;
  if (word == "net:default") {
    return std::optional(AddressWord{});
  }
  if (word.starts_with(kSubnet)) {
    const Cidr subnet = WEFT_TRY(Cidr::parse(word.substr(kSubnet.size())));
    if (!subnet.is_network()) {
      return Error{Errc::Invalid,
                   fmt::format("{} has bits behind its prefix (expected net:{})",
                               word,
                               subnet.network().to_string())};
    }
    return std::optional(AddressWord{Kind::Subnet, subnet});
  }
  const bool is_marked = word.starts_with(kExact);
  Result<Cidr> exact = Cidr::parse(is_marked ? word.substr(kExact.size()) : word);
  if (exact.ok()) {
    return std::optional(AddressWord{Kind::Exact, exact.value()});
  }
  if (Ip::parse(word).ok()) {
    return Error{
        Errc::Invalid,
        fmt::format("{} has no prefix length (expected {}/LEN, as in its subnet)", word, word)};
  }
  // No container's name has a slash but that of a path.
  const bool is_meant = word.find('/') != std::string_view::npos && !word.starts_with('/');
  if (is_marked || is_meant) {
    return std::move(exact).error();
  }
  return std::optional<AddressWord>();
}

Result<AddressWords> parse_address_words(const std::vector<std::string>& words) {
  AddressWords parsed;
  for (const std::string& word : words) {
    const std::optional<AddressWord> address = WEFT_TRY(parse_address_word(word));
    if (address) {
      parsed.addresses.push_back(*address);
    } else {
      parsed.rest.push_back(word);
    }
  }
  if (parsed.addresses.empty()) {
    parsed.addresses.emplace_back();
  }
  return parsed;
}

Result<std::vector<Cidr>> take_addresses(const Settings& settings,
                                         const std::string& owner,
                                         const std::vector<AddressWord>& words,
                                         int timeout_seconds) {
  std::vector<Cidr> addresses;
  for (const AddressWord& word : words) {
    if (word.kind == AddressWord::Kind::Exact) {
      (void)WEFT_TRY(ask_agent(settings, "PUT", path_of(owner, word), timeout_seconds));
      addresses.push_back(word.cidr);
    } else {
      const std::string taken =
          WEFT_TRY(ask_agent(settings, "POST", path_of(owner, word), timeout_seconds));
      addresses.push_back(WEFT_TRY(Cidr::parse(taken)));
    }
  }
  return addresses;
}

Result<std::vector<Cidr>> look_up_addresses(const Settings& settings,
                                            const std::string& owner,
                                            const std::vector<AddressWord>& words) {
  std::vector<Cidr> addresses;
  for (const AddressWord& word : words) {
    if (word.kind == AddressWord::Kind::Exact) {
      addresses.push_back(word.cidr);
      continue;
    }
    const std::string text =
        WEFT_TRY(ask_agent(settings, "GET", path_of(owner, word), kCallTimeoutSeconds));
    const std::vector<Cidr> held = WEFT_TRY(parse_list(text));
    addresses.insert(addresses.end(), held.begin(), held.end());
  }
  return addresses;
}

Result<Ok> give_back_address(const Settings& settings,
                             const std::string& owner,
                             const Cidr& address) {
  const std::string path =
      fmt::format("/ip/{}/{}", encode_percent(owner), address.address().to_string());
  (void)WEFT_TRY(ask_agent(settings, "DELETE", path, kCallTimeoutSeconds));
  return Ok{};
}

Result<Ok> give_back_addresses(const Settings& settings,
                               const std::string& owner,
                               const std::vector<AddressWord>& words) {
  for (const AddressWord& word : words) {
    if (word.kind == AddressWord::Kind::Exact) {
      continue;
    }
    const std::vector<Cidr> held = WEFT_TRY(look_up_addresses(settings, owner, {word}));
    for (const Cidr& address : held) {
      WEFT_TRY(give_back_address(settings, owner, address));
    }
  }
  return Ok{};
}

void print_addresses(const std::vector<Cidr>& addresses) {
  std::string line;
  for (const Cidr& address : addresses) {
    line += (line.empty() ? "" : " ") + address.address().to_string();
  }
  if (!line.empty()) {
    fmt::print("{}\n", line);
  }
}

Result<std::string> ask_agent(const Settings& settings,
                              const std::string& method,
                              const std::string& target,
                              int timeout_seconds) {
  auto response = WEFT_TRY(call_agent(settings, method, target, "", timeout_seconds));
  std::string body = std::move(response.body);
  if (response.status / 100 == 2) {
    return body;
  }
  body.erase(body.find_last_not_of('\n') + 1);
  boost::system::error_code other;
  if (const auto said = boost::json::parse(body, other); !other && said.is_string()) {
    body = said.as_string();  // As the API of the picture puts it.
  }
  constexpr unsigned kNotFound = 404;
  return Error{response.status == kNotFound ? Errc::NotFound : Errc::Conflict, std::move(body)};
}

}  // namespace weft::agent
