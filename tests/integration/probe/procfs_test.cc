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

TEST_F(ProcessesAtRest, AreGoneWhenTheyHaveEnded) {
  std::filesystem::remove_all(folder_);

  EXPECT_THAT(source_->processes().value(), SizeIs(0));
}

}  // namespace
}  // namespace weft::sys
