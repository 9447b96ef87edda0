// What all hosts say, as the raw report of Weave Scope (GET /api/report): topologies of nodes with
// templates that explain their keys, before any view is made of it. For scripts written for Scope.
//
// What Scope has and weft does not know is there and empty. Clients' ports never leave their hosts,
// so an endpoint that only opens connections is named by its process: "scope;address;p<pid>".
// Reports carry no times of day: timestamps are Go's zero time, which any other is newer than.
// Pure.
#pragma once

#include <boost/json/object.hpp>

#include "probe/report/report.h"

namespace weft::app {

boost::json::object raw_report_json(const probe::Report& report);

}  // namespace weft::app
