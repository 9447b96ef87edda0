// The few nftables operations sys needs, over netlink (libmnl, libnftnl): what is in one chain, and
// changes that happen all at once or not at all. Internal to sys.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <libmnl/libmnl.h>
#include <netinet/in.h>  // Here because it must come before linux/netfilter.h.

#include "base/result.h"

namespace weft::sys {

enum class NftFamily : std::uint16_t { Ipv4 = 2, Ipv6 = 10 };  // NFPROTO_*

// A base chain `type filter hook forward priority filter; policy accept;`.
struct NftChain {
  NftFamily family = NftFamily::Ipv4;
  std::string table;
  std::string name;
};

struct NftChainState {
  bool accepts = true;  // Its policy.
  std::string comment;
};

struct NftRuleState {
  std::uint64_t handle = 0;
  std::string comment;
};

// Changes, kept until commit.
class NftTransaction {
 public:
  NftTransaction();
  NftTransaction(const NftTransaction&) = delete;
  NftTransaction& operator=(const NftTransaction&) = delete;
  ~NftTransaction();

  // Both say nothing new where they exist already; only a new one takes the comment.
  void add_table(const NftChain& chain, const std::string& comment);
  void add_forward_chain(const NftChain& chain, const std::string& comment);
  // iifname LINK oifname LINK counter accept
  void insert_accept_within(const NftChain& chain,
                            const std::string& link,
                            const std::string& comment);
  void remove_rule(const NftChain& chain, std::uint64_t handle);
  // Fails with EBUSY unless they are empty.
  void remove_chain(const NftChain& chain);
  void remove_table(const NftChain& chain);

 private:
  friend class Nftables;
  nlmsghdr* begin(std::uint16_t type, NftFamily family, std::uint16_t flags);
  void end();

  std::vector<char> buffer_;
  mnl_nlmsg_batch* batch_;
  std::uint32_t sequence_ = 0;
};

class Nftables {
 public:
  static Result<std::unique_ptr<Nftables>> open();
  Nftables(const Nftables&) = delete;
  Nftables& operator=(const Nftables&) = delete;

  // Nothing if there is no such chain.
  Result<std::optional<NftChainState>> find_chain(const NftChain& chain);
  Result<std::vector<NftRuleState>> rules(const NftChain& chain);
  // Error::os is what the kernel said of the first change it refused.
  Result<Ok> commit(NftTransaction& transaction, const std::string& doing);

 private:
  struct CloseSocket {
    void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
  };
  explicit Nftables(std::unique_ptr<mnl_socket, CloseSocket> socket) : socket_(std::move(socket)) {}

  Result<Ok> query(nlmsghdr* message, const std::string& doing, mnl_cb_t on_message, void* out);

  std::unique_ptr<mnl_socket, CloseSocket> socket_;
  std::uint32_t sequence_ = 0;
};

}  // namespace weft::sys
