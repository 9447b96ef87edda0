// Kubernetes' JSON: pages of a list, and lines of a watch, as values of model.h.
//
// Pure and total. What a policy says that cannot be read lets nothing through in its direction
// (closed first), and is told as a problem; an object without a name, or a policy that does not say
// whom it is about, is left out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/model.h"

namespace weft::policy {

enum class Kind : std::uint8_t { Namespaces, Pods, Policies };

// Of a pod: more are no pod's. Kubernetes gives two addresses.
inline constexpr std::size_t kAddressesMax = 16;
inline constexpr std::size_t kLabelsMax = 1'000;
inline constexpr std::size_t kPortsMax = 1'000;

// Of a namespace the namespace is empty.
ObjectName id_of(const Object& object);

struct ListPage {
  std::vector<Object> objects;
  std::vector<std::string> problems;
  std::string resource_version;
  std::string continuation;  // Of the page behind this one; empty: it was the last.
};
Result<ListPage> read_list(Kind kind, std::string_view body);

struct WatchEvent {
  enum class Type : std::uint8_t {
    Set,       // Added or modified.
    Removed,   // `id` alone counts.
    Bookmark,  // Only the resource version is news.
    Expired,   // What was asked for is no longer kept (410): list again.
    Failed,    // The server gave another reason to end.
  };
  Type type = Type::Failed;
  ObjectName id{};
  std::optional<Object> object{};  // Nothing where it cannot be read.
  std::string resource_version{};
  std::string problem{};
};
Result<WatchEvent> read_event(Kind kind, std::string_view line);

}  // namespace weft::policy
