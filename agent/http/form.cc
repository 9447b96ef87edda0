#include "agent/http/form.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/bytes.h"

namespace weft::agent {
namespace {

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'
         || c == '.' || c == '_' || c == '~';
}

Result<std::string> decode_form(std::string_view text) {
  std::string spaced(text);
  std::replace(spaced.begin(), spaced.end(), '+', ' ');
  return decode_percent(spaced);
}

}  // namespace

Result<std::string> decode_percent(std::string_view text) {
  auto plain = weft::decode_percent(text);
  if (!plain) {
    return Error{Errc::Invalid, fmt::format("escape in \"{}\"", text)};
  }
  return *std::move(plain);
}

std::string encode_percent(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    if (is_unreserved(c)) {
      encoded.push_back(c);
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

Result<Form> parse_form(std::string_view text) {
  Form form;
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(pair.size() + 1, text.size()));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const std::string_view value = pair.substr(std::min(equals + 1, pair.size()));
    std::string name = WEFT_TRY(decode_form(pair.substr(0, equals)));
    std::string plain = WEFT_TRY(decode_form(value));
    if (!name.empty()) {
      form.emplace(std::move(name), std::move(plain));
    }
  }
  return form;
}

Result<Form> parse_request_form(std::string_view target, std::string_view body) {
  Form form = WEFT_TRY(parse_form(body));
  const std::size_t query = target.find('?');
  if (query != std::string_view::npos) {
    Form more = WEFT_TRY(parse_form(target.substr(query + 1)));
    form.merge(more);
  }
  return form;
}

std::string value_of(const Form& form, std::string_view name) {
  const auto at = form.find(name);
  return at == form.end() ? "" : at->second;
}

std::vector<std::string> values_of(const Form& form, std::string_view name) {
  std::vector<std::string> values;
  const auto [begin, end] = form.equal_range(name);
  for (auto at = begin; at != end; ++at) {
    values.push_back(at->second);
  }
  return values;
}

bool flag_of(const Form& form, std::string_view name) {
  const std::string value = value_of(form, name);
  return value == "true" || value == "True" || value == "TRUE" || value == "t" || value == "T"
         || value == "1";
}

Result<std::vector<std::string>> path_segments(std::string_view target) {
  std::string_view path = target.substr(0, target.find('?'));
  std::vector<std::string> segments;
  while (!path.empty()) {
    if (path.front() != '/') {
      return Error{Errc::NotFound, "no such path"};
    }
    path.remove_prefix(1);
    const std::string_view segment = path.substr(0, path.find('/'));
    segments.push_back(WEFT_TRY(decode_percent(segment)));
    path.remove_prefix(segment.size());
  }
  return segments;
}

}  // namespace weft::agent
