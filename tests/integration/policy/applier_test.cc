// policy/io/applier.h in a network namespace of its own, beside nft.
#include "policy/io/applier.h"

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "sys/netns.h"
#include "tests/integration/sys/command.h"

namespace weft::policy {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using sys::run;
using sys::succeeds;

class ApplierTest : public ::testing::Test {
 protected:
  ApplierTest() {
    const auto entered = sys::enter_new_namespace();
    EXPECT_TRUE(entered.ok()) << entered.error().what;
    run("mount -t tmpfs none /run");  // Keeps the lock of iptables from the host.
  }
  void start(std::chrono::milliseconds doubt_min) {
    auto made = Applier::make(
        io_.get_executor(), compiler_, {.bridge = "npcbr", .overlay_ports = {}}, doubt_min);
    ASSERT_TRUE(made.ok()) << made.error().what;
    applier_ = std::move(made).value();
    applier_->on_change();
    run_until([this] { return applier_->stats().is_in_place; });
    ASSERT_EQ(applier_->stats().rebuilds, 1U);
    auto witness =
        sys::PolicyWatch::watch(io_.get_executor(), 0, [this](const sys::PolicyDamage& damage) {
          heard_ = heard_ ? heard_ : std::optional(damage);
        });
    ASSERT_TRUE(witness.ok()) << witness.error().what;
    witness_ = std::move(witness).value();
  }
  void run_until(const std::function<bool()>& is_done) {
    for (int i = 0; i < 1'000 && !is_done(); ++i) {
      io_.run_for(10ms);
    }
    EXPECT_TRUE(is_done());
  }
  // More news than the watch's socket holds, of a table of somebody else's.
  static void flood() {
    run("nft add table ip others && nft add set ip others many '{ type ipv4_addr; }' && "
        "awk 'BEGIN { print \"add element ip others many {\"; for (i = 0; i < 300000; i++) "
        "printf \"10.%d.%d.%d,\\n\", i / 65536, i / 256 % 256, i % 256; print \"}\" }' "
        ">/run/flood && nft -f /run/flood && nft flush set ip others many && nft -f /run/flood");
  }
  static bool has_table() { return succeeds("nft list table ip weft-npc"); }

  boost::asio::io_context io_;
  Compiler compiler_;
  std::unique_ptr<Applier> applier_;
  std::unique_ptr<sys::PolicyWatch> witness_;
  std::optional<sys::PolicyDamage> heard_;  // What anybody who listens is told first.
};

TEST_F(ApplierTest, PutsBackWhatWasRemovedUnheardShortlyAfterARebuild) {
  start(500ms);

  flood();
  run("nft delete table ip weft-npc");
  run_until([] { return has_table(); });

  EXPECT_EQ(applier_->stats().rebuilds, 2U);
}

TEST_F(ApplierTest, PutsBackAtOnceWhatItHeardOf) {
  start(Applier::kDoubtMin);

  run("nft delete table ip weft-npc");
  run_until([] { return has_table(); });

  EXPECT_EQ(applier_->stats().rebuilds, 2U);
}

TEST_F(ApplierTest, RebuildsOnSuspicionNowAndThenAlone) {
  start(Applier::kDoubtMin);

  flood();
  io_.run_for(1s);

  EXPECT_EQ(applier_->stats().rebuilds, 1U);
  ASSERT_TRUE(heard_);
  EXPECT_TRUE(heard_->missed);  // By whoever listens.
}

}  // namespace
}  // namespace weft::policy
