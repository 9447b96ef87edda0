// What the topology API answers (Weave Scope's JSON, app/render.h) as text: for graphviz, for
// people. Pure; throws std::exception where the JSON is something else.
#pragma once

#include <string>

#include <boost/json/value.hpp>

namespace weft::agent {

// `view` is the answer to GET /api/topology/<name>: {"nodes": {id: …}}.

// A directed graph in the language of graphviz (dot(1)).
std::string graph_dot(const boost::json::value& view);
// One edge a line: who connects to whom, over which ports, and how it goes.
std::string edges_text(const boost::json::value& view);
// One node a line: the busiest first.
std::string top_text(const boost::json::value& view);

// `answer` is that to GET /api/reach: what it says in sentences, then one connection a line.
std::string reach_text(const boost::json::value& answer);

}  // namespace weft::agent
