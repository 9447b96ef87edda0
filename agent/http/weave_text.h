// What Weave's `status` printed, of an agent of weft: labels, columns and words that scripts look
// for. What weft itself has to say is in agent/cli/status_text.h. Pure.
#pragma once

#include <string>

#include "agent/status.h"

namespace weft::agent {

// The summary is without the blank lines around it.
std::string weave_status_text(const AgentStatus& status, StatusPart part);

}  // namespace weft::agent
