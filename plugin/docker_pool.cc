#include "plugin/docker_pool.h"

#include <array>

#include <fmt/format.h>

namespace weft::plugin {
namespace {

constexpr std::string_view kPrefix = "weft-";
constexpr std::string_view kOwnerPrefix = "docker/";
// A /31 or /32 is all network and broadcast address.
constexpr std::uint8_t kHostBitsMin = 2;

// "This network" (RFC 791), loopback (RFC 1122), multicast and reserved (RFC 1112); of IPv6 the
// unspecified address, loopback and IPv4-mapped ones, link-local and multicast (RFC 4291): nobody
// can hand such an address to a container.
const std::array<Cidr, 6>& unusable() {
  static const std::array<Cidr, 6> kBlocks = {Cidr::parse("0.0.0.0/8").value(),
                                              Cidr::parse("127.0.0.0/8").value(),
                                              Cidr::parse("224.0.0.0/3").value(),
                                              Cidr::parse("::/64").value(),
                                              Cidr::parse("fe80::/10").value(),
                                              Cidr::parse("ff00::/8").value()};
  return kBlocks;
}

Result<Cidr> parse_block(std::string_view what, std::string_view text) {
  auto parsed = Cidr::parse(text);
  if (!parsed.ok()) {
    return std::move(parsed).error().with_context(what);
  }
  const Cidr block = parsed.value();
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
  const std::uint8_t bits = pool.subnet.address().bits();
  if (pool.subnet.prefix() + kHostBitsMin > bits) {
    return Error{Errc::Invalid,
                 fmt::format("subnet {} has no room for containers (expected /{} or larger)",
                             subnet,
                             bits - kHostBitsMin)};
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
  const bool is_broadcast = address.is_v4() && address.address() == address.last();
  return address.address() != address.first() && !is_broadcast;
}

}  // namespace weft::plugin
