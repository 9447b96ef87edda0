// Puts what the compiler says into the kernel, a moment after it changed, and puts it there again
// when somebody else has changed it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "policy/compile.h"
#include "sys/lifetime.h"
#include "sys/nftables/policy_table.h"
#include "sys/nftables/policy_watch.h"

namespace weft::policy {

class Applier {
 public:
  struct Stats {
    std::uint64_t changes = 0;   // Transactions that changed something.
    std::uint64_t rebuilds = 0;  // Those that put everything in place anew.
    std::uint64_t failures = 0;
    std::size_t last_bytes = 0;  // The size of the last one's messages.
    bool is_in_place = false;    // The kernel has what the compiler said last, or will in a moment.
    bool is_hooked = false;      // The agent's hooks lead there.
  };

  // Between two rebuilds on suspicion alone: where news were missed, and others changed something.
  static constexpr std::chrono::milliseconds kDoubtMin{30'000};

  static Result<std::unique_ptr<Applier>> make(boost::asio::any_io_executor executor,
                                               Compiler& compiler,
                                               sys::PolicyTable::Options options,
                                               std::chrono::milliseconds doubt_min = kDoubtMin);
  Applier(const Applier&) = delete;
  Applier& operator=(const Applier&) = delete;
  ~Applier() = default;

  // The compiler has news.
  void on_change();

  const Stats& stats() const { return stats_; }

 private:
  Applier(boost::asio::any_io_executor executor,
          Compiler& compiler,
          std::unique_ptr<sys::PolicyTable> table,
          std::chrono::milliseconds doubt_min);

  void on_damage(const sys::PolicyDamage& damage);
  void doubt();
  void run_in(std::chrono::milliseconds pause);
  void run();
  Result<Ok> put();
  void look_at_hooks();

  Compiler& compiler_;
  const std::unique_ptr<sys::PolicyTable> table_;
  std::unique_ptr<sys::PolicyWatch> watch_;
  const std::chrono::milliseconds doubt_min_;
  boost::asio::steady_timer timer_;
  boost::asio::steady_timer doubt_timer_;
  bool is_waiting_ = false;
  bool has_begun_ = false;  // The compiler has been listed to.
  bool is_whole_ = false;   // What is in the kernel is what changes go on from.
  bool has_verdicts_ = false;
  bool told_unhooked_ = false;
  std::chrono::milliseconds pause_{};  // After the last failure.
  std::chrono::steady_clock::time_point rebuilt_{};
  Stats stats_;
  sys::Lifetime lifetime_;
};

}  // namespace weft::policy
