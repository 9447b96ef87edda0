#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cli/cli.h"
#include "agent/cli/weave/weave.h"
#include "agent/cli/weave/weaveutil.h"
#include "agent/cni/plugin.h"
#include "agent/npc/npc.h"

int main(int argc, char** argv) {
  try {
    if (argc == 0) {
      return static_cast<int>(weft::agent::ExitCode::Usage);
    }
    const std::vector<std::string> words(argv + 1, argv + argc);
    const std::string_view program(argv[0]);
    if (const auto role = weft::agent::cni_role(program)) {
      return weft::agent::run_cni(*role);
    }
    const std::string_view name = program.substr(program.rfind('/') + 1);
    if (name == "weave") {
      return weft::agent::run_weave(words);
    }
    if (name == "weaveutil") {
      return weft::agent::run_weaveutil(words);
    }
    if (name == "weave-npc") {
      return static_cast<int>(weft::agent::run_weave_npc(words));
    }
    return static_cast<int>(weft::agent::run_cli(words));
  } catch (const std::exception& error) {
    // Nothing of ours throws; this is memory that ran out, or a bug in a library.
    std::fprintf(stderr, "weft: %s\n", error.what());
    return static_cast<int>(weft::agent::ExitCode::Failure);
  }
}
