#include "sys/nftables/objects.h"

#include <linux/netfilter/nf_tables.h>

namespace weft::sys::nft {

Comment::Comment(const std::string& text)
    : buffer_(checked(nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN))) {
  WEFT_ASSERT(nftnl_udata_put_strz(buffer_, NFTNL_UDATA_RULE_COMMENT, text.c_str()) != 0);
}

std::uint16_t number(NftFamily family) {
  return static_cast<std::uint16_t>(family);
}

Table table_of(const NftChain& chain) {
  Table table(checked(nftnl_table_alloc()));
  nftnl_table_set_u32(table.get(), NFTNL_TABLE_FAMILY, number(chain.family));
  nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, chain.table.c_str());
  return table;
}

Chain chain_of(const NftChain& chain) {
  Chain object(checked(nftnl_chain_alloc()));
  nftnl_chain_set_u32(object.get(), NFTNL_CHAIN_FAMILY, number(chain.family));
  nftnl_chain_set_str(object.get(), NFTNL_CHAIN_TABLE, chain.table.c_str());
  nftnl_chain_set_str(object.get(), NFTNL_CHAIN_NAME, chain.name.c_str());
  return object;
}

Rule rule_of(const NftChain& chain) {
  Rule rule(checked(nftnl_rule_alloc()));
  nftnl_rule_set_u32(rule.get(), NFTNL_RULE_FAMILY, number(chain.family));
  nftnl_rule_set_str(rule.get(), NFTNL_RULE_TABLE, chain.table.c_str());
  nftnl_rule_set_str(rule.get(), NFTNL_RULE_CHAIN, chain.name.c_str());
  return rule;
}

nftnl_expr* add_expression(nftnl_rule* rule, const char* name) {
  nftnl_expr* const expression = checked(nftnl_expr_alloc(name));
  nftnl_rule_add_expr(rule, expression);
  return expression;
}

void load_meta(nftnl_rule* rule, std::uint32_t key) {
  nftnl_expr* const load = add_expression(rule, "meta");
  nftnl_expr_set_u32(load, NFTNL_EXPR_META_KEY, key);
  nftnl_expr_set_u32(load, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

void load_payload_into(nftnl_rule* rule,
                       std::uint32_t base,
                       std::uint32_t offset,
                       std::uint32_t size,
                       std::uint32_t to) {
  nftnl_expr* const load = add_expression(rule, "payload");
  nftnl_expr_set_u32(load, NFTNL_EXPR_PAYLOAD_BASE, base);
  nftnl_expr_set_u32(load, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
  nftnl_expr_set_u32(load, NFTNL_EXPR_PAYLOAD_LEN, size);
  nftnl_expr_set_u32(load, NFTNL_EXPR_PAYLOAD_DREG, to);
}

void load_payload(nftnl_rule* rule, std::uint32_t base, std::uint32_t offset, std::uint32_t size) {
  load_payload_into(rule, base, offset, size, NFT_REG_1);
}

void mask_with(nftnl_rule* rule, const void* mask, const void* bits, std::size_t size) {
  nftnl_expr* const cut = add_expression(rule, "bitwise");
  const auto count = static_cast<std::uint32_t>(size);
  nftnl_expr_set_u32(cut, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
  nftnl_expr_set_u32(cut, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
  nftnl_expr_set_u32(cut, NFTNL_EXPR_BITWISE_LEN, count);
  nftnl_expr_set(cut, NFTNL_EXPR_BITWISE_MASK, mask, count);
  nftnl_expr_set(cut, NFTNL_EXPR_BITWISE_XOR, bits, count);
}

void compare(nftnl_rule* rule, std::uint32_t operation, const void* data, std::size_t size) {
  nftnl_expr* const expression = add_expression(rule, "cmp");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_CMP_OP, operation);
  nftnl_expr_set(expression, NFTNL_EXPR_CMP_DATA, data, static_cast<std::uint32_t>(size));
}

// With the terminating zero, as iptables-nft writes it.
void match_name(nftnl_rule* rule, std::uint32_t key, const NftRule::Link& link) {
  load_meta(rule, key);
  const std::uint32_t operation = link.is_it ? NFT_CMP_EQ : NFT_CMP_NEQ;
  compare(rule, operation, link.name.c_str(), link.name.size() + 1);
}

void match_conntrack(nftnl_rule* rule, std::uint32_t key, std::uint32_t bits, bool are_set) {
  const std::uint32_t none = 0;
  nftnl_expr* const load = add_expression(rule, "ct");
  nftnl_expr_set_u32(load, NFTNL_EXPR_CT_KEY, key);
  nftnl_expr_set_u32(load, NFTNL_EXPR_CT_DREG, NFT_REG_1);
  mask_with(rule, &bits, &none, sizeof bits);
  compare(rule, are_set ? NFT_CMP_NEQ : NFT_CMP_EQ, &none, sizeof none);
}

void match_mark(nftnl_rule* rule, std::uint32_t bits) {
  const std::uint32_t none = 0;
  load_meta(rule, NFT_META_MARK);
  mask_with(rule, &bits, &none, sizeof bits);
  compare(rule, NFT_CMP_EQ, &bits, sizeof bits);
}

std::uint32_t offset_of(NftFamily family, Direction direction) {
  const bool is_source = direction == Direction::Source;
  return family == NftFamily::Ipv4 ? (is_source ? 12 : 16) : (is_source ? 8 : 24);
}

}  // namespace weft::sys::nft
