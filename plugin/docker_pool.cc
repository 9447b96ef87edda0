#include "plugin/docker_pool.h"

#include <array>

#include <fmt/format.h>

namespace weft::plugin {
namespace {

constexpr std::string_view kPrefix = "weft-";
constexpr std::string_view kOwnerPrefix = "docker/";
// A /31 or /32 is all network and broadcast address.
constexpr std::uint8_t kPrefixLengthMax = 30;

// "This network" (RFC 791), loopback (RFC 1122), multicast and reserved (RFC 1112): no container
// can have such an address.
const std::array<Cidr, 3>& unusable() {
  static const std::array<Cidr, 3> kBlocks = {
      Cidr(Ipv4(0x00000000U), 8), Cidr(Ipv4(0x7f000000U), 8), Cidr(Ipv4(0xe0000000U), 3)};
  return kBlocks;
}

Result<Cidr> parse_block(std::string_view what, std::string_view text) {
  auto parsed = Cidr::parse(text);
  if (!parsed.ok()) {
    return std::move(parsed).error().with_context(what);
  }
  const Cidr block = parsed.value();
  if (!block.is_v4()) {
    return Error{
        Errc::Invalid,
        fmt::format("{} {}: IPv6 pools are not supported yet (expected IPv4)", what, text)};
  }
  if (!block.is_network()) {
    return Error{
        Errc::Invalid,
        fmt::format(
            "{} {} has host bits set (expected {})", what, text, block.network().to_string())};
  }
  return block;
}

}  // namespace

Result<DockerPool> DockerPool::make(std::string_view subnet, std::string_view within) {
  DockerPool pool;
  pool.subnet = WEFT_TRY(parse_block("subnet", subnet));
  if (pool.subnet.prefix() > kPrefixLengthMax) {
    return Error{Errc::Invalid,
                 fmt::format("subnet {} has no room for containers (expected /{} or larger)",
                             subnet,
                             kPrefixLengthMax)};
  }
  for (const Cidr& block : unusable()) {
    if (pool.subnet.overlaps(block)) {
      return Error{Errc::Invalid,
                   fmt::format("subnet {} overlaps {}, whose addresses no container can have",
                               subnet,
                               block.to_string())};
    }
  }
  if (within.empty()) {
    return pool;
  }
  const Cidr inner = WEFT_TRY(parse_block("ip-range", within));
  if (inner.prefix() < pool.subnet.prefix() || !pool.subnet.contains(inner.address())) {
    return Error{
        Errc::Invalid,
        fmt::format("ip-range {} is not inside subnet {}", within, pool.subnet.to_string())};
  }
  if (inner != pool.subnet) {
    pool.within = inner;
  }
  return pool;
}

Result<DockerPool> DockerPool::from_id(std::string_view id) {
  if (id.substr(0, kPrefix.size()) != kPrefix) {
    return Error{Errc::NotFound,
                 fmt::format("unknown pool \"{}\" (expected {}SUBNET[-RANGE])", id, kPrefix)};
  }
  const std::string_view rest = id.substr(kPrefix.size());
  const std::size_t dash = rest.find('-');
  const bool has_range = dash != std::string_view::npos;
  auto pool = make(rest.substr(0, dash), has_range ? rest.substr(dash + 1) : std::string_view());
  if (pool.ok() && pool.value().id() != id) {
    return Error{Errc::Invalid,
                 fmt::format("pool \"{}\" (expected \"{}\")", id, pool.value().id())};
  }
  if (!pool.ok()) {
    return std::move(pool).error().with_context(fmt::format("pool \"{}\"", id));
  }
  return pool;
}

std::string DockerPool::id() const {
  std::string id = std::string(kPrefix) + subnet.to_string();
  if (within) {
    id += "-" + within->to_string();
  }
  return id;
}

std::string DockerPool::owner() const {
  return std::string(kOwnerPrefix) + id();
}

bool DockerPool::is_owner(std::string_view owner) {
  return owner.starts_with(kOwnerPrefix);
}

bool is_host_address(const Cidr& address) {
  return address.address() != address.first() && address.address() != address.last();
}

}  // namespace weft::plugin
