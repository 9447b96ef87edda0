#include "base/peer_name.h"

#include <algorithm>
#include <string>
#include <vector>

namespace weft {

PeerName::PeerName(std::uint64_t number) : number_(number) {
  WEFT_ASSERT(number < std::uint64_t{1} << 48U);
}

namespace {

// "::1" and "7a::2" stand for names with zeros where the two colons are.
Result<std::string> expanded(std::string_view text) {
  const std::size_t gap = text.find("::");
  if (gap == std::string_view::npos) {
    return std::string(text);
  }
  const auto groups = [](std::string_view part) {
    std::vector<std::string> found;
    while (!part.empty()) {
      const std::size_t end = std::min(part.find(':'), part.size());
      found.emplace_back(end < 2 ? 2 - end : 0, '0');
      found.back() += part.substr(0, end);
      part.remove_prefix(std::min(end + 1, part.size()));
    }
    return found;
  };
  std::vector<std::string> all = groups(text.substr(0, gap));
  const std::vector<std::string> behind = groups(text.substr(gap + 2));
  constexpr std::size_t kGroups = 6;
  if (all.size() + behind.size() >= kGroups) {
    return Error{Errc::Invalid, "name of more than 48 bits"};
  }
  all.resize(kGroups - behind.size(), "00");
  all.insert(all.end(), behind.begin(), behind.end());
  std::string whole = all.front();
  for (std::size_t i = 1; i < kGroups; ++i) {
    whole += ":" + all[i];
  }
  return whole;
}

}  // namespace

Result<PeerName> PeerName::parse(std::string_view text) {
  const std::string whole = WEFT_TRY(expanded(text));
  const Mac mac = WEFT_TRY(Mac::parse(whole));
  std::uint64_t number = 0;
  for (const std::uint8_t octet : mac.octets()) {
    number = number << 8U | octet;
  }
  return PeerName(number);
}

Mac PeerName::as_mac() const {
  Mac::Octets octets{};
  for (std::size_t i = 0; i < octets.size(); ++i) {
    octets[i] = static_cast<std::uint8_t>(number_ >> (40U - 8U * i));
  }
  return Mac(octets);
}

}  // namespace weft
