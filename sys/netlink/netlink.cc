#include "sys/netlink/netlink.h"

#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/handlers.h>
#include <netlink/netlink.h>
#include <sys/socket.h>

namespace weft::sys {

Errc errc_of(int os_error) {
  switch (os_error) {
    case EPERM:
    case EACCES:
      return Errc::Denied;
    case ENODEV:
    case ENOENT:
    case ENXIO:
      return Errc::NotFound;
    case EEXIST:
      return Errc::Conflict;
    case ENETUNREACH:
    case EHOSTUNREACH:
      return Errc::Unavailable;
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC:
      return Errc::Exhausted;
    default:
      return Errc::Os;
  }
}

Error os_error(std::string_view doing, int os_error) {
  return Error{errc_of(os_error), fmt::format("{}: {}", doing, std::strerror(os_error)), os_error};
}

// --- NetlinkMessage ------------------------------------------------------------------------------

NetlinkMessage::NetlinkMessage(int type, int flags)
    : message_(nlmsg_alloc_simple(type, flags | NLM_F_REQUEST)) {
  WEFT_ASSERT(message_ != nullptr);
}

void NetlinkMessage::append(const void* data, std::size_t size) {
  // libnl's message is a page; ours are far below. A failure to fit is a bug.
  WEFT_ASSERT(nlmsg_append(message_.get(), const_cast<void*>(data), size, NLMSG_ALIGNTO) == 0);
}

NetlinkMessage& NetlinkMessage::bytes(int type, ByteView value) {
  const int put = nla_put(message_.get(), type, static_cast<int>(value.size()), value.data());
  WEFT_ASSERT(put == 0);
  return *this;
}

NetlinkMessage& NetlinkMessage::u8(int type, std::uint8_t value) {
  return bytes(type, {&value, 1});
}

NetlinkMessage& NetlinkMessage::u32(int type, std::uint32_t value) {
  return bytes(type, {reinterpret_cast<const std::uint8_t*>(&value), sizeof value});
}

NetlinkMessage& NetlinkMessage::be16(int type, std::uint16_t value) {
  const std::uint16_t swapped = htons(value);
  return bytes(type, {reinterpret_cast<const std::uint8_t*>(&swapped), sizeof swapped});
}

NetlinkMessage& NetlinkMessage::text(int type, std::string_view value) {
  const std::string terminated(value);
  return bytes(type,
               {reinterpret_cast<const std::uint8_t*>(terminated.c_str()), terminated.size() + 1});
}

NetlinkMessage& NetlinkMessage::nested(int type, const std::function<void(NetlinkMessage&)>& fill) {
  nlattr* const nest = nla_nest_start(message_.get(), type);
  WEFT_ASSERT(nest != nullptr);
  fill(*this);
  // Keeps a nest that stayed empty, which nla_nest_end() would drop.
  nest->nla_len = static_cast<std::uint16_t>(
      static_cast<char*>(nlmsg_tail(nlmsg_hdr(message_.get()))) - reinterpret_cast<char*>(nest));
  return *this;
}

// --- NetlinkAttributes ---------------------------------------------------------------------------

NetlinkAttributes::NetlinkAttributes(const nlmsghdr* message, std::size_t header_size)
    : first_(nlmsg_attrdata(message, static_cast<int>(header_size))),
      size_(nlmsg_attrlen(message, static_cast<int>(header_size))) {}

NetlinkAttributes::NetlinkAttributes(const nlattr* nest)
    : first_(nest == nullptr ? nullptr : static_cast<const nlattr*>(nla_data(nest))),
      size_(nest == nullptr ? 0 : nla_len(nest)) {}

const nlattr* NetlinkAttributes::find(int type) const {
  return size_ <= 0 ? nullptr : nla_find(first_, size_, type);
}

ByteView NetlinkAttributes::bytes(int type) const {
  const nlattr* const attribute = find(type);
  if (attribute == nullptr) {
    return {};
  }
  return {static_cast<const std::uint8_t*>(nla_data(attribute)),
          static_cast<std::size_t>(nla_len(attribute))};
}

std::uint8_t NetlinkAttributes::u8(int type, std::uint8_t fallback) const {
  const ByteView data = bytes(type);
  return data.empty() ? fallback : data[0];
}

std::uint32_t NetlinkAttributes::u32(int type, std::uint32_t fallback) const {
  const ByteView data = bytes(type);
  if (data.size() < sizeof fallback) {
    return fallback;
  }
  std::uint32_t value = 0;
  std::memcpy(&value, data.data(), sizeof value);
  return value;
}

std::uint16_t NetlinkAttributes::be16(int type, std::uint16_t fallback) const {
  const ByteView data = bytes(type);
  return data.size() < 2 ? fallback : static_cast<std::uint16_t>(data[0] << 8U | data[1]);
}

std::string_view NetlinkAttributes::text(int type) const {
  const std::string_view padded = as_text(bytes(type));
  return padded.substr(0, padded.find('\0'));
}

// --- Netlink -------------------------------------------------------------------------------------

// One request under way: what the callbacks of libnl write to.
struct Netlink::Exchange {
  const OnMessage* on_message = nullptr;
  bool done = false;
  bool interrupted = false;  // A dump raced with a change and may be inconsistent.
  int error = 0;
  std::string reason;  // The kernel's extended acknowledgement.

  static int message(nl_msg* message, void* self) {
    auto* const exchange = static_cast<Exchange*>(self);
    if (exchange->on_message != nullptr) {
      (*exchange->on_message)(nlmsg_hdr(message));
    }
    return NL_OK;
  }
  static int finish(nl_msg* /*message*/, void* self) {
    static_cast<Exchange*>(self)->done = true;
    return NL_STOP;
  }
  static int interrupt(nl_msg* /*message*/, void* self) {
    static_cast<Exchange*>(self)->interrupted = true;
    return NL_OK;
  }
  static int refuse(sockaddr_nl* /*from*/, nlmsgerr* answer, void* self) {
    auto* const exchange = static_cast<Exchange*>(self);
    exchange->done = true;
    exchange->error = -answer->error;
    exchange->reason = reason_of(answer);
    return NL_STOP;
  }

  static std::string reason_of(const nlmsgerr* answer) {
    const auto* const header =
        reinterpret_cast<const nlmsghdr*>(reinterpret_cast<const char*>(answer) - NLMSG_HDRLEN);
    if ((header->nlmsg_flags & NLM_F_ACK_TLVS) == 0) {
      return {};
    }
    // The refused message is quoted whole unless NLM_F_CAPPED says that only its header is.
    std::size_t quoted = sizeof(nlmsgerr);
    if ((header->nlmsg_flags & NLM_F_CAPPED) == 0) {
      quoted += answer->msg.nlmsg_len - sizeof(nlmsghdr);
    }
    return std::string(NetlinkAttributes(header, quoted).text(NLMSGERR_ATTR_MSG));
  }
};

Result<std::unique_ptr<Netlink>> Netlink::open(int protocol) {
  std::unique_ptr<nl_sock, FreeSocket> socket(nl_socket_alloc());
  WEFT_ASSERT(socket != nullptr);
  const int connected = nl_connect(socket.get(), protocol);
  if (connected < 0) {
    return Error{
        Errc::Os, fmt::format("open netlink {}: {}", protocol, nl_geterror(connected)), errno};
  }
  // A link with many virtual functions does not fit the default page.
  nl_socket_enable_msg_peek(socket.get());
  const int on = 1;
  // Older kernels lack either; we then merely get shorter reasons.
  (void)::setsockopt(nl_socket_get_fd(socket.get()), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  return std::unique_ptr<Netlink>(new Netlink(std::move(socket)));
}

Result<Ok> Netlink::request(NetlinkMessage& message, std::string_view doing) {
  return query(message, doing, [](const nlmsghdr*) {});
}

Result<Ok> Netlink::query(NetlinkMessage& message,
                          std::string_view doing,
                          const OnMessage& on_message) {
  struct FreeCallbacks {
    void operator()(nl_cb* callbacks) const { nl_cb_put(callbacks); }
  };
  const std::unique_ptr<nl_cb, FreeCallbacks> callbacks(nl_cb_alloc(NL_CB_DEFAULT));
  WEFT_ASSERT(callbacks != nullptr);
  Exchange exchange;
  exchange.on_message = &on_message;
  nl_cb_set(callbacks.get(), NL_CB_VALID, NL_CB_CUSTOM, Exchange::message, &exchange);
  nl_cb_set(callbacks.get(), NL_CB_FINISH, NL_CB_CUSTOM, Exchange::finish, &exchange);
  nl_cb_set(callbacks.get(), NL_CB_ACK, NL_CB_CUSTOM, Exchange::finish, &exchange);
  nl_cb_set(callbacks.get(), NL_CB_DUMP_INTR, NL_CB_CUSTOM, Exchange::interrupt, &exchange);
  nl_cb_err(callbacks.get(), NL_CB_CUSTOM, Exchange::refuse, &exchange);

  const int sent = nl_send_auto(socket_.get(), message.get());
  if (sent < 0) {
    return Error{Errc::Os, fmt::format("{}: send: {}", doing, nl_geterror(sent)), errno};
  }
  while (!exchange.done) {
    const int received = nl_recvmsgs(socket_.get(), callbacks.get());
    if (received < 0 && !exchange.done) {
      return Error{Errc::Os, fmt::format("{}: receive: {}", doing, nl_geterror(received)), errno};
    }
  }
  if (exchange.error != 0) {
    Error error = os_error(doing, exchange.error);
    if (!exchange.reason.empty()) {
      error.what += fmt::format(" ({})", exchange.reason);
    }
    return error;
  }
  if (exchange.interrupted) {
    return Error{Errc::Unavailable, fmt::format("{}: changed while being read", doing), EINTR};
  }
  return Ok{};
}

}  // namespace weft::sys
