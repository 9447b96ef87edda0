#include "app/reach/subject.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include <fmt/format.h>

#include "app/facts.h"
#include "app/topology.h"

namespace weft::app {
namespace {

using probe::ContainerFacts;
using probe::HostReport;
using probe::ProcessFacts;
using probe::Report;

using Subjects = std::vector<Subject>;

// Enough to choose from; a name that a thousand processes bear is not told a thousand times.
constexpr std::size_t kCandidatesShown = 10;
// Docker's short form of a container's id.
constexpr std::size_t kShortId = 12;

const ProcessFacts* find_process(const HostReport& host, std::uint32_t pid) {
  const auto found = std::find_if(
      host.processes.begin(), host.processes.end(), [&](const auto& p) { return p.pid == pid; });
  return found == host.processes.end() ? nullptr : &*found;
}

Subject process_subject(const HostReport& host, const ProcessFacts& process) {
  return {.host = &host, .container = find_container(host, process.container), .process = &process};
}

Subjects by_container(const Report& report, std::string_view id) {
  Subjects found;
  for (const auto& [name, host] : report.hosts()) {
    for (const ContainerFacts& container : host.containers) {
      if (container.id == id) {
        found.push_back({.host = &host, .container = &container});
      }
    }
  }
  return found;
}

// "<peer>;<host>", "<id>;<container>", "<peer>;<pid>", and what is before the semicolon of the
// first two.
Subjects by_id(const Report& report, std::string_view name) {
  const std::size_t separator = std::min(name.find(';'), name.size());
  const std::string_view first = name.substr(0, separator);
  const std::string_view last = name.substr(std::min(separator + 1, name.size()));
  if (last == "<container>" || last.empty()) {
    if (Subjects found = by_container(report, first); !found.empty()) {
      return found;
    }
  }
  const auto peer = PeerName::parse(first);
  const HostReport* host = peer.ok() ? report.find(peer.value()) : nullptr;
  if (host == nullptr || peer.value().to_string() != first) {
    return {};
  }
  if (last == "<host>" || last.empty()) {
    return {{.host = host}};
  }
  std::uint32_t pid = 0;
  const auto parsed = std::from_chars(last.data(), last.data() + last.size(), pid);
  const bool is_whole = parsed.ec == std::errc() && parsed.ptr == last.data() + last.size();
  const ProcessFacts* process = is_whole ? find_process(*host, pid) : nullptr;
  return process == nullptr ? Subjects{} : Subjects{process_subject(*host, *process)};
}

// Containers on their host's network have its addresses, which are the host's.
Subjects by_address(const Report& report, std::string_view text) {
  const auto address = Ip::parse(text);
  if (!address.ok()) {
    return {};
  }
  Subjects found;
  for (const auto& [name, host] : report.hosts()) {
    const auto& networks = host.host.networks;
    if (std::any_of(networks.begin(), networks.end(), [&](const Cidr& network) {
          return network.address() == address.value();
        })) {
      found.push_back({.host = &host});
    }
    for (const ContainerFacts& container : host.containers) {
      const auto& own = container.addresses;
      if (!container.host_network && is_up(container)
          && std::find(own.begin(), own.end(), address.value()) != own.end()) {
        found.push_back({.host = &host, .container = &container});
      }
    }
  }
  return found;
}

bool is_named(const HostReport& host, std::string_view name) {
  const std::string_view whole = host.host.name;
  return whole == name || whole.substr(0, whole.find('.')) == name || host.overlay.nickname == name;
}

// Of containers of one name those that run are meant, if any does.
Subjects by_name(const Report& report, std::string_view name) {
  Subjects found;
  bool any_up = false;
  for (const auto& [peer, host] : report.hosts()) {
    if (is_named(host, name)) {
      found.push_back({.host = &host});
    }
    for (const ContainerFacts& container : host.containers) {
      const bool is_short_id = name.size() >= kShortId && container.id.starts_with(name);
      if (container.name == name || container_label(container) == name || is_short_id) {
        found.push_back({.host = &host, .container = &container});
        any_up = any_up || is_up(container);
      }
    }
  }
  if (any_up) {
    std::erase_if(found, [](const Subject& subject) {
      return subject.container != nullptr && !is_up(*subject.container);
    });
  }
  return found;
}

Subjects by_process(const Report& report, std::string_view name) {
  Subjects found;
  for (const auto& [peer, host] : report.hosts()) {
    for (const ProcessFacts& process : host.processes) {
      if (process_label(process) == name) {
        found.push_back(process_subject(host, process));
      }
    }
  }
  return found;
}

Error ambiguous(const Subjects& found) {
  std::string text = fmt::format("{} nodes have this name: ", found.size());
  for (std::size_t i = 0; i < std::min(found.size(), kCandidatesShown); ++i) {
    text += fmt::format("{}{} on {} ({})",
                        i == 0 ? "" : ", ",
                        label_of(found[i]),
                        host_label(*found[i].host),
                        id_of(found[i]));
  }
  if (found.size() > kCandidatesShown) {
    text += fmt::format(", and {} more", found.size() - kCandidatesShown);
  }
  return {Errc::Conflict, std::move(text)};
}

}  // namespace

bool Subject::has(const Party& party) const {
  if (party.kind != Party::Kind::Known || party.host != host->origin) {
    return false;
  }
  if (process != nullptr) {
    return party.pid == process->pid;
  }
  return container == nullptr || party.container == container->id;
}

std::string id_of(const Subject& subject) {
  return subject.process != nullptr     ? process_id(subject.host->origin, subject.process->pid)
         : subject.container != nullptr ? container_id(subject.container->id)
                                        : host_id(subject.host->origin);
}

std::string label_of(const Subject& subject) {
  return subject.process != nullptr     ? process_label(*subject.process)
         : subject.container != nullptr ? container_label(*subject.container)
                                        : host_label(*subject.host);
}

std::string_view topology_of(const Subject& subject) {
  return subject.process != nullptr     ? "processes"
         : subject.container != nullptr ? "containers"
                                        : "hosts";
}

Subject subject_of(const Report& report, const Party& party) {
  const HostReport* const host = report.find(party.host);
  return {.host = host,
          .container = find_container(*host, party.container),
          .process = party.pid == 0 ? nullptr : find_process(*host, party.pid)};
}

std::set<Ip> addresses_of(const Subject& subject) {
  if (subject.container != nullptr && !subject.container->host_network) {
    const auto& own = subject.container->addresses;
    return {own.begin(), own.end()};
  }
  std::set<Ip> addresses;
  for (const Cidr& network : subject.host->host.networks) {
    addresses.insert(network.address());
  }
  return addresses;
}

Result<Subject> find_subject(const Report& report, std::string_view name) {
  for (const auto find : {by_id, by_address, by_name, by_process}) {
    const Subjects found = find(report, name);
    if (found.size() > 1) {
      return ambiguous(found);
    }
    if (!found.empty()) {
      return found.front();
    }
  }
  return Error{Errc::NotFound, "no host, container or process has this name or address"};
}

}  // namespace weft::app
