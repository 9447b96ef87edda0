// When the kernel's ESP is used.
#include "router/io/esp/esp_choice.h"

#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sys/clock.h"
#include "sys/fake/fake_xfrm.h"

namespace weft::router {
namespace {

using std::chrono::nanoseconds;

// A machine whose kernel has ESP, and what it costs there.
EspTrials machine(const sys::EspCost& cost) {
  return {.open = []() -> Result<std::unique_ptr<sys::Xfrm>> {
            return std::unique_ptr<sys::Xfrm>(std::make_unique<sys::FakeXfrm>());
          },
          .measure = [cost]() -> Result<sys::EspCost> { return cost; }};
}

constexpr sys::EspCost kCheaper{.kernel = nanoseconds(1200), .ours = nanoseconds(2500)};
constexpr sys::EspCost kDearer{.kernel = nanoseconds(2500), .ours = nanoseconds(1200)};

TEST(EspChoice, TheKernelHasToBeClearlyCheaper) {
  EXPECT_TRUE(is_kernel_cheaper({.kernel = nanoseconds(899), .ours = nanoseconds(1000)}));
  EXPECT_FALSE(is_kernel_cheaper({.kernel = nanoseconds(900), .ours = nanoseconds(1000)}));
  EXPECT_FALSE(is_kernel_cheaper({.kernel = nanoseconds(2000), .ours = nanoseconds(1000)}));
}

TEST(EspChoice, LeftToTheMachineTheCheaperOneSealsAndBothFiguresAreSaid) {
  const EspChoice kernel = choose_esp(EspWish::Auto, machine(kCheaper));
  const EspChoice agents = choose_esp(EspWish::Auto, machine(kDearer));

  EXPECT_NE(kernel.xfrm, nullptr);
  EXPECT_EQ(kernel.why,
            "measured: 1.20 µs a datagram where the kernel seals, 2.50 where agents do");
  EXPECT_EQ(agents.xfrm, nullptr);
  EXPECT_EQ(agents.why,
            "measured: 2.50 µs a datagram where the kernel seals, 1.20 where agents do");
}

TEST(EspChoice, WhoInsistsGetsItHoweverDear) {
  EspTrials trials = machine(kDearer);
  trials.measure = nullptr;  // Nobody asks.

  const EspChoice choice = choose_esp(EspWish::On, trials);

  EXPECT_NE(choice.xfrm, nullptr);
  EXPECT_EQ(choice.why, "switched on");
}

TEST(EspChoice, WhoWantsNoneTriesNothing) {
  const EspChoice choice = choose_esp(EspWish::Off, {});

  EXPECT_EQ(choice.xfrm, nullptr);
  EXPECT_EQ(choice.why, "switched off");
}

TEST(EspChoice, AKernelWithoutItIsNotMeasured) {
  const EspTrials trials{.open = []() -> Result<std::unique_ptr<sys::Xfrm>> {
                           return Error{Errc::Unavailable, "the kernel's ESP: not supported"};
                         },
                         .measure = nullptr};

  for (const EspWish wish : {EspWish::On, EspWish::Auto}) {
    const EspChoice choice = choose_esp(wish, trials);
    EXPECT_EQ(choice.xfrm, nullptr);
    EXPECT_EQ(choice.why, "the kernel's ESP: not supported");
  }
}

TEST(EspChoice, WhatCannotBeMeasuredIsNotChosen) {
  EspTrials trials = machine(kCheaper);
  trials.measure = []() -> Result<sys::EspCost> {
    return Error{Errc::Unavailable, "datagrams were lost"};
  };

  const EspChoice choice = choose_esp(EspWish::Auto, trials);

  EXPECT_EQ(choice.xfrm, nullptr);
  EXPECT_EQ(choice.why, "datagrams were lost");
}

TEST(EspChooser, NobodyWaitsForTheMachine) {
  boost::asio::io_context strand;
  const auto work = boost::asio::make_work_guard(strand);
  EspTrials trials = machine(kCheaper);
  std::thread::id tried_by;
  trials.open = [&tried_by, open = trials.open] {
    tried_by = std::this_thread::get_id();
    return open();
  };
  std::optional<EspChoice> chosen;

  const EspChooser chooser(
      strand.get_executor(), EspWish::On, std::move(trials), [&chosen](EspChoice choice) {
        chosen = std::move(choice);
      });
  strand.run_one();

  ASSERT_TRUE(chosen.has_value());
  EXPECT_NE(chosen->xfrm, nullptr);
  EXPECT_NE(tried_by, std::this_thread::get_id());
}

TEST(EspChooser, WhoIsGoneIsNotTold) {
  boost::asio::io_context strand;
  bool is_told = false;

  {
    const EspChooser chooser(
        strand.get_executor(), EspWish::On, machine(kCheaper), [&is_told](EspChoice) {
          is_told = true;
        });
  }
  strand.run();

  EXPECT_FALSE(is_told);
}

// This machine's kernel may have ESP or not; either way there is a reason.
TEST(EspChoice, AlwaysSaysWhy) {
  const EspTrials trials{.open = [] { return sys::open_xfrm(); },
                         .measure = []() { return Result<sys::EspCost>(kDearer); }};

  EXPECT_NE(choose_esp(EspWish::Auto, trials).why, "");
  EXPECT_NE(choose_esp(EspWish::On, trials).why, "");
}

}  // namespace
}  // namespace weft::router
