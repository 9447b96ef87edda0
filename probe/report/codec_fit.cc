// Reports that are cut until they fit a message.
#include <cstddef>
#include <iterator>

#include "probe/report/codec.h"

namespace weft::probe {
namespace {

// Halves the first table that has anything left.
void fold_some(HostReport& report) {
  if (!report.names.empty()) {
    const std::size_t kept = report.names.size() / 2;
    report.folded.others += report.names.size() - kept;
    report.names.erase(std::next(report.names.begin(), static_cast<std::ptrdiff_t>(kept)),
                       report.names.end());
    return;
  }
  if (!report.processes.empty()) {
    const std::size_t kept = report.processes.size() / 2;
    report.folded.processes += report.processes.size() - kept;
    report.processes.resize(kept);
    return;
  }
  if (!report.flows.empty()) {
    const std::size_t kept = report.flows.size() / 2;
    report.folded.flows += report.flows.size() - kept;
    report.flows.erase(std::next(report.flows.begin(), static_cast<std::ptrdiff_t>(kept)),
                       report.flows.end());
    return;
  }
  const std::size_t kept = report.containers.size() / 2;
  report.folded.containers += report.containers.size() - kept;
  report.containers.resize(kept);
}

}  // namespace

Bytes encode_report_within(HostReport report, std::size_t size_max) {
  Bytes bytes = encode_report(report);
  while (bytes.size() > size_max
         && !(report.names.empty() && report.processes.empty() && report.flows.empty()
              && report.containers.empty())) {
    fold_some(report);
    bytes = encode_report(report);
  }
  return bytes;
}

}  // namespace weft::probe
