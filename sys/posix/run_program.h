// Another program, run to its end: it reads a text, and what it writes is the answer.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"

namespace weft::sys {

struct ProgramAnswer {
  int status = 0;  // Its exit code; 128 and the signal that ended it.
  std::string output;
};

// With the environment and the standard error of this process. Waits for its end, however long that
// takes. Errc::Exhausted for more output than `output_max`.
Result<ProgramAnswer> run_program(const std::string& path,
                                  const std::string& input,
                                  std::size_t output_max);

}  // namespace weft::sys
