#include "probe/group_book.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <string_view>
#include <utility>

#include "probe/container_id.h"
#include "probe/rate.h"

namespace weft::probe {
namespace {

// The least time that a share of the CPU is told of: looks for news may be 20 ms apart, and a quota
// is given for 100 ms at a time.
constexpr Duration kSpanMin = std::chrono::milliseconds(500);

// Nothing if it has begun anew.
std::uint64_t rate(std::uint64_t before, std::uint64_t now, Duration elapsed) {
  return per_second(now - std::min(now, before), elapsed);
}

// A container may have several groups: Podman's has one for its monitor.
void add(const GroupFacts& more, GroupFacts& sum) {
  sum.memory_limit_bytes = std::max(sum.memory_limit_bytes, more.memory_limit_bytes);
  sum.throttled_percent += more.throttled_percent;
  sum.disk_read_bytes += more.disk_read_bytes;
  sum.disk_written_bytes += more.disk_written_bytes;
  sum.disk_read_per_second += more.disk_read_per_second;
  sum.disk_written_per_second += more.disk_written_per_second;
}

}  // namespace

// A group that was not there at the look before has used all of its time since, but no more than
// there is: an old one may get its first process only now.
GroupBook::CpuShare GroupBook::cpu_share(const Sample& sample,
                                         const Known* before,
                                         const ObservedGroup& now) const {
  CpuShare share{.at = sample.at, .used = now.cpu, .percent = 0};
  if (!has_previous_ || !now.cpu || (before != nullptr && !before->cpu.used)) {
    return share;
  }
  const TimePoint since = before == nullptr ? previous_at_ : before->cpu.at;
  if (before != nullptr && sample.at - since < kSpanMin) {
    return before->cpu;
  }
  const Duration base = before == nullptr ? Duration::zero() : *before->cpu.used;
  const Duration used = *now.cpu < base ? *now.cpu : *now.cpu - base;
  const Duration elapsed = std::max(sample.at - since, kSpanMin);
  const double all = percent_of(elapsed * sample.host.cpu_count, elapsed);
  share.percent = std::min(percent_of(used, elapsed), all);
  return share;
}

GroupBook::Known GroupBook::digest_group(const Sample& sample,
                                         const std::string& path,
                                         const ObservedGroup& group) const {
  const auto found = known_.find(path);
  const Known* const before = found == known_.end() ? nullptr : &found->second;
  Known known{.group = group,
              .cpu = cpu_share(sample, before, group),
              .details_at = sample.at,
              .facts = {}};
  if (before != nullptr && group.remembered) {
    known.details_at = before->details_at;
    known.facts = before->facts;
    return known;
  }
  known.facts.memory_limit_bytes = group.memory_limit_bytes;
  known.facts.disk_read_bytes = group.disk_read_bytes;
  known.facts.disk_written_bytes = group.disk_written_bytes;
  if (before != nullptr) {
    const ObservedGroup& then = before->group;
    const Duration elapsed = sample.at - before->details_at;
    known.facts.throttled_percent = percent_of(group.throttled - then.throttled, elapsed);
    known.facts.disk_read_per_second = rate(then.disk_read_bytes, group.disk_read_bytes, elapsed);
    known.facts.disk_written_per_second =
        rate(then.disk_written_bytes, group.disk_written_bytes, elapsed);
  }
  return known;
}

void GroupBook::digest(const Sample& sample,
                       const std::map<std::uint32_t, std::string>& container_of_pid,
                       std::vector<ContainerFacts>& containers) {
  Groups known;
  for (const auto& [path, group] : sample.groups) {
    known.emplace(path, digest_group(sample, path, group));
  }
  known_ = std::move(known);
  has_previous_ = true;
  previous_at_ = sample.at;
  std::map<std::string_view, std::set<std::string_view>> groups_of;
  for (const ObservedProcess& process : sample.processes) {
    if (const auto id = container_of_pid.find(process.pid); id != container_of_pid.end()) {
      groups_of[id->second].insert(group_of_container(process.cgroup));
    }
  }
  for (ContainerFacts& container : containers) {
    if (const auto paths = groups_of.find(container.id); paths != groups_of.end()) {
      tell(paths->second, container);
    }
  }
}

void GroupBook::tell(const std::set<std::string_view>& paths, ContainerFacts& container) const {
  Usage usage;
  GroupFacts facts{.counts_cpu = true, .counts_memory = true};
  for (const std::string_view path : paths) {
    const auto found = known_.find(path);
    const Known known = found == known_.end() ? Known{} : found->second;
    facts.counts_cpu = facts.counts_cpu && known.group.cpu;
    facts.counts_memory = facts.counts_memory && known.group.memory_bytes;
    usage.cpu_percent += known.cpu.percent;
    usage.memory_bytes += known.group.memory_bytes.value_or(0);
    add(known.facts, facts);
  }
  if (facts.counts_cpu) {
    container.usage.cpu_percent = usage.cpu_percent;
  }
  if (facts.counts_memory) {
    container.usage.memory_bytes = usage.memory_bytes;
  }
  container.group = facts;
}

}  // namespace weft::probe
