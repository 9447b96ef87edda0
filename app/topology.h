// The topologies there are, with their options, and what these hide. Names, ids and
// meanings are those of Weave Scope's, so that its clients work; see docs/adr/0015.
// Pure.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/graph.h"
#include "app/view.h"
#include "base/result.h"
#include "probe/report/report.h"

namespace weft::app {

enum class TopologyId : std::uint8_t {
  Processes,
  ProcessesByName,
  Containers,
  ContainersByHostname,
  ContainersByImage,
  ContainersByNetwork,
  Pods,
  SwarmServices,
  EcsTasks,
  Hosts,
  Weave,
};

struct OptionValue {
  std::string_view value;
  std::string_view label;
};

struct OptionGroup {
  std::string_view id;
  std::string_view fallback;
  std::span<const OptionValue> values;
};

struct TopologySpec {
  TopologyId id;
  std::string_view path;    // As in /api/topology/<path>.
  std::string_view name;    // In the menu.
  std::string_view parent;  // Path of the topology it is listed under; empty for a top one.
  int rank;
  bool hide_if_empty;
  std::span<const OptionGroup> options;
  bool has_stacks = false;  // A stack of a swarm may be chosen: kStackGroup, several by commas.
};

inline constexpr std::string_view kStackGroup = "namespace";

std::span<const TopologySpec> topologies();
const TopologySpec* find_topology(std::string_view path);
std::string_view path_of(TopologyId topology);

// What was chosen of each group. A group that is absent filters nothing.
using Choice = std::map<std::string, std::string, std::less<>>;

// The report and what follows from it, shared by all views of one moment.
struct Scene {
  const probe::Report& report;
  const Edges& edges;
};

// What a choice hides, to be asked for many nodes.
class Filter {
 public:
  explicit Filter(const Choice& choice);
  // By what a node is, wherever its links lead.
  bool hides(const Node& node) const;
  // Whether nodes that talk to nobody are hidden, too.
  bool hides_unconnected() const { return unconnected_; }

 private:
  bool uncontained_ = false;
  bool unconnected_ = false;
  bool system_ = false;
  bool applications_ = false;
  bool stopped_ = false;
  bool running_ = false;
  std::set<std::string, std::less<>> stacks_;  // Empty: all, and what is in none.
};

// What a query chooses of a topology's options.
Choice choice_of(const TopologySpec& spec, const Choice& query);

// Ids of nodes (Scope's forms).
std::string host_id(PeerName host);
std::string container_id(std::string_view id);
std::string image_id(std::string_view name);
std::string network_id(std::string_view names);
std::string process_id(PeerName host, std::uint32_t pid);
// "nginx" of "registry:5000/library/nginx:1.25@sha256:…".
std::string image_name(std::string_view image);

inline constexpr std::string_view kInternetIn = "in-theinternet";
inline constexpr std::string_view kInternetOut = "out-theinternet";
inline constexpr std::string_view kLocalNetwork = "pseudo:local-network";
// What comes before the name of a host.
inline constexpr std::string_view kUncontained = "pseudo:uncontained:";
inline constexpr std::string_view kUnmanagedContainers = "pseudo:unmanaged:";

}  // namespace weft::app
