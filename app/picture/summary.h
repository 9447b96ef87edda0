// A node as the JSON that Weave Scope's clients read of it (docs/adr/0015), written straight to
// text: of all that a change costs to show, this is most. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "app/view.h"
#include "base/peer_name.h"

namespace weft::app {

// Seconds since a host was heard of; 0 while it is up to date.
using Staleness = std::function<std::int64_t(PeerName host)>;

struct SummaryOptions {
  bool tables = true;
  // Which of the links, by the id of the node that serves; without it, all.
  std::function<bool(const std::string& to)> shows_link{};
};

std::string summary_text(const Node& node,
                         const Staleness& staleness,
                         const SummaryOptions& options = {});

// A JSON string, quoted.
void append_json(std::string& out, std::string_view text);

}  // namespace weft::app
