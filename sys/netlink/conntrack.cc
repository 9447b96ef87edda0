#include "sys/netlink/conntrack.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

namespace weft::sys {
namespace {

// The kernel fills messages of up to this size (NLMSG_GOODSIZE with room).
constexpr std::size_t kBufferSize = 32 * 1024;

// Datagrams have no end; who has said nothing for so long talks no more. Longer than most programs
// wait between two, shorter than the kernel's 30 and 120 s, which would show the past.
constexpr std::uint32_t kQuietSecondsMax = 5;

Error failure(std::string_view doing) {
  const int error = errno;
  const bool is_denied = error == EPERM || error == EACCES;
  const bool is_absent = error == EPROTONOSUPPORT || error == EINVAL || error == EOPNOTSUPP;
  return Error{is_denied   ? Errc::Denied
               : is_absent ? Errc::Unavailable
                           : Errc::Os,
               fmt::format("{}: {}", doing, std::strerror(error)),
               error};
}

// How long an entry lives after its last packet, which is what its remaining time is less than.
std::uint32_t lifetime(const char* name, std::uint32_t fallback) {
  std::ifstream file(std::string("/proc/sys/net/netfilter/") + name);
  std::uint32_t seconds = 0;
  return file >> seconds ? seconds : fallback;
}

// Whether this namespace tracks anything. A dump goes through the table of all namespaces, which on
// a large machine takes 10 ms also where nothing in it is ours.
bool is_anything_tracked() {
  std::ifstream file("/proc/sys/net/netfilter/nf_conntrack_count");
  std::uint64_t count = 0;
  return !(file >> count) || count > 0;
}

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using Socket = std::unique_ptr<mnl_socket, CloseSocket>;

// Attributes of one message or nest, by type; those that are not there are null.
template <std::size_t kCount>
struct Attributes {
  std::array<const nlattr*, kCount> at{};

  static int keep(const nlattr* attribute, void* data) {
    auto& self = *static_cast<Attributes*>(data);
    const std::uint16_t type = mnl_attr_get_type(attribute);
    if (type < kCount) {
      self.at.at(type) = attribute;
    }
    return MNL_CB_OK;
  }
  static Attributes of_nest(const nlattr* nest) {
    Attributes found;
    if (nest != nullptr) {
      mnl_attr_parse_nested(nest, keep, &found);
    }
    return found;
  }
};

std::optional<Ip> address_in(const nlattr* attribute) {
  if (attribute == nullptr) {
    return std::nullopt;
  }
  const auto* octets = static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute));
  const auto address = Ip::from_bytes(ByteView(octets, mnl_attr_get_payload_len(attribute)));
  return address.ok() ? std::optional(address.value()) : std::nullopt;
}

template <class Number>
std::optional<Number> number_in(const nlattr* attribute) {
  Number number = 0;
  if (attribute == nullptr || mnl_attr_get_payload_len(attribute) != sizeof number) {
    return std::nullopt;
  }
  std::memcpy(&number, mnl_attr_get_payload(attribute), sizeof number);
  return number;
}

struct Ends {
  std::uint8_t protocol = 0;
  Endpoint source;
  Endpoint target;
};

std::optional<Ends> ends_in(const nlattr* tuple) {
  const auto parts = Attributes<CTA_TUPLE_MAX + 1>::of_nest(tuple);
  const auto ip = Attributes<CTA_IP_MAX + 1>::of_nest(parts.at[CTA_TUPLE_IP]);
  const auto proto = Attributes<CTA_PROTO_MAX + 1>::of_nest(parts.at[CTA_TUPLE_PROTO]);
  const bool is_v4 = ip.at[CTA_IP_V4_SRC] != nullptr;
  const auto source = address_in(ip.at[is_v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC]);
  const auto target = address_in(ip.at[is_v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST]);
  const auto protocol = number_in<std::uint8_t>(proto.at[CTA_PROTO_NUM]);
  const auto source_port = number_in<std::uint16_t>(proto.at[CTA_PROTO_SRC_PORT]);
  const auto target_port = number_in<std::uint16_t>(proto.at[CTA_PROTO_DST_PORT]);
  if (!source || !target || !protocol || !source_port || !target_port) {
    return std::nullopt;
  }
  return Ends{.protocol = *protocol,
              .source = {*source, ntohs(*source_port)},
              .target = {*target, ntohs(*target_port)}};
}

std::uint64_t count_in(const nlattr* attribute) {
  constexpr unsigned kHalf = 32;
  const auto count = number_in<std::uint64_t>(attribute).value_or(0);
  const auto low = ntohl(static_cast<std::uint32_t>(count >> kHalf));
  const auto high = ntohl(static_cast<std::uint32_t>(count));
  return static_cast<std::uint64_t>(high) << kHalf | low;
}

using Counters = Attributes<CTA_COUNTERS_MAX + 1>;

struct Dump {
  std::uint32_t udp_seconds = 0;
  std::uint32_t udp_stream_seconds = 0;
  std::vector<ObservedTrack> out{};
};

int on_message(const nlmsghdr* message, void* data) {
  Dump& dump = *static_cast<Dump*>(data);
  Attributes<CTA_MAX + 1> parts;
  if (mnl_nlmsg_get_payload_len(message) < sizeof(nfgenmsg) || dump.out.size() >= kTracksMax
      || mnl_attr_parse(message, sizeof(nfgenmsg), parts.keep, &parts) < 0) {
    return MNL_CB_OK;
  }
  const auto asked = ends_in(parts.at[CTA_TUPLE_ORIG]);
  const auto answered = ends_in(parts.at[CTA_TUPLE_REPLY]);
  if (!asked || !answered) {
    return MNL_CB_OK;
  }
  const bool is_udp = asked->protocol == IPPROTO_UDP;
  const bool is_translated = asked->target != answered->source;
  if (!is_udp && !(asked->protocol == IPPROTO_TCP && is_translated)) {
    return MNL_CB_OK;
  }
  const auto status = ntohl(number_in<std::uint32_t>(parts.at[CTA_STATUS]).value_or(0));
  if (is_udp) {
    const std::uint32_t left = ntohl(number_in<std::uint32_t>(parts.at[CTA_TIMEOUT]).value_or(0));
    const std::uint32_t whole =
        (status & IPS_ASSURED) != 0 ? dump.udp_stream_seconds : dump.udp_seconds;
    if (left + kQuietSecondsMax < whole) {
      return MNL_CB_OK;
    }
  }
  const auto sent = Counters::of_nest(parts.at[CTA_COUNTERS_ORIG]);
  const auto received = Counters::of_nest(parts.at[CTA_COUNTERS_REPLY]);
  dump.out.push_back({.transport = is_udp ? Transport::Udp : Transport::Tcp,
                      .client = asked->source,
                      .asked = asked->target,
                      .server = answered->source,
                      .bytes_sent = count_in(sent.at[CTA_COUNTERS_BYTES]),
                      .bytes_received = count_in(received.at[CTA_COUNTERS_BYTES]),
                      .packets_sent = count_in(sent.at[CTA_COUNTERS_PACKETS]),
                      .packets_received = count_in(received.at[CTA_COUNTERS_PACKETS])});
  return MNL_CB_OK;
}

class Conntrack final : public TrackSource {
 public:
  Result<std::vector<ObservedTrack>> tracks() override {
    if (!is_anything_tracked()) {
      return std::vector<ObservedTrack>();
    }
    const Socket socket(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
    if (!socket) {
      return failure("open a ctnetlink socket");
    }
    if (mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
      return failure("bind a ctnetlink socket");
    }
    std::vector<char> buffer(kBufferSize);
    nlmsghdr* const message = mnl_nlmsg_put_header(buffer.data());
    message->nlmsg_type =
        static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8U | IPCTNL_MSG_CT_GET);
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    auto* const head =
        static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
    head->nfgen_family = AF_UNSPEC;
    head->version = NFNETLINK_V0;
    if (mnl_socket_sendto(socket.get(), message, message->nlmsg_len) < 0) {
      return failure("ask for tracked connections");
    }
    // The kernel's defaults, where its own cannot be read.
    constexpr std::uint32_t kUdpSeconds = 30;
    constexpr std::uint32_t kUdpStreamSeconds = 120;
    Dump dump{.udp_seconds = lifetime("nf_conntrack_udp_timeout", kUdpSeconds),
              .udp_stream_seconds = lifetime("nf_conntrack_udp_timeout_stream", kUdpStreamSeconds)};
    const unsigned port = mnl_socket_get_portid(socket.get());
    int outcome = MNL_CB_OK;
    while (outcome > MNL_CB_STOP) {
      const ssize_t size = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
      if (size < 0) {
        return failure("receive tracked connections");
      }
      outcome =
          mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), 0, port, on_message, &dump);
    }
    if (outcome < 0) {
      return failure("list tracked connections");
    }
    return std::move(dump.out);
  }
};

}  // namespace

std::unique_ptr<TrackSource> open_conntrack() {
  return std::make_unique<Conntrack>();
}

}  // namespace weft::sys
