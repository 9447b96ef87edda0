// Whom a request means: a host, container or process by what people call it. Pure.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "app/graph.h"
#include "base/result.h"
#include "probe/report/report.h"

namespace weft::app {

// Valid as long as the report that it was found in.
struct Subject {
  const probe::HostReport* host = nullptr;           // That it is, or is on.
  const probe::ContainerFacts* container = nullptr;  // That it is or is in; nothing: none.
  const probe::ProcessFacts* process = nullptr;      // That it is; nothing: it is no process.

  // Whether an end of a connection is it or within it.
  bool has(const Party& party) const;

  friend bool operator==(const Subject&, const Subject&) = default;
};

// As views name nodes. A host's own label where it is neither container nor process.
std::string id_of(const Subject& subject);
std::string label_of(const Subject& subject);
std::string_view topology_of(const Subject& subject);

// As exactly as an end is known. Precondition: a known party of the report.
Subject subject_of(const probe::Report& report, const Party& party);

// At which it may be asked; those of its host if it has none of its own.
std::set<Ip> addresses_of(const Subject& subject);

// By a node's id, an address, a host's or container's name or the beginning of a container's id, a
// process's name; the first of these that anything bears counts. Errc::NotFound: nothing bears it.
// Errc::Conflict: several do, of which the error names some.
Result<Subject> find_subject(const probe::Report& report, std::string_view name);

}  // namespace weft::app
