#include "sys/xfrm/xfrm.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <sched.h>
#include <sodium.h>

#include "sys/netlink/netlink.h"

namespace weft::sys {
namespace {

// The upper half of the kernel's "reqid" of all that is ours ("we"); the lower is the pair's group.
constexpr std::uint32_t kMark = 0x77650000;
constexpr std::uint32_t kMarkMask = 0xffff0000;

constexpr std::string_view kCipher = "rfc4106(gcm(aes))";
constexpr std::uint32_t kTagBits = 128;
// How far packets may overtake each other: receive queues of several processors reorder more than
// the 32 that fit the older field. The kernel's word count, and so many packets.
constexpr std::uint32_t kWindowWords = 32;
constexpr std::uint32_t kWindow = 32 * kWindowWords;

bool is_ours(std::uint32_t reqid) {
  return (reqid & kMarkMask) == kMark;
}

std::uint16_t family_of(const Ip& ip) {
  return ip.is_v4() ? AF_INET : AF_INET6;
}

xfrm_address_t address_of(const Ip& ip) {
  xfrm_address_t address{};
  const Bytes bytes = ip.bytes();
  std::memcpy(&address, bytes.data(), bytes.size());
  return address;
}

const Ip& source_of(const EspPair& pair, EspDirection direction) {
  return direction == EspDirection::In ? pair.peer : pair.local;
}

const Ip& destination_of(const EspPair& pair, EspDirection direction) {
  return direction == EspDirection::In ? pair.local : pair.peer;
}

xfrm_selector selector_of(const EspPair& pair, EspDirection direction) {
  xfrm_selector selector{};
  selector.saddr = address_of(source_of(pair, direction));
  selector.daddr = address_of(destination_of(pair, direction));
  selector.prefixlen_s = pair.peer.bits();
  selector.prefixlen_d = pair.peer.bits();
  selector.dport = htons(pair.port);
  selector.dport_mask = std::numeric_limits<std::uint16_t>::max();
  selector.family = family_of(pair.peer);
  selector.proto = IPPROTO_UDP;
  return selector;
}

xfrm_id id_of(const EspPair& pair, EspDirection direction, std::uint32_t spi) {
  xfrm_id id{};
  id.daddr = address_of(destination_of(pair, direction));
  id.spi = htonl(spi);
  id.proto = IPPROTO_ESP;
  return id;
}

xfrm_lifetime_cfg unlimited() {
  xfrm_lifetime_cfg limits{};
  limits.soft_byte_limit = limits.hard_byte_limit = XFRM_INF;
  limits.soft_packet_limit = limits.hard_packet_limit = XFRM_INF;
  return limits;
}

ByteView view_of(const void* data, std::size_t size) {
  return {static_cast<const std::uint8_t*>(data), size};
}

class KernelXfrm final : public Xfrm {
 public:
  explicit KernelXfrm(std::unique_ptr<Netlink> netlink) : netlink_(std::move(netlink)) {}

  Result<Ok> add(const EspPair& pair, const EspAssociation& association) override {
    WEFT_ASSERT(association.spi >= kSpiMin);
    xfrm_usersa_info info{};
    info.sel = selector_of(pair, association.direction);
    info.id = id_of(pair, association.direction, association.spi);
    info.saddr = address_of(source_of(pair, association.direction));
    info.lft = unlimited();
    info.lft.hard_packet_limit = association.packets_max;
    info.lft.hard_add_expires_seconds = association.seconds_max;
    info.reqid = kMark | pair.group;
    info.family = family_of(pair.peer);
    info.mode = XFRM_MODE_TRANSPORT;
    xfrm_algo_aead cipher{};
    kCipher.copy(cipher.alg_name, sizeof cipher.alg_name - 1);
    cipher.alg_key_len = 8 * kEspKeySize;
    cipher.alg_icv_len = kTagBits;
    std::array<std::uint8_t, sizeof cipher + kEspKeySize> keyed{};
    std::memcpy(keyed.data(), &cipher, sizeof cipher);
    std::copy(association.key.begin(), association.key.end(), keyed.begin() + sizeof cipher);
    xfrm_replay_state_esn window{};
    window.bmp_len = kWindowWords;
    window.replay_window = kWindow;
    std::array<std::uint8_t, sizeof window + kWindow / 8> seen{};
    std::memcpy(seen.data(), &window, sizeof window);
    NetlinkMessage message(XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL);
    message.header(info).bytes(XFRMA_ALG_AEAD, keyed).bytes(XFRMA_REPLAY_ESN_VAL, seen);
    Result<Ok> added = netlink_->request(message, "add an ESP association");
    sodium_memzero(keyed.data(), keyed.size());
    nlmsghdr* const sent = nlmsg_hdr(message.get());
    sodium_memzero(nlmsg_data(sent), static_cast<std::size_t>(nlmsg_datalen(sent)));
    return added;
  }

  Result<Ok> remove(const EspPair& pair, EspDirection direction, std::uint32_t spi) override {
    return remove(name_of(pair, direction, spi));
  }

  Result<std::uint64_t> packets(const EspPair& pair,
                                EspDirection direction,
                                std::uint32_t spi) override {
    // Unlike XFRM_MSG_GETSA this does not bring the keys along.
    xfrm_aevent_id id{};
    id.sa_id = name_of(pair, direction, spi);
    id.saddr = address_of(source_of(pair, direction));
    id.flags = XFRM_AE_LVAL;
    id.reqid = kMark | pair.group;
    NetlinkMessage message(XFRM_MSG_GETAE, 0);
    message.header(id);
    std::uint64_t packets = 0;
    Result<Ok> asked =
        netlink_->query(message, "ask for an ESP association", [&packets](const nlmsghdr* answer) {
          const ByteView bytes =
              NetlinkAttributes(answer, sizeof(xfrm_aevent_id)).bytes(XFRMA_LTIME_VAL);
          xfrm_lifetime_cur life{};
          if (bytes.size() >= sizeof life) {
            std::memcpy(&life, bytes.data(), sizeof life);
            packets = life.packets;
          }
        });
    if (!asked.ok()) {
      return absent_is_not_found(std::move(asked).error());
    }
    return packets;
  }

  Result<Ok> require_out(const EspPair& pair, std::uint32_t spi) override {
    return require(pair, EspDirection::Out, spi);
  }

  // Under any SPI of the pair's group.
  Result<Ok> require_in(const EspPair& pair) override { return require(pair, EspDirection::In, 0); }

  Result<Ok> release(const EspPair& pair) override {
    for (const EspDirection direction : {EspDirection::Out, EspDirection::In}) {
      xfrm_userpolicy_id id{};
      id.sel = selector_of(pair, direction);
      id.dir = policy_direction(direction);
      WEFT_TRY(remove(id));
    }
    return Ok{};
  }

  Result<Ok> clear() override {
    for (const xfrm_userpolicy_id& id : WEFT_TRY(our_policies())) {
      WEFT_TRY(remove(id));
    }
    for (const xfrm_usersa_id& id : WEFT_TRY(our_associations())) {
      WEFT_TRY(remove(id));
    }
    return Ok{};
  }

 private:
  static std::uint8_t policy_direction(EspDirection direction) {
    return direction == EspDirection::In ? XFRM_POLICY_IN : XFRM_POLICY_OUT;
  }

  static xfrm_usersa_id name_of(const EspPair& pair, EspDirection direction, std::uint32_t spi) {
    xfrm_usersa_id id{};
    id.daddr = address_of(destination_of(pair, direction));
    id.spi = htonl(spi);
    id.family = family_of(pair.peer);
    id.proto = IPPROTO_ESP;
    return id;
  }

  static Error absent_is_not_found(Error error) {
    if (error.os == ESRCH || error.os == ENOENT) {
      error.code = Errc::NotFound;
    }
    return error;
  }

  static Result<Ok> unless_absent(Result<Ok> removed) {
    if (!removed.ok() && absent_is_not_found(Error(removed.error())).code == Errc::NotFound) {
      return Ok{};
    }
    return removed;
  }

  Result<Ok> remove(const xfrm_usersa_id& id) {
    NetlinkMessage message(XFRM_MSG_DELSA, 0);
    return unless_absent(netlink_->request(message.header(id), "remove an ESP association"));
  }

  Result<Ok> remove(const xfrm_userpolicy_id& id) {
    NetlinkMessage message(XFRM_MSG_DELPOLICY, 0);
    return unless_absent(netlink_->request(message.header(id), "remove an IPsec policy"));
  }

  Result<Ok> require(const EspPair& pair, EspDirection direction, std::uint32_t spi) {
    xfrm_userpolicy_info info{};
    info.sel = selector_of(pair, direction);
    info.lft = unlimited();
    info.dir = policy_direction(direction);
    info.action = XFRM_POLICY_ALLOW;
    info.share = XFRM_SHARE_ANY;
    xfrm_user_tmpl how{};
    how.id = id_of(pair, direction, spi);
    how.saddr = address_of(source_of(pair, direction));
    how.family = family_of(pair.peer);
    how.reqid = kMark | pair.group;
    how.mode = XFRM_MODE_TRANSPORT;
    how.aalgos = how.ealgos = how.calgos = std::numeric_limits<std::uint32_t>::max();
    NetlinkMessage message(XFRM_MSG_UPDPOLICY, NLM_F_CREATE | NLM_F_REPLACE);
    message.header(info).bytes(XFRMA_TMPL, view_of(&how, sizeof how));
    return netlink_->request(message, "set an IPsec policy");
  }

  Result<std::vector<xfrm_userpolicy_id>> our_policies() {
    std::vector<xfrm_userpolicy_id> found;
    NetlinkMessage message(XFRM_MSG_GETPOLICY, NLM_F_DUMP);
    message.header(xfrm_userpolicy_id{});
    WEFT_TRY(netlink_->query(message, "list IPsec policies", [&found](const nlmsghdr* answer) {
      const ByteView bytes =
          NetlinkAttributes(answer, sizeof(xfrm_userpolicy_info)).bytes(XFRMA_TMPL);
      xfrm_user_tmpl how{};
      if (bytes.size() < sizeof how) {
        return;
      }
      std::memcpy(&how, bytes.data(), sizeof how);
      if (is_ours(how.reqid)) {
        const auto* const info = static_cast<const xfrm_userpolicy_info*>(nlmsg_data(answer));
        xfrm_userpolicy_id id{};
        id.sel = info->sel;
        id.dir = info->dir;
        found.push_back(id);
      }
    }));
    return found;
  }

  Result<std::vector<xfrm_usersa_id>> our_associations() {
    std::vector<xfrm_usersa_id> found;
    NetlinkMessage message(XFRM_MSG_GETSA, NLM_F_DUMP);
    message.header(xfrm_usersa_id{});
    WEFT_TRY(netlink_->query(message, "list ESP associations", [&found](const nlmsghdr* answer) {
      const auto* const info = static_cast<const xfrm_usersa_info*>(nlmsg_data(answer));
      if (is_ours(info->reqid)) {
        xfrm_usersa_id id{};
        id.daddr = info->id.daddr;
        id.spi = info->id.spi;
        id.family = info->family;
        id.proto = info->id.proto;
        found.push_back(id);
      }
    }));
    return found;
  }

  std::unique_ptr<Netlink> netlink_;
};

// Between addresses for documentation (RFC 5737), which nobody has.
Result<Ok> try_everything() {
  const EspPair pair{.local = Ipv4(0xc0000201), .peer = Ipv4(0xc0000202), .port = 1, .group = 1};
  auto xfrm = WEFT_TRY(open_xfrm_here());
  for (const EspDirection direction : {EspDirection::In, EspDirection::Out}) {
    WEFT_TRY(xfrm->add(
        pair,
        {.direction = direction, .spi = kSpiMin, .key = {}, .packets_max = 1, .seconds_max = 1}));
    WEFT_TRY(xfrm->packets(pair, direction, kSpiMin));
  }
  WEFT_TRY(xfrm->require_in(pair));
  WEFT_TRY(xfrm->require_out(pair, kSpiMin));
  return xfrm->clear();
}

}  // namespace

Result<std::unique_ptr<Xfrm>> open_xfrm_here() {
  auto netlink = WEFT_TRY(Netlink::open(NETLINK_XFRM));
  return std::unique_ptr<Xfrm>(std::make_unique<KernelXfrm>(std::move(netlink)));
}

Result<std::unique_ptr<Xfrm>> open_xfrm() {
  Result<Ok> tried = Ok{};
  // The namespace is the thread's own, and ends with it.
  std::thread scratch([&tried] {
    if (::unshare(CLONE_NEWNET) != 0) {
      tried = os_error("make a network namespace", errno);
      return;
    }
    tried = try_everything();
  });
  scratch.join();
  if (!tried.ok()) {
    return Error{Errc::Unavailable, "the kernel's ESP: " + tried.error().what, tried.error().os};
  }
  return open_xfrm_here();
}

Result<Ok> clear_xfrm() {
  Result<std::unique_ptr<Xfrm>> xfrm = open_xfrm_here();
  return xfrm.ok() ? xfrm.value()->clear() : Result<Ok>(Ok{});
}

}  // namespace weft::sys
