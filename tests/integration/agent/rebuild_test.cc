#include "agent/ipam/rebuild.h"

#include <cstdio>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "tests/integration/sys/temp_dir.h"

namespace weft::agent {
namespace {

StoreWrite row(const char* table, const char* key, Bytes value) {
  return {table, to_bytes(key), std::move(value)};
}

// Files beside the store that were set aside.
std::size_t set_aside_count(const std::string& path) {
  std::size_t count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(path).parent_path())) {
    const std::string name = entry.path().filename();
    count +=
        name.starts_with("weft.db.set-aside-") && !name.ends_with("-wal") && !name.ends_with("-shm")
            ? 1U
            : 0U;
  }
  return count;
}

TEST(Rebuild, OpensAGoodStoreAsItIs) {
  const sys::TempDir dir;
  const std::string path = dir.file("weft.db");
  ASSERT_TRUE(open_or_rebuild(path).value().store->apply({row("identity", "name", {1})}).ok());

  const auto opened = open_or_rebuild(path);

  EXPECT_FALSE(opened.value().is_rebuilt);
  EXPECT_EQ(opened.value().store->load("identity").value().size(), 1U);
  EXPECT_EQ(set_aside_count(path), 0U);
}

TEST(Rebuild, SetsAFileThatIsNoDatabaseAside) {
  const sys::TempDir dir;
  const std::string path = dir.file("weft.db");
  std::ofstream(path) << std::string(8192, 'x');

  const auto opened = open_or_rebuild(path);

  ASSERT_TRUE(opened.ok()) << opened.error().what;
  EXPECT_TRUE(opened.value().is_rebuilt);
  EXPECT_TRUE(opened.value().store->apply({row("identity", "name", {1})}).ok());
  EXPECT_EQ(set_aside_count(path), 1U);
}

TEST(Rebuild, SetsADatabaseOfAnotherProgramAside) {
  const sys::TempDir dir;
  const std::string path = dir.file("weft.db");
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database, "CREATE TABLE songs (x)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(database);

  const auto opened = open_or_rebuild(path);

  ASSERT_TRUE(opened.ok()) << opened.error().what;
  EXPECT_TRUE(opened.value().is_rebuilt);
  EXPECT_EQ(set_aside_count(path), 1U);
}

TEST(Rebuild, KeepsTheIdentityWhereOnlyAddressesAreDamaged) {
  const sys::TempDir dir;
  const std::string path = dir.file("weft.db");
  ASSERT_TRUE(open_or_rebuild(path)
                  .value()
                  .store->apply({row("identity", "name", {1}), row("ipam_ring", "m", {9, 9})})
                  .ok());

  const auto opened = open_or_rebuild(path);

  ASSERT_TRUE(opened.ok()) << opened.error().what;
  EXPECT_TRUE(opened.value().is_rebuilt);
  EXPECT_EQ(opened.value().store->load("identity").value().size(), 1U);
  EXPECT_TRUE(opened.value().store->load("ipam_ring").value().empty());
}

TEST(Rebuild, LeavesTheStoreOfANewerWeftAlone) {
  const sys::TempDir dir;
  const std::string path = dir.file("weft.db");
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database, "PRAGMA user_version = 99", nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(database);

  const auto opened = open_or_rebuild(path);

  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, Errc::Conflict);
  EXPECT_EQ(set_aside_count(path), 0U);
}

}  // namespace
}  // namespace weft::agent
