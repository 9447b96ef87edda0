// Runs a sans-IO core on an Asio executor: inputs go in, actions are carried out, one timer sleeps
// until the core's next deadline. This file is the only place where a core meets a real clock.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/time.h"
#include "sys/clock.h"
#include "sys/lifetime.h"

namespace weft::sys {

template <class Core, class Action, class Perform>
class CoreDriver {
 public:
  CoreDriver(boost::asio::any_io_executor executor, const Clock& clock, Core& core, Perform perform)
      : clock_(clock),
        core_(core),
        perform_(std::move(perform)),
        timer_(std::move(executor)) {}

  // Hands the core one input, then settles it. `input` is called as input(core, now, actions).
  template <class Input>
  void feed(Input input) {
    input(core_, clock_.now(), actions_);
    settle();
  }

 private:
  void settle() {
    core_.on_deadline(clock_.now(), actions_);
    for (Action& action : std::exchange(actions_, {})) {
      perform_(std::move(action));  // Must not call feed() in place; post it.
    }
    const TimePoint deadline = core_.next_deadline();
    if (deadline == armed_) {
      return;
    }
    armed_ = deadline;
    if (deadline == kNever) {
      timer_.cancel();
      return;
    }
    timer_.expires_after(std::max(Duration::zero(), deadline - clock_.now()));
    timer_.async_wait(lifetime_.guard([this](const boost::system::error_code& error) {
      if (!error) {
        armed_ = kNever;
        settle();
      }
    }));
  }

  const Clock& clock_;
  Core& core_;
  Perform perform_;
  boost::asio::steady_timer timer_;
  TimePoint armed_ = kNever;  // What the timer waits for; setting it again costs a system call.
  std::vector<Action> actions_;
  Lifetime lifetime_;
};

}  // namespace weft::sys
