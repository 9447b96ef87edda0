// How does A reach B: the connections between two hosts, containers or processes, and the way that
// frames go from the one's host to the other's, as the hosts themselves report. Pure.
#pragma once

#include <boost/json/object.hpp>

#include "app/render.h"
#include "app/topology.h"
#include "base/result.h"

namespace weft::app {

// The answer to GET /api/reach?from=…&to=… (schema Reach of docs/openapi-ui.yaml), which names its
// nodes as find_subject() takes them. Errc::Invalid: one is not said. Errc::NotFound,
// Errc::Conflict: nobody or several bear a name.
Result<boost::json::object> reach_json(const Choice& query,
                                       const Scene& scene,
                                       const Staleness& staleness);

}  // namespace weft::app
