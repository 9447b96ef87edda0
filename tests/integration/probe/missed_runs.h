// What the programs that count connections (sys/bpf/connections.bpf.c) did not see.
#pragma once

#include <cstdint>
#include <string_view>

#include <bpf/bpf.h>
#include <unistd.h>

namespace weft::sys {

// Packets that interrupt the program that counts are not seen by it, which the kernel counts. Of
// all agents on this machine.
inline std::uint64_t missed_runs() {
  std::uint64_t sum = 0;
  for (std::uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
    const int program = bpf_prog_get_fd_by_id(id);
    bpf_prog_info info{};
    std::uint32_t size = sizeof info;
    if (bpf_obj_get_info_by_fd(program, &info, &size) == 0
        && std::string_view(info.name).starts_with("weft_state")) {
      sum += info.recursion_misses;
    }
    ::close(program);
  }
  return sum;
}

}  // namespace weft::sys
