// Forwarding entries of KernelNetdev.
#include <fmt/format.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "sys/netlink/netdev_kernel.h"

namespace weft::sys {
namespace {

std::string describe(const FdbEntry& entry) {
  const std::string remote = entry.remote ? " to " + entry.remote->to_string() : "";
  return fmt::format("forwarding entry {} on {}{}", entry.mac.to_string(), entry.link, remote);
}

// All zeroes is where a VXLAN device floods to: it may have several remotes at once.
bool is_flood_entry(const FdbEntry& entry) {
  return entry.mac == Mac();
}

NetlinkMessage message_for(const FdbEntry& entry, std::uint32_t index, int type, int flags) {
  ndmsg header{};
  header.ndm_family = AF_BRIDGE;
  header.ndm_ifindex = static_cast<int>(index);
  // The VXLAN device insists on one of the states that need no confirmation.
  header.ndm_state = entry.remote ? NUD_NOARP | NUD_PERMANENT : NUD_NOARP;
  header.ndm_flags =
      static_cast<std::uint8_t>((entry.remote ? NTF_SELF : NTF_MASTER) | NTF_EXT_LEARNED);
  NetlinkMessage message(type, flags);
  message.header(header).bytes(NDA_LLADDR, entry.mac.octets());
  if (entry.remote) {
    message.bytes(NDA_DST, entry.remote->bytes());
  }
  return message;
}

std::optional<FdbEntry> parse_entry(const nlmsghdr* message, const LinkInfo& link) {
  if (message->nlmsg_type != RTM_NEWNEIGH || !nlmsg_valid_hdr(message, sizeof(ndmsg))) {
    return std::nullopt;
  }
  const auto* const header = static_cast<const ndmsg*>(nlmsg_data(message));
  const NetlinkAttributes attributes(message, sizeof(ndmsg));
  const Result<Mac> mac = Mac::from_bytes(attributes.bytes(NDA_LLADDR));
  if (header->ndm_ifindex != static_cast<int>(link.index)
      || (header->ndm_flags & NTF_EXT_LEARNED) == 0 || !mac.ok()) {
    return std::nullopt;
  }
  const Result<Ip> remote = Ip::from_bytes(attributes.bytes(NDA_DST));
  return FdbEntry{.mac = mac.value(),
                  .link = link.name,
                  .remote = remote.ok() ? std::optional<Ip>(remote.value()) : std::nullopt};
}

}  // namespace

Result<Ok> KernelNetdev::add_fdb(const FdbEntry& entry) {
  const LinkState link = WEFT_TRY(state(entry.link));
  const int mode = is_flood_entry(entry) ? NLM_F_APPEND : NLM_F_REPLACE;
  NetlinkMessage message = message_for(entry, link.info.index, RTM_NEWNEIGH, NLM_F_CREATE | mode);
  return netlink_->request(message, "add " + describe(entry));
}

Result<Ok> KernelNetdev::remove_fdb(const FdbEntry& entry) {
  const LinkState link = WEFT_TRY(state(entry.link));
  NetlinkMessage message = message_for(entry, link.info.index, RTM_DELNEIGH, 0);
  const Result<Ok> removed = netlink_->request(message, "remove " + describe(entry));
  return !removed.ok() && removed.error().code == Errc::NotFound ? Result<Ok>(Ok{}) : removed;
}

Result<std::vector<FdbEntry>> KernelNetdev::fdb(const std::string& link) {
  const LinkState found = WEFT_TRY(state(link));
  return consistent([&]() -> Result<std::vector<FdbEntry>> {
    std::vector<FdbEntry> all;
    ndmsg header{};
    header.ndm_family = AF_BRIDGE;
    NetlinkMessage message(RTM_GETNEIGH, NLM_F_DUMP);
    message.header(header);
    WEFT_TRY(
        netlink_->query(message, "list forwarding entries of " + link, [&](const nlmsghdr* answer) {
          const std::optional<FdbEntry> entry = parse_entry(answer, found.info);
          if (entry) {
            all.push_back(*entry);
          }
        }));
    return all;
  });
}

}  // namespace weft::sys
