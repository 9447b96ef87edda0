// libnftnl's objects with owners, and the expressions that rules are made of: what a rule loads
// into a register, and what it compares that with. Internal to sys/nftables.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>

#include "base/assert.h"
#include "sys/nftables/nftables.h"

namespace weft::sys::nft {

template <class T, void (*kFree)(const T*)>
struct Freer {
  void operator()(T* object) const { kFree(object); }
};
using Table = std::unique_ptr<nftnl_table, Freer<nftnl_table, nftnl_table_free>>;
using Chain = std::unique_ptr<nftnl_chain, Freer<nftnl_chain, nftnl_chain_free>>;
using Rule = std::unique_ptr<nftnl_rule, Freer<nftnl_rule, nftnl_rule_free>>;

template <class Pointer>
Pointer checked(Pointer pointer) {
  WEFT_ASSERT(pointer != nullptr);  // Out of memory.
  return pointer;
}

class Comment {
 public:
  explicit Comment(const std::string& text);
  Comment(const Comment&) = delete;
  Comment& operator=(const Comment&) = delete;
  ~Comment() { nftnl_udata_buf_free(buffer_); }
  const void* data() const { return nftnl_udata_buf_data(buffer_); }
  std::uint32_t size() const { return nftnl_udata_buf_len(buffer_); }

 private:
  nftnl_udata_buf* buffer_;
};

std::uint16_t number(NftFamily family);

// With the names alone.
Table table_of(const NftChain& chain);
Chain chain_of(const NftChain& chain);
Rule rule_of(const NftChain& chain);

nftnl_expr* add_expression(nftnl_rule* rule, const char* name);
// Into register 1, but for the last.
void load_meta(nftnl_rule* rule, std::uint32_t key);
void load_payload(nftnl_rule* rule, std::uint32_t base, std::uint32_t offset, std::uint32_t size);
void load_payload_into(nftnl_rule* rule,
                       std::uint32_t base,
                       std::uint32_t offset,
                       std::uint32_t size,
                       std::uint32_t to);
// Register 1 becomes (register 1 & mask) ^ bits, of `size` octets.
void mask_with(nftnl_rule* rule, const void* mask, const void* bits, std::size_t size);
// Goes on only if register 1 compares so.
void compare(nftnl_rule* rule, std::uint32_t operation, const void* data, std::size_t size);

// By NFT_META_IIFNAME or _OIFNAME.
void match_name(nftnl_rule* rule, std::uint32_t key, const NftRule::Link& link);
// Whether any of `bits` is set in conntrack's NFT_CT_STATE or NFT_CT_STATUS.
void match_conntrack(nftnl_rule* rule, std::uint32_t key, std::uint32_t bits, bool are_set);
// Whether all of `bits` are set in the packet's mark.
void match_mark(nftnl_rule* rule, std::uint32_t bits);

enum class Direction : std::uint8_t { Source, Destination };

// Of an address in the network header: RFC 791, section 3.1; RFC 8200, section 3.
std::uint32_t offset_of(NftFamily family, Direction direction);

}  // namespace weft::sys::nft
