#include "sys/posix/code_pages.h"

#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace weft::sys {
namespace {

// In kB, of what is mapped from files.
std::size_t resident_file_pages() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssFile:")) {
      return std::stoul(line.substr(8));
    }
  }
  return 0;
}

TEST(CodePages, AreGivenBackAndTheProgramGoesOn) {
  const std::size_t before = resident_file_pages();

  const std::size_t released = release_code_pages();

  EXPECT_GT(released, 0U);
  EXPECT_LT(resident_file_pages(), before);
}

}  // namespace
}  // namespace weft::sys
