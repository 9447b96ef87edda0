#include "agent/attach/attachment.h"

#include <algorithm>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

namespace weft::agent {

namespace json = boost::json;

namespace {

constexpr std::string_view kGuestPrefix = "vethwepg";
static_assert(kGuestPrefix.size() == kAttachedPrefix.size());
// Seven hexadecimal digits are what fits behind the prefix.
constexpr std::uint32_t kNumberMask = 0x0fffffff;
static_assert(kAttachedPrefix.size() + 7 == kInterfaceNameMax);

Bytes to_key(std::string_view text) {
  return Bytes(text.begin(), text.end());
}

std::string to_string(const Bytes& bytes) {
  return std::string(bytes.begin(), bytes.end());
}

Bytes to_row(const json::object& object) {
  return to_key(json::serialize(object));
}

Result<Attachment> read_attachment(const std::string& owner, const std::string& row) {
  try {
    const json::value value = json::parse(row);
    Attachment attachment;
    attachment.owner = owner;
    attachment.host = std::string(value.at("host").as_string());
    attachment.mac = WEFT_TRY(Mac::parse(std::string_view(value.at("mac").as_string())));
    attachment.netns = value.at("netns").to_number<std::uint64_t>();
    for (const json::value& one : value.at("addresses").as_array()) {
      attachment.addresses.push_back(WEFT_TRY(Cidr::parse(std::string_view(one.as_string()))));
    }
    // Absent in rows from before there was CNI.
    const json::object& object = value.as_object();
    if (const json::value* const mtu = object.if_contains("mtu")) {
      attachment.mtu = mtu->to_number<std::uint32_t>();
    }
    if (const json::value* const hairpin = object.if_contains("hairpin")) {
      attachment.hairpin = hairpin->as_bool();
    }
    return attachment;
  } catch (const std::exception& error) {
    return Error{Errc::Invalid, fmt::format("attachment of {}: {}", owner, error.what())};
  }
}

Result<Exposure> read_exposure(const std::string& address, const std::string& row) {
  try {
    const json::value value = json::parse(row);
    Exposure exposure;
    exposure.address = WEFT_TRY(Cidr::parse(address));
    exposure.masquerade = value.at("masquerade").as_bool();
    return exposure;
  } catch (const std::exception& error) {
    return Error{Errc::Invalid, fmt::format("exposure {}: {}", address, error.what())};
  }
}

}  // namespace

std::string Attachment::guest() const {
  return std::string(kGuestPrefix) + host.substr(std::min(host.size(), kAttachedPrefix.size()));
}

std::string host_end_name(std::uint32_t number) {
  return fmt::format("{}{:07x}", kAttachedPrefix, number & kNumberMask);
}

StoreWrite write_attachment(const Attachment& attachment) {
  json::array addresses;
  for (const Cidr& address : attachment.addresses) {
    addresses.emplace_back(address.to_string());
  }
  return {.table = kAttachmentsTable,
          .key = to_key(attachment.owner),
          .value = to_row({{"host", attachment.host},
                           {"mac", attachment.mac.to_string()},
                           {"netns", attachment.netns},
                           {"addresses", std::move(addresses)},
                           {"mtu", attachment.mtu},
                           {"hairpin", attachment.hairpin}})};
}

StoreWrite erase_attachment(const std::string& owner) {
  return {.table = kAttachmentsTable, .key = to_key(owner), .value = std::nullopt};
}

Result<std::map<std::string, Attachment>> read_attachments(const StoreTable& table) {
  std::map<std::string, Attachment> all;
  for (const auto& [key, row] : table) {
    const std::string owner = to_string(key);
    all.emplace(owner, WEFT_TRY(read_attachment(owner, to_string(row))));
  }
  return all;
}

StoreWrite write_exposure(const Exposure& exposure) {
  return {.table = kExposedTable,
          .key = to_key(exposure.address.to_string()),
          .value = to_row({{"masquerade", exposure.masquerade}})};
}

StoreWrite erase_exposure(const Cidr& address) {
  return {.table = kExposedTable, .key = to_key(address.to_string()), .value = std::nullopt};
}

Result<std::vector<Exposure>> read_exposures(const StoreTable& table) {
  std::vector<Exposure> all;
  for (const auto& [key, row] : table) {
    all.push_back(WEFT_TRY(read_exposure(to_string(key), to_string(row))));
  }
  return all;
}

}  // namespace weft::agent
