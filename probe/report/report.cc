#include "probe/report/report.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "probe/report/codec.h"

namespace weft::probe {
namespace {

// How many octets a UTF-8 sequence with this first octet has (RFC 3629); 0 if none begins so.
std::size_t sequence_size(unsigned char first) {
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xc2 && first < 0xe0) {
    return 2;
  }
  if (first >= 0xe0 && first < 0xf0) {
    return 3;
  }
  return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

bool is_sequence(std::string_view text, std::size_t at, std::size_t size) {
  constexpr unsigned kContinuationMask = 0xc0;
  constexpr unsigned kContinuation = 0x80;
  if (size == 0 || at + size > text.size()) {
    return false;
  }
  const auto first = static_cast<unsigned char>(text[at]);
  const auto second = static_cast<unsigned char>(size > 1 ? text[at + 1] : '\0');
  // Overlong forms, surrogates and what is beyond Unicode.
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f)
      || (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) {
    return false;
  }
  for (std::size_t i = 1; i < size; ++i) {
    if ((static_cast<unsigned char>(text[at + i]) & kContinuationMask) != kContinuation) {
      return false;
    }
  }
  return true;
}

// At most kTextMax octets of valid UTF-8 without control characters: names and command lines are
// any bytes, Protobuf and JSON take only text.
void cut(std::string& text) {
  constexpr char kFirstPrintable = ' ';
  constexpr char kDelete = 0x7f;
  std::string clean;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = sequence_size(static_cast<unsigned char>(text[at]));
    const bool is_whole = is_sequence(text, at, size);
    const std::size_t step = is_whole ? size : 1;
    if (clean.size() + step > kTextMax) {
      break;
    }
    const bool is_control =
        size == 1 && ((text[at] >= 0 && text[at] < kFirstPrintable) || text[at] == kDelete);
    clean += is_whole && !is_control ? text.substr(at, size) : std::string(is_control ? " " : "?");
    at += step;
  }
  text = std::move(clean);
}

template <class Items>
void cut_list(Items& items, std::size_t max, std::uint64_t& folded) {
  if (items.size() > max) {
    folded += items.size() - max;
    items.resize(max);
  }
}

// Keeps the `max` items that sort first by `rank`, in their old order.
template <class Item, class Rank>
void keep_first(std::vector<Item>& items, std::size_t max, std::uint64_t& folded, Rank rank) {
  if (items.size() <= max) {
    return;
  }
  folded += items.size() - max;
  std::vector<std::pair<decltype(rank(items.front())), std::size_t>> order;
  order.reserve(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    order.emplace_back(rank(items[i]), i);
  }
  std::sort(order.begin(), order.end());
  order.resize(max);
  std::sort(
      order.begin(), order.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  std::vector<Item> kept;
  kept.reserve(max);
  for (const auto& [key, index] : order) {
    kept.push_back(std::move(items[index]));
  }
  items = std::move(kept);
}

void limit_container(ContainerFacts& container, std::uint64_t& folded) {
  for (std::string* text : {&container.id,
                            &container.name,
                            &container.image,
                            &container.image_id,
                            &container.command,
                            &container.hostname,
                            &container.status}) {
    cut(*text);
  }
  cut_list(container.addresses, kListMax, folded);
  cut_list(container.ports, kListMax, folded);
  cut_list(container.networks, kListMax, folded);
  for (std::string& network : container.networks) {
    cut(network);
  }
  std::map<std::string, std::string> labels;
  for (const auto& [key, value] : container.labels) {
    if (labels.size() == kListMax) {
      ++folded;
      continue;
    }
    std::string short_key = key;
    std::string short_value = value;
    cut(short_key);
    cut(short_value);
    labels.emplace(std::move(short_key), std::move(short_value));
  }
  container.labels = std::move(labels);
}

void limit_flows(std::map<FlowKey, FlowFacts>& flows, std::uint64_t& folded) {
  if (flows.size() <= kFlowsMax) {
    return;
  }
  std::vector<std::pair<FlowKey, FlowFacts>> all(flows.begin(), flows.end());
  keep_first(all, kFlowsMax, folded, [](const auto& flow) {
    const auto volume = flow.second.sent_per_second + flow.second.received_per_second;
    return std::pair(~volume, ~flow.second.count);
  });
  flows = {all.begin(), all.end()};
}

void limit_overlay(OverlayFacts& overlay, std::uint64_t& folded) {
  cut(overlay.nickname);
  cut_list(overlay.links, kLinksMax, folded);
  cut_list(overlay.paths, kPathsMax, folded);
  cut_list(overlay.endpoints, kEndpointsMax, folded);
  for (LinkFacts& link : overlay.links) {
    cut(link.address);
    cut(link.state);
    cut(link.reason);
  }
  for (PathFacts& path : overlay.paths) {
    cut(path.way);
  }
  for (EndpointFacts& endpoint : overlay.endpoints) {
    cut_list(endpoint.addresses, kListMax, folded);
  }
}

}  // namespace

FlowFacts& FlowFacts::operator+=(const FlowFacts& other) {
  count += other.count;
  sent_per_second += other.sent_per_second;
  received_per_second += other.received_per_second;
  retransmits += other.retransmits;
  rtt_us = std::max(rtt_us, other.rtt_us);
  opened += other.opened;
  failed += other.failed;
  sent += other.sent;
  received += other.received;
  packets_sent += other.packets_sent;
  packets_received += other.packets_received;
  return *this;
}

FlowFacts FlowFacts::reversed() const {
  FlowFacts other = *this;
  std::swap(other.sent_per_second, other.received_per_second);
  std::swap(other.sent, other.received);
  std::swap(other.packets_sent, other.packets_received);
  return other;
}

bool HostReport::is_newer_than(const HostReport& other) const {
  const auto age = std::tuple(incarnation, sequence);
  const auto other_age = std::tuple(other.incarnation, other.sequence);
  if (age != other_age) {
    return age > other_age;
  }
  // One author never says two things under one number. Should it happen (a cloned disk), every
  // reader still has to choose the same, whichever it heard first.
  return *this != other && encode_report(*this) > encode_report(other);
}

void enforce_limits(HostReport& report) {
  FoldedCounts& folded = report.folded;
  keep_first(
      report.containers, kContainersMax, folded.containers, [](const ContainerFacts& container) {
        return container.state != ContainerState::Running;
      });
  keep_first(report.processes, kProcessesMax, folded.processes, [](const ProcessFacts& process) {
    return process.container.empty();
  });
  limit_flows(report.flows, folded.flows);
  for (; report.names.size() > kNamesMax; ++folded.others) {
    report.names.erase(std::prev(report.names.end()));
  }
  for (auto& [address, name] : report.names) {
    cut(name);
  }
  for (std::string* text : {&report.host.name, &report.host.kernel, &report.host.os}) {
    cut(*text);
  }
  cut_list(report.host.networks, kListMax, folded.others);
  for (ContainerFacts& container : report.containers) {
    limit_container(container, folded.others);
  }
  for (ProcessFacts& process : report.processes) {
    cut(process.name);
    cut(process.command);
  }
  limit_overlay(report.overlay, folded.others);
  cut_list(report.sources, kListMax, folded.others);
  for (SourceFacts& source : report.sources) {
    cut(source.detail);
  }
}

bool Report::merge(HostReport report) {
  const auto found = hosts_.find(report.origin);
  if (found != hosts_.end()) {
    if (!report.is_newer_than(found->second)) {
      return false;
    }
    found->second = std::move(report);
    return true;
  }
  if (hosts_.size() == kHostsMax) {
    ++refused_;
    const auto last = std::prev(hosts_.end());
    if (last->first < report.origin) {
      return false;
    }
    hosts_.erase(last);
  }
  const PeerName origin = report.origin;
  hosts_.emplace(origin, std::move(report));
  return true;
}

bool Report::merge(const Report& other) {
  bool changed = false;
  for (const auto& [origin, report] : other.hosts_) {
    changed = merge(report) || changed;
  }
  return changed;
}

bool Report::forget(PeerName origin) {
  return hosts_.erase(origin) > 0;
}

const HostReport* Report::find(PeerName origin) const {
  const auto found = hosts_.find(origin);
  return found == hosts_.end() ? nullptr : &found->second;
}

}  // namespace weft::probe
