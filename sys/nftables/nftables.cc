#include "sys/nftables/nftables.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "sys/netlink/netlink.h"
#include "sys/nftables/objects.h"

namespace weft::sys {
namespace {

using nft::add_expression;
using nft::Chain;
using nft::chain_of;
using nft::checked;
using nft::Comment;
using nft::compare;
using nft::Direction;
using nft::load_payload;
using nft::number;
using nft::offset_of;
using nft::Rule;
using nft::Table;
using nft::table_of;

// A message has some hundred bytes. The largest transaction puts in place what comes into exposed
// subnets: a rule for each of 16 subnets and of 32 runs of addresses, in the place of as many.
constexpr std::size_t kBatchMax = 64 * 1024;

// A question names a family, a table and a chain, whose names have at most 255 octets.
constexpr std::size_t kRequestMax = 4 * 1024;

// The kernel sends dumps in pieces of at most this size (NLMSG_GOODSIZE, 32 KiB with large pages).
constexpr std::size_t kReceiveMax = 64 * 1024;

// Table, chain and rule comments share this layout of user data; so do nft's own.
static_assert(NFTNL_UDATA_RULE_COMMENT == 0 && NFTNL_UDATA_TABLE_COMMENT == 0
              && NFTNL_UDATA_CHAIN_COMMENT == 0);

static_assert(static_cast<int>(NftFamily::Ipv4) == NFPROTO_IPV4);
static_assert(static_cast<int>(NftFamily::Ipv6) == NFPROTO_IPV6);

int take_comment(const nftnl_udata* attribute, void* out) {
  const auto* const text = static_cast<const char*>(nftnl_udata_get(attribute));
  const std::size_t size = nftnl_udata_len(attribute);
  if (nftnl_udata_type(attribute) == NFTNL_UDATA_RULE_COMMENT && size > 0) {
    static_cast<std::string*>(out)->assign(text, ::strnlen(text, size));
  }
  return 0;
}

std::string comment_in(const void* userdata, std::uint32_t size) {
  std::string comment;
  if (userdata != nullptr) {
    nftnl_udata_parse(userdata, size, take_comment, &comment);
  }
  return comment;
}

NftFamily family_of(const Ip& address) {
  return address.is_v4() ? NftFamily::Ipv4 : NftFamily::Ipv6;
}

void match_address(nftnl_rule* rule, Direction direction, const NftRule::Net& net) {
  const Bytes network = net.block.first().bytes();
  const Bytes none(network.size(), 0);
  Bytes mask(network.size(), 0);
  for (std::size_t bit = 0; bit < net.block.prefix(); ++bit) {
    mask[bit / 8] = static_cast<std::uint8_t>(mask[bit / 8] | 0x80U >> bit % 8);
  }
  load_payload(rule,
               NFT_PAYLOAD_NETWORK_HEADER,
               offset_of(family_of(net.block.first()), direction),
               static_cast<std::uint32_t>(network.size()));
  nft::mask_with(rule, mask.data(), none.data(), network.size());
  compare(rule, net.is_in ? NFT_CMP_EQ : NFT_CMP_NEQ, network.data(), network.size());
}

// Of destinations.
void match_run(nftnl_rule* rule, const NftRule::Run& run) {
  const Bytes first = run.first.bytes();
  const Bytes last = run.last.bytes();
  load_payload(rule,
               NFT_PAYLOAD_NETWORK_HEADER,
               offset_of(family_of(run.first), Direction::Destination),
               static_cast<std::uint32_t>(first.size()));
  // As bytes in the order of the wire, so that the order is that of the addresses.
  compare(rule, NFT_CMP_GTE, first.data(), first.size());
  compare(rule, NFT_CMP_LTE, last.data(), last.size());
}

// The protocol is in the header of IPv4 (RFC 791), the port at the same place in UDP and in TCP.
void match_port(nftnl_rule* rule, const NftRule::Port& port) {
  constexpr std::uint32_t kProtocolOffset = 9;
  constexpr std::uint32_t kPortOffset = 2;
  const std::uint16_t number = htons(port.number);
  load_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, kProtocolOffset, sizeof port.protocol);
  compare(rule, NFT_CMP_EQ, &port.protocol, sizeof port.protocol);
  load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, kPortOffset, sizeof number);
  compare(rule, NFT_CMP_EQ, &number, sizeof number);
}

std::uint32_t number(NftChain::Hook hook) {
  switch (hook) {
    case NftChain::Hook::Input:
      return NF_INET_LOCAL_IN;
    case NftChain::Hook::PostroutingNat:
      return NF_INET_POST_ROUTING;
    case NftChain::Hook::None:
    case NftChain::Hook::Forward:
      break;
  }
  return NF_INET_FORWARD;
}

std::uint32_t number(NftRule::Verdict verdict) {
  switch (verdict) {
    case NftRule::Verdict::Accept:
      return NF_ACCEPT;
    case NftRule::Verdict::Drop:
      return NF_DROP;
    case NftRule::Verdict::Jump:
      return static_cast<std::uint32_t>(NFT_JUMP);
    case NftRule::Verdict::Return:
      return static_cast<std::uint32_t>(NFT_RETURN);
    case NftRule::Verdict::Masquerade:
    case NftRule::Verdict::Log:
      break;
  }
  WEFT_ASSERT(false);  // Expressions of their own.
  return NF_DROP;
}

void add_verdict(nftnl_rule* rule, const NftRule& wanted) {
  add_expression(rule, "counter");
  if (wanted.verdict == NftRule::Verdict::Masquerade) {
    add_expression(rule, "masq");
    return;
  }
  if (wanted.verdict == NftRule::Verdict::Log) {
    nftnl_expr_set_u16(add_expression(rule, "log"), NFTNL_EXPR_LOG_GROUP, wanted.log_group);
    return;
  }
  nftnl_expr* const immediate = add_expression(rule, "immediate");
  nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_VERDICT, number(wanted.verdict));
  if (wanted.verdict == NftRule::Verdict::Jump) {
    nftnl_expr_set_str(immediate, NFTNL_EXPR_IMM_CHAIN, wanted.jump.c_str());
  }
}

Rule rule_of(const NftChain& chain, const NftRule& wanted) {
  constexpr std::uint32_t kAnswers =
      NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED);
  Rule rule = nft::rule_of(chain);
  const Comment tag(wanted.comment);
  nftnl_rule_set_data(rule.get(), NFTNL_RULE_USERDATA, tag.data(), tag.size());
  if (wanted.in) {
    nft::match_name(rule.get(), NFT_META_IIFNAME, *wanted.in);
  }
  if (wanted.out) {
    nft::match_name(rule.get(), NFT_META_OIFNAME, *wanted.out);
  }
  if (wanted.source) {
    match_address(rule.get(), Direction::Source, *wanted.source);
  }
  if (wanted.destination) {
    match_address(rule.get(), Direction::Destination, *wanted.destination);
  }
  if (wanted.destination_run) {
    match_run(rule.get(), *wanted.destination_run);
  }
  if (wanted.port) {
    match_port(rule.get(), *wanted.port);
  }
  if (wanted.is_answer) {
    nft::match_conntrack(rule.get(), NFT_CT_STATE, kAnswers, *wanted.is_answer);
  }
  if (wanted.is_redirected) {
    nft::match_conntrack(rule.get(), NFT_CT_STATUS, IPS_DST_NAT, *wanted.is_redirected);
  }
  if (wanted.mark) {
    nft::match_mark(rule.get(), *wanted.mark);
  }
  add_verdict(rule.get(), wanted);
  return rule;
}

int take_jump(nftnl_expr* expression, void* out) {
  if (nftnl_expr_is_set(expression, NFTNL_EXPR_IMM_CHAIN)) {
    static_cast<std::string*>(out)->assign(nftnl_expr_get_str(expression, NFTNL_EXPR_IMM_CHAIN));
  }
  return 0;
}

std::string jump_in(const nftnl_rule* rule) {
  std::string jump;
  const auto on_expression = [](nftnl_expr* expression, void* out) {
    const std::string_view name = nftnl_expr_get_str(expression, NFTNL_EXPR_NAME);
    return name == "immediate" ? take_jump(expression, out) : 0;
  };
  // The library's iteration takes the rule without const, and leaves it alone.
  nftnl_expr_foreach(const_cast<nftnl_rule*>(rule), on_expression, &jump);
  return jump;
}

}  // namespace

// --- NftTransaction ------------------------------------------------------------------------------

NftTransaction::NftTransaction()
    : buffer_(std::make_unique_for_overwrite<char[]>(2 * kBatchMax)),
      batch_(checked(mnl_nlmsg_batch_start(buffer_.get(), kBatchMax))) {
  nftnl_batch_begin(static_cast<char*>(mnl_nlmsg_batch_current(batch_)), ++sequence_);
  mnl_nlmsg_batch_next(batch_);
}

NftTransaction::~NftTransaction() {
  mnl_nlmsg_batch_stop(batch_);
}

nlmsghdr* NftTransaction::begin(std::uint16_t type, NftFamily family, std::uint16_t flags) {
  auto* const place = static_cast<char*>(mnl_nlmsg_batch_current(batch_));
  return nftnl_nlmsg_build_hdr(place, type, number(family), flags, ++sequence_);
}

void NftTransaction::end() {
  WEFT_ASSERT(mnl_nlmsg_batch_next(batch_));
}

void NftTransaction::add_table(const NftChain& chain, const std::string& comment) {
  const Table table = table_of(chain);
  const Comment tag(comment);
  nftnl_table_set_data(table.get(), NFTNL_TABLE_USERDATA, tag.data(), tag.size());
  nlmsghdr* const message = begin(NFT_MSG_NEWTABLE, chain.family, NLM_F_CREATE);
  nftnl_table_nlmsg_build_payload(message, table.get());
  end();
}

void NftTransaction::add_chain(const NftChain& chain, const std::string& comment) {
  const Chain object = chain_of(chain);
  const Comment tag(comment);
  if (chain.hook != NftChain::Hook::None) {
    const bool is_nat = chain.hook == NftChain::Hook::PostroutingNat;
    nftnl_chain_set_str(object.get(), NFTNL_CHAIN_TYPE, is_nat ? "nat" : "filter");
    nftnl_chain_set_u32(object.get(), NFTNL_CHAIN_HOOKNUM, number(chain.hook));
    nftnl_chain_set_s32(
        object.get(), NFTNL_CHAIN_PRIO, is_nat ? NF_IP_PRI_NAT_SRC : NF_IP_PRI_FILTER);
    nftnl_chain_set_u32(object.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
  }
  nftnl_chain_set_data(object.get(), NFTNL_CHAIN_USERDATA, tag.data(), tag.size());
  nlmsghdr* const message = begin(NFT_MSG_NEWCHAIN, chain.family, NLM_F_CREATE);
  nftnl_chain_nlmsg_build_payload(message, object.get());
  end();
}

void NftTransaction::add_rule(const NftChain& chain,
                              const NftRule& rule,
                              std::optional<std::uint64_t> behind) {
  const Rule object = rule_of(chain, rule);
  // Without NLM_F_APPEND a rule goes to the head of its chain.
  std::uint16_t flags = NLM_F_CREATE;
  if (behind) {
    nftnl_rule_set_u64(object.get(), NFTNL_RULE_POSITION, *behind);
    flags |= NLM_F_APPEND;
  }
  nlmsghdr* const message = begin(NFT_MSG_NEWRULE, chain.family, flags);
  nftnl_rule_nlmsg_build_payload(message, object.get());
  end();
}

void NftTransaction::remove_rule(const NftChain& chain, std::uint64_t handle) {
  const Rule rule = nft::rule_of(chain);
  nftnl_rule_set_u64(rule.get(), NFTNL_RULE_HANDLE, handle);
  nftnl_rule_nlmsg_build_payload(begin(NFT_MSG_DELRULE, chain.family, 0), rule.get());
  end();
}

void NftTransaction::flush_chain(const NftChain& chain) {
  const Rule every = nft::rule_of(chain);
  nftnl_rule_nlmsg_build_payload(begin(NFT_MSG_DELRULE, chain.family, 0), every.get());
  end();
}

void NftTransaction::remove_chain(const NftChain& chain) {
  const Chain object = chain_of(chain);
  nlmsghdr* const message = begin(NFT_MSG_DELCHAIN, chain.family, NLM_F_NONREC);
  nftnl_chain_nlmsg_build_payload(message, object.get());
  end();
}

void NftTransaction::remove_table(const NftChain& chain) {
  const Table table = table_of(chain);
  nlmsghdr* const message = begin(NFT_MSG_DELTABLE, chain.family, NLM_F_NONREC);
  nftnl_table_nlmsg_build_payload(message, table.get());
  end();
}

// --- Nftables ------------------------------------------------------------------------------------

Result<std::unique_ptr<Nftables>> Nftables::open() {
  std::unique_ptr<mnl_socket, CloseSocket> socket(
      mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
  if (socket == nullptr || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return os_error("open netfilter netlink", errno);
  }
  return std::unique_ptr<Nftables>(new Nftables(std::move(socket)));
}

Result<Ok> Nftables::query(nlmsghdr* message,
                           const std::string& doing,
                           mnl_cb_t on_message,
                           void* out) {
  const std::uint32_t port = mnl_socket_get_portid(socket_.get());
  const std::uint32_t sequence = message->nlmsg_seq;
  if (mnl_socket_sendto(socket_.get(), message, message->nlmsg_len) < 0) {
    return os_error(doing, errno);
  }
  alignas(nlmsghdr) std::array<char, kReceiveMax> buffer;  // NOLINT: filled by the kernel.
  int more = MNL_CB_OK;
  while (more > MNL_CB_STOP) {
    const ssize_t size = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    if (size < 0) {
      return os_error(doing, errno);
    }
    more =
        mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), sequence, port, on_message, out);
  }
  if (more < 0) {
    return os_error(doing, errno);
  }
  return Ok{};
}

Result<std::optional<NftChainState>> Nftables::find_chain(const NftChain& chain) {
  alignas(nlmsghdr) std::array<char, kRequestMax> buffer{};
  nlmsghdr* const message = nftnl_nlmsg_build_hdr(
      buffer.data(), NFT_MSG_GETCHAIN, number(chain.family), NLM_F_ACK, ++sequence_);
  nftnl_chain_nlmsg_build_payload(message, chain_of(chain).get());
  const auto on_chain = [](const nlmsghdr* answer, void* out) {
    const Chain found(checked(nftnl_chain_alloc()));
    if (nftnl_chain_nlmsg_parse(answer, found.get()) == 0) {
      std::uint32_t size = 0;
      const void* const data = nftnl_chain_get_data(found.get(), NFTNL_CHAIN_USERDATA, &size);
      *static_cast<std::optional<NftChainState>*>(out) = NftChainState{
          // Only base chains have one.
          .accepts = !nftnl_chain_is_set(found.get(), NFTNL_CHAIN_POLICY)
                     || nftnl_chain_get_u32(found.get(), NFTNL_CHAIN_POLICY) == NF_ACCEPT,
          .comment = comment_in(data, size)};
    }
    return static_cast<int>(MNL_CB_OK);
  };
  std::optional<NftChainState> state;
  const Result<Ok> asked = query(message, "find chain " + chain.name, on_chain, &state);
  if (!asked.ok() && asked.error().code != Errc::NotFound) {
    return asked.error();
  }
  return state;
}

Result<std::vector<NftRuleState>> Nftables::rules(const NftChain& chain) {
  alignas(nlmsghdr) std::array<char, kRequestMax> buffer{};
  nlmsghdr* const message = nftnl_nlmsg_build_hdr(
      buffer.data(), NFT_MSG_GETRULE, number(chain.family), NLM_F_DUMP, ++sequence_);
  nftnl_rule_nlmsg_build_payload(message, nft::rule_of(chain).get());
  const auto on_rule = [](const nlmsghdr* answer, void* out) {
    const Rule rule(checked(nftnl_rule_alloc()));
    if (nftnl_rule_nlmsg_parse(answer, rule.get()) == 0) {
      std::uint32_t size = 0;
      const void* const data = nftnl_rule_get_data(rule.get(), NFTNL_RULE_USERDATA, &size);
      static_cast<std::vector<NftRuleState>*>(out)->push_back(
          {.handle = nftnl_rule_get_u64(rule.get(), NFTNL_RULE_HANDLE),
           .comment = comment_in(data, size),
           .jump = jump_in(rule.get())});
    }
    return static_cast<int>(MNL_CB_OK);
  };
  std::vector<NftRuleState> all;
  WEFT_TRY(query(message, "list rules of chain " + chain.name, on_rule, &all));
  return all;
}

Result<Ok> Nftables::commit(NftTransaction& transaction, const std::string& doing) {
  auto* const place = static_cast<char*>(mnl_nlmsg_batch_current(transaction.batch_));
  nftnl_batch_end(place, ++transaction.sequence_);
  transaction.end();
  return commit({reinterpret_cast<const std::uint8_t*>(mnl_nlmsg_batch_head(transaction.batch_)),
                 mnl_nlmsg_batch_size(transaction.batch_)},
                doing);
}

Result<Ok> Nftables::commit(ByteView batch, const std::string& doing) {
  // The kernel takes no more than the socket's buffer for sending holds, and counts all of it there
  // twice.
  const int file = mnl_socket_get_fd(socket_.get());
  const int room = static_cast<int>(std::min<std::size_t>(2 * batch.size() + kBatchMax, INT_MAX));
  (void)::setsockopt(file, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
  if (mnl_socket_sendto(socket_.get(), batch.data(), batch.size()) < 0) {
    return os_error(doing, errno);
  }
  // The kernel worked through the whole batch before send returned. It answers refusals only, and
  // all of them are waiting by now.
  int refusal = 0;
  alignas(nlmsghdr) std::array<char, kReceiveMax> buffer;  // NOLINT: filled by the kernel.
  while (true) {
    const ssize_t got = ::recv(file, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && errno == ENOBUFS) {
      refusal = refusal == 0 ? ENOBUFS : refusal;  // More refusals than there was room for.
      continue;
    }
    if (got <= 0) {
      break;
    }
    if (mnl_cb_run(buffer.data(), static_cast<std::size_t>(got), 0, 0, nullptr, nullptr) < 0
        && refusal == 0) {
      refusal = errno;
    }
  }
  if (refusal != 0) {
    return os_error(doing, refusal);
  }
  ++commit_count_;
  return Ok{};
}

Result<std::uint32_t> Nftables::generation() {
  alignas(nlmsghdr) std::array<char, kRequestMax> buffer{};
  nlmsghdr* const message =
      nftnl_nlmsg_build_hdr(buffer.data(), NFT_MSG_GETGEN, NFPROTO_UNSPEC, NLM_F_ACK, ++sequence_);
  const auto on_generation = [](const nlmsghdr* answer, void* out) {
    *static_cast<std::uint32_t*>(out) =
        ntohl(NetlinkAttributes(answer, sizeof(nfgenmsg)).u32(NFTA_GEN_ID, 0));
    return static_cast<int>(MNL_CB_OK);
  };
  std::uint32_t number = 0;
  WEFT_TRY(query(message, "ask for the generation of rules", on_generation, &number));
  return number;
}

std::uint32_t Nftables::port() const {
  return mnl_socket_get_portid(socket_.get());
}

}  // namespace weft::sys
