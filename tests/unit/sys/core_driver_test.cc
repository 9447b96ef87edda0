#include "sys/core_driver.h"

#include <functional>
#include <memory>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>

namespace weft::sys {
namespace {

using ::testing::ElementsAre;
using std::chrono_literals::operator""h;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""ns;

constexpr TimePoint kStart(1000s);

class HandClock final : public Clock {
 public:
  TimePoint now() const override { return time; }
  TimePoint time = kStart;
};

// Says "late" once when its deadline has passed, and repeats every input.
struct Echo {
  void say(TimePoint /*now*/, int what, std::vector<int>& out) { out.push_back(what); }
  void on_deadline(TimePoint now, std::vector<int>& out) {
    if (now >= due) {
      out.push_back(kLate);
      due = kNever;
    }
  }
  TimePoint next_deadline() const { return due; }

  static constexpr int kLate = -1;
  TimePoint due = kNever;
};

class CoreDriverTest : public ::testing::Test {
 protected:
  using Driver = CoreDriver<Echo, int, std::function<void(int)>>;

  void feed(int what) {
    driver_->feed(
        [what](Echo& core, TimePoint now, std::vector<int>& out) { core.say(now, what, out); });
  }

  boost::asio::io_context context_{1};
  HandClock clock_;
  Echo core_;
  std::vector<int> performed_;
  std::unique_ptr<Driver> driver_ = std::make_unique<Driver>(
      context_.get_executor(), clock_, core_, [this](int action) { performed_.push_back(action); });
};

TEST_F(CoreDriverTest, PerformsTheActionsOfAnInputInOrder) {
  feed(1);
  feed(2);

  EXPECT_THAT(performed_, ElementsAre(1, 2));
}

TEST_F(CoreDriverTest, TellsTheCoreOfADeadlineThatHasPassedWithTheNextInput) {
  core_.due = kStart + 5s;
  clock_.time = kStart + 6s;

  feed(1);

  EXPECT_THAT(performed_, ElementsAre(1, Echo::kLate));
}

TEST_F(CoreDriverTest, WakesTheCoreAtItsDeadline) {
  core_.due = kStart + 1ms;
  feed(1);
  clock_.time = kStart + 1ms;

  context_.run();

  EXPECT_THAT(performed_, ElementsAre(1, Echo::kLate));
}

TEST_F(CoreDriverTest, SleepsOnWhenWokenEarly) {
  core_.due = kStart + 1ms;
  feed(1);

  context_.run_one();  // The hand clock has not moved: the core is not due yet.
  EXPECT_THAT(performed_, ElementsAre(1));
  clock_.time = kStart + 1ms;
  context_.run();

  EXPECT_THAT(performed_, ElementsAre(1, Echo::kLate));
}

TEST_F(CoreDriverTest, ACoreWithoutDeadlineKeepsNothingWaiting) {
  core_.due = kStart + 1h;
  feed(1);
  core_.due = kNever;
  feed(2);

  context_.run();  // Returns only if the timer was cancelled.

  EXPECT_THAT(performed_, ElementsAre(1, 2));
}

// Both timers expire in one turn, and the first of the two handlers destroys the driver: the second
// comes without an error and must find out by itself.
TEST_F(CoreDriverTest, NothingRunsOnceItIsGone) {
  boost::asio::steady_timer first(context_, std::chrono::steady_clock::time_point::min());
  first.async_wait([this](const boost::system::error_code&) { driver_.reset(); });
  core_.due = kStart + 1ns;
  feed(1);
  clock_.time = kStart + 1s;

  context_.run();

  EXPECT_THAT(performed_, ElementsAre(1));
}

}  // namespace
}  // namespace weft::sys
