#include "agent/ipam/rebuild.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "agent/docker/plugin_sockets.h"
#include "base/log.h"
#include "ipam/allocator.h"
#include "ipam/stored.h"

namespace weft::agent {
namespace {

// Of a store that is damaged in one place, the rest is kept.
constexpr std::array<const char*, 9> kKeptTables{"identity",
                                                 "targets",
                                                 "docker_networks",
                                                 "docker_endpoints",
                                                 kPluginSocketsTable,
                                                 "attachments",
                                                 "exposed",
                                                 "dns_names",
                                                 "placement"};

// A store of two addresses' families has tables of both.
constexpr std::array<const char*, 2> kFamilies{"ipam", "ipam6"};

bool is_damaged(const Error& error) {
  return error.code == Errc::Invalid;
}

// Whether everything of ipam's can be read. What range and name it is of is no damage.
Result<Ok> check_addresses(sys::Store& store) {
  for (const std::string family : kFamilies) {
    ipam::Allocator::Stored stored;
    stored.ring = WEFT_TRY(store.load(family + "_ring"));
    stored.owned = WEFT_TRY(store.load(family + "_owned"));
    stored.paxos = WEFT_TRY(store.load(family + "_paxos"));
    stored.council = WEFT_TRY(store.load(family + "_council"));
    WEFT_TRY(ipam::check_stored(stored));
  }
  return Ok{};
}

std::string name_beside(const std::string& path) {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  (void)std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &utc);
  return fmt::format("{}.set-aside-{}", path, text.data());
}

// With SQLite's companions, without which it would be another database.
Result<Ok> set_aside(const std::string& path, const std::string& beside) {
  for (const std::string_view suffix : {"", "-wal", "-shm"}) {
    const std::string from = path + std::string(suffix);
    if (std::rename(from.c_str(), (beside + std::string(suffix)).c_str()) != 0 && errno != ENOENT) {
      const int error = errno;
      return Error{Errc::Os, fmt::format("set {} aside: {}", from, std::strerror(error)), error};
    }
  }
  return Ok{};
}

StoreBatch salvage(sys::Store& store) {
  StoreBatch kept;
  for (const char* table : kKeptTables) {
    const auto rows = store.load(table);
    for (const auto& [key, value] : rows.ok() ? rows.value() : StoreTable()) {
      kept.push_back({table, key, value});
    }
  }
  return kept;
}

Result<OpenedStore> rebuild(const std::string& path, const Error& why, const StoreBatch& kept) {
  const std::string beside = name_beside(path);
  WEFT_TRY(set_aside(path, beside));
  auto store = WEFT_TRY(sys::open_store(path));
  WEFT_TRY(store->apply(kept));
  log::error(
      "the state of this host cannot be used and was set aside; it is rebuilt from the "
      "containers that run and from the other peers",
      {"why", why},
      {"old", beside},
      {"new", path},
      {"rows_kept", kept.size()});
  return OpenedStore{.store = std::move(store), .is_rebuilt = true};
}

}  // namespace

Result<OpenedStore> open_or_rebuild(const std::string& path) {
  auto store = sys::open_store(path);
  if (!store.ok()) {
    return is_damaged(store.error()) ? rebuild(path, store.error(), {})
                                     : Result<OpenedStore>(store.error());
  }
  const auto checked = check_addresses(*store.value());
  if (!checked.ok() && !is_damaged(checked.error())) {
    return checked.error();
  }
  if (checked.ok()) {
    return OpenedStore{.store = std::move(store).value(), .is_rebuilt = false};
  }
  const StoreBatch kept = salvage(*store.value());
  store.value().reset();
  return rebuild(path, checked.error(), kept);
}

}  // namespace weft::agent
