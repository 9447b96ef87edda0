#include "sys/nftables/policy_batch.h"

#include <algorithm>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "base/assert.h"
#include "sys/nftables/objects.h"

namespace weft::sys {
namespace {

using Set = std::unique_ptr<nftnl_set, nft::Freer<nftnl_set, nftnl_set_free>>;

// The largest message: a rule has below a kilobyte, elements go so many at a time that their
// attribute stays below its 64 kB.
constexpr std::size_t kMessageMax = 64 * 1024;
constexpr std::size_t kElementsPerMessage = 400;
constexpr std::size_t kAlign = NLMSG_ALIGNTO;

// How nft(8) names the types of keys (include/datatype.h); the kernel does not mind.
constexpr std::uint32_t kTypeIpv4 = 7;
constexpr std::uint32_t kTypeIpv6 = 8;
constexpr std::uint32_t kTypeProtocol = 12;
constexpr std::uint32_t kTypeService = 13;
constexpr std::uint32_t kTypeBits = 6;

constexpr std::size_t kRegister = 4;  // Parts of a key are padded to registers.

std::uint32_t address_size(NftFamily family) {
  return family == NftFamily::Ipv4 ? 4 : 16;
}

Set set_of(const NftSet& wanted) {
  Set set(nft::checked(nftnl_set_alloc()));
  nftnl_set_set_u32(set.get(), NFTNL_SET_FAMILY, nft::number(wanted.family));
  nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, kPolicyTable);
  nftnl_set_set_str(set.get(), NFTNL_SET_NAME, wanted.name.c_str());
  return set;
}

void describe(const NftSet& wanted, nftnl_set* set) {
  std::uint32_t type = wanted.family == NftFamily::Ipv4 ? kTypeIpv4 : kTypeIpv6;
  std::uint32_t size = address_size(wanted.family);
  std::uint32_t flags = 0;
  if (wanted.kind == NftSet::Kind::Services) {
    type = (type << kTypeBits | kTypeProtocol) << kTypeBits | kTypeService;
    size += 2 * kRegister;
  }
  if (wanted.kind == NftSet::Kind::Ranges) {
    flags = NFT_SET_INTERVAL;
  }
  if (wanted.kind == NftSet::Kind::Profiles) {
    flags = NFT_SET_MAP;
    nftnl_set_set_u32(set, NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT);
    // Of a verdict the kernel wants no length; nft(8) gives that of the register it ends in.
    nftnl_set_set_u32(set, NFTNL_SET_DATA_LEN, sizeof(std::uint32_t) * kRegister);
  }
  nftnl_set_set_u32(set, NFTNL_SET_FLAGS, flags);
  nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, type);
  nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, size);
}

void add_element(nftnl_set* set, const NftElement& wanted) {
  nftnl_set_elem* const element = nft::checked(nftnl_set_elem_alloc());
  nftnl_set_elem_set(element,
                     NFTNL_SET_ELEM_KEY,
                     wanted.key.data(),
                     static_cast<std::uint32_t>(wanted.key.size()));
  if (wanted.is_range_end) {
    nftnl_set_elem_set_u32(element, NFTNL_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
  }
  if (!wanted.chain.empty()) {
    nftnl_set_elem_set_u32(element, NFTNL_SET_ELEM_VERDICT, static_cast<std::uint32_t>(NFT_GOTO));
    nftnl_set_elem_set_str(element, NFTNL_SET_ELEM_CHAIN, wanted.chain.c_str());
  }
  nftnl_set_elem_add(set, element);
}

NftChain chain_named(NftFamily family, const std::string& name) {
  return {.family = family, .table = kPolicyTable, .name = name, .hook = NftChain::Hook::None};
}

}  // namespace

std::uint32_t mark_of(PolicyDirection direction) {
  return direction == PolicyDirection::Ingress ? kMayEnter : kMayLeave;
}

Bytes key_of(const PolicyService& service) {
  constexpr std::size_t kOctet = 8;
  Bytes key = service.address.bytes();
  key.push_back(static_cast<std::uint8_t>(service.protocol));
  key.resize(key.size() + kRegister - 1);
  key.push_back(static_cast<std::uint8_t>(service.port >> kOctet));
  key.push_back(static_cast<std::uint8_t>(service.port));
  key.resize(key.size() + kRegister - 2);
  return key;
}

// One message, put behind the others when it goes.
class PolicyBatch::Message {
 public:
  Message(PolicyBatch& batch, std::uint16_t type, NftFamily family, std::uint16_t flags)
      : batch_(batch),
        header_(nftnl_nlmsg_build_hdr(
            batch.message_.data(), type, nft::number(family), flags, ++batch.sequence_)) {}
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  ~Message() {
    WEFT_ASSERT(header_->nlmsg_len <= kMessageMax);
    const std::size_t end =
        batch_.bytes_.size() + (header_->nlmsg_len + kAlign - 1) / kAlign * kAlign;
    const char* const first = batch_.message_.data();
    batch_.bytes_.insert(batch_.bytes_.end(), first, first + header_->nlmsg_len);
    batch_.bytes_.resize(end);
  }
  nlmsghdr* get() { return header_; }

 private:
  PolicyBatch& batch_;
  nlmsghdr* header_;
};

PolicyBatch::PolicyBatch() : message_(2 * kMessageMax) {
  const nlmsghdr* const begin = nftnl_batch_begin(message_.data(), ++sequence_);
  bytes_.assign(message_.data(), message_.data() + begin->nlmsg_len);
}

ByteView PolicyBatch::finish() {
  const nlmsghdr* const end = nftnl_batch_end(message_.data(), ++sequence_);
  bytes_.insert(bytes_.end(), message_.data(), message_.data() + end->nlmsg_len);
  return bytes_;
}

void PolicyBatch::add_table(NftFamily family) {
  Message message(*this, NFT_MSG_NEWTABLE, family, NLM_F_CREATE);
  nftnl_table_nlmsg_build_payload(message.get(), nft::table_of(chain_named(family, "")).get());
}

void PolicyBatch::remove_table(NftFamily family) {
  Message message(*this, NFT_MSG_DELTABLE, family, 0);
  nftnl_table_nlmsg_build_payload(message.get(), nft::table_of(chain_named(family, "")).get());
}

void PolicyBatch::add_set(const NftSet& set) {
  Message message(*this, NFT_MSG_NEWSET, set.family, NLM_F_CREATE);
  const Set made = set_of(set);
  describe(set, made.get());
  nftnl_set_set_u32(made.get(), NFTNL_SET_ID, ++set_id_);
  nftnl_set_nlmsg_build_payload(message.get(), made.get());
}

void PolicyBatch::remove_set(const NftSet& set) {
  Message message(*this, NFT_MSG_DELSET, set.family, 0);
  nftnl_set_nlmsg_build_payload(message.get(), set_of(set).get());
}

void PolicyBatch::put_elements(std::uint16_t type,
                               std::uint16_t flags,
                               const NftSet& set,
                               const std::vector<NftElement>& elements) {
  for (std::size_t first = 0; first < elements.size(); first += kElementsPerMessage) {
    const std::size_t last = std::min(first + kElementsPerMessage, elements.size());
    const Set some = set_of(set);
    for (std::size_t at = first; at < last; ++at) {
      add_element(some.get(), elements[at]);
    }
    Message message(*this, type, set.family, flags);
    nftnl_set_elems_nlmsg_build_payload(message.get(), some.get());
  }
}

void PolicyBatch::add_elements(const NftSet& set, const std::vector<NftElement>& elements) {
  put_elements(NFT_MSG_NEWSETELEM, NLM_F_CREATE, set, elements);
}

void PolicyBatch::remove_elements(const NftSet& set, const std::vector<NftElement>& elements) {
  put_elements(NFT_MSG_DELSETELEM, 0, set, elements);
}

void PolicyBatch::add_chain(NftFamily family, const std::string& name) {
  Message message(*this, NFT_MSG_NEWCHAIN, family, NLM_F_CREATE);
  nftnl_chain_nlmsg_build_payload(message.get(), nft::chain_of(chain_named(family, name)).get());
}

void PolicyBatch::add_base_chain(NftFamily family,
                                 const std::string& name,
                                 NftChain::Hook hook,
                                 int priority) {
  Message message(*this, NFT_MSG_NEWCHAIN, family, NLM_F_CREATE);
  const nft::Chain chain = nft::chain_of(chain_named(family, name));
  const bool is_input = hook == NftChain::Hook::Input;
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, "filter");
  nftnl_chain_set_u32(
      chain.get(), NFTNL_CHAIN_HOOKNUM, is_input ? NF_INET_LOCAL_IN : NF_INET_FORWARD);
  nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, priority);
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
  nftnl_chain_nlmsg_build_payload(message.get(), chain.get());
}

void PolicyBatch::flush_chain(NftFamily family, const std::string& name) {
  Message message(*this, NFT_MSG_DELRULE, family, 0);
  nftnl_rule_nlmsg_build_payload(message.get(), nft::rule_of(chain_named(family, name)).get());
}

void PolicyBatch::remove_chain(NftFamily family, const std::string& name) {
  Message message(*this, NFT_MSG_DELCHAIN, family, 0);
  nftnl_chain_nlmsg_build_payload(message.get(), nft::chain_of(chain_named(family, name)).get());
}

void PolicyBatch::add_rule(NftFamily family, nftnl_rule* rule) {
  Message message(*this, NFT_MSG_NEWRULE, family, NLM_F_CREATE | NLM_F_APPEND);
  nftnl_rule_nlmsg_build_payload(message.get(), rule);
}

}  // namespace weft::sys
