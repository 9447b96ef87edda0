// What a look-up read, as a number (directory.h). Pure.
#pragma once

#include <cstdint>
#include <string>

#include "base/address.h"

namespace weft::app {

// Of a thing that is looked up: numbers that are as good as distinct.
class ReadKey {
 public:
  explicit ReadKey(std::uint64_t kind) { add(kind); }
  ReadKey& add(std::uint64_t number);
  ReadKey& add(const std::string& text);
  ReadKey& add(const Ip& address);
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0;
};

}  // namespace weft::app
