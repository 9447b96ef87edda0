#include "agent/ipam/init.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace weft::agent {
namespace {

// Founders are few: others join and are given space.
constexpr std::size_t kFoundersMax = 200;

Result<std::size_t> parse_count(std::string_view whole, std::string_view text) {
  std::size_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size() || count < 1
      || count > kFoundersMax) {
    return Error{
        Errc::Invalid,
        fmt::format("\"{}\" (expected consensus=a number from 1 to {})", whole, kFoundersMax)};
  }
  return count;
}

Result<std::vector<PeerName>> parse_seeds(std::string_view text) {
  std::vector<PeerName> seeds;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    seeds.push_back(WEFT_TRY(PeerName::parse(text.substr(0, end))));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  std::sort(seeds.begin(), seeds.end());
  const bool repeated = std::adjacent_find(seeds.begin(), seeds.end()) != seeds.end();
  if (seeds.empty() || seeds.size() > kFoundersMax || repeated) {
    return Error{Errc::Invalid,
                 fmt::format("{} seeds{} (expected 1 to {} different names)",
                             seeds.size(),
                             repeated ? " with repetitions" : "",
                             kFoundersMax)};
  }
  return seeds;
}

}  // namespace

Result<IpamInit> parse_ipam_init(std::string_view text) {
  constexpr std::string_view kConsensus = "consensus=";
  constexpr std::string_view kSeed = "seed=";
  IpamInit init;
  if (text.empty() || text == "consensus") {
    return init;
  }
  if (text == "observer") {
    init.observer = true;
    return init;
  }
  if (text.starts_with(kConsensus)) {
    init.elector_count = WEFT_TRY(parse_count(text, text.substr(kConsensus.size())));
    return init;
  }
  if (text.starts_with(kSeed)) {
    init.seeds = WEFT_TRY(parse_seeds(text.substr(kSeed.size())));
    return init;
  }
  return Error{Errc::Invalid,
               fmt::format("\"{}\" (expected consensus[=N], seed=NAME,… or observer)", text)};
}

}  // namespace weft::agent
