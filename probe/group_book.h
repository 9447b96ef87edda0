// What containers use, from their control groups at one look and at those before. What a group does
// not tell stays as it was summed up over the container's processes. Pure; one per tracker.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/observed.h"
#include "base/time.h"
#include "probe/report/report.h"
#include "probe/sample.h"

namespace weft::probe {

class GroupBook {
 public:
  // Precondition: looks come in the order of their times.
  void digest(const Sample& sample,
              const std::map<std::uint32_t, std::string>& container_of_pid,
              std::vector<ContainerFacts>& containers);

 private:
  struct CpuShare {
    TimePoint at{};                // Until when it is the share,
    std::optional<Duration> used;  // and what had been used in all by then.
    double percent = 0;            // Of one CPU.
  };
  struct Known {
    ObservedGroup group;
    CpuShare cpu;
    TimePoint details_at{};  // Of the look at which all but the CPU time was read.
    GroupFacts facts;        // As of then.
  };
  using Groups = std::map<std::string, Known, std::less<>>;  // By path.

  Known digest_group(const Sample& sample,
                     const std::string& path,
                     const ObservedGroup& group) const;
  // `paths` are those of all groups that the container's processes are in.
  void tell(const std::set<std::string_view>& paths, ContainerFacts& container) const;
  CpuShare cpu_share(const Sample& sample, const Known* before, const ObservedGroup& now) const;

  bool has_previous_ = false;
  TimePoint previous_at_{};
  Groups known_;
};

}  // namespace weft::probe
