#include "plugin/proxy/call.h"

#include <algorithm>

namespace weft::plugin::proxy {
namespace {

// What Docker takes for an id or a name. Nothing of it needs an escape in a path.
bool is_container(std::string_view text) {
  constexpr std::size_t kNameMax = 255;
  return !text.empty() && text.size() <= kNameMax
         && std::all_of(text.begin(), text.end(), [](char c) {
              return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
                     || c == '_' || c == '.' || c == '-';
            });
}

// "/v1.41" in front of a path; clients of any age have one.
std::string_view without_version(std::string_view path) {
  const std::size_t end = path.find('/', 1);
  const bool has_version =
      path.starts_with("/v") && end != std::string_view::npos
      && path.substr(2, end - 2).find_first_not_of("0123456789.") == std::string_view::npos;
  return has_version ? path.substr(end) : path;
}

std::string name_in(std::string_view query) {
  constexpr std::string_view kName = "name=";
  while (!query.empty()) {
    std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.starts_with(kName)) {
      pair.remove_prefix(kName.size());
      for (const std::string_view slash : {"/", "%2F", "%2f"}) {  // As Docker shows names.
        pair.remove_prefix(pair.starts_with(slash) ? slash.size() : 0);
      }
      return is_container(pair) ? std::string(pair) : "";
    }
  }
  return "";
}

}  // namespace

Call parse_call(std::string_view method, std::string_view target) {
  constexpr std::string_view kContainers = "/containers/";
  const std::size_t question = std::min(target.find('?'), target.size());
  std::string_view path = without_version(target.substr(0, question));
  if (method != "POST" || !path.starts_with(kContainers)) {
    return {};
  }
  path.remove_prefix(kContainers.size());
  if (path == "create") {
    return {.kind = Call::Kind::Create,
            .name = name_in(target.substr(std::min(question + 1, target.size())))};
  }
  const std::size_t slash = std::min(path.find('/'), path.size());
  const std::string_view container = path.substr(0, slash);
  const std::string_view action = path.substr(slash);
  const bool is_start = action == "/start" || action == "/restart";
  if (!is_container(container) || (!is_start && action != "/exec")) {
    return {};
  }
  return {.kind = is_start ? Call::Kind::Start : Call::Kind::Exec,
          .container = std::string(container)};
}

}  // namespace weft::plugin::proxy
