// Containers attached by hand (`weft attach`) or by a runtime (CNI) and subnets the host exposes
// (`weft expose`): as values, and as rows of the store, by which they outlive the agent. Pure.
//
// Rows are JSON objects, so that a person can read them with sqlite3: "attachments" by owner,
// "exposed" by address.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/netdev.h"
#include "base/result.h"
#include "base/store_batch.h"

namespace weft::agent {

inline constexpr const char* kAttachmentsTable = "attachments";
inline constexpr const char* kExposedTable = "exposed";

// A container that needs more is a router; each address is a record that all peers hold.
inline constexpr std::size_t kAttachedAddressesMax = 64;
// Somebody typed each of them into a network's configuration.
inline constexpr std::size_t kAttachedRoutesMax = 256;
// Each is a few rules that packets pass one after the other.
inline constexpr std::size_t kExposedMax = 16;

struct Attachment {
  std::string owner;        // A container's id, or "netns:" and what tells namespaces apart.
  std::string host;         // The host end of its pair.
  Mac mac;                  // Of the interface in the container.
  std::uint64_t netns = 0;  // sys::netns_identity().
  std::vector<Cidr> addresses;
  std::uint32_t mtu = 0;  // 0: what the overlay carries.
  bool hairpin = false;   // As DatapathService::PortRequest's.

  std::string guest() const;  // The other end, until it is in the container.

  friend bool operator==(const Attachment&, const Attachment&) = default;
};

// The host end's name begins so; Docker's begin otherwise.
inline constexpr std::string_view kAttachedPrefix = "vethwepl";
std::string host_end_name(std::uint32_t number);

StoreWrite write_attachment(const Attachment& attachment);
StoreWrite erase_attachment(const std::string& owner);
Result<std::map<std::string, Attachment>> read_attachments(const StoreTable& table);

StoreWrite write_exposure(const Exposure& exposure);
StoreWrite erase_exposure(const Cidr& address);
Result<std::vector<Exposure>> read_exposures(const StoreTable& table);

}  // namespace weft::agent
