// Reports that are cut until they fit a message.
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "probe/report/codec.h"

namespace weft::probe {
namespace {

// False: there is nothing left of it.
template <class Table>
bool halve(Table& table, std::uint64_t& folded) {
  if (table.empty()) {
    return false;
  }
  const std::size_t kept = table.size() / 2;
  folded += table.size() - kept;
  table.erase(std::next(table.begin(), static_cast<std::ptrdiff_t>(kept)), table.end());
  return true;
}

// Halves the first table that has anything left. False: none has.
bool fold_some(HostReport& report) {
  FoldedCounts& folded = report.folded;
  return halve(report.names, folded.others) || halve(report.processes, folded.processes)
         || halve(report.flows, folded.flows) || halve(report.containers, folded.containers);
}

}  // namespace

Bytes encode_report_within(HostReport report, std::size_t size_max) {
  Bytes bytes = encode_report(report);
  while (bytes.size() > size_max && fold_some(report)) {
    bytes = encode_report(report);
  }
  return bytes;
}

}  // namespace weft::probe
