#include "policy/io/applier.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace weft::policy {
namespace {

// What a client does with several objects, and what one read brings, is one transaction.
constexpr std::chrono::milliseconds kGathering{10};
constexpr std::chrono::milliseconds kRetryMin{1'000};
constexpr std::chrono::milliseconds kRetryMax{30'000};

}  // namespace

Applier::Applier(boost::asio::any_io_executor executor,
                 Compiler& compiler,
                 std::unique_ptr<sys::PolicyTable> table,
                 std::chrono::milliseconds doubt_min)
    : compiler_(compiler),
      table_(std::move(table)),
      doubt_min_(doubt_min),
      timer_(executor),
      doubt_timer_(std::move(executor)) {}

Result<std::unique_ptr<Applier>> Applier::make(boost::asio::any_io_executor executor,
                                               Compiler& compiler,
                                               sys::PolicyTable::Options options,
                                               std::chrono::milliseconds doubt_min) {
  std::unique_ptr<sys::PolicyTable> table = WEFT_TRY(sys::PolicyTable::open(std::move(options)));
  const std::uint32_t port = table->port();
  std::unique_ptr<Applier> applier(new Applier(executor, compiler, std::move(table), doubt_min));
  applier->watch_ = WEFT_TRY(sys::PolicyWatch::watch(
      executor, port, [self = applier.get()](const sys::PolicyDamage& damage) {
        self->on_damage(damage);
      }));
  return applier;
}

void Applier::on_change() {
  has_begun_ = true;
  run_in(kGathering);
}

void Applier::on_damage(const sys::PolicyDamage& damage) {
  if (damage.tables && is_whole_) {
    log::warning("policies were changed by another program, and are put back");
    is_whole_ = false;
  }
  has_verdicts_ = has_verdicts_ && !damage.chains && !damage.missed;
  if (damage.missed && is_whole_) {
    doubt();
  }
  if (has_begun_) {
    run_in(std::chrono::milliseconds(0));
  }
}

// What was missed may have been our own, of which a rebuild makes many, or of others' tables.
void Applier::doubt() {
  if (table_->is_alone().value_or(false)) {
    return;
  }
  doubt_timer_.expires_at(rebuilt_ + doubt_min_);
  doubt_timer_.async_wait(lifetime_.guard([this](const boost::system::error_code& error) {
    if (!error && is_whole_) {
      log::warning("policies may have been changed by another program, and are put in place anew");
      is_whole_ = false;
      run_in(std::chrono::milliseconds(0));
    }
  }));
}

void Applier::run_in(std::chrono::milliseconds pause) {
  if (std::exchange(is_waiting_, true)) {
    return;
  }
  timer_.expires_after(std::max(pause, pause_));
  timer_.async_wait(lifetime_.guard([this](const boost::system::error_code& error) {
    is_waiting_ = false;
    if (!error) {
      run();
    }
  }));
}

void Applier::run() {
  const Result<Ok> done = put();
  stats_.is_in_place = done.ok();
  if (done.ok()) {
    pause_ = {};
    return;
  }
  ++stats_.failures;
  is_whole_ = false;
  pause_ = std::clamp(pause_ * 2, kRetryMin, kRetryMax);
  log::error("policies could not be put in place", {"error", done.error()});
  run_in(pause_);
}

Result<Ok> Applier::put() {
  if (!is_whole_) {
    WEFT_TRY(table_->replace(compiler_.take_everything()));
    is_whole_ = true;
    rebuilt_ = std::chrono::steady_clock::now();
    doubt_timer_.cancel();
    ++stats_.rebuilds;
    stats_.last_bytes = table_->last_bytes();
  } else if (const PolicyChanges changes = compiler_.take_changes(); !changes.empty()) {
    WEFT_TRY(table_->apply(changes));
    ++stats_.changes;
    stats_.last_bytes = table_->last_bytes();
  }
  // Behind the tables: until then nothing is let in.
  if (!has_verdicts_) {
    WEFT_TRY(table_->ensure_verdicts());
    has_verdicts_ = true;
    look_at_hooks();
  }
  return Ok{};
}

void Applier::look_at_hooks() {
  stats_.is_hooked = table_->has_hooks().value_or(false);
  if (!stats_.is_hooked && !std::exchange(told_unhooked_, true)) {
    log::warning(
        "no rule leads to WEAVE-NPC: nothing is enforced until the agent runs with --expect-npc");
  }
  if (stats_.is_hooked && std::exchange(told_unhooked_, false)) {
    log::info("the agent's hooks are there: policies are enforced");
  }
}

}  // namespace weft::policy
