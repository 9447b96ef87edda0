#include "sys/posix/run_program.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace weft::sys {
namespace {

// More than a pipe takes before somebody reads it.
const std::string kLong(std::size_t{1} << 18U, 'x');

TEST(RunProgram, AnswersWithWhatTheProgramMadeOfItsInput) {
  const auto answer = run_program("/bin/cat", kLong, kLong.size());

  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer.value().status, 0);
  EXPECT_EQ(answer.value().output, kLong);
}

TEST(RunProgram, TellsHowItEndedAndPassesTheEnvironmentOn) {
  ASSERT_EQ(::setenv("WEFT_RUN_PROGRAM", "/dev/null", 1), 0);

  EXPECT_EQ(run_program("/bin/false", "", 0).value().status, 1);
  EXPECT_EQ(run_program("/bin/sh", "kill -9 $$", 0).value().status, 128 + 9);
  EXPECT_EQ(run_program("/bin/sh", "echo $WEFT_RUN_PROGRAM", 100).value().output, "/dev/null\n");
}

TEST(RunProgram, RefusesWhatIsNotThereAndOutputWithoutEnd) {
  EXPECT_EQ(run_program("/nonexistent", "", 0).error().code, Errc::NotFound);
  EXPECT_EQ(run_program("/bin/cat", kLong, kLong.size() - 1).error().code, Errc::Exhausted);
}

}  // namespace
}  // namespace weft::sys
