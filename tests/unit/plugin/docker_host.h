// A host around the DockerDriver: a store, an allocator and a kernel that do what the driver wants,
// can be told to fail, and survive a crash of the driver at any action.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/overloaded.h"
#include "plugin/docker.h"
#include "tests/unit/plugin/docker_answers.h"
#include "tests/unit/plugin/docker_bodies.h"

namespace weft::plugin::test {

class DockerHost {
 public:
  explicit DockerHost(DockerDriver::Options options = default_options()) : options_(options) {
    restart();
    performed_.clear();  // What a start does is not of interest to most.
  }

  static DockerDriver::Options default_options() {
    return {.default_subnet = cidr("10.32.0.0/12"), .range = cidr("10.32.0.0/12")};
  }

  // The agent dies, and comes back with what the store has.
  void restart() {
    queue_.clear();
    replies_.clear();
    auto driver = DockerDriver::create(
        options_,
        {.networks = tables_["docker_networks"], .endpoints = tables_["docker_endpoints"]});
    ASSERT_TRUE(driver.ok()) << driver.error().what;
    driver_ = std::move(driver).value();
    crash_after_.reset();
    is_crashed_ = false;
    feed([this](DockerActions& out) { driver_->start(out); });
  }

  // Nothing if the answer is still to come, or never will.
  std::optional<Answer> send(const std::string& path,
                             const std::string& body,
                             Scope scope = Scope::Local) {
    const RequestId id(++last_call_);
    feed([&](DockerActions& out) { driver_->on_call(id, scope, path, body, out); });
    return answer_of(id);
  }
  Answer call(const std::string& path, const std::string& body) {
    return send(path, body).value_or(Answer{0, "no answer"});
  }
  // To the driver for networks of a swarm.
  Answer call_global(const std::string& path, const std::string& body) {
    return send(path, body, Scope::Global).value_or(Answer{0, "no answer"});
  }
  std::optional<Answer> answer_of(RequestId id) const {
    const auto found = replies_.find(id);
    return found != replies_.end() ? std::optional(found->second) : std::nullopt;
  }
  RequestId last_call() const { return RequestId(last_call_); }

  void hang_up(RequestId id) {
    feed([&](DockerActions& out) { driver_->on_hangup(id, out); });
  }
  void port_missing(const std::string& id) {
    feed([&](DockerActions& out) { driver_->on_port_missing(id, out); });
  }
  // As the agent does now and then.
  void look_through_addresses() {
    std::vector<std::pair<std::string, Cidr>> held;
    for (const auto& [address, owner] : addresses_) {
      const Cidr& subnet = address.is_v4() ? options_.default_subnet : options_.default_subnet_v6;
      held.emplace_back(owner, Cidr(address, subnet.prefix()));
    }
    feed([&](DockerActions& out) { driver_->on_held(held, out); });
  }
  void port_gone(const std::string& id) {
    feed([&](DockerActions& out) { driver_->on_port_gone(id, out); });
  }
  // Answers everything that was held back, in order.
  void answer_all() {
    holding_ = false;
    std::deque<DockerAction> held = std::exchange(held_, {});
    for (DockerAction& action : held) {
      queue_.push_back(std::move(action));
    }
    run();
  }

  // From now on ipam and the kernel say nothing until answer_all().
  void hold_answers() { holding_ = true; }
  void set_encrypts(bool encrypts) { options_.encrypts = encrypts; }
  void cancel_too_late() { cancels_too_late_ = true; }
  void fail_addresses(std::string why) { address_failure_ = std::move(why); }
  void fail_plugs(std::string why) { plug_failure_ = std::move(why); }
  void fail_gateways(std::string why) { gateway_failure_ = std::move(why); }
  void fail_unplugs(std::string why) { unplug_failure_ = std::move(why); }
  // The driver's process dies once it has performed so many actions more.
  void crash_after(std::size_t actions) { crash_after_ = actions; }
  bool is_crashed() const { return is_crashed_; }

  DockerDriver& driver() { return *driver_; }
  const std::map<Ip, std::string>& addresses() const { return addresses_; }
  void take_address(const Ip& address, std::string owner) { addresses_[address] = owner; }
  const std::map<std::string, Port>& plugged() const { return plugged_; }
  const std::vector<Cidr>& gateways() const { return gateways_; }
  void lose_ports() { plugged_.clear(); }
  const StoreTable& table(const std::string& name) { return tables_[name]; }
  void write_row(const std::string& table, const std::string& key, const std::string& row) {
    tables_[table][to_bytes(std::string_view(key))] = to_bytes(std::string_view(row));
  }
  const std::vector<DockerAction>& performed() const { return performed_; }

 private:
  template <class Input>
  void feed(Input input) {
    if (is_crashed_) {
      return;
    }
    DockerActions out;
    input(out);
    for (DockerAction& action : out) {
      queue_.push_back(std::move(action));
    }
    run();
  }

  void run() {
    while (!queue_.empty()) {
      if (crash_after_ && (*crash_after_)-- == 0) {
        is_crashed_ = true;
        queue_.clear();
        return;
      }
      const DockerAction action = std::move(queue_.front());
      queue_.pop_front();
      perform(action);
      driver_->check_invariants();
    }
  }

  void perform(const DockerAction& action) {
    const bool is_question = !std::holds_alternative<HttpReply>(action)
                             && !std::holds_alternative<Persist>(action)
                             && !std::holds_alternative<CancelAddress>(action)
                             && !std::holds_alternative<ReleaseAddress>(action);
    if (holding_ && is_question) {
      held_.push_back(action);
      return;
    }
    performed_.push_back(action);
    std::visit(
        overloaded{
            [this](const HttpReply& reply) {
              EXPECT_TRUE(replies_.emplace(reply.call, Answer{reply.status, reply.body}).second)
                  << "answered twice";
            },
            [this](const AllocateAddress& ask) { answer(ask.call, allocate(ask)); },
            [this](const ClaimAddress& ask) { answer(ask.call, claim(ask)); },
            [this](const CancelAddress& cancel) { on_cancel(cancel.call); },
            [this](const ReleaseAddress& release) {
              const auto found = addresses_.find(release.address);
              if (found != addresses_.end() && found->second == release.owner) {
                addresses_.erase(found);
              }
            },
            [this](const PlugPort& plug) { on_plug(plug); },
            [this](const UnplugPort& unplug) { on_unplug(unplug); },
            [this](const SetGateways& wanted) { set_gateways(wanted); },
            [this](const Persist& persist) { apply(persist.batch); },
        },
        action);
  }

  Result<Cidr> allocate(const AllocateAddress& ask) {
    if (!address_failure_.empty()) {
      return Error{Errc::Exhausted, address_failure_};
    }
    const Cidr block = ask.within.value_or(ask.subnet);
    for (std::uint32_t n = 0; block.contains(nth(block, n)); ++n) {
      const Ip candidate = nth(block, n);
      if (candidate != ask.subnet.first() && !addresses_.contains(candidate)) {
        addresses_[candidate] = ask.owner;
        return Cidr(candidate, ask.subnet.prefix());
      }
    }
    return Error{Errc::Exhausted, "no address left"};
  }

  Result<Cidr> claim(const ClaimAddress& ask) {
    if (!address_failure_.empty()) {
      return Error{Errc::Exhausted, address_failure_};
    }
    const auto held = addresses_.emplace(ask.address.address(), ask.owner).first;
    if (held->second != ask.owner) {
      return Error{Errc::Conflict, "held by " + held->second};
    }
    return ask.address;
  }

  // Only what ipam was not asked yet can be cancelled.
  void on_cancel(RequestId call) {
    const auto asked = std::find_if(held_.begin(), held_.end(), [call](const DockerAction& action) {
      const auto* allocate = std::get_if<AllocateAddress>(&action);
      const auto* claim = std::get_if<ClaimAddress>(&action);
      return (allocate != nullptr && allocate->call == call)
             || (claim != nullptr && claim->call == call);
    });
    if (asked != held_.end() && !cancels_too_late_) {
      held_.erase(asked);
      answer(call, Error{Errc::Unavailable, "cancelled"});
    }
  }

  void answer(RequestId call, const Result<Cidr>& address) {
    feed([&](DockerActions& out) { driver_->on_address(call, address, out); });
  }

  void on_plug(const PlugPort& plug) {
    Result<Ok> result = Ok{};
    if (!plug_failure_.empty()) {
      result = Error{Errc::Os, plug_failure_};
    } else {
      for (const auto& [id, port] : plugged_) {
        EXPECT_TRUE(id == plug.port.id || port.addresses != plug.port.addresses)
            << "one address on two ports";
      }
      plugged_.insert_or_assign(plug.port.id, plug.port);
    }
    feed([&](DockerActions& out) { driver_->on_plugged(plug.call, result, out); });
  }

  void on_unplug(const UnplugPort& unplug) {
    Result<Ok> result = Ok{};
    if (!unplug_failure_.empty()) {
      result = Error{Errc::Os, unplug_failure_};
    } else {
      plugged_.erase(unplug.port.id);
    }
    feed([&](DockerActions& out) { driver_->on_plugged(unplug.call, result, out); });
  }

  void set_gateways(const SetGateways& wanted) {
    Result<Ok> result = Ok{};
    if (!gateway_failure_.empty()) {
      result = Error{Errc::Os, gateway_failure_};
    } else {
      gateways_ = wanted.gateways;
    }
    driver_->on_gateways(result);
  }

  void apply(const StoreBatch& batch) {
    for (const StoreWrite& write : batch) {
      if (write.value) {
        tables_[write.table][write.key] = *write.value;
      } else {
        tables_[write.table].erase(write.key);
      }
    }
  }

  DockerDriver::Options options_;
  std::unique_ptr<DockerDriver> driver_;
  std::map<std::string, StoreTable> tables_;
  std::map<Ip, std::string> addresses_;
  std::map<std::string, Port> plugged_;
  std::vector<Cidr> gateways_;
  std::map<RequestId, Answer> replies_;
  std::deque<DockerAction> queue_;
  std::deque<DockerAction> held_;
  std::vector<DockerAction> performed_;
  std::optional<std::size_t> crash_after_;
  bool is_crashed_ = false;
  bool holding_ = false;
  bool cancels_too_late_ = false;
  std::string address_failure_;
  std::string plug_failure_;
  std::string gateway_failure_;
  std::string unplug_failure_;
  std::uint64_t last_call_ = 0;
};

}  // namespace weft::plugin::test
