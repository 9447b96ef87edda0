// Who opened the connections that connections.bpf.c follows, as the agent reads it. Those that have
// just begun are in slots of an array, which are few so that they stay in a processor's cache:
// those that last are moved out of the way of others, into a hash table.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "sys/bpf/flow_maps.h"

namespace weft::sys {

class Openers {
 public:
  // Descriptors of the maps weft_rows and weft_openers, which must live as long. Fails if the array
  // cannot be mapped.
  static Result<Openers> open(int rows, int table);
  Openers(Openers&& other) noexcept;
  Openers& operator=(Openers&& other) noexcept;
  ~Openers();

  // By its socket's cookie, if it is followed.
  std::optional<weft_flow_key> find(std::uint64_t cookie) const;

  // Moves what began after a look before this (ns of CLOCK_MONOTONIC) into the table. Programs that
  // count may run meanwhile: at any time a connection is in one of the two.
  void settle(std::uint64_t before);

 private:
  Openers(weft_opener_row* rows, int table) : rows_(rows), table_(table) {}

  weft_opener_row* rows_;  // Mapped, shared with the kernel's programs.
  int table_;
};

}  // namespace weft::sys
