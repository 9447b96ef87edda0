#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "agent/cli/cli.h"

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> words(argv + 1, argv + argc);
    return static_cast<int>(weft::agent::run_cli(words));
  } catch (const std::exception& error) {
    // Nothing of ours throws; this is memory that ran out, or a bug in a library.
    std::fprintf(stderr, "weft: %s\n", error.what());
    return static_cast<int>(weft::agent::ExitCode::Failure);
  }
}
