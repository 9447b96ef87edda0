// Control groups: the contract, held by the kernel and by the twin alike, and what is read when, of
// a folder that stands for a hierarchy.
#include "sys/cgroup/groups.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/cgroup/group_files.h"
#include "sys/clock.h"
#include "sys/fake/fake_probe.h"
#include "tests/integration/sys/temp_dir.h"

namespace weft::sys {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""us;

constexpr Duration kWork = 50ms;

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class World {
 public:
  World() = default;
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  virtual ~World() = default;
  virtual GroupSource& groups() = 0;
  virtual std::string make_group() = 0;
  // In a process of the group that has ended since.
  virtual void work_in(const std::string& group) = 0;
  virtual void remove(const std::string& group) = 0;
};

class KernelWorld final : public World {
 public:
  ~KernelWorld() override {
    for (const std::string& folder : folders_) {
      ::rmdir(folder.c_str());
    }
  }

  GroupSource& groups() override { return *groups_; }

  // In each hierarchy, as runtimes do.
  std::string make_group() override {
    const std::string path = "/weft-test-" + std::to_string(::getpid());
    for (const GroupMount& mount : parse_group_mounts(content_of("/proc/self/mountinfo"))) {
      const bool is_wanted =
          mount.is_v2 || mount.has_controller("cpuacct") || mount.has_controller("memory");
      if (is_wanted && mount.root == "/" && fs::create_directory(mount.point + path)) {
        folders_.push_back(mount.point + path);
      }
    }
    return path;
  }

  void work_in(const std::string& group) override {
    ASSERT_THAT(folders_.front(), testing::EndsWith(group));
    const pid_t child = ::fork();
    if (child == 0) {
      for (const std::string& folder : folders_) {
        std::ofstream(folder + "/cgroup.procs") << ::getpid() << std::flush;
      }
      while (thread_cpu_time() < 2 * kWork) {
      }
      ::_exit(0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }

  void remove(const std::string& group) override {
    ASSERT_THAT(folders_.front(), testing::EndsWith(group));
    for (const std::string& folder : folders_) {
      EXPECT_EQ(::rmdir(folder.c_str()), 0) << folder;
    }
    folders_.clear();
  }

 private:
  std::unique_ptr<GroupSource> groups_ = open_groups();
  std::vector<std::string> folders_;
};

class FakeWorld final : public World {
 public:
  GroupSource& groups() override { return groups_; }
  std::string make_group() override {
    groups_.present["/group"] = {.cpu = Duration{}};
    return "/group";
  }
  void work_in(const std::string& group) override { *groups_.present[group].cpu += 2 * kWork; }
  void remove(const std::string& group) override { groups_.present.erase(group); }

 private:
  FakeGroups groups_;
};

template <class WorldType>
class GroupsContract : public testing::Test {
 protected:
  GroupsContract() {
    const auto started = world_.groups().start();
    EXPECT_TRUE(started.ok()) << started.error().what;
    EXPECT_THAT(started.value(), StartsWith("cgroup v"));
    EXPECT_THAT(started.value(), HasSubstr("CPU"));
  }

  WorldType world_;
};

using Worlds = testing::Types<KernelWorld, FakeWorld>;
TYPED_TEST_SUITE(GroupsContract, Worlds);

TYPED_TEST(GroupsContract, CountsTheTimeOfProcessesThatHaveEnded) {
  const std::string group = this->world_.make_group();
  const auto before = this->world_.groups().groups({group});

  this->world_.work_in(group);

  const auto after = this->world_.groups().groups({group});
  ASSERT_TRUE(before.contains(group));
  ASSERT_TRUE(after.contains(group));
  EXPECT_GE(*after.at(group).cpu - *before.at(group).cpu, kWork);
}

TYPED_TEST(GroupsContract, LeavesOutWhatIsNotThereAndWhatHasGone) {
  const std::string group = this->world_.make_group();
  const auto before = this->world_.groups().groups({group, "/weft-nobody"});
  this->world_.remove(group);

  const auto after = this->world_.groups().groups({group, "/weft-nobody"});

  EXPECT_THAT(before, testing::SizeIs(1));
  EXPECT_THAT(after, IsEmpty());
}

TYPED_TEST(GroupsContract, SeesAGroupThatHasTheNameOfOneThatHasGone) {
  std::string group = this->world_.make_group();
  this->world_.work_in(group);
  const auto before = this->world_.groups().groups({group});
  this->world_.remove(group);
  group = this->world_.make_group();

  const auto after = this->world_.groups().groups({group});

  ASSERT_TRUE(after.contains(group));
  EXPECT_LT(*after.at(group).cpu, *before.at(group).cpu);
}

// Folders of files as mountinfo has them.
class GroupsOfFolders : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& content) {
    const std::string path = temp_.file(name);
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << content;
  }
  std::string mount(const std::string& name, const std::string& rest) {
    return "1 1 0:1 / " + temp_.file(name) + " rw - " + rest + "\n";
  }
  ObservedGroup look(GroupSource& source) {
    auto groups = source.groups({"/docker/a"});
    EXPECT_THAT(groups, testing::SizeIs(1));
    return groups.empty() ? ObservedGroup{} : groups.begin()->second;
  }

  TempDir temp_;
  int work_ = 0;  // Microseconds.
};

TEST_F(GroupsOfFolders, OfVersion2AreReadFromOneHierarchy) {
  write("v2/docker/a/cpu.stat",
        "usage_usec 5000\nuser_usec 1\nnr_throttled 1\nthrottled_usec 70\n");
  write("v2/docker/a/memory.current", "9000\n");
  write("v2/docker/a/memory.stat", "anon 1\ninactive_file 1000\nactive_file 5\n");
  write("v2/docker/a/memory.max", "20000\n");
  write("v2/docker/a/io.stat", "8:0 rbytes=30 wbytes=40 rios=1 wios=1 dbytes=0 dios=0\n");
  const auto source = open_groups_of(mount("v2", "cgroup2 cgroup2 rw"));

  EXPECT_EQ(source->start().value(), "cgroup v2: CPU, memory, throttling, disks of containers");
  EXPECT_EQ(look(*source),
            (ObservedGroup{.cpu = 5ms,
                           .memory_bytes = 8000,
                           .memory_limit_bytes = 20000,
                           .throttled = 70us,
                           .disk_read_bytes = 30,
                           .disk_written_bytes = 40}));
}

TEST_F(GroupsOfFolders, OfVersion2WithoutControllersHaveTheirCpuTime) {
  write("v2/docker/a/cpu.stat", "usage_usec 5000\nuser_usec 1\nsystem_usec 2\n");
  const auto source = open_groups_of(mount("v2", "cgroup2 cgroup2 rw"));
  ASSERT_TRUE(source->start().ok());

  EXPECT_EQ(look(*source), (ObservedGroup{.cpu = 5ms}));
}

TEST_F(GroupsOfFolders, OfVersion1AreReadFromManyThoughVersion2IsMountedToo) {
  write("cpu/docker/a/cpuacct.usage", "7000000\n");
  write("cpu/docker/a/cpu.stat", "nr_periods 1\nnr_throttled 1\nthrottled_time 9000\n");
  write("memory/docker/a/memory.usage_in_bytes", "9000\n");
  write("memory/docker/a/memory.stat", "inactive_file 1\ntotal_inactive_file 10000\n");
  write("memory/docker/a/memory.limit_in_bytes", "9223372036854771712\n");
  write("blkio/docker/a/blkio.throttle.io_service_bytes_recursive",
        "8:0 Read 30\n8:0 Write 40\n8:0 Total 70\nTotal 70\n");
  const auto source = open_groups_of(
      mount("cpu", "cgroup cgroup rw,cpu,cpuacct") + mount("memory", "cgroup cgroup rw,memory")
      + mount("blkio", "cgroup cgroup rw,blkio") + mount("unified", "cgroup2 cgroup2 rw"));

  EXPECT_EQ(source->start().value(), "cgroup v1: CPU, memory, throttling, disks of containers");
  EXPECT_EQ(look(*source),
            (ObservedGroup{.cpu = 7ms,
                           .memory_bytes = 0,  // The counts are of different moments.
                           .throttled = 9us,
                           .disk_read_bytes = 30,
                           .disk_written_bytes = 40}));
}

TEST_F(GroupsOfFolders, HaveAllButTheirCpuTimeReadInTurnsAndAtRestMoreRarely) {
  write("v2/docker/a/memory.current", "1\n");
  const auto source = open_groups_of(mount("v2", "cgroup2 cgroup2 rw"));
  ASSERT_TRUE(source->start().ok());
  const auto readings = [&](bool works) {
    int count = 0;
    for (int i = 0; i < 32; ++i) {
      write("v2/docker/a/cpu.stat", "usage_usec " + std::to_string(works ? ++work_ : work_) + "\n");
      count += look(*source).remembered ? 0 : 1;
    }
    return count;
  };
  write("v2/docker/a/cpu.stat", "usage_usec 0\n");
  EXPECT_FALSE(look(*source).remembered);

  EXPECT_EQ(readings(true), 8);
  (void)readings(false);
  EXPECT_EQ(readings(false), 2);
}

TEST_F(GroupsOfFolders, CountForNothingWhereTheirFilesAreNonsense) {
  write("v2/docker/a/cpu.stat", "usage_usec 99999999999999999999999\n");
  write("v2/docker/a/memory.current", "lots\n");
  const auto source = open_groups_of(mount("v2", "cgroup2 cgroup2 rw"));
  ASSERT_TRUE(source->start().ok());

  EXPECT_THAT(source->groups({"/docker/a", "/../docker/a"}), IsEmpty());
  write("v2/docker/b/cpu.stat", "usage_usec 18446744073709551615\n");
  EXPECT_EQ(source->groups({"/docker/b"}).at("/docker/b").cpu,
            std::chrono::duration_cast<std::chrono::microseconds>(Duration::max()));
}

TEST_F(GroupsOfFolders, AreMoreThanDescriptorsAreKeptFor) {
  std::set<std::string> paths;
  for (int i = 0; i < 300; ++i) {
    const std::string name = "/docker/" + std::to_string(i);
    write("v2" + name + "/cpu.stat", "usage_usec 1000\n");
    paths.insert(name);
  }
  const auto source = open_groups_of(mount("v2", "cgroup2 cgroup2 rw"));
  ASSERT_TRUE(source->start().ok());
  const auto open_files = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  const auto before = open_files();

  EXPECT_THAT(source->groups(paths), testing::SizeIs(300));
  EXPECT_THAT(source->groups(paths), testing::SizeIs(300));
  EXPECT_LE(open_files() - before, 256);
  (void)source->groups({"/docker/7"});
  EXPECT_LE(open_files() - before, 1);
}

TEST_F(GroupsOfFolders, AreNotThereWhereNothingIsMounted) {
  EXPECT_EQ(open_groups_of("")->start().error().code, Errc::Unavailable);
  EXPECT_EQ(open_groups_of(mount("pids", "cgroup cgroup rw,pids"))->start().error().code,
            Errc::Unavailable);
}

}  // namespace
}  // namespace weft::sys
