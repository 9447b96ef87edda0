// A peer that says anything at all to an allocator at work: it stays valid, whatever it hands out
// is unique, and no reply follows a change that is not stored yet.
//
// Input: a sequence of steps. Each is u8 kind, u8 argument, then for gossip u16 length and a
// payload.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>

#include "base/assert.h"
#include "base/bytes.h"
#include "ipam/allocator.h"

namespace {

using std::chrono::milliseconds;
using weft::ByteView;
using weft::Cidr;
using weft::PeerName;
using weft::RequestId;
using weft::TimePoint;
using weft::Topic;
using weft::ipam::Allocator;
using weft::ipam::AllocatorActions;
using weft::ipam::Answer;

struct Run {
  std::unique_ptr<Allocator> allocator;
  TimePoint now{};
  std::uint64_t last_id = 0;
  std::map<weft::Ip, std::uint8_t> given;      // Address → owner's number.
  std::map<RequestId, std::uint8_t> requests;  // Open allocations.

  void check(const AllocatorActions& actions) {
    for (const auto& action : actions) {
      const auto* answer = std::get_if<Answer>(&action);
      if (answer == nullptr || !answer->result.ok()) {
        continue;
      }
      const auto owner = requests.find(answer->request);
      WEFT_ASSERT(owner != requests.end());
      const auto address = answer->result.value().address();
      const bool is_new = given.emplace(address, owner->second).second;
      WEFT_ASSERT(is_new || given.at(address) == owner->second);
    }
    allocator->check_invariants();
  }

  void step(std::uint8_t kind, std::uint8_t argument, weft::Reader& reader) {
    AllocatorActions out;
    const PeerName peer(1U + argument % 4U);
    const std::string owner = "c" + std::to_string(argument % 8);
    switch (kind % 8) {
      case 0:
        requests[RequestId(++last_id)] = argument % 8;
        allocator->allocate(now,
                            {.id = RequestId(last_id),
                             .owner = owner,
                             .subnet = Cidr::parse("10.32.0.0/24").value(),
                             .within = {},
                             .fresh = false},
                            out);
        break;
      case 1:
        requests[RequestId(++last_id)] = argument % 8;
        allocator->claim(
            now, RequestId(last_id), owner, Cidr(weft::Ipv4(0x0a200000U + argument), 24), out);
        break;
      case 2:
        std::erase_if(given, [argument](const auto& e) { return e.second == argument % 8; });
        (void)allocator->release_all(now, owner, out);  // Whether it held any does not matter.
        break;
      case 3:
        allocator->on_neighbour_up(now, peer, out);
        allocator->on_peer_reachable(now, peer, out);
        break;
      case 4:
        allocator->on_peer_unreachable(now, peer, out);
        break;
      case 5:
        now += milliseconds(100 * argument);
        break;
      default: {
        const auto length = reader.u16().value_or(0);
        const auto payload = reader.take(std::min<std::size_t>(length, reader.remaining()));
        const Topic topic = kind % 8 == 6 ? Topic::Ring : Topic::Ipam;
        allocator->on_gossip(now, peer, topic, payload.value(), out);
        break;
      }
    }
    allocator->on_deadline(now, out);
    check(out);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weft::Reader reader(ByteView(data, size));
  const auto electors = reader.u8().value_or(1);
  const Cidr range = Cidr::parse("10.32.0.0/24").value();
  Run run{.allocator = Allocator::create({.self = PeerName(1),
                                          .range = range,
                                          .default_subnet = range,
                                          .elector_count = 1U + electors % 3U},
                                         {},
                                         weft::Rng(1))
                           .value(),
          .now = {},
          .last_id = 0,
          .given = {},
          .requests = {}};
  // Enough for every way through; more only slows the fuzzer down.
  for (int steps = 0; steps < 200 && reader.remaining() >= 2; ++steps) {
    const auto kind = reader.u8();
    const auto argument = reader.u8();
    run.step(kind.value(), argument.value(), reader);
  }
  return 0;
}
