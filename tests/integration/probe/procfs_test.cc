// Processes of a folder that stands for /proc: which of them are read at a look.
#include "sys/procfs.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/sys/temp_dir.h"

namespace weft::sys {
namespace {

using testing::SizeIs;

// A process that has started long ago and has used so many ticks.
void write_process(const std::string& folder, int ticks) {
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/stat") << "42 (sleeper) S 1 42 42 0 -1 0 0 0 0 0 " << ticks
                                  << " 0 0 0 20 0 1 0 1 4096 10 0\n";
}

class ProcessesAtRest : public testing::Test {
 protected:
  ProcessesAtRest() {
    write_process(folder_, 5);
    (void)look();
    EXPECT_FALSE(look().remembered) << "the look that shows that it rests";
  }

  ObservedProcess look() {
    const auto processes = source_->processes();
    EXPECT_TRUE(processes.ok());
    EXPECT_THAT(processes.value(), SizeIs(1));
    return processes.value().front();
  }

  TempDir temp_;
  std::string root_ = temp_.file("proc");
  std::string folder_ = root_ + "/42";
  std::unique_ptr<ProcessSource> source_ = open_procfs({.root = {}, .proc = root_});
};

TEST_F(ProcessesAtRest, AreReadInTurns) {
  write_process(folder_, 6);

  const ObservedProcess next = look();
  ObservedProcess later = look();
  for (int looks = 0; later.remembered && looks < 8; ++looks) {
    later = look();
  }

  EXPECT_TRUE(next.remembered);
  EXPECT_FALSE(later.remembered);
  EXPECT_GT(later.cpu, next.cpu);
  write_process(folder_, 7);
  EXPECT_FALSE(look().remembered) << "it does something";
}

TEST_F(ProcessesAtRest, AreNotTakenForThoseThatHaveTheirPidAfterThem) {
  std::filesystem::rename(folder_, root_ + "/gone");
  write_process(folder_, 1);

  const ObservedProcess successor = look();

  EXPECT_FALSE(successor.remembered);
}

// A folder of files is no /proc of Linux 6.2, so descriptors are walked.
TEST_F(ProcessesAtRest, HaveTheirDescriptorsCountedNowAndThen) {
  EXPECT_EQ(look().descriptor_count, 0U);
  std::filesystem::create_directories(folder_ + "/fd");
  for (const char* name : {"0", "1", "2"}) {
    std::ofstream(folder_ + "/fd/" + name) << "";
  }
  std::ofstream(folder_ + "/limits")
      << "Limit                     Soft Limit           Hard Limit\n"
      << "Max open files            1024                 524288\n"
      << "Max locked memory         8388608              8388608\n";

  ObservedProcess later = look();
  for (int looks = 0; later.descriptor_count == 0 && looks < 32; ++looks) {
    write_process(folder_, 10 + looks);
    later = look();
  }

  EXPECT_EQ(later.descriptor_count, 3U);
  EXPECT_EQ(later.descriptor_max, 1024U);
}

TEST_F(ProcessesAtRest, AreGoneWhenTheyHaveEnded) {
  std::filesystem::remove_all(folder_);

  EXPECT_THAT(source_->processes().value(), SizeIs(0));
}

// Three processes beside the first one: one on the host, one that only changed its root, one with
// mounts of its own, too.
TEST(ProcessesWithRoots, AreToldApartFromTheHostsOwn) {
  TempDir temp;
  const std::string root = temp.file("proc");
  const auto write = [&](int pid, const std::string& at, const std::string& mounts) {
    const std::string folder = root + "/" + std::to_string(pid);
    write_process(folder, 5);
    std::filesystem::create_directories(folder + "/ns");
    std::filesystem::create_symlink(mounts, folder + "/ns/mnt");
    std::filesystem::create_directories(temp.file(at));
    std::filesystem::create_directory_symlink(temp.file(at), folder + "/root");
  };
  write(1, "host", "mnt:[1]");
  write(2, "host", "mnt:[2]");
  write(3, "jail", "mnt:[1]");
  write(4, "image", "mnt:[3]");

  const auto processes = open_procfs({.root = {}, .proc = root})->processes();

  ASSERT_THAT(processes.value(), SizeIs(4));
  EXPECT_EQ(processes.value()[0].root, "");
  EXPECT_EQ(processes.value()[1].root, "");
  EXPECT_EQ(processes.value()[2].root, "");
  EXPECT_NE(processes.value()[3].root, "");
}

}  // namespace
}  // namespace weft::sys
