// What the plugin answers, and addresses as a test spells them.
#pragma once

#include <ostream>
#include <string>
#include <utility>

#include "base/address.h"

namespace weft::plugin::test {

inline Cidr cidr(const std::string& text) {
  return Cidr::parse(text).value();
}
inline Ip ip(const std::string& text) {
  return Ip::parse(text).value();
}

struct Answer {
  unsigned status = 0;
  std::string body;

  friend bool operator==(const Answer&, const Answer&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Answer& answer) {
    return out << answer.status << ' ' << answer.body;
  }
};
inline Answer ok(std::string body = "{}") {
  return {200, std::move(body)};
}
inline Answer failed(const std::string& what) {
  return {500, R"({"Err":")" + what + R"("})"};
}
inline Answer malformed(const std::string& what) {
  return {400, R"({"Err":")" + what + R"("})"};
}

}  // namespace weft::plugin::test
