#include "agent/control_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Remembers what the API asked for.
struct Calls {
  TargetsCall connected;
  TargetsCall forgotten;
  int reloads = 0;
  int stops = 0;

  ControlHooks hooks() {
    return {.status =
                [] {
                  AgentStatus status;
                  status.version = "9.9";
                  status.targets = {"host2"};
                  return status;
                },
            .peers_reachable = [] { return std::size_t{3}; },
            .metrics = [] { return std::string("weft_info{version=\"9.9\"} 1\n"); },
            .connect =
                [this](const TargetsCall& call) {
                  connected = call;
                  return Result<Ok>(Ok{});
                },
            .forget =
                [this](const TargetsCall& call) {
                  forgotten = call;
                  return Result<Ok>(Error{Errc::Os, "disk full"});
                },
            .reload =
                [this] {
                  ++reloads;
                  return Result<Ok>(Error{Errc::Invalid, "password file is empty"});
                },
            .stop = [this] { ++stops; }};
  }
};

sys::HttpRequest request(std::string method, std::string target, std::string body = "") {
  return {.id = RequestId(1),
          .method = std::move(method),
          .target = std::move(target),
          .body = std::move(body)};
}

TEST(ControlApi, AnswersReadyWithItsPidAndHowManyPeersItReaches) {
  Calls calls;

  const auto response = handle_control(request("GET", "/ready"), calls.hooks());

  EXPECT_EQ(response.status, 200U);
  EXPECT_THAT(response.body, HasSubstr("\"pid\":"));
  EXPECT_THAT(response.body, HasSubstr("\"peers_reachable\":3"));
}

TEST(ControlApi, AnswersTheWholeStatusAndItsParts) {
  Calls calls;

  const auto whole = handle_control(request("GET", "/status"), calls.hooks());
  const auto part = handle_control(request("GET", "/status/targets?x=1"), calls.hooks());

  EXPECT_THAT(whole.body, HasSubstr("\"version\":\"9.9\""));
  EXPECT_EQ(part.body, "[\"host2\"]");
}

TEST(ControlApi, ConnectsToPeersAsTheyWereWritten) {
  Calls calls;

  const auto response = handle_control(
      request("POST", "/connect", R"({"peers": ["host2", "fd00::1"]})"), calls.hooks());

  EXPECT_EQ(response.status, 200U);
  EXPECT_EQ(calls.connected, (TargetsCall{.peers = {"host2", "fd00::1"}, .replace = false}));
}

TEST(ControlApi, ReplacesPeersWhenTold) {
  Calls calls;
  const TargetsCall wanted{.peers = {"host2"}, .replace = true};

  const auto response = handle_control(request("POST", "/connect", to_body(wanted)), calls.hooks());

  EXPECT_EQ(response.status, 200U);
  EXPECT_EQ(calls.connected, wanted);
}

TEST(ControlApi, SaysWhyAPasswordWasNotReplaced) {
  Calls calls;

  const auto response = handle_control(request("POST", "/reload"), calls.hooks());

  EXPECT_EQ(response.status, 400U);
  EXPECT_THAT(response.body, HasSubstr("password file is empty"));
  EXPECT_EQ(calls.reloads, 1);
}

TEST(ControlApi, ServesMetricsHereAndWhereThereIsNothingElse) {
  Calls calls;

  const auto here = handle_control(request("GET", "/metrics"), calls.hooks());
  const auto there = handle_metrics(request("GET", "/metrics"), calls.hooks().metrics);
  const auto more = handle_metrics(request("GET", "/status"), calls.hooks().metrics);

  EXPECT_EQ(here.status, 200U);
  EXPECT_THAT(here.content_type, HasSubstr("version=0.0.4"));
  EXPECT_THAT(here.body, HasSubstr("weft_info{version=\"9.9\"} 1"));
  EXPECT_EQ(there.body, here.body);
  EXPECT_EQ(more.status, 404U);
}

TEST(ControlApi, ReportsUnderTheNamesOfWeave) {
  Calls calls;

  const auto report = handle_control(request("GET", "/report"), calls.hooks());

  EXPECT_THAT(report.body, HasSubstr("\"Targets\":[\"host2\"]"));
  EXPECT_THAT(report.body, HasSubstr("\"VersionCheck\":{"));
}

TEST(ControlApi, ReportsAFailureOfTheAgent) {
  Calls calls;

  const auto response =
      handle_control(request("POST", "/forget", R"({"peers": ["host2"]})"), calls.hooks());

  EXPECT_EQ(response.status, 500U);
  EXPECT_EQ(response.body, R"({"error":"disk full"})");
  EXPECT_THAT(calls.forgotten.peers, ElementsAre("host2"));
}

TEST(ControlApi, StopsWhenTold) {
  Calls calls;

  const auto response = handle_control(request("POST", "/stop"), calls.hooks());

  EXPECT_EQ(response.status, 200U);
  EXPECT_EQ(calls.stops, 1);
}

TEST(ControlApi, RefusesMalformedBodiesAndChangesNothing) {
  const std::string many(201 * 4, 'x');
  for (const std::string body : {"",
                                 "{",
                                 "[]",
                                 "{}",
                                 R"({"peers": "host2"})",
                                 R"({"peers": []})",
                                 R"({"peers": [1]})",
                                 R"({"peers": ["host2"], "replace": 1})",
                                 R"({"peers": ["host2", "no peer"]})"}) {
    Calls calls;

    const auto response = handle_control(request("POST", "/connect", body), calls.hooks());

    EXPECT_EQ(response.status, 400U) << body;
    EXPECT_THAT(response.body, HasSubstr("{\"error\":")) << body;
    EXPECT_THAT(calls.connected.peers, IsEmpty());
  }
}

TEST(ControlApi, LimitsThePeersOfOneCall) {
  const std::vector<std::string> many(201, "host");

  EXPECT_TRUE(parse_targets_body(to_body({.peers = {"host"}})).ok());
  EXPECT_EQ(parse_targets_body(to_body({.peers = many})).error().code, Errc::Invalid);
}

TEST(ControlApi, RefusesUnknownPathsAndMethods) {
  Calls calls;

  EXPECT_EQ(handle_control(request("GET", "/"), calls.hooks()).status, 404U);
  EXPECT_EQ(handle_control(request("GET", "/stop"), calls.hooks()).status, 404U);
  EXPECT_EQ(handle_control(request("GET", "/status/nothing"), calls.hooks()).status, 404U);
  EXPECT_EQ(handle_control(request("GET", "/statusx"), calls.hooks()).status, 404U);
  EXPECT_EQ(handle_control(request("POST", "/status"), calls.hooks()).status, 404U);
  EXPECT_EQ(handle_control(request("DELETE", "/status"), calls.hooks()).status, 405U);
  EXPECT_EQ(calls.stops, 0);
}

}  // namespace
}  // namespace weft::agent
