#include "agent/cli/see/graph_text.h"

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::agent {
namespace {

using testing::HasSubstr;

boost::json::value view() {
  return boost::json::parse(R"({"nodes": {
    "a": {"id": "a", "label": "web\"1", "labelMinor": "h1", "shape": "hexagon",
          "metrics": [{"label": "CPU", "value": 1.5}, {"label": "Memory", "value": 2048}],
          "adjacency": ["b"],
          "edges": {"b": {"connections": 4, "sent": 100, "received": 2048, "retransmits": 1,
                          "rtt_us": 300, "opened": 5000, "failed": 2, "sent_total": 1,
                          "received_total": 1, "packets_sent": 7, "packets_received": 6, "ports": ["5432/tcp", "80/tcp"]}}},
    "b": {"id": "b", "label": "db", "labelMinor": "h2", "shape": "square",
          "metrics": [{"label": "CPU", "value": 20}, {"label": "Memory", "value": 512}]}}})");
}

TEST(GraphText, IsADirectedGraphForGraphvizWithNamesQuoted) {
  const std::string dot = graph_dot(view());

  EXPECT_THAT(dot, testing::StartsWith("digraph weft {"));
  EXPECT_THAT(dot, HasSubstr("\"a\" [label=\"web\\\"1\nh1\", shape=hexagon];"));
  EXPECT_THAT(dot, HasSubstr("\"b\" [label=\"db\nh2\", shape=box];"));
  EXPECT_THAT(dot, HasSubstr("\"a\" -> \"b\" [label=\"5432/tcp,80/tcp\"];"));
}

TEST(GraphText, ListsEdgesWithWhatTheyCarry) {
  const std::string text = edges_text(view());

  EXPECT_THAT(text, testing::StartsWith("FROM"));
  EXPECT_THAT(
      text,
      testing::ContainsRegex(
          "web\"1@h1 +db@h2 +5432/tcp,80/tcp +4 +5000 +2 +100 B/s +2.0 KiB/s +7 +6 +1 +300"));
}

TEST(GraphText, ListsTheBusiestFirst) {
  const std::string text = top_text(view());

  EXPECT_THAT(text, HasSubstr("20.0 %"));
  EXPECT_THAT(text, HasSubstr("2.0 KiB"));
  EXPECT_LT(text.find("db"), text.find("web"));
}

TEST(GraphText, TellsHowOneReachesAnother) {
  const std::string text = reach_text(boost::json::parse(R"({
    "summary": "web asks db. h1 sends to h2 sealed.",
    "connections": [
      {"direction": "forth", "port": "5432/tcp", "client": {"label": "web"},
       "server": {"label": "db"}, "carrier": "overlay", "encrypted": true, "connections": 3,
       "sent": 100.5, "received": 2048, "rtt_us": 300},
      {"direction": "back", "port": "53/udp", "client": {"label": "db"},
       "server": {"label": "web"}, "carrier": "host", "encrypted": null, "connections": 1,
       "sent": 0, "received": 0, "rtt_us": null}],
    "connections_left_out": 7})"));

  EXPECT_THAT(text, testing::StartsWith("web asks db. h1 sends to h2 sealed.\n\nCLIENT"));
  EXPECT_THAT(
      text,
      testing::ContainsRegex("web +db +5432/tcp +overlay +yes +3 +10[01] B/s +2.0 KiB/s +300\n"));
  EXPECT_THAT(text, testing::ContainsRegex("db +web +53/udp +host +- +1 +0 B/s +0 B/s +-\n"));
  EXPECT_THAT(text, testing::EndsWith("and 7 more\n"));
}

TEST(GraphText, TellsOfTwoThatSayNothingInOneSentence) {
  EXPECT_EQ(reach_text(boost::json::parse(
                R"({"summary": "Silence.", "connections": [], "connections_left_out": 0})")),
            "Silence.\n");
}

TEST(GraphText, RefusesWhatIsNoView) {
  EXPECT_THROW((void)graph_dot(boost::json::parse("[]")), std::exception);
  EXPECT_THROW((void)edges_text(boost::json::parse(R"({"nodes": {"a": 1}})")), std::exception);
}

}  // namespace
}  // namespace weft::agent
