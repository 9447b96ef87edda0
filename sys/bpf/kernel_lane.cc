#include "sys/bpf/kernel_lane.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <set>
#include <utility>

#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>

#include "router/bpf/maps.h"
#include "sys/posix/descriptor.h"

namespace weft::sys {
namespace {

Error map_error(int error) {
  return Error{Errc::Os, fmt::format("kernel lane map: {}", std::strerror(error)), error};
}

// As bpf_ktime_get_ns has it.
std::uint64_t monotonic_in(std::chrono::nanoseconds span) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  constexpr std::uint64_t kSecond = 1'000'000'000;
  return static_cast<std::uint64_t>(now.tv_sec) * kSecond + static_cast<std::uint64_t>(now.tv_nsec)
         + static_cast<std::uint64_t>(span.count());
}

class MapLane final : public KernelLane {
 public:
  MapLane(const LaneMaps& maps, std::shared_ptr<PeerSlots> slots)
      : agent_(fcntl(maps.agent, F_DUPFD_CLOEXEC, 0)),
        sealing_(fcntl(maps.sealing, F_DUPFD_CLOEXEC, 0)),
        opening_(fcntl(maps.opening, F_DUPFD_CLOEXEC, 0)),
        slots_(std::move(slots)) {}

  // Without a way to tell anybody of failures; nothing is used after the agent's last word anyway.
  ~MapLane() override {
    (void)keep_alive(std::chrono::nanoseconds(0));
    for (const std::uint32_t index : std::set(open_)) {
      (void)close(index);
    }
    for (const Ip& peer : std::set(sealed_)) {
      (void)stop(peer);
    }
  }

  void set_devices(std::uint32_t port, std::uint32_t device) override {
    port_ = port;
    device_ = device;
  }

  Result<Ok> keep_alive(std::chrono::nanoseconds span) override {
    const std::uint32_t only = 0;
    const weft_lane_agent agent{
        .alive_until = monotonic_in(span), .port = port_, .device = device_};
    return put(agent_.get(), only, agent, BPF_ANY);
  }

  Result<Ok> seal(const Ip& peer,
                  const LaneSealing& sealing,
                  std::chrono::nanoseconds life) override {
    weft_sealing value{};
    value.receiver = sealing.receiver;
    copy(sealing.key, value.key);
    value.expires = monotonic_in(life);
    value.udp_source = sealing.udp_source;
    value.udp_destination = sealing.udp_destination;
    const Result<Ok> done = put(sealing_.get(), slots_->take(peer), value, BPF_F_LOCK);
    sodium_memzero(&value, sizeof value);
    sealed_.insert(peer);
    return done;
  }

  Result<Ok> stop(const Ip& peer) override {
    sealed_.erase(peer);
    const std::optional<std::uint32_t> slot = slots_->find(peer);
    return slot ? put(sealing_.get(), *slot, weft_sealing{}, BPF_F_LOCK) : Ok{};
  }

  Result<Ok> open(std::uint32_t index, const LaneKey& key, std::chrono::nanoseconds life) override {
    weft_opening value{};
    copy(key, value.key);
    value.expires = monotonic_in(life);
    const Result<Ok> done = put(opening_.get(), index, value, BPF_NOEXIST);
    sodium_memzero(&value, sizeof value);
    open_.insert(index);
    return done;
  }

  Result<Ok> close(std::uint32_t index) override {
    open_.erase(index);
    // The kernel frees memory as it is.
    const Result<Ok> wiped = put(opening_.get(), index, weft_opening{}, BPF_EXIST | BPF_F_LOCK);
    if (!wiped.ok()) {
      return wiped.error().os == ENOENT ? Result<Ok>(Ok{}) : wiped;
    }
    if (bpf_map_delete_elem(opening_.get(), &index) != 0 && errno != ENOENT) {
      return map_error(errno);
    }
    return Ok{};
  }

  LaneCount sealed(const Ip& peer) const override {
    const std::optional<std::uint32_t> slot = slots_->find(peer);
    const weft_sealing value = slot ? get<weft_sealing>(sealing_.get(), *slot) : weft_sealing{};
    return {.packets = value.counter, .octets = value.octets};
  }

  LaneCount opened(std::uint32_t index) const override {
    const auto value = get<weft_opening>(opening_.get(), index);
    return {.packets = value.packets, .octets = value.octets};
  }

  // As weft_lane_accept() of router/bpf/kernel_lane.h left it.
  bool has_opened(std::uint32_t index, std::uint64_t counter) const override {
    constexpr std::uint64_t kBits = 64;
    const weft_lane_window window = get<weft_opening>(opening_.get(), index).window;
    if (counter >= window.next) {
      return false;
    }
    const std::uint64_t word = window.words[counter / kBits % WEFT_LANE_WINDOW_WORDS];
    return window.next - counter > (WEFT_LANE_WINDOW_WORDS - 1) * kBits
           || (word >> counter % kBits & 1U) != 0;
  }

 private:
  static void copy(const LaneKey& key, std::uint32_t (&words)[8]) {
    static_assert(sizeof words == sizeof key);
    std::memcpy(words, key.data(), sizeof words);
  }

  template <class Value>
  static Result<Ok> put(int map, std::uint32_t key, const Value& value, std::uint64_t flags) {
    if (bpf_map_update_elem(map, &key, &value, flags) != 0) {
      return map_error(errno);
    }
    return Ok{};
  }

  // Keys come along; the caller's copy is gone with its frame, as the kernel's own will be.
  template <class Value>
  static Value get(int map, std::uint32_t key) {
    Value value{};
    (void)bpf_map_lookup_elem_flags(map, &key, &value, BPF_F_LOCK);
    sodium_memzero(value.key, sizeof value.key);
    return value;
  }

  Descriptor agent_;
  Descriptor sealing_;
  Descriptor opening_;
  std::shared_ptr<PeerSlots> slots_;
  std::uint32_t port_ = 0;
  std::uint32_t device_ = 0;
  std::set<std::uint32_t> open_;
  std::set<Ip> sealed_;
};

}  // namespace

std::shared_ptr<KernelLane> make_kernel_lane(const LaneMaps& maps,
                                             std::shared_ptr<PeerSlots> slots) {
  return std::make_shared<MapLane>(maps, std::move(slots));
}

}  // namespace weft::sys
