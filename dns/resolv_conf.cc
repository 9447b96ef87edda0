#include "dns/resolv_conf.h"

#include <algorithm>

#include "dns/message.h"

namespace weft::dns {

namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlanks));
  line.remove_prefix(word.size());
  return word;
}

}  // namespace

std::vector<Endpoint> parse_resolv_conf(std::string_view text) {
  std::vector<Endpoint> servers;
  while (!text.empty() && servers.size() < kServersMax) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (take_word(line) != "nameserver") {
      continue;
    }
    const auto address = Ip::parse(take_word(line));
    if (!address.ok()) {
      continue;
    }
    const Endpoint server{address.value(), kPort};
    if (std::find(servers.begin(), servers.end(), server) == servers.end()) {
      servers.push_back(server);
    }
  }
  return servers;
}

}  // namespace weft::dns
