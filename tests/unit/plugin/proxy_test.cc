// What the Docker API proxy makes of requests and containers.
#include <algorithm>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugin/proxy/call.h"
#include "plugin/proxy/container.h"
#include "plugin/proxy/place.h"

namespace weft::plugin::proxy {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

namespace json = boost::json;

const Options kOptions{
    .wait_folder = "/var/lib/weft/wait", .dns_server = "172.17.0.1", .dns_domain = "weave.local."};

// What the engine would get; "null" where it gets what the client sent.
json::value rewritten(const std::string& body,
                      const Options& options = kOptions,
                      const std::string& name = "",
                      const std::string& image = "") {
  auto request = CreateRequest::parse(body, options);
  if (!request) {
    return nullptr;
  }
  const auto changed = request->rewrite(name, image, options).value();
  return changed ? json::parse(*changed) : json::value(nullptr);
}

std::string text(const json::value& value) {
  return json::serialize(value);
}

TEST(ProxyCalls, AreThoseThatMakeAndStartContainers) {
  EXPECT_EQ(parse_call("POST", "/v1.41/containers/create?name=web"),
            (Call{.kind = Call::Kind::Create, .name = "web"}));
  EXPECT_EQ(parse_call("POST", "/containers/create?platform=x&name=%2Fweb").name, "web");
  EXPECT_EQ(parse_call("POST", "/containers/create?name=a%0Ab").name, "");
  EXPECT_EQ(parse_call("POST", "/v1.24/containers/web/start"),
            (Call{.kind = Call::Kind::Start, .container = "web"}));
  EXPECT_EQ(parse_call("POST", "/containers/0123abc/restart?t=5").container, "0123abc");
  EXPECT_EQ(parse_call("POST", "/v1.41/containers/web/exec"),
            (Call{.kind = Call::Kind::Exec, .container = "web"}));
  for (const char* target : {"/v1.41/containers/web/attach",
                             "/exec/0123abc/start",
                             "/containers//exec",
                             "/images/create",
                             "/containers//start",
                             "/containers/a%2Fb/start",
                             "/vx/containers/web/start",
                             "",
                             "/",
                             "*"}) {
    EXPECT_EQ(parse_call("POST", target), Call{}) << target;
  }
  EXPECT_EQ(parse_call("GET", "/containers/create"), Call{});
}

TEST(ProxyPlaces, AreOfThisHostAlone) {
  const auto places = parse_places("unix:///run/a.sock,/run/b.sock,tcp://127.0.0.1:12375").value();
  ASSERT_EQ(places.size(), 3U);
  EXPECT_EQ(places[0].to_string(), "unix:///run/a.sock");
  EXPECT_EQ(places[1].to_string(), "unix:///run/b.sock");
  EXPECT_EQ(places[2].to_string(), "tcp://127.0.0.1:12375");
  EXPECT_THAT(parse_places("").value(), IsEmpty());
  for (const char* text :
       {"tcp://0.0.0.0:12375", "192.0.2.1:2375", "tcp://", "unix://", "x", ","}) {
    EXPECT_FALSE(parse_places(text).ok()) << text;
  }
}

TEST(ProxyPlaces, AreAnywhereForClientsWithCertificates) {
  const auto places = parse_places("tcp://0.0.0.0:12375,/run/b.sock", Clients::Certified).value();
  EXPECT_EQ(places[0].to_string(), "tcp://0.0.0.0:12375");
  EXPECT_FALSE(parse_places("tcp://", Clients::Certified).ok());
}

TEST(ProxyCreate, PutsTheProgramThatWaitsInFront) {
  const auto body = rewritten(R"({"Image":"busybox","Entrypoint":["/e"],"Cmd":["a","b"]})");

  EXPECT_EQ(text(body.at("Entrypoint")), R"(["/w/w","/e"])");
  EXPECT_EQ(text(body.at("Cmd")), R"(["a","b"])");
  EXPECT_EQ(text(body.at("HostConfig").at("Binds")), R"(["/var/lib/weft/wait:/w:ro"])");
  EXPECT_EQ(text(body.at("HostConfig").at("Dns")), R"(["172.17.0.1"])");
  EXPECT_EQ(text(body.at("HostConfig").at("DnsSearch")), R"(["weave.local."])");
  EXPECT_EQ(text(body.at("Image")), R"("busybox")");
}

// Resolvers search the domain of the host name where there is no list.
TEST(ProxyCreate, SearchesOurDomainWhereTheHostNameHasNone) {
  const auto search = [](const std::string& more, const std::string& name) {
    return text(
        rewritten(R"({"Cmd":["x"])" + more + "}", kOptions, name).at("HostConfig").at("DnsSearch"));
  };

  EXPECT_EQ(search("", "web"), R"(["."])");
  EXPECT_EQ(search(R"(,"Hostname":"a.sub.weave.local")", ""), R"(["."])");
  EXPECT_EQ(search(R"(,"Hostname":"a","Domainname":"sub.weave.local")", ""), R"(["."])");
  EXPECT_EQ(search(R"(,"Hostname":"a")", "web"), R"(["weave.local."])");
  EXPECT_EQ(search("", std::string(64, 'x')), R"(["weave.local."])");
  EXPECT_EQ(search(R"(,"HostConfig":{"UTSMode":"host"})", "web"), R"(["weave.local."])");
  EXPECT_EQ(search(R"(,"HostConfig":{"DnsSearch":["mine"]})", "web"), R"(["mine"])");
}

TEST(ProxyCreate, TakesFromTheImageWhatTheRequestLeavesOpen) {
  const std::string image = R"({"Config":{"Entrypoint":["/image"],"Cmd":["its"]}})";
  auto request = CreateRequest::parse(R"({"Image":"busybox"})", kOptions);
  EXPECT_EQ(request->image(), "busybox");

  EXPECT_EQ(text(rewritten(R"({"Image":"b"})", kOptions, "", image).at("Entrypoint")),
            R"(["/w/w","/image"])");
  EXPECT_EQ(text(rewritten(R"({"Image":"b"})", kOptions, "", image).at("Cmd")), R"(["its"])");
  EXPECT_EQ(text(rewritten(R"({"Image":"b","Cmd":["mine"]})", kOptions, "", image).at("Cmd")),
            R"(["mine"])");
  // An entry point of one's own leaves nothing of the image's.
  request = CreateRequest::parse(R"({"Image":"b","Entrypoint":"sh"})", kOptions);
  EXPECT_EQ(request->image(), std::nullopt);
  EXPECT_EQ(text(rewritten(R"({"Image":"b","Entrypoint":"sh"})").at("Entrypoint")),
            R"(["/w/w","sh"])");
  EXPECT_EQ(text(rewritten(R"({"Image":"b","Entrypoint":[""],"Cmd":["x"]})").at("Entrypoint")),
            R"(["/w/w"])");
  EXPECT_TRUE(rewritten(R"({"Image":"b"})", kOptions, "", R"({"Config":{}})").is_null());
}

TEST(ProxyCreate, WaitsOnceInImagesMadeOfContainers) {
  const std::string image = R"({"Config":{"Entrypoint":["/w/w","/image"],"Cmd":null}})";
  const auto body = rewritten(
      R"({"Image":"b","HostConfig":{"Binds":["/old:/w:ro","/a:/b"]}})", kOptions, "", image);

  EXPECT_EQ(text(body.at("Entrypoint")), R"(["/w/w","/image"])");
  EXPECT_EQ(text(body.at("HostConfig").at("Binds")), R"(["/a:/b","/var/lib/weft/wait:/w:ro"])");
}

TEST(ProxyCreate, LeavesAloneWhoHasANetworkOrWantsNone) {
  Options asked_only = kOptions;
  asked_only.default_allocation = false;
  const auto with = [](const std::string& mode, const std::string& env) {
    return fmt::format(R"({{"Cmd":["x"],"Env":[{}],"HostConfig":{{"NetworkMode":"{}"}}}})",
                       env.empty() ? "" : "\"" + env + "\"",
                       mode);
  };

  for (const char* mode : {"host", "container:web", "weft-net", "0123abc"}) {
    EXPECT_TRUE(rewritten(with(mode, "WEAVE_CIDR=10.2.0.1/16")).is_null()) << mode;
  }
  for (const char* mode : {"", "default", "bridge", "none"}) {
    EXPECT_FALSE(rewritten(with(mode, "")).is_null()) << mode;
    EXPECT_TRUE(rewritten(with(mode, "WEAVE_CIDR=none")).is_null()) << mode;
    EXPECT_TRUE(rewritten(with(mode, ""), asked_only).is_null()) << mode;
    EXPECT_FALSE(rewritten(with(mode, "WEAVE_CIDR="), asked_only).is_null()) << mode;
  }
}

TEST(ProxyCreate, NamesTheHostAfterTheContainer) {
  Options options = kOptions;
  options.hostname_label = "host";
  options.hostname_match = "web-(.*)";
  options.hostname_replacement = "w$1";
  const auto host = [&options](const std::string& more, const std::string& name) {
    const auto body = rewritten(R"({"Cmd":["x"])" + more + "}", options, name);
    const json::value* const found = body.as_object().if_contains("Hostname");
    return found == nullptr ? "" : std::string(std::string_view(found->as_string()));
  };

  EXPECT_EQ(host("", "web-1"), "w1");
  EXPECT_EQ(host("", "db"), "db");
  EXPECT_EQ(host(R"(,"Labels":{"host":"front"})", "web-1"), "front");
  EXPECT_EQ(host(R"(,"Labels":{"host":"web-7"})", "x"), "w7");
  EXPECT_EQ(host(R"(,"Hostname":"mine")", "web-1"), "mine");
  EXPECT_EQ(host("", ""), "");
  EXPECT_EQ(host("", std::string(64, 'x')), "");
  EXPECT_EQ(host(R"(,"HostConfig":{"UTSMode":"host"})", "web-1"), "");
  options.hostname_match = "(.*)";
  options.hostname_replacement = "$1-host";
  EXPECT_EQ(host("", "db"), "db-host");
  options.hostname_match = "[0-9]*";
  options.hostname_replacement = "n";
  EXPECT_EQ(host("", "12a3"), "nan");
  options.hostname_match = "a";
  options.hostname_replacement = "";
  EXPECT_EQ(host("", "banana"), "bnn");
  EXPECT_EQ(text(rewritten(R"({"Cmd":["x"]})", kOptions, "db").at("Domainname")),
            R"("weave.local")");
  options.hostname_match = "^(?P<app>[a-z]+)-(?P<number>[0-9]+)$";
  options.hostname_replacement = "${app}${number}";
  EXPECT_EQ(host("", "web-1"), "web1");
}

TEST(ProxyCreate, LeavesWhatMakesNoSenseToTheEngine) {
  for (const char* body : {"", "{", "[]", "null", "7", R"({"Cmd":7})", R"({"Entrypoint":{}})"}) {
    EXPECT_TRUE(rewritten(body).is_null()) << body;
  }
  const auto odd = rewritten(
      R"({"Cmd":["x"],"HostConfig":7,"Env":"WEAVE_CIDR","Labels":[],"Hostname":[],"Image":{}})");
  EXPECT_TRUE(odd.at("HostConfig").is_object());
  auto request = CreateRequest::parse(R"({"Image":"b"})", kOptions);
  EXPECT_FALSE(request->rewrite("", "nonsense", kOptions).ok());
}

TEST(ProxiedContainers, AreToldByTheirEntryPoint) {
  const auto proxied =
      parse_proxied(R"({"State":{"Running":true,"Pid":4711},"Config":{"Entrypoint":["/w/w","/e"],)"
                    R"("Env":["A=b","WEAVE_CIDR= net:10.2.1.0/24  10.9.0.1/24 "]}})");

  ASSERT_TRUE(proxied.has_value());
  EXPECT_TRUE(proxied->is_running);
  EXPECT_EQ(proxied->pid, 4711U);
  EXPECT_THAT(proxied->addresses, ElementsAre("net:10.2.1.0/24", "10.9.0.1/24"));
  EXPECT_THAT(parse_proxied(R"({"State":{},"Config":{"Entrypoint":["/w/w-nomcast"]}})")->addresses,
              IsEmpty());
  for (const char* body : {"",
                           "{}",
                           R"({"State":{"Running":true},"Config":{"Entrypoint":["/bin/w"]}})",
                           R"({"State":{"Running":true},"Config":{"Entrypoint":null}})",
                           R"({"Config":{"Entrypoint":["/w/w"]}})"}) {
    EXPECT_EQ(parse_proxied(body), std::nullopt) << body;
  }
  for (const char* pid : {"-1", "1e30", "\"1\"", "null", "4294967296"}) {
    const std::string body =
        fmt::format(R"({{"State":{{"Pid":{}}},"Config":{{"Entrypoint":["/w/w"]}}}})", pid);
    EXPECT_EQ(parse_proxied(body)->pid, 0U) << body;
  }
}

TEST(ProxiedContainers, WaitUntilWhatWasToBeRunHasBegun) {
  const auto is_waiting_by = [](std::string line) {
    std::replace(line.begin(), line.end(), '|', '\0');
    return is_waiting(line);
  };
  EXPECT_TRUE(is_waiting_by("/w/w|sleep|100|"));
  EXPECT_TRUE(is_waiting_by("/w/w-nomcast|sleep|"));
  for (const char* line : {"", "sleep|/w/w|", "/w/w2|", "|/w/w"}) {
    EXPECT_FALSE(is_waiting_by(line)) << line;
  }
}

}  // namespace
}  // namespace weft::plugin::proxy
