#include "sys/tap.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/netdev.h"
#include "sys/lifetime.h"
#include "sys/netlink/netdev_kernel.h"
#include "sys/netlink/sysctl.h"
#include "sys/posix/descriptor.h"

namespace weft::sys {
namespace {

// The largest MTU of a TAP device (ETH_MAX_MTU) with its Ethernet and one VLAN header.
constexpr std::size_t kFrameMax = 65535 + 14 + 4;

// Frames read in one turn of the executor: enough to empty a burst, few enough (about 100 µs of
// work) that timers and control connections keep their turn.
constexpr int kFramesPerTurnMax = 64;

class KernelTap final : public Tap {
 public:
  KernelTap(boost::asio::any_io_executor executor, int file, std::uint32_t index, OnFrame on_frame)
      : device_(std::move(executor), file),
        index_(index),
        on_frame_(std::move(on_frame)) {
    wait();
  }

  std::uint32_t ifindex() const override { return index_; }
  std::uint64_t dropped() const override { return dropped_; }

  void write(ByteView frame) override {
    const ssize_t written = ::write(device_.native_handle(), frame.data(), frame.size());
    // EAGAIN when the queue is full; EINVAL, EIO and EMSGSIZE for what no device can carry or
    // while it is down. All are lost frames, which Ethernet allows.
    if (written != static_cast<ssize_t>(frame.size())) {
      ++dropped_;
    }
  }

 private:
  void wait() {
    device_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                       lifetime_.guard([this](const boost::system::error_code& error) {
                         if (!error) {
                           read_burst();
                         }
                       }));
  }

  void read_burst() {
    for (int frames = 0; frames < kFramesPerTurnMax; ++frames) {
      const ssize_t size = ::read(device_.native_handle(), frame_.data(), frame_.size());
      if (size <= 0) {
        // EAGAIN: empty. Anything else (EBADFD once the device is deleted) would repeat at once.
        if (size < 0 && errno != EAGAIN && errno != EINTR) {
          return;
        }
        break;
      }
      on_frame_({frame_.data(), static_cast<std::size_t>(size)});
    }
    wait();
  }

  boost::asio::posix::stream_descriptor device_;
  std::uint32_t index_;
  OnFrame on_frame_;
  std::uint64_t dropped_ = 0;
  std::array<std::uint8_t, kFrameMax> frame_{};
  Lifetime lifetime_;
};

// The threads of an agent that was killed hold the device for a moment after the process is no
// longer seen. An agent that is alive holds it for good: it is waited for one second in all.
constexpr int kBusyTries = 100;
constexpr int kBusyPauseMilliseconds = 10;

int set_interface(int file, ifreq& request) {
  int result = ::ioctl(file, TUNSETIFF, &request);
  for (int i = 1; i < kBusyTries && result < 0 && errno == EBUSY; ++i) {
    (void)::poll(nullptr, 0, kBusyPauseMilliseconds);
    result = ::ioctl(file, TUNSETIFF, &request);
  }
  return result;
}

Result<Ok> attach(int file, const std::string& name) {
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (set_interface(file, request) < 0) {
    const int error = errno;
    // EBUSY: an agent has it open. EINVAL: a link of another kind has the name.
    return os_error("open TAP device " + name, error);
  }
  // The device stays when we go, and with it its bridge port.
  if (::ioctl(file, TUNSETPERSIST, 1) < 0) {
    const int error = errno;
    return os_error("make TAP device " + name + " persistent", error);
  }
  return Ok{};
}

}  // namespace

Result<std::unique_ptr<Tap>> open_tap(boost::asio::any_io_executor executor,
                                      const std::string& name,
                                      std::uint32_t mtu,
                                      Tap::OnFrame on_frame) {
  if (name.empty() || name.size() > kInterfaceNameMax) {
    return Error{Errc::Invalid,
                 fmt::format("interface name '{}' of {} bytes (expected 1 to {})",
                             name,
                             name.size(),
                             kInterfaceNameMax)};
  }
  Descriptor file(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (file.get() < 0) {
    const int error = errno;
    return os_error("open /dev/net/tun", error);
  }
  WEFT_TRY(attach(file.get(), name));
  WEFT_TRY(silence_ipv6(name));
  std::unique_ptr<Netlink> netlink = WEFT_TRY(Netlink::open());
  KernelNetdev netdev(std::move(netlink));
  const std::uint32_t index = WEFT_TRY(netdev.ensure_up(name, mtu));
  return std::unique_ptr<Tap>(
      std::make_unique<KernelTap>(std::move(executor), file.release(), index, std::move(on_frame)));
}

}  // namespace weft::sys
