#include "policy/selector.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace weft::policy {

bool Requirement::fits(const Labels& labels) const {
  const auto label = labels.find(key);
  const bool is_there = label != labels.end();
  switch (op) {
    case Operator::In:
      return is_there && std::binary_search(values.begin(), values.end(), label->second);
    case Operator::NotIn:
      // Kubernetes: also where there is no such label.
      return !is_there || !std::binary_search(values.begin(), values.end(), label->second);
    case Operator::Exists:
      return is_there;
    case Operator::DoesNotExist:
      return !is_there;
  }
  return false;
}

bool Selector::fits(const Labels& labels) const {
  return std::all_of(requirements.begin(), requirements.end(), [&labels](const Requirement& one) {
    return one.fits(labels);
  });
}

// The text is the identity of groups, so keys and values that a hostile API server makes up (with
// commas, say) are quoted.
std::string Selector::to_string() const {
  std::vector<std::string> parts;
  for (const Requirement& one : requirements) {
    switch (one.op) {
      case Requirement::Operator::In:
        parts.push_back(fmt::format("{:?} in ({:?})", one.key, fmt::join(one.values, ",")));
        break;
      case Requirement::Operator::NotIn:
        parts.push_back(fmt::format("{:?} notin ({:?})", one.key, fmt::join(one.values, ",")));
        break;
      case Requirement::Operator::Exists:
        parts.push_back(fmt::format("{:?}", one.key));
        break;
      case Requirement::Operator::DoesNotExist:
        parts.push_back(fmt::format("!{:?}", one.key));
        break;
    }
  }
  return parts.empty() ? "all" : fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace weft::policy
