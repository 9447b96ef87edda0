// Help texts, made from the tables of options.h and exit_code.h. Pure.
#pragma once

#include <string>

#include "agent/cli/options.h"

namespace weft::agent {

std::string overview_help();                // `weft help`
std::string command_help(Command command);  // `weft help launch`, `weft launch --help`
std::string exit_codes_help();              // `weft help exit-codes`
std::string options_help();                 // `weft help options`: a Markdown table for the docs.

}  // namespace weft::agent
