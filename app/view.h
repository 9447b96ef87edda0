// What a picture of the cluster is made of, as plain values: nodes of one topology with everything
// that is said of each. The names follow Weave Scope's JSON, which render.h makes of it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/graph.h"
#include "control/catalog.h"

namespace weft::app {

// A line of facts. What is viewed, here and below, are texts of the program's own.
struct Row {
  std::string_view id;
  std::string_view label;
  std::string value;
  double priority = 0;
  std::string_view type{};  // "number", "datetime", "duration", "ip" or nothing.

  friend bool operator==(const Row&, const Row&) = default;
};

struct Metric {
  std::string_view id;
  std::string_view label;
  std::string_view format;  // "percent", "filesize", "integer" or nothing.
  double value = 0;
  double max = 0;
  double priority = 0;

  friend bool operator==(const Metric&, const Metric&) = default;
};

struct Parent {
  std::string id;
  std::string label;
  std::string_view topology;

  friend auto operator<=>(const Parent&, const Parent&) = default;
  friend bool operator==(const Parent&, const Parent&) = default;
};

// Either a list of names and values, or rows of several columns.
struct Table {
  struct Column {
    std::string_view id;
    std::string_view label;

    friend bool operator==(const Column&, const Column&) = default;
  };
  std::string_view id;
  std::string_view label;
  std::vector<Column> columns;
  std::vector<std::map<std::string, std::string>> rows;

  friend bool operator==(const Table&, const Table&) = default;
};

// To be read: what a crawler asks is told by the number of its connections.
inline constexpr std::size_t kNamesOfLink = 16;

// All connections from one node to another.
struct Link {
  EdgeFacts facts;
  std::set<std::pair<std::uint16_t, Transport>> ports;
  std::set<std::string> names{};  // Of whom on the Internet; the first ones, at most kNamesOfLink.

  friend bool operator==(const Link&, const Link&) = default;
};

struct Node {
  std::string id;
  std::string label;
  std::string label_minor;
  std::string rank;        // Decides the colour.
  std::string_view shape;  // circle, square, hexagon, cloud, …
  bool stack = false;
  bool pseudo = false;
  bool busy = false;  // Stands for several that talk to each other.
  // A container of the infrastructure, and one that does not run: the views' options hide them.
  bool system = false;
  bool stopped = false;
  std::set<std::string> stacks{};  // Of a swarm, that it is a part of.
  std::vector<Row> metadata;
  std::vector<Metric> metrics;
  std::vector<Parent> parents;
  std::vector<Table> tables;
  std::vector<const control::Control*> controls;  // That its host offers.
  std::set<PeerName> hosts;                       // Whose data this is: as old as the oldest.
  std::map<std::string, Link> links;              // By the id of the node that serves.

  friend bool operator==(const Node&, const Node&) = default;
};

// By id. Every link leads to a node of the view.
using View = std::map<std::string, Node>;

}  // namespace weft::app
