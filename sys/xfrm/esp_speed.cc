#include "sys/xfrm/esp_speed.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

#include <poll.h>

#include "base/bytes.h"
#include "sys/bulk/udp_socket.h"
#include "sys/netlink/sysctl.h"
#include "sys/netns.h"
#include "sys/xfrm/xfrm.h"

namespace weft::sys {
namespace {

using std::chrono::nanoseconds;

constexpr std::size_t kText = 1400;
// A super-datagram, as containers' TCP makes them.
constexpr std::size_t kBurst = 40;
constexpr std::size_t kBursts = 4;  // Of a run: a fraction of a millisecond.
// The best counts, as a run in which the machine did something else says nothing.
constexpr std::size_t kRuns = 10;
// Fewer where a run takes long: a start on such a machine is slow enough.
constexpr Duration kRunsMax = std::chrono::milliseconds(400);
// A burst that has not arrived by then is lost.
constexpr int kPatienceMilliseconds = 200;
constexpr std::uint16_t kPort = 1000;

const Ip kFrom = Ipv4(0x7f000001);
const Ip kTo = Ipv4(0x7f000002);

// Two sockets of one thread, and what is carried between them.
class Carriage {
 public:
  static Result<std::unique_ptr<Carriage>> open() {
    auto carriage = std::make_unique<Carriage>();
    carriage->sender_ = WEFT_TRY(UdpSocket::open(kFrom, kPort));
    carriage->receiver_ = WEFT_TRY(UdpSocket::open(kTo, kPort));
    carriage->to_ = carriage->sender_->address_of({kTo, kPort});
    return carriage;
  }

  // Without a key datagrams are sent as they are, and left where they arrive.
  Result<nanoseconds> run(AeadKey* key, const Clock& clock) {
    const TimePoint start = clock.now();
    for (std::size_t burst = 0; burst < kBursts; ++burst) {
      send_burst(key);
      WEFT_TRY(receive_burst(key));
    }
    return (clock.now() - start) / static_cast<int>(kBursts * kBurst);
  }

 private:
  void send_burst(AeadKey* key) {
    // Out of the packet socket's queue.
    std::copy(source_.begin(), source_.end(), frames_.begin());
    for (std::size_t i = 0; i < kBurst; ++i) {
      const ByteView text = ByteView(frames_).subspan(i * kText, kText);
      const std::size_t size = kText + (key == nullptr ? 0 : kAeadTagSize);
      std::uint8_t* at = sender_->append(to_, size);
      if (at == nullptr) {
        (void)sender_->flush();
        at = sender_->append(to_, size);
      }
      if (key == nullptr) {
        std::copy(text.begin(), text.end(), at);
      } else {
        key->seal(sealed_++, {}, text, at);
      }
    }
    (void)sender_->flush();  // What it refuses is missed.
  }

  Result<Ok> receive_burst(AeadKey* key) {
    std::size_t arrived = 0;
    while (arrived < kBurst) {
      const std::size_t count = receiver_->receive();
      for (std::size_t i = 0; i < count; ++i) {
        const UdpSocket::Received received = receiver_->received(i);
        ByteView rest = received.bytes;
        while (!rest.empty()) {
          const ByteView datagram = rest.first(std::min(rest.size(), received.datagram_size));
          rest = rest.subspan(datagram.size());
          open(key, datagram, arrived++ % kBurst);
        }
      }
      pollfd waiting{.fd = receiver_->descriptor(), .events = POLLIN, .revents = 0};
      if (arrived < kBurst && ::poll(&waiting, 1, kPatienceMilliseconds) <= 0) {
        return Error{Errc::Unavailable, "datagrams were lost on the loopback device"};
      }
    }
    if (key != nullptr) {
      // Into the packet socket's queue.
      std::copy(frames_.begin(), frames_.end(), source_.begin());
    }
    return Ok{};
  }

  void open(AeadKey* key, ByteView datagram, std::size_t index) {
    if (key != nullptr && datagram.size() == kText + kAeadTagSize) {
      (void)key->open(opened_++, {}, datagram, frames_.data() + index * kText);
    }
  }

  std::unique_ptr<UdpSocket> sender_;
  std::unique_ptr<UdpSocket> receiver_;
  SocketAddress to_;
  std::array<std::uint8_t, kBurst * kText> source_{};
  std::array<std::uint8_t, kBurst * kText> frames_{};
  std::uint64_t sealed_ = 0;
  std::uint64_t opened_ = 0;
};

Result<nanoseconds> best_run(AeadKey* key, const Clock& clock) {
  const auto carriage = WEFT_TRY(Carriage::open());
  nanoseconds best = nanoseconds::max();
  const TimePoint end = clock.now() + kRunsMax;
  for (std::size_t run = 0; run < kRuns && (run == 0 || clock.now() < end); ++run) {
    const nanoseconds one = WEFT_TRY(carriage->run(key, clock));
    best = std::min(best, one);
  }
  return best;
}

// One association serves both ends, as they are on one host.
Result<nanoseconds> best_run_by_kernel(const Clock& clock) {
  const EspPair pair{.local = kFrom, .peer = kTo, .port = kPort, .group = 1};
  // What is local is exempt from IPsec unless it is told otherwise.
  WEFT_TRY(set_sysctl("net/ipv4/conf/lo/disable_xfrm", "0"));
  WEFT_TRY(set_sysctl("net/ipv4/conf/lo/disable_policy", "0"));
  const auto xfrm = WEFT_TRY(open_xfrm_here());
  WEFT_TRY(xfrm->add(pair,
                     {.direction = EspDirection::Out,
                      .spi = kSpiMin,
                      .key = {},
                      .packets_max = 1U << 20U,
                      .seconds_max = 60}));
  WEFT_TRY(xfrm->require_out(pair, kSpiMin));
  const nanoseconds best = WEFT_TRY(best_run(nullptr, clock));
  const std::uint64_t sealed = WEFT_TRY(xfrm->packets(pair, EspDirection::Out, kSpiMin));
  if (sealed < kBursts * kBurst) {
    return Error{Errc::Unavailable, "the loopback device passes ESP by"};
  }
  return best;
}

Result<EspCost> measure_here(AeadKey& key, const Clock& clock) {
  WEFT_TRY(enter_scratch_network());
  EspCost cost;
  cost.ours = WEFT_TRY(best_run(&key, clock));
  cost.kernel = WEFT_TRY(best_run_by_kernel(clock));
  return cost;
}

}  // namespace

Result<EspCost> measure_esp(AeadKey& key, const Clock& clock) {
  Result<EspCost> cost = EspCost{};
  // The namespace is the thread's own, and ends with it.
  std::thread scratch([&] { cost = measure_here(key, clock); });
  scratch.join();
  return cost;
}

}  // namespace weft::sys
