#include "probe/group_book.h"

#include <gtest/gtest.h>

namespace weft::probe {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;

const std::string kId(64, 'a');
const std::string kPath = "/docker/" + kId;

class GroupBookTest : public testing::Test {
 protected:
  GroupBookTest() {
    sample_.host.cpu_count = 2;
    add_process(42, kPath);
  }

  void add_process(std::uint32_t pid, std::string cgroup) {
    ObservedProcess process;
    process.pid = pid;
    process.cgroup = std::move(cgroup);
    sample_.processes.push_back(process);
    container_of_pid_[pid] = kId;
  }

  // What is said of the container, whose processes sum up to 7 % and 70 bytes.
  ContainerFacts look(Duration at) {
    sample_.at = TimePoint(at);
    std::vector<ContainerFacts> containers(1);
    containers.front().id = kId;
    containers.front().usage = {.cpu_percent = 7, .memory_bytes = 70};
    book_.digest(sample_, container_of_pid_, containers);
    return containers.front();
  }

  Sample sample_;
  std::map<std::uint32_t, std::string> container_of_pid_;
  GroupBook book_;
};

TEST_F(GroupBookTest, MeasuresCpuBetweenTwoLooks) {
  sample_.groups[kPath] = {.cpu = 5s, .memory_bytes = 1000};
  const ContainerFacts first = look(10s);
  sample_.groups[kPath].cpu = 6s;

  const ContainerFacts second = look(12s);

  EXPECT_DOUBLE_EQ(first.usage.cpu_percent, 0) << "who knows since when";
  EXPECT_DOUBLE_EQ(second.usage.cpu_percent, 50);
  EXPECT_EQ(second.usage.memory_bytes, 1000U);
  EXPECT_TRUE(second.group.counts_cpu);
  EXPECT_TRUE(second.group.counts_memory);
}

TEST_F(GroupBookTest, GivesANewGroupTheTimeSinceTheLookBefore) {
  (void)look(10s);
  sample_.groups[kPath] = {.cpu = 1s, .memory_bytes = 1000};

  EXPECT_DOUBLE_EQ(look(12s).usage.cpu_percent, 50);
}

TEST_F(GroupBookTest, GivesAnOldGroupThatIsNewHereNoMoreThanThereIs) {
  (void)look(10s);
  sample_.groups[kPath] = {.cpu = 1000s};

  EXPECT_DOUBLE_EQ(look(12s).usage.cpu_percent, 200);
}

TEST_F(GroupBookTest, TakesAGroupThatWasMadeAnewForANewOne) {
  sample_.groups[kPath] = {.cpu = 50s, .disk_read_bytes = 5000};
  (void)look(10s);
  sample_.groups[kPath] = {.cpu = 1s, .disk_read_bytes = 100};

  const ContainerFacts container = look(12s);

  EXPECT_DOUBLE_EQ(container.usage.cpu_percent, 50);
  EXPECT_EQ(container.group.disk_read_per_second, 0U);
}

TEST_F(GroupBookTest, LeavesTheSumOverProcessesWhereAGroupIsNotCounted) {
  const ContainerFacts without = look(10s);
  sample_.groups[kPath] = {.cpu = 5s};
  (void)look(12s);
  sample_.groups[kPath] = {.cpu = 6s};

  const ContainerFacts cpu_alone = look(14s);

  EXPECT_EQ(without.usage, (Usage{.cpu_percent = 7, .memory_bytes = 70}));
  EXPECT_FALSE(without.group.counts_cpu);
  EXPECT_DOUBLE_EQ(cpu_alone.usage.cpu_percent, 50);
  EXPECT_EQ(cpu_alone.usage.memory_bytes, 70U);
  EXPECT_FALSE(cpu_alone.group.counts_memory);
}

TEST_F(GroupBookTest, SumsUpTheGroupsOfAContainer) {
  const std::string monitor = "/machine.slice/libpod-conmon-" + kId + ".scope";
  add_process(43, monitor);
  sample_.groups[kPath] = {.cpu = 5s, .memory_bytes = 1000, .memory_limit_bytes = 4000};
  const ContainerFacts partly = look(10s);
  sample_.groups[monitor] = {.cpu = 0s, .memory_bytes = 10};

  const ContainerFacts container = look(12s);

  EXPECT_FALSE(partly.group.counts_cpu) << "of one nothing is known";
  EXPECT_EQ(container.usage.memory_bytes, 1010U);
  EXPECT_EQ(container.group.memory_limit_bytes, 4000U);
}

TEST_F(GroupBookTest, MakesRatesOfWhatIsReadInTurnsFromOneReadingToTheNext) {
  sample_.groups[kPath] = {.cpu = 5s, .throttled = 1s, .disk_written_bytes = 1000};
  (void)look(10s);
  sample_.groups[kPath].remembered = true;
  const ContainerFacts between = look(12s);
  sample_.groups[kPath] = {.cpu = 5s, .throttled = 2s, .disk_written_bytes = 5000};
  const ContainerFacts read = look(14s);
  sample_.groups[kPath].remembered = true;

  const ContainerFacts after = look(15s);

  EXPECT_EQ(between.group.disk_written_per_second, 0U);
  EXPECT_EQ(read.group.disk_written_per_second, 1000U);
  EXPECT_DOUBLE_EQ(read.group.throttled_percent, 25);
  EXPECT_EQ(after.group, read.group) << "as it was told";
}

// A quota is given for 100 ms at a time: within them a group uses all of a CPU, or nothing.
TEST_F(GroupBookTest, TellsTheShareOfHalfASecondOrMore) {
  sample_.groups[kPath] = {.cpu = 5s};
  (void)look(10s);
  sample_.groups[kPath].cpu = 5s + 100ms;
  EXPECT_DOUBLE_EQ(look(11s).usage.cpu_percent, 10);

  EXPECT_DOUBLE_EQ(look(11s + 20ms).usage.cpu_percent, 10);
  sample_.groups[kPath].cpu = 5s + 110ms;
  EXPECT_DOUBLE_EQ(look(11s + 40ms).usage.cpu_percent, 10);
  sample_.groups[kPath].cpu = 5s + 200ms;
  EXPECT_DOUBLE_EQ(look(11s + 500ms).usage.cpu_percent, 20);
}

TEST_F(GroupBookTest, KeepsUpWithLooksThatAreOneUponTheOther) {
  sample_.groups[kPath] = {.cpu = 5s};
  (void)look(10s);
  sample_.groups[kPath].cpu = 5s + 10ms;
  (void)look(10s + 20ms);

  EXPECT_DOUBLE_EQ(look(10s + 20ms).usage.cpu_percent, 0);
}

}  // namespace
}  // namespace weft::probe
