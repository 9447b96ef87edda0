// Labels, and Kubernetes' way of choosing by them (metav1.LabelSelector).
// Pure values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace weft::policy {

using Labels = std::map<std::string, std::string>;

struct Requirement {
  enum class Operator : std::uint8_t { In, NotIn, Exists, DoesNotExist };

  std::string key;
  Operator op = Operator::Exists;
  std::vector<std::string> values{};  // Ascending; of In and NotIn.

  bool fits(const Labels& labels) const;

  friend auto operator<=>(const Requirement&, const Requirement&) = default;
  friend bool operator==(const Requirement&, const Requirement&) = default;
};

// Fits if all requirements do; an empty one fits everything. A label that matchLabels asks for is a
// requirement In with one value.
struct Selector {
  std::vector<Requirement> requirements{};  // Ascending, each once.

  bool fits(const Labels& labels) const;
  // The same text for the same requirements, and no other.
  std::string to_string() const;

  friend auto operator<=>(const Selector&, const Selector&) = default;
  friend bool operator==(const Selector&, const Selector&) = default;
};

}  // namespace weft::policy
