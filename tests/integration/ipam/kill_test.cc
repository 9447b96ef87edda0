// A process that hands out addresses is killed at a moment nobody chose, again and again, over one
// SQLite store. Every address it had answered is still held afterwards, and none was answered
// twice.
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "ipam/io/ipam_service.h"
#include "sys/clock.h"
#include "sys/store.h"

namespace weft::ipam {
namespace {

constexpr int kKills = 12;
constexpr int kInFlight = 8;  // Requests open at a time, so that batches form.

const Cidr kRange = Cidr::parse("10.32.0.0/16").value();

Allocator::Options options() {
  return {.self = PeerName(7), .range = kRange, .default_subnet = kRange, .elector_count = 1};
}

// The child: allocates for ever and writes "owner address" for each answer, one write() each.
[[noreturn]] void hand_out(const std::string& path, int life, int out) {
  boost::asio::io_context io;
  const sys::SystemClock clock;
  auto store = sys::open_store(path);
  if (!store.ok()) {
    _exit(2);
  }
  auto service =
      IpamService::start(io.get_executor(), clock, *store.value(), options(), [](auto) {});
  if (!service.ok()) {
    _exit(3);
  }
  int count = 0;
  std::function<void()> next = [&] {
    const std::string owner = fmt::format("life{}c{}", life, count++);
    service.value()->allocate(
        {.id = {}, .owner = owner, .subnet = kRange, .within = {}, .fresh = false},
        [&, owner](const Result<Cidr>& result) {
          if (!result.ok()) {
            _exit(4);
          }
          const std::string line =
              fmt::format("{} {}\n", owner, result.value().address().to_string());
          if (write(out, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
            _exit(5);
          }
          if (owner.back() == '3') {  // Some go again at once and may be handed out anew.
            (void)service.value()->release(owner, result.value().address(), [] {});
          }
          next();
        });
  };
  for (int i = 0; i < kInFlight; ++i) {
    next();
  }
  io.run();
  _exit(6);
}

struct Given {
  std::string owner;
  std::string address;
};

// Kills the child after it gave out `answers` addresses; returns every line it had finished.
std::vector<Given> run_and_kill(const std::string& path, int life, std::uint32_t answers) {
  int pipe_ends[2];
  EXPECT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(pipe_ends[0]);
    hand_out(path, life, pipe_ends[1]);
  }
  close(pipe_ends[1]);
  FILE* lines = fdopen(pipe_ends[0], "r");
  std::vector<Given> given;
  char owner[64];
  char address[64];
  while (std::fscanf(lines, "%63s %63s", owner, address) == 2) {
    given.push_back({owner, address});
    if (given.size() == answers) {
      EXPECT_EQ(kill(child, SIGKILL), 0);  // What is in the pipe by now is read to the end.
    }
  }
  std::fclose(lines);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended with status " << WEXITSTATUS(status);
  return given;
}

bool is_kept(const Given& given) {
  return given.owner.back() != '3';
}

TEST(IpamService, KillingItNeitherDoublesNorLosesAnAddress) {
  const auto folder =
      std::filesystem::path(testing::TempDir()) / fmt::format("weft-ipam-kill-{}", getpid());
  std::filesystem::create_directories(folder);
  const std::string path = folder / "weft.db";
  Rng rng(static_cast<std::uint64_t>(getpid()));

  std::vector<Given> all;
  for (int life = 0; life < kKills; ++life) {
    const auto given = run_and_kill(path, life, 5 + rng.below(60));
    all.insert(all.end(), given.begin(), given.end());
  }

  std::map<std::string, std::string> kept;  // Address → owner.
  for (const Given& given : all) {
    if (is_kept(given)) {
      const auto [it, is_new] = kept.emplace(given.address, given.owner);
      EXPECT_TRUE(is_new) << given.address << " went to " << it->second << " and " << given.owner;
    }
  }
  boost::asio::io_context io;
  const sys::SystemClock clock;
  auto store = sys::open_store(path);
  ASSERT_TRUE(store.ok());
  auto service =
      IpamService::start(io.get_executor(), clock, *store.value(), options(), [](auto) {});
  ASSERT_TRUE(service.ok());
  std::map<std::string, std::string> held;
  for (const auto& [owner, address] : service.value()->allocator().held()) {
    held[address.address().to_string()] = owner;
  }
  for (const auto& [address, owner] : kept) {
    EXPECT_EQ(held[address], owner) << address << " was given out and is not held";
  }
  EXPECT_GE(kept.size(), static_cast<std::size_t>(kKills) * 4);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace weft::ipam
