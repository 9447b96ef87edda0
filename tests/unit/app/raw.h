// A raw report, whole and taken apart.
#pragma once

#include <limits>
#include <string>

#include <boost/json/parse.hpp>

#include "app/raw/raw_report.h"
#include "base/assert.h"

namespace weft::app {

inline std::string raw_text(const probe::Report& report) {
  RawReport raw(report);
  std::size_t work = std::numeric_limits<std::size_t>::max();
  WEFT_ASSERT(raw.advance(work));
  return raw.take();
}

inline boost::json::object raw_report_json(const probe::Report& report) {
  return boost::json::parse(raw_text(report)).as_object();
}

}  // namespace weft::app
