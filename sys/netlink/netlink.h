// Request and answer over one netlink socket: builds messages, sends them, waits for the kernel's
// verdict. The part of sys that knows how netlink speaks; what is said is in netdev_*.cc.
//
// Internal to sys. Blocking: rtnetlink answers from within the system call.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <type_traits>

#include <netlink/msg.h>
#include <netlink/socket.h>

#include "base/bytes.h"
#include "base/result.h"

namespace weft::sys {

// One message under construction. Attributes go in the order of the calls.
class NetlinkMessage {
 public:
  // NLM_F_REQUEST is added.
  NetlinkMessage(int type, int flags);

  template <class Header>
  NetlinkMessage& header(const Header& header) {
    static_assert(std::is_trivially_copyable_v<Header>);
    append(&header, sizeof header);
    return *this;
  }
  NetlinkMessage& u8(int type, std::uint8_t value);
  NetlinkMessage& u32(int type, std::uint32_t value);
  NetlinkMessage& be16(int type, std::uint16_t value);
  NetlinkMessage& text(int type, std::string_view value);  // Sent with its terminating zero.
  NetlinkMessage& bytes(int type, ByteView value);
  // Everything `fill` adds goes inside an attribute of this type.
  NetlinkMessage& nested(int type, const std::function<void(NetlinkMessage&)>& fill);

  nl_msg* get() { return message_.get(); }

 private:
  struct Free {
    void operator()(nl_msg* message) const { nlmsg_free(message); }
  };
  void append(const void* data, std::size_t size);

  std::unique_ptr<nl_msg, Free> message_;
};

// The attributes behind a fixed header of a received message, by type.
class NetlinkAttributes {
 public:
  NetlinkAttributes(const nlmsghdr* message, std::size_t header_size);
  explicit NetlinkAttributes(const nlattr* nest);

  // Null if there is none of this type.
  const nlattr* find(int type) const;
  // Nothing, or what the attribute holds; too short a payload counts as absent.
  std::uint8_t u8(int type, std::uint8_t fallback) const;
  std::uint32_t u32(int type, std::uint32_t fallback) const;
  std::uint16_t be16(int type, std::uint16_t fallback) const;
  std::string_view text(int type) const;
  ByteView bytes(int type) const;
  // Empty if absent.
  NetlinkAttributes nest(int type) const { return NetlinkAttributes(find(type)); }

 private:
  const nlattr* first_ = nullptr;
  int size_ = 0;
};

class Netlink {
 public:
  using OnMessage = std::function<void(const nlmsghdr* message)>;

  // Of rtnetlink, or of another protocol of that kind (NETLINK_XFRM).
  static Result<std::unique_ptr<Netlink>> open(int protocol = NETLINK_ROUTE);
  Netlink(const Netlink&) = delete;
  Netlink& operator=(const Netlink&) = delete;

  // Returns once the kernel has done it, or its refusal: Error::os is the errno, `what` begins with
  // `doing` and ends with the kernel's own words where it gave any.
  Result<Ok> request(NetlinkMessage& message, std::string_view doing);
  // The same for a question: every answer goes to `on_message`.
  Result<Ok> query(NetlinkMessage& message, std::string_view doing, const OnMessage& on_message);

 private:
  struct FreeSocket {
    void operator()(nl_sock* socket) const { nl_socket_free(socket); }
  };
  struct Exchange;

  explicit Netlink(std::unique_ptr<nl_sock, FreeSocket> socket) : socket_(std::move(socket)) {}

  std::unique_ptr<nl_sock, FreeSocket> socket_;
};

// What an errno of the kernel's means to a caller of sys.
Errc errc_of(int os_error);
// "doing: text of errno".
Error os_error(std::string_view doing, int os_error);

}  // namespace weft::sys
