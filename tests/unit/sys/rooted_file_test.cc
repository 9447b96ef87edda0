// A file of a container's, and what a container may put in its place.
#include "sys/posix/rooted_file.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace weft::sys {
namespace {

namespace fs = std::filesystem;

class RootedFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "weft-rooted-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    fs::create_directories(folder_ / "root/etc");
    put("outside", "theirs");
  }
  void TearDown() override { fs::remove_all(folder_); }

  void put(const std::string& path, const std::string& text) {
    std::ofstream(folder_ / path) << text;
  }
  std::string get(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(folder_ / path).rdbuf();
    return text.str();
  }
  std::string root() const { return folder_ / "root"; }
  bool is_written() const { return write_in_root(root(), "/etc/hosts", "ours").ok(); }

  fs::path folder_;
};

TEST_F(RootedFile, IsReadAndWrittenInPlace) {
  put("root/etc/hosts", "some longer text");
  fs::create_hard_link(folder_ / "root/etc/hosts", folder_ / "same");

  EXPECT_EQ(read_in_root(root(), "/etc/hosts").value(), "some longer text");
  EXPECT_TRUE(is_written());
  EXPECT_EQ(get("same"), "ours");
}

TEST_F(RootedFile, IsInsideWhateverLinksSay) {
  put("root/outside", "within");
  for (const std::string target : {"/outside", "../../../outside"}) {
    fs::remove(folder_ / "root/etc/hosts");
    fs::create_symlink(target, folder_ / "root/etc/hosts");
    EXPECT_TRUE(is_written()) << target;
    EXPECT_EQ(get("root/outside"), "ours") << target;
  }
  fs::remove(folder_ / "root/etc/hosts");
  fs::create_symlink("/proc/self/fd/0", folder_ / "root/etc/hosts");
  EXPECT_FALSE(is_written());
  EXPECT_EQ(get("outside"), "theirs");
}

TEST_F(RootedFile, IsNothingButARegularFile) {
  EXPECT_FALSE(is_written());  // There is none.
  fs::create_directory(folder_ / "root/etc/hosts");
  EXPECT_FALSE(is_written());
  fs::remove(folder_ / "root/etc/hosts");
  ASSERT_EQ(mkfifo((folder_ / "root/etc/hosts").c_str(), 0600), 0);
  EXPECT_FALSE(is_written());  // At once, though nobody reads.
  EXPECT_FALSE(read_in_root(root(), "/etc/hosts").ok());
  EXPECT_FALSE(read_in_root(folder_ / "none", "/etc/hosts").ok());
}

TEST_F(RootedFile, IsNotReadBeyondItsLimit) {
  put("root/etc/hosts", std::string(3U << 20U, 'x'));
  EXPECT_FALSE(read_in_root(root(), "/etc/hosts").ok());
}

}  // namespace
}  // namespace weft::sys
