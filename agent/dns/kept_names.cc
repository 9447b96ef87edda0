#include "agent/dns/kept_names.h"

#include <charconv>

#include <fmt/format.h>

namespace weft::agent {
namespace {

// None of the parts has a blank in it: owners are checked by Names, which comes first.
Bytes to_key(const KeptNames::Kept& kept) {
  const auto& [owner, entry] = kept;
  const std::string text = fmt::format(
      "{} {} {} {}", owner, entry.name.to_string(), entry.address.to_string(), entry.port);
  return Bytes(text.begin(), text.end());
}

Result<KeptNames::Kept> parse_key(const Bytes& key) {
  std::string rest(key.begin(), key.end());
  std::vector<std::string> words;
  for (std::size_t at = rest.find(' '); at != std::string::npos; at = rest.find(' ')) {
    words.push_back(rest.substr(0, at));
    rest.erase(0, at + 1);
  }
  words.push_back(rest);
  std::uint16_t port = 0;
  const std::string& last = words.back();
  const auto [end, error] = std::from_chars(last.data(), last.data() + last.size(), port);
  if (words.size() != 4 || error != std::errc() || end != last.data() + last.size()) {
    return Error{Errc::Invalid, "row of a name (expected owner, name, address, port)"};
  }
  dns::NameEntry entry;
  entry.name = WEFT_TRY(dns::Name::parse(words[1]));
  entry.address = WEFT_TRY(Ip::parse(words[2]));
  entry.port = port;
  return KeptNames::Kept(words[0], entry);
}

bool fits(const KeptNames::Kept& kept, const dns::Names::Filter& filter) {
  const auto& [owner, entry] = kept;
  return (!filter.owner || *filter.owner == owner)
         && (!filter.address || *filter.address == entry.address)
         && (!filter.name || filter.name->folded() == entry.name.folded());
}

}  // namespace

Result<Ok> KeptNames::load(const StoreTable& rows) {
  std::set<Kept> names;
  for (const auto& [key, row] : rows) {
    names.insert(WEFT_TRY(parse_key(key)));
  }
  all_ = std::move(names);
  return Ok{};
}

void KeptNames::add(const std::string& owner, const dns::NameEntry& entry) {
  const auto [kept, is_new] = all_.emplace(owner, entry);
  if (is_new) {
    changes_.push_back({.table = table_, .key = to_key(*kept), .value = Bytes()});
  }
}

void KeptNames::replace(const std::string& owner, const std::vector<dns::NameEntry>& entries) {
  const std::set<dns::NameEntry> wanted(entries.begin(), entries.end());
  const auto of_owner = all_.lower_bound(Kept(owner, dns::NameEntry{}));
  std::vector<Kept> gone;
  for (auto at = of_owner; at != all_.end() && at->first == owner; ++at) {
    if (!wanted.contains(at->second)) {
      gone.push_back(*at);
    }
  }
  for (const Kept& kept : gone) {
    changes_.push_back({.table = table_, .key = to_key(kept), .value = std::nullopt});
    all_.erase(kept);
  }
  for (const dns::NameEntry& entry : wanted) {
    add(owner, entry);
  }
}

void KeptNames::remove(const dns::Names::Filter& filter) {
  for (auto at = all_.begin(); at != all_.end();) {
    if (!fits(*at, filter)) {
      ++at;
      continue;
    }
    changes_.push_back({.table = table_, .key = to_key(*at), .value = std::nullopt});
    at = all_.erase(at);
  }
}

}  // namespace weft::agent
