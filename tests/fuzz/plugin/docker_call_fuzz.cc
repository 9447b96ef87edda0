// A dockerd that says anything. The input is a list of calls: one byte chooses the path, one how
// ipam and the kernel answer, two give the length of the body that follows. Every call must be
// answered exactly once unless its caller hung up, and the driver must stay valid and be restorable
// from what it persisted.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "base/assert.h"
#include "base/overloaded.h"
#include "plugin/docker.h"

namespace {

using weft::Cidr;
using weft::Errc;
using weft::Error;
using weft::Ok;
using weft::RequestId;
using weft::Result;
using std::string_view_literals::operator""sv;

constexpr std::array kPaths = {"/Plugin.Activate"sv,
                               "/NetworkDriver.GetCapabilities"sv,
                               "/NetworkDriver.AllocateNetwork"sv,
                               "/NetworkDriver.FreeNetwork"sv,
                               "/NetworkDriver.CreateNetwork"sv,
                               "/NetworkDriver.DeleteNetwork"sv,
                               "/NetworkDriver.CreateEndpoint"sv,
                               "/NetworkDriver.DeleteEndpoint"sv,
                               "/NetworkDriver.EndpointOperInfo"sv,
                               "/NetworkDriver.Join"sv,
                               "/NetworkDriver.Leave"sv,
                               "/NetworkDriver.DiscoverNew"sv,
                               "/NetworkDriver.DiscoverDelete"sv,
                               "/NetworkDriver.ProgramExternalConnectivity"sv,
                               "/NetworkDriver.RevokeExternalConnectivity"sv,
                               "/IpamDriver.GetCapabilities"sv,
                               "/IpamDriver.GetDefaultAddressSpaces"sv,
                               "/IpamDriver.RequestPool"sv,
                               "/IpamDriver.ReleasePool"sv,
                               "/IpamDriver.RequestAddress"sv,
                               "/IpamDriver.ReleaseAddress"sv,
                               "/NetworkDriver.Teleport"sv,
                               "/NetworkDriver.GwAllocCheck"sv};

// How the outside reacts to one call.
constexpr unsigned kFails = 1U;
constexpr unsigned kHangsUp = 2U;
constexpr unsigned kRestarts = 4U;
constexpr unsigned kFromSwarm = 8U;

class Outside {
 public:
  Outside() { restart(); }

  void restart() {
    auto driver = weft::plugin::DockerDriver::create(
        options(),
        {.networks = tables_["docker_networks"], .endpoints = tables_["docker_endpoints"]});
    WEFT_ASSERT(driver.ok());
    driver_ = std::move(driver).value();
    weft::plugin::DockerActions out;
    driver_->start(out);
    perform(out, 0);
  }

  void call(std::string_view path, unsigned reaction, std::string_view body) {
    const RequestId id(++calls_);
    answered_ = false;
    weft::plugin::DockerActions out;
    const auto scope =
        (reaction & kFromSwarm) != 0 ? weft::plugin::Scope::Global : weft::plugin::Scope::Local;
    driver_->on_call(id, scope, path, body, out);
    if ((reaction & kHangsUp) != 0) {
      driver_->on_hangup(id, out);
    }
    perform(out, reaction);
    WEFT_ASSERT(answered_ || (reaction & kHangsUp) != 0);
    driver_->check_invariants();
    if ((reaction & kRestarts) != 0) {
      restart();
    }
  }

 private:
  static weft::plugin::DockerDriver::Options options() {
    const Cidr range(weft::Ip(weft::Ipv4(0x0a200000U)), 12);
    return {.default_subnet = range, .range = range, .networks_max = 8, .endpoints_max = 8};
  }

  void perform(const weft::plugin::DockerActions& actions, unsigned reaction) {
    for (const weft::plugin::DockerAction& action : actions) {
      weft::plugin::DockerActions out;
      std::visit(weft::overloaded{
                     [this](const weft::plugin::HttpReply&) {
                       WEFT_ASSERT(!answered_);
                       answered_ = true;
                     },
                     [&](const weft::plugin::AllocateAddress& ask) {
                       driver_->on_address(ask.call, address(ask.subnet, reaction), out);
                     },
                     [&](const weft::plugin::ClaimAddress& ask) {
                       driver_->on_address(ask.call, claimed(ask.address, reaction), out);
                     },
                     [](const weft::plugin::CancelAddress&) {},
                     [](const weft::plugin::ReleaseAddress&) {},
                     [&](const weft::plugin::PlugPort& plug) {
                       WEFT_ASSERT(plug.port.host.size() <= 15);
                       driver_->on_plugged(plug.call, plugged(reaction), out);
                     },
                     [&](const weft::plugin::UnplugPort& unplug) {
                       driver_->on_plugged(unplug.call, plugged(reaction), out);
                     },
                     [&](const weft::plugin::SetGateways& wanted) {
                       for (const Cidr& gateway : wanted.gateways) {
                         WEFT_ASSERT(gateway.is_v4());
                       }
                       driver_->on_gateways(plugged(reaction));
                     },
                     [this](const weft::plugin::Persist& persist) { apply(persist.batch); },
                 },
                 action);
      perform(out, reaction);
    }
  }

  // Counts up, so that it gets past addresses that endpoints have.
  Result<Cidr> address(const Cidr& subnet, unsigned reaction) {
    if ((reaction & kFails) != 0) {
      return Error{Errc::Exhausted, "no address left"};
    }
    return Cidr(weft::Ip(weft::Ipv4(subnet.first().v4().number() + ++addresses_)), subnet.prefix());
  }
  static Result<Cidr> claimed(const Cidr& wanted, unsigned reaction) {
    if ((reaction & kFails) != 0) {
      return Error{Errc::Conflict, "taken"};
    }
    return wanted;
  }
  static Result<Ok> plugged(unsigned reaction) {
    if ((reaction & kFails) != 0) {
      return Error{Errc::Os, "no such device"};
    }
    return Ok{};
  }

  void apply(const weft::StoreBatch& batch) {
    for (const weft::StoreWrite& write : batch) {
      if (write.value) {
        tables_[write.table][write.key] = *write.value;
      } else {
        tables_[write.table].erase(write.key);
      }
    }
  }

  std::map<std::string, weft::StoreTable> tables_;
  std::unique_ptr<weft::plugin::DockerDriver> driver_;
  std::uint64_t calls_ = 0;
  std::uint32_t addresses_ = 0;
  bool answered_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Outside outside;
  weft::Reader reader(weft::ByteView(data, size));
  while (!reader.empty()) {
    const auto path = reader.u8();
    const auto reaction = reader.u8();
    const auto length = reader.u16();
    if (!path.ok() || !reaction.ok() || !length.ok()) {
      break;
    }
    const auto body = reader.take(std::min<std::size_t>(length.value(), reader.remaining()));
    outside.call(
        kPaths[path.value() % kPaths.size()], reaction.value(), weft::as_text(body.value()));
  }
  return 0;
}
