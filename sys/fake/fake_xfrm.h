// An in-memory twin of Xfrm, for tests (tests/integration/sys/xfrm_test.cc holds both to one
// contract). Associations can be taken away and refused as a kernel's are.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "sys/xfrm/xfrm.h"

namespace weft::sys {

class FakeXfrm final : public Xfrm {
 public:
  struct Requirement {
    bool in = false;
    std::optional<std::uint32_t> out;  // The SPI.

    friend bool operator==(const Requirement&, const Requirement&) = default;
  };

  Result<Ok> add(const EspPair& pair, const EspAssociation& association) override {
    if (is_refusing) {
      return Error{Errc::Os, "add an ESP association: refused"};
    }
    const bool is_new =
        associations.emplace(name_of(pair, association.direction, association.spi), association)
            .second;
    if (!is_new) {
      return Error{Errc::Conflict, "add an ESP association: File exists"};
    }
    keys_seen.insert(association.key);
    return Ok{};
  }
  Result<Ok> remove(const EspPair& pair, EspDirection direction, std::uint32_t spi) override {
    associations.erase(name_of(pair, direction, spi));
    return Ok{};
  }
  Result<std::uint64_t> packets(const EspPair& pair,
                                EspDirection direction,
                                std::uint32_t spi) override {
    if (!associations.contains(name_of(pair, direction, spi))) {
      return Error{Errc::NotFound, "ask for an ESP association: No such process"};
    }
    return carried;
  }
  Result<Ok> require_out(const EspPair& pair, std::uint32_t spi) override {
    requirements[pair.peer].out = spi;
    return Ok{};
  }
  Result<Ok> require_in(const EspPair& pair) override {
    requirements[pair.peer].in = true;
    return Ok{};
  }
  Result<Ok> release(const EspPair& pair) override {
    requirements.erase(pair.peer);
    return Ok{};
  }
  Result<Ok> clear() override {
    associations.clear();
    requirements.clear();
    return Ok{};
  }

  // As the kernel finds an association: by where it leads, and its SPI.
  using Name = std::tuple<Ip, std::uint32_t>;
  static Name name_of(const EspPair& pair, EspDirection direction, std::uint32_t spi) {
    return {direction == EspDirection::In ? pair.local : pair.peer, spi};
  }

  std::map<Name, EspAssociation> associations;
  std::map<Ip, Requirement> requirements;  // By peer.
  std::set<std::array<std::uint8_t, kEspKeySize>> keys_seen;
  std::uint64_t carried = 0;  // What every association says.
  bool is_refusing = false;
};

}  // namespace weft::sys
