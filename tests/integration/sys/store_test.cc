// The contract of sys/store.h, kept by SQLite and by its twin in memory; and what only SQLite can
// show: durability across kill -9, and refusing a second process.
#include "sys/store.h"

#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/fake/memory_store.h"
#include "tests/integration/sys/temp_dir.h"

namespace weft::sys {
namespace {

using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

StoreWrite put(const std::string& table, const std::string& key, const std::string& value) {
  return {.table = table, .key = to_bytes(key), .value = to_bytes(value)};
}

StoreWrite erase(const std::string& table, const std::string& key) {
  return {.table = table, .key = to_bytes(key), .value = std::nullopt};
}

auto row(const std::string& key, const std::string& value) {
  return Pair(to_bytes(key), to_bytes(value));
}

enum class Kind { Sqlite, Memory };

class StoreContract : public ::testing::TestWithParam<Kind> {
 protected:
  StoreContract() {
    if (GetParam() == Kind::Memory) {
      store_ = std::make_unique<MemoryStore>();
      return;
    }
    auto opened = open_store(dir_.file("store.db"));
    EXPECT_TRUE(opened.ok()) << opened.error().what;
    store_ = std::move(opened).value();
  }

  StoreTable load(const std::string& table) {
    auto rows = store_->load(table);
    EXPECT_TRUE(rows.ok()) << rows.error().what;
    return std::move(rows).value();
  }

  TempDir dir_;
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(Both,
                         StoreContract,
                         ::testing::Values(Kind::Sqlite, Kind::Memory),
                         [](const auto& suite) {
                           return suite.param == Kind::Sqlite ? "Sqlite" : "Memory";
                         });

TEST_P(StoreContract, ATableNeverWrittenToIsEmpty) {
  EXPECT_TRUE(load("ring").empty());
}

TEST_P(StoreContract, KeepsWhatABatchPutAndErased) {
  ASSERT_TRUE(store_->apply({put("ring", "a", "1"), put("ring", "b", "2")}).ok());

  ASSERT_TRUE(
      store_->apply({erase("ring", "a"), put("ring", "b", "3"), put("peer", "a", "4")}).ok());

  EXPECT_THAT(load("ring"), UnorderedElementsAre(row("b", "3")));
  EXPECT_THAT(load("peer"), UnorderedElementsAre(row("a", "4")));
}

TEST_P(StoreContract, KeepsWhatDoesNotOutliveABootUntilThen) {
  ASSERT_TRUE(store_->apply_until_boot({put("t", "a", "1"), put("t", "b", "2")}).ok());
  ASSERT_TRUE(store_->apply({put("t", "a", "3")}).ok());
  ASSERT_TRUE(store_->apply_until_boot({erase("t", "b")}).ok());
  EXPECT_THAT(load("t"), UnorderedElementsAre(row("a", "3")));
  EXPECT_FALSE(store_->apply_until_boot({put("No such table!", "a", "1")}).ok());
}

TEST_P(StoreContract, LaterWritesOfABatchWin) {
  ASSERT_TRUE(
      store_->apply({put("ring", "a", "1"), erase("ring", "a"), put("ring", "a", "2")}).ok());

  EXPECT_THAT(load("ring"), UnorderedElementsAre(row("a", "2")));
}

TEST_P(StoreContract, ErasingWhatIsAbsentIsFine) {
  EXPECT_TRUE(store_->apply({erase("ring", "a")}).ok());
  EXPECT_TRUE(load("ring").empty());
}

TEST_P(StoreContract, KeysAndValuesAreAnyBytesAndMayBeEmpty) {
  const std::string binary("\0\xff'\"\0", 5);

  ASSERT_TRUE(store_->apply({put("ring", binary, ""), put("ring", "", binary)}).ok());

  EXPECT_THAT(load("ring"), UnorderedElementsAre(row(binary, ""), row("", binary)));
}

TEST_P(StoreContract, KeepsAValueOfAMegabyte) {
  const std::string large(1U << 20U, 'x');

  ASSERT_TRUE(store_->apply({put("ring", "state", large)}).ok());

  EXPECT_THAT(load("ring"), UnorderedElementsAre(row("state", large)));
}

TEST_P(StoreContract, ABatchWithABadTableNameChangesNothing) {
  ASSERT_TRUE(store_->apply({put("ring", "a", "1")}).ok());

  const auto applied =
      store_->apply({put("ring", "a", "2"), put("new", "b", "1"), put("No;", "a", "3")});

  ASSERT_FALSE(applied.ok());
  EXPECT_EQ(applied.error().code, Errc::Invalid);
  EXPECT_THAT(load("ring"), UnorderedElementsAre(row("a", "1")));
  EXPECT_TRUE(load("new").empty());
  EXPECT_TRUE(store_->apply({put("new", "b", "2")}).ok()) << "the store goes on working";
  EXPECT_FALSE(store_->load("No;").ok());
}

TEST_P(StoreContract, SaysLaterThatABatchIsOnDiskInTheOrderOfTheBatches) {
  boost::asio::io_context io;
  std::vector<std::string> told;
  for (const char* value : {"1", "2", "3"}) {
    store_->apply_later(std::make_shared<const StoreBatch>(StoreBatch{put("ring", "a", value)}),
                        io.get_executor(),
                        [&told, value](const Result<Ok>& applied) {
                          told.emplace_back(applied.ok() ? value : "");
                        });
  }
  EXPECT_TRUE(told.empty());

  io.run();  // Comes back when nothing is under way any more.

  EXPECT_THAT(told, ::testing::ElementsAre("1", "2", "3"));
  EXPECT_THAT(load("ring"), UnorderedElementsAre(row("a", "3")));
}

TEST_P(StoreContract, SaysLaterWhyABatchWasNotApplied) {
  boost::asio::io_context io;
  std::vector<Errc> told;
  store_->apply_later(std::make_shared<const StoreBatch>(StoreBatch{put("No;", "a", "1")}),
                      io.get_executor(),
                      [&told](const Result<Ok>& applied) { told.push_back(applied.error().code); });

  io.run();

  EXPECT_THAT(told, ::testing::ElementsAre(Errc::Invalid));
}

TEST(SqliteStore, ClosesWhileBatchesWait) {
  const TempDir dir;
  boost::asio::io_context io;
  int told = 0;
  {
    const auto store = open_store(dir.file("store.db")).value();
    for (int i = 0; i < 100; ++i) {
      store->apply_later(
          std::make_shared<const StoreBatch>(StoreBatch{put("ring", std::to_string(i), "1")}),
          io.get_executor(),
          [&told](const Result<Ok>&) { ++told; });
    }
  }

  io.run();

  const auto store = open_store(dir.file("store.db")).value();
  EXPECT_EQ(store->load("ring").value().size(), static_cast<std::size_t>(told));
}

TEST(MemoryStore, FailsTheCallItWasToldToFailAndWritesNothing) {
  MemoryStore store;
  store.fail_apply(2);

  EXPECT_TRUE(store.apply({put("ring", "a", "1")}).ok());
  const auto failed = store.apply({put("ring", "a", "2")});
  EXPECT_TRUE(store.apply({put("ring", "b", "3")}).ok());

  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, Errc::Os);
  EXPECT_THAT(store.load("ring").value(), UnorderedElementsAre(row("a", "1"), row("b", "3")));
  EXPECT_EQ(store.applied_count(), 2U);
}

TEST(MemoryStore, LosesInACrashWhatALyingDiskHeldBack) {
  MemoryStore store;
  ASSERT_TRUE(store.apply({put("ring", "a", "1")}).ok());
  store.hold_syncs();
  ASSERT_TRUE(store.apply({put("ring", "b", "2")}).ok());
  store.sync();
  ASSERT_TRUE(store.apply({put("ring", "c", "3")}).ok());

  store.crash();

  EXPECT_THAT(store.load("ring").value(), UnorderedElementsAre(row("a", "1"), row("b", "2")));
}

TEST(SqliteStore, FindsEverythingAgainAfterAReopen) {
  const TempDir dir;
  {
    const auto store = open_store(dir.file("store.db")).value();
    ASSERT_TRUE(store->apply({put("ring", "a", "1")}).ok());
  }

  const auto store = open_store(dir.file("store.db")).value();

  EXPECT_THAT(store->load("ring").value(), UnorderedElementsAre(row("a", "1")));
}

TEST(SqliteStore, IsReadableByItsOwnerOnly) {
  const TempDir dir;
  const auto store = open_store(dir.file("store.db")).value();
  ASSERT_TRUE(store->apply({put("ring", "a", "1")}).ok());

  for (const char* name : {"store.db", "store.db-wal"}) {
    struct stat status {};
    ASSERT_EQ(::stat(dir.file(name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 0777U, 0600U) << name;
  }
}

TEST(SqliteStore, RefusesASecondOpenWhileTheFirstLives) {
  const TempDir dir;
  const auto first = open_store(dir.file("store.db")).value();

  const auto second = open_store(dir.file("store.db"));

  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, Errc::Unavailable);
  EXPECT_THAT(second.error().what, HasSubstr("in use by another process"));
  EXPECT_TRUE(first->apply({put("ring", "a", "1")}).ok());
}

TEST(SqliteStore, SaysWhyAFileCannotBeAStore) {
  const TempDir dir;
  std::FILE* const file = std::fopen(dir.file("store.db").c_str(), "w");
  ASSERT_NE(file, nullptr);
  std::fputs(std::string(4096, 'x').c_str(), file);
  std::fclose(file);

  const auto garbage = open_store(dir.file("store.db"));
  const auto missing = open_store(dir.file("absent/store.db"));

  ASSERT_FALSE(garbage.ok());
  EXPECT_EQ(garbage.error().code, Errc::Invalid);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, Errc::Os);
  EXPECT_EQ(missing.error().os, ENOENT);
}

// A child that writes batches of two rows for ever, telling through a pipe each one it got applied.
[[noreturn]] void write_until_killed(const std::string& path, int report) {
  auto store = open_store(path);
  if (!store.ok()) {
    ::_exit(1);
  }
  for (std::uint32_t batch = 0;; ++batch) {
    const std::string key = std::to_string(batch);
    const StoreBatch rows{put("left", key, key), put("right", key, key)};
    const bool applied =
        (batch % 2 == 0 ? store.value()->apply(rows) : store.value()->apply_until_boot(rows)).ok();
    if (!applied || ::write(report, &batch, sizeof batch) != sizeof batch) {
      ::_exit(1);
    }
  }
}

TEST(SqliteStore, AProcessKilledMidwayLosesNoAppliedBatchAndTearsNone) {
  const TempDir dir;
  for (const std::uint32_t reports_before_kill : {1U, 7U, 40U}) {
    const std::string path = dir.file("store-" + std::to_string(reports_before_kill));
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      write_until_killed(path, ends[1]);
    }
    ::close(ends[1]);

    std::uint32_t last = 0;
    for (std::uint32_t i = 0; i < reports_before_kill; ++i) {
      ASSERT_EQ(::read(ends[0], &last, sizeof last), static_cast<ssize_t>(sizeof last));
    }
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    while (::read(ends[0], &last, sizeof last) == static_cast<ssize_t>(sizeof last)) {
    }
    ::close(ends[0]);

    const auto store = open_store(path).value();
    const StoreTable left = store->load("left").value();
    EXPECT_EQ(left, store->load("right").value()) << "no batch is torn";
    EXPECT_GE(left.size(), last + 1) << "no applied batch is lost";
    EXPECT_LE(left.size(), last + 2) << "at most the batch in flight is there as well";
  }
}

}  // namespace
}  // namespace weft::sys
