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

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"

namespace weft::sys {

enum class NftFamily : std::uint16_t { Ipv4 = 2, Ipv6 = 10 };  // NFPROTO_*

// A base chain; unless said otherwise `type filter hook forward priority filter; policy accept;`.
struct NftChain {
  NftFamily family = NftFamily::Ipv4;
  std::string table;
  std::string name;
  // None: reached by jumps alone.
  enum class Hook : std::uint8_t { None, Input, Forward, PostroutingNat };
  Hook hook = Hook::Forward;
};

struct NftChainState {
  bool accepts = true;  // Its policy.
  std::string comment;
};

// What a rule does to packets that all of its conditions fit. It counts them, too.
struct NftRule {
  struct Link {
    std::string name;
    bool is_it = true;  // False: any link but this one.
  };
  struct Net {
    Cidr block;         // Of the chain's family.
    bool is_in = true;  // False: any address but these.
  };
  struct Run {  // Of the chain's family, both ends included.
    Ip first;
    Ip last;
  };
  struct Port {
    std::uint8_t protocol = 0;  // IPPROTO_UDP or IPPROTO_TCP.
    std::uint16_t number = 0;   // Where packets go to.
  };
  // Log hands packets to who listens to a group of NFLOG; the next rule is asked, too.
  enum class Verdict : std::uint8_t { Accept, Drop, Masquerade, Jump, Return, Log };

  std::string comment;
  std::optional<Link> in;
  std::optional<Link> out;
  std::optional<Net> source;
  std::optional<Net> destination;
  std::optional<Run> destination_run;
  std::optional<Port> port;
  // Of conversations (conntrack) that were let through before: only those, or only others.
  std::optional<bool> is_answer;
  // Whose destination was rewritten by a rule of the host (DNAT): only those, or only others.
  std::optional<bool> is_redirected;
  std::optional<std::uint32_t> mark;  // All of these bits are set in the packet's mark.
  Verdict verdict = Verdict::Accept;
  std::string jump;  // The chain of the same table to jump to.
  std::uint16_t log_group = 0;
};

struct NftRuleState {
  std::uint64_t handle = 0;
  std::string comment;
  std::string jump;  // The chain it sends packets to.
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
  void add_chain(const NftChain& chain, const std::string& comment);
  // To the head of the chain, or behind the rule with this handle.
  void add_rule(const NftChain& chain,
                const NftRule& rule,
                std::optional<std::uint64_t> behind = std::nullopt);
  void remove_rule(const NftChain& chain, std::uint64_t handle);
  void flush_chain(const NftChain& chain);
  // Fails with EBUSY unless they are empty.
  void remove_chain(const NftChain& chain);
  void remove_table(const NftChain& chain);

 private:
  friend class Nftables;
  nlmsghdr* begin(std::uint16_t type, NftFamily family, std::uint16_t flags);
  void end();

  // Not cleared: most transactions touch little of it.
  std::unique_ptr<char[]> buffer_;
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
  // Messages from NFNL_MSG_BATCH_BEGIN to _END.
  Result<Ok> commit(ByteView batch, const std::string& doing);
  // Under which others hear of what this one changed.
  std::uint32_t port() const;
  // Of all rules of this network namespace; one more with each transaction, whoever makes it.
  Result<std::uint32_t> generation();
  // Transactions of this one that the kernel took.
  std::uint32_t commit_count() const { return commit_count_; }

 private:
  struct CloseSocket {
    void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
  };
  explicit Nftables(std::unique_ptr<mnl_socket, CloseSocket> socket) : socket_(std::move(socket)) {}

  Result<Ok> query(nlmsghdr* message, const std::string& doing, mnl_cb_t on_message, void* out);

  std::unique_ptr<mnl_socket, CloseSocket> socket_;
  std::uint32_t sequence_ = 0;
  std::uint32_t commit_count_ = 0;
};

}  // namespace weft::sys
