#include "agent/identity.h"

#include <algorithm>
#include <array>
#include <iterator>

#include <fmt/format.h>

#include "base/bytes.h"
#include "router/connector.h"

namespace weft::agent {

namespace {

constexpr const char* kIdentityTable = "identity";
constexpr const char* kTargetsTable = "targets";

// A row of an identity that had been lost: what is known of its addresses is not all there is.
constexpr const char* kLostStore = "lost_store";

Bytes to_value(std::uint64_t number) {
  return Writer().u64(number).take();
}

Result<std::uint64_t> number_of(const Bytes& value) {
  Reader reader(value);
  const std::uint64_t number = WEFT_TRY(reader.u64());
  if (!reader.empty()) {
    return Error{Errc::Invalid, fmt::format("{} bytes behind a number", reader.remaining())};
  }
  return number;
}

std::optional<Bytes> find(const StoreTable& table, std::string_view key) {
  const auto found = table.find(to_bytes(key));
  return found == table.end() ? std::nullopt : std::optional<Bytes>(found->second);
}

PeerName name_of(const Mac::Octets& octets) {
  std::uint64_t number = 0;
  for (const std::uint8_t octet : octets) {
    number = number << 8U | octet;
  }
  return PeerName(number);
}

// In the form of a MAC address, so that a bridge may carry it.
PeerName random_name(Entropy& entropy) {
  return name_of(random_mac(entropy).octets());
}

Result<PeerName> name_of(const Bytes& value) {
  const std::uint64_t number = WEFT_TRY(number_of(value));
  if (number >> 48U != 0) {
    return Error{Errc::Invalid, "name of more than 48 bits"};
  }
  return PeerName(number);
}

Result<std::optional<PeerName>> name_in(const StoreTable& table) {
  const auto value = find(table, "name");
  if (!value) {
    return std::optional<PeerName>();
  }
  const PeerName name = WEFT_TRY(name_of(*value));
  return std::optional(name);
}

Result<router::PrivateKey> secret_of(const Bytes& value) {
  std::array<std::uint8_t, 32> bytes{};
  if (value.size() != bytes.size()) {
    return Error{Errc::Invalid,
                 fmt::format("key of {} bytes (expected {})", value.size(), bytes.size())};
  }
  std::copy(value.begin(), value.end(), bytes.begin());
  return router::PrivateKey(bytes);
}

StoreWrite identity_write(std::string_view key, Bytes value) {
  return {kIdentityTable, to_bytes(key), std::move(value)};
}

}  // namespace

Result<std::optional<PeerName>> stored_name(sys::Store& store) {
  const StoreTable table = WEFT_TRY(store.load(kIdentityTable));
  return name_in(table);
}

Result<std::optional<PeerName>> choose_name(std::optional<PeerName> stored,
                                            std::optional<PeerName> wanted,
                                            std::optional<PeerName> remembers) {
  if (stored && wanted && *wanted != *stored) {
    return Error{Errc::Conflict,
                 fmt::format("the state of this host belongs to peer {} (wanted {}); weft reset "
                             "gives it up",
                             stored->to_string(),
                             wanted->to_string())};
  }
  return stored ? stored : wanted ? wanted : remembers;
}

Result<Identity> claim_identity(sys::Store& store,
                                Entropy& entropy,
                                std::optional<PeerName> wanted,
                                std::optional<PeerName> remembers,
                                StoreBatch also) {
  const StoreTable table = WEFT_TRY(store.load(kIdentityTable));
  Identity identity;
  const std::optional<PeerName> name = WEFT_TRY(name_in(table));
  const std::optional<PeerName> known = WEFT_TRY(choose_name(name, wanted, remembers));
  identity.name = known.value_or(random_name(entropy));
  identity.is_new = !name;
  identity.is_drawn = !known;
  if (const auto secret = find(table, "key")) {
    const auto bytes = WEFT_TRY(secret_of(*secret));
    identity.key = router::KeyPair::from_secret(bytes);
  } else {
    identity.key = router::KeyPair::generate(entropy);
  }
  const bool is_recalled = !name && remembers == identity.name;
  identity.has_lost_store = is_recalled || find(table, kLostStore).has_value();
  const auto incarnation = find(table, "incarnation");
  const std::uint64_t before = incarnation ? WEFT_TRY(number_of(*incarnation)) : 0;
  identity.incarnation = Incarnation(before + 1);

  StoreBatch batch{
      identity_write("name", to_value(identity.name.number())),
      identity_write("key", to_bytes(ByteView(identity.key.secret.bytes()))),
      identity_write("incarnation", to_value(identity.incarnation.value())),
  };
  if (identity.has_lost_store) {
    batch.push_back(identity_write(kLostStore, Bytes()));
  }
  std::move(also.begin(), also.end(), std::back_inserter(batch));
  (void)WEFT_TRY(store.apply(batch));
  return identity;
}

Mac random_mac(Entropy& entropy) {
  Mac::Octets octets{};
  entropy.fill(octets);
  octets[0] = static_cast<std::uint8_t>((octets[0] & 0xfcU) | 0x02U);
  return Mac(octets);
}

std::optional<PeerName> name_of_bridge(const LinkInfo& bridge) {
  const Mac::Octets& octets = bridge.mac.octets();
  constexpr std::uint8_t kLocal = 0x02;
  if (bridge.kind != "bridge" || bridge.alias != kLinkAlias || bridge.mac.is_group()
      || (octets[0] & kLocal) == 0) {
    return std::nullopt;
  }
  return name_of(octets);
}

Result<Ok> outrun(sys::Store& store, Incarnation earlier) {
  return store.apply({identity_write("incarnation", to_value(earlier.value())),
                      identity_write(kLostStore, Bytes())});
}

Result<std::vector<std::string>> load_targets(sys::Store& store) {
  const StoreTable table = WEFT_TRY(store.load(kTargetsTable));
  std::vector<std::string> targets;
  targets.reserve(table.size());
  for (const auto& [target, value] : table) {
    std::string text(as_text(target));
    if (router::Target::parse(text, 0).ok()) {  // Not so if another version wrote it.
      targets.push_back(std::move(text));
    }
  }
  return targets;
}

Result<Ok> replace_targets(sys::Store& store, const std::vector<std::string>& targets) {
  const StoreBatch batch = WEFT_TRY(replaced_targets(store, targets));
  return store.apply(batch);
}

Result<StoreBatch> replaced_targets(sys::Store& store, const std::vector<std::string>& targets) {
  const StoreTable table = WEFT_TRY(store.load(kTargetsTable));
  StoreBatch batch;
  for (const auto& [target, value] : table) {
    batch.push_back({kTargetsTable, target, std::nullopt});
  }
  for (const std::string& target : targets) {
    batch.push_back({kTargetsTable, to_bytes(target), Bytes()});
  }
  return batch;
}

Result<Ok> add_targets(sys::Store& store, const std::vector<std::string>& targets) {
  StoreBatch batch;
  for (const std::string& target : targets) {
    batch.push_back({kTargetsTable, to_bytes(target), Bytes()});
  }
  return store.apply(batch);
}

Result<Ok> remove_targets(sys::Store& store, const std::vector<std::string>& targets) {
  StoreBatch batch;
  for (const std::string& target : targets) {
    batch.push_back({kTargetsTable, to_bytes(target), std::nullopt});
  }
  return store.apply(batch);
}

Result<bool> was_cut_off(sys::Store& store) {
  const StoreTable table = WEFT_TRY(store.load(kIdentityTable));
  return find(table, "running").has_value();
}

Result<Ok> mark_running(sys::Store& store) {
  return store.apply({identity_write("running", Bytes())});
}

Result<Ok> mark_ended(sys::Store& store) {
  return store.apply({{kIdentityTable, to_bytes("running"), std::nullopt}});
}

StoreWrite bridge_row(const std::string& bridge) {
  return identity_write("bridge", to_bytes(bridge));
}

Result<std::optional<std::string>> remembered_bridge(sys::Store& store) {
  const StoreTable table = WEFT_TRY(store.load(kIdentityTable));
  const auto bridge = find(table, "bridge");
  return bridge ? std::optional<std::string>(as_text(*bridge)) : std::nullopt;
}

}  // namespace weft::agent
