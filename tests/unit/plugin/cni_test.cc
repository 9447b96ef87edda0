// The CNI plugin's pure half: what a runtime asks for, and what it is told.
#include <map>

#include <gmock/gmock.h>

#include "plugin/cni/call.h"
#include "plugin/cni/config.h"
#include "plugin/cni/owner.h"
#include "plugin/cni/plan.h"
#include "plugin/cni/result.h"

namespace weft::plugin::cni {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using Variables = std::map<std::string, std::string>;

Cidr cidr(const char* text) {
  return Cidr::parse(text).value();
}

Ip ip(const char* text) {
  return Ip::parse(text).value();
}

Result<Call> call_of(const Variables& variables) {
  return parse_call([&variables](const std::string& name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

Variables add_variables() {
  return {{"CNI_COMMAND", "ADD"},
          {"CNI_CONTAINERID", "4f3a"},
          {"CNI_NETNS", "/run/netns/one"},
          {"CNI_IFNAME", "eth0"},
          {"CNI_PATH", "/opt/cni/bin:/usr/lib/cni"}};
}

Call add_call(const std::string& arguments = "") {
  Variables variables = add_variables();
  variables["CNI_ARGS"] = arguments;
  return call_of(variables).value();
}

Result<NetworkConfig> config_of(const std::string& text, const Call& call = add_call()) {
  const auto object = parse_object(text);
  return object.ok() ? parse_config(object.value(), call) : Result<NetworkConfig>(object.error());
}

// A network named mesh, with these members as well.
NetworkConfig network(const std::string& members = "", const Call& call = add_call()) {
  const auto config =
      config_of(std::string(R"({"cniVersion":"1.0.0","name":"mesh","type":"weft-net")")
                    + (members.empty() ? "" : ",") + members + "}",
                call);
  EXPECT_TRUE(config.ok()) << (config.ok() ? "" : config.error().what);
  return config.ok() ? config.value() : NetworkConfig();
}

AddResult result() {
  return {.interfaces = {{.name = "vethwepl1", .mac = {}, .mtu = 1400, .sandbox = {}},
                         {.name = "eth0",
                          .mac = Mac::parse("0a:01:02:03:04:05").value(),
                          .mtu = 1400,
                          .sandbox = "/run/netns/one"}},
          .ips = {{.address = cidr("10.32.0.5/13"), .gateway = ip("10.32.0.1"), .interface = 1},
                  {.address = cidr("fd00::5/64"), .gateway = {}, .interface = 1}},
          .routes = {{.destination = cidr("0.0.0.0/0"), .gateway = ip("10.32.0.1")}},
          .dns = {.nameservers = {"10.0.0.1"}, .domain = "a.b", .search = {"b"}, .options = {}}};
}

// --- the environment -----------------------------------------------------------------------------

TEST(CniCall, IsReadFromTheEnvironment) {
  const Call call = add_call("IgnoreUnknown=1;K8S_POD_NAME=web;IP=10.32.0.9");

  EXPECT_EQ(call.verb, Verb::Add);
  EXPECT_EQ(call.attachment, (AttachmentId{"4f3a", "eth0"}));
  EXPECT_EQ(call.netns, "/run/netns/one");
  EXPECT_EQ(call.arguments.at("IP"), "10.32.0.9");
  EXPECT_EQ(call.arguments.size(), 3U);
}

TEST(CniCall, NamesTheVariableThatIsMissing) {
  for (const char* name : {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}) {
    Variables variables = add_variables();
    variables.erase(name);
    EXPECT_THAT(call_of(variables).error().what, StartsWith(name));
  }
}

TEST(CniCall, RefusesWhatCannotBe) {
  for (const auto& [name, value] : Variables{{"CNI_COMMAND", "add"},
                                             {"CNI_CONTAINERID", "../etc"},
                                             {"CNI_NETNS", "netns"},
                                             {"CNI_IFNAME", "a/b"},
                                             {"CNI_ARGS", "IP"}}) {
    Variables variables = add_variables();
    variables[name] = value;
    EXPECT_THAT(call_of(variables).error().what, StartsWith(name + "=" + value));
  }
}

TEST(CniCall, OfDelNeedsNoNamespaceAndThatOfAWholeNetworkNoContainer) {
  Variables variables = add_variables();
  variables["CNI_COMMAND"] = "DEL";
  variables.erase("CNI_NETNS");

  EXPECT_EQ(call_of(variables).value().netns, "");
  for (const char* verb : {"STATUS", "GC", "VERSION"}) {
    EXPECT_TRUE(call_of({{"CNI_COMMAND", verb}}).ok()) << verb;
  }
}

// --- the configuration ---------------------------------------------------------------------------

TEST(CniConfig, HasWeavesDefaults) {
  NetworkConfig config = network();
  ASSERT_TRUE(parse_interface_config(parse_object("{}").value(), config).ok());

  EXPECT_EQ(config.version, Version::V100);
  EXPECT_EQ(config.name, "mesh");
  EXPECT_EQ(config.mtu, 0U);
  EXPECT_TRUE(config.hairpin);
  EXPECT_FALSE(config.ipam.is_foreign());
  EXPECT_THAT(config.ipam.subnets, IsEmpty());
  EXPECT_FALSE(config.ipam.routes.has_value());
}

TEST(CniConfig, ReadsWhatWeavesUsersWrote) {
  const NetworkConfig config =
      network(R"("ipam":{"type":"weave-ipam","subnet":"10.40.1.0/24","gateway":"10.40.1.99",)"
              R"("routes":[{"dst":"10.0.0.0/8"},{"dst":"0.0.0.0/0","gw":"10.40.1.1"}]},)"
              R"("dns":{"nameservers":["10.0.0.1"],"search":["x"]})");

  EXPECT_FALSE(config.ipam.is_foreign());
  EXPECT_THAT(config.ipam.subnets, ElementsAre(cidr("10.40.1.0/24")));
  EXPECT_EQ(config.ipam.gateway, ip("10.40.1.99"));
  EXPECT_THAT(
      *config.ipam.routes,
      ElementsAre(Route{cidr("10.0.0.0/8"), {}}, Route{cidr("0.0.0.0/0"), ip("10.40.1.1")}));
  EXPECT_THAT(config.dns.nameservers, ElementsAre("10.0.0.1"));
}

TEST(CniConfig, LeavesAForeignPluginsKeysToIt) {
  const NetworkConfig config =
      network(R"("ipam":{"type":"host-local","subnet":7,"ranges":[[{"subnet":"10.1.0.0/16"}]]})");

  EXPECT_TRUE(config.ipam.is_foreign());
}

TEST(CniConfig, TakesSubnetsOfBothFamilies) {
  EXPECT_THAT(network(R"("ipam":{"subnets":["10.40.1.0/24","fd00::/64"]})").ipam.subnets,
              ElementsAre(cidr("10.40.1.0/24"), cidr("fd00::/64")));
}

TEST(CniConfig, TakesAnAddressFromWhereverTheRuntimeSaysIt) {
  const RequestedIp whole{.address = ip("10.32.0.9"), .prefix = 16};
  const RequestedIp bare{.address = ip("10.32.0.9")};

  EXPECT_THAT(network(R"("runtimeConfig":{"ips":["10.32.0.9/16"],"mac":"0a:00:00:00:00:01"})").ips,
              ElementsAre(whole));
  EXPECT_THAT(network(R"("args":{"cni":{"ips":["10.32.0.9"]}})").ips, ElementsAre(bare));
  EXPECT_THAT(network("", add_call("IP=10.32.0.9")).ips, ElementsAre(bare));
  EXPECT_THAT(network(R"("runtimeConfig":{"ips":["10.32.0.9/16"]})", add_call("IP=10.1.1.1")).ips,
              ElementsAre(whole));
  EXPECT_EQ(network("", add_call("MAC=0a:00:00:00:00:01")).mac->to_string(), "0a:00:00:00:00:01");
}

TEST(CniConfig, RefusesWhatWeftCannotDo) {
  NetworkConfig config;
  for (const char* text : {R"({"isGateway":true})", R"({"ipMasq":true})"}) {
    const auto refused = parse_interface_config(parse_object(text).value(), config);
    EXPECT_EQ(refused.error().code, Errc::Denied) << text;
  }
  EXPECT_TRUE(parse_interface_config(parse_object(R"({"ipMasq":false})").value(), config).ok());
}

TEST(CniConfig, TellsAnUnknownVersionFromOtherMistakes) {
  EXPECT_EQ(config_of(R"({"cniVersion":"2.0.0","name":"mesh"})").error().code, Errc::Conflict);
  EXPECT_EQ(config_of(R"({"name":"mesh"})").value().version, Version::V010);
  for (const char* text :
       {R"({})",
        R"({"name":"a:b"})",
        R"({"name":"a","ipam":7})",
        R"({"name":"a","ipam":{"type":"../x"}})",
        R"({"name":"a","ipam":{"subnet":"x"}})",
        R"({"name":"a","ipam":{"routes":[{"dst":"x"}]}})",
        R"({"name":"a","runtimeConfig":{"ips":[7]}})",
        R"({"name":"a","runtimeConfig":{"mac":"01:00:00:00:00:01"}})",
        R"({"name":"a","prevResult":{"ips":[{"address":"10.0.0.1/8","interface":0}]}})",
        R"({"name":"a","cni.dev/valid-attachments":[7]})"}) {
    EXPECT_EQ(config_of(text).error().code, Errc::Invalid) << text;
  }
}

TEST(CniConfig, TellsNoValidAttachmentsFromNoList) {
  EXPECT_FALSE(network().valid.has_value());
  EXPECT_THAT(*network(R"("cni.dev/valid-attachments":null)").valid, IsEmpty());
  EXPECT_THAT(
      *network(R"("cni.dev/valid-attachments":[{"containerID":"a","ifname":"eth0"}])").valid,
      ElementsAre(AttachmentId{"a", "eth0"}));
}

TEST(CniConfig, IsNoJsonThatIsTooLargeOrTooDeep) {
  EXPECT_FALSE(parse_object("").ok());
  EXPECT_FALSE(parse_object("[]").ok());
  EXPECT_FALSE(parse_object(std::string(std::size_t{5} << 20U, ' ')).ok());
  EXPECT_FALSE(parse_object(R"({"a":)" + std::string(100, '[') + std::string(100, ']') + "}").ok());
}

// --- results -------------------------------------------------------------------------------------

TEST(CniResult, HasTheFormOfItsVersion) {
  EXPECT_EQ(render(result(), Version::V020),
            R"({"cniVersion":"0.2.0","ip4":{"ip":"10.32.0.5/13","gateway":"10.32.0.1",)"
            R"("routes":[{"dst":"0.0.0.0/0","gw":"10.32.0.1"}]},"ip6":{"ip":"fd00::5/64"},)"
            R"("dns":{"nameservers":["10.0.0.1"],"domain":"a.b","search":["b"]}})");
  EXPECT_EQ(
      render(result(), Version::V040),
      R"({"cniVersion":"0.4.0","interfaces":[{"name":"vethwepl1"},{"name":"eth0",)"
      R"("mac":"0a:01:02:03:04:05","sandbox":"/run/netns/one"}],"ips":[{"version":"4",)"
      R"("interface":1,"address":"10.32.0.5/13","gateway":"10.32.0.1"},{"version":"6",)"
      R"("interface":1,"address":"fd00::5/64"}],"routes":[{"dst":"0.0.0.0/0",)"
      R"("gw":"10.32.0.1"}],"dns":{"nameservers":["10.0.0.1"],"domain":"a.b","search":["b"]}})");
  const std::string latest = render(result(), Version::V110);
  EXPECT_THAT(latest, HasSubstr(R"("mtu":1400)"));
  EXPECT_EQ(latest.find(R"("version")"), std::string::npos);
}

TEST(CniResult, IsReadInTheFormOfEveryVersion) {
  for (std::size_t at = 0; at < kVersionNames.size(); ++at) {
    const auto version = static_cast<Version>(at);
    const auto object = parse_object(render(result(), version));
    const auto read = parse_result(object.value());

    ASSERT_TRUE(read.ok()) << name_of(version);
    ASSERT_EQ(read.value().ips.size(), 2U) << name_of(version);
    EXPECT_EQ(read.value().ips[0].address, cidr("10.32.0.5/13"));
    EXPECT_EQ(read.value().ips[0].gateway, ip("10.32.0.1"));
    EXPECT_EQ(read.value().routes, result().routes);
    EXPECT_EQ(read.value().dns, result().dns);
    EXPECT_EQ(read.value().interfaces.size(), version < Version::V030 ? 0U : 2U);
  }
}

TEST(CniResult, OfAFailureHasItsCode) {
  EXPECT_EQ(render(Failure{.code = Code::TryAgainLater, .message = "no agent"}, Version::V110),
            R"({"cniVersion":"1.1.0","code":11,"msg":"no agent"})");
}

TEST(CniResult, NamesTheVersionsThereAre) {
  EXPECT_EQ(render_versions("0.4.0"),
            R"({"cniVersion":"0.4.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0",)"
            R"("1.0.0","1.1.0"]})");
}

TEST(CniResult, RefusesListsWithoutEnd) {
  std::string routes;
  for (std::size_t i = 0; i <= kListMax; ++i) {
    routes += (i == 0 ? "" : ",") + std::string(R"({"dst":"10.0.0.0/8"})");
  }
  EXPECT_EQ(parse_result(parse_object(R"({"routes":[)" + routes + "]}").value()).error().code,
            Errc::Exhausted);
}

// --- routes --------------------------------------------------------------------------------------

TEST(CniPlan, MakesTheHostTheGatewayWhereNothingIsSaid) {
  AddResult addresses{.interfaces = {},
                      .ips = {{.address = cidr("10.32.0.5/13"), .gateway = {}, .interface = {}}},
                      .routes = {},
                      .dns = {}};

  EXPECT_TRUE(needs_gateway(network(), addresses, addresses.ips[0]));
  addresses.ips[0].gateway = ip("10.32.0.1");
  EXPECT_FALSE(needs_gateway(network(), addresses, addresses.ips[0]));
  EXPECT_THAT(plan_routes(network(), addresses),
              ElementsAre(Route{cidr("0.0.0.0/0"), ip("10.32.0.1")}));
}

TEST(CniPlan, LeadsToAGatewayOutsideTheSubnet) {
  const AddResult addresses{
      .interfaces = {},
      .ips = {{.address = cidr("10.40.1.5/24"), .gateway = ip("10.32.0.1"), .interface = {}}},
      .routes = {},
      .dns = {}};

  EXPECT_THAT(
      plan_routes(network(), addresses),
      ElementsAre(Route{cidr("10.32.0.1/32"), {}}, Route{cidr("0.0.0.0/0"), ip("10.32.0.1")}));
}

TEST(CniPlan, HasExactlyTheRoutesThatAreConfigured) {
  const AddResult addresses{
      .interfaces = {},
      .ips = {{.address = cidr("10.32.0.5/13"), .gateway = ip("10.32.0.1"), .interface = {}}},
      .routes = {},
      .dns = {}};
  const AddResult bare{.interfaces = {},
                       .ips = {{.address = cidr("10.32.0.5/13"), .gateway = {}, .interface = {}}},
                       .routes = {},
                       .dns = {}};

  EXPECT_THAT(plan_routes(network(R"("ipam":{"routes":[]})"), addresses), IsEmpty());
  EXPECT_FALSE(needs_gateway(network(R"("ipam":{"routes":[]})"), bare, bare.ips[0]));
  EXPECT_THAT(
      plan_routes(
          network(
              R"("ipam":{"routes":[{"dst":"10.0.0.0/8"},{"dst":"10.9.0.0/16","gw":"10.32.0.9"}]})"),
          addresses),
      ElementsAre(Route{cidr("10.0.0.0/8"), ip("10.32.0.1")},
                  Route{cidr("10.9.0.0/16"), ip("10.32.0.9")}));
}

TEST(CniPlan, TakesTheRoutesOfAForeignPlugin) {
  const AddResult addresses{
      .interfaces = {},
      .ips = {{.address = cidr("10.1.0.5/16"), .gateway = ip("10.1.0.1"), .interface = {}}},
      .routes = {{.destination = cidr("10.0.0.0/8"), .gateway = {}}},
      .dns = {}};

  EXPECT_THAT(plan_routes(network(R"("ipam":{"type":"host-local"})"), addresses),
              ElementsAre(Route{cidr("10.0.0.0/8"), ip("10.1.0.1")}));
}

TEST(CniCheck, NamesWhatIsMissing) {
  const Observed whole{
      .link = LinkInfo{.index = 2,
                       .name = "eth0",
                       .kind = "veth",
                       .alias = {},
                       .mac = Mac::parse("0a:01:02:03:04:05").value(),
                       .mtu = 1400,
                       .up = true},
      .addresses = {cidr("10.32.0.5/13"), cidr("fd00::5/64")},
      .routes = {{.destination = cidr("0.0.0.0/0"), .link = "eth0", .gateway = ip("10.32.0.1")},
                 {.destination = cidr("10.9.0.0/16"), .link = "eth0", .gateway = {}}}};
  Observed gone = whole;
  gone.link.reset();
  Observed down = whole;
  down.link->up = false;
  Observed other = whole;
  other.link->mac = Mac::parse("0a:01:02:03:04:06").value();
  Observed bare = whole;
  bare.addresses.pop_back();
  Observed lost = whole;
  lost.routes[0].gateway = ip("10.32.0.2");

  EXPECT_TRUE(check(result(), "eth0", whole).ok());
  EXPECT_EQ(check(result(), "eth0", gone).error().what, "interface eth0 is missing");
  EXPECT_EQ(check(result(), "eth0", down).error().what, "interface eth0 is down");
  EXPECT_EQ(check(result(), "eth0", other).error().what,
            "interface eth0 has the MAC 0a:01:02:03:04:06 (expected 0a:01:02:03:04:05)");
  EXPECT_EQ(check(result(), "eth0", bare).error().what, "address fd00::5/64 of eth0 is missing");
  EXPECT_EQ(check(result(), "eth0", lost).error().what, "route 0.0.0.0/0 of eth0 is missing");
  EXPECT_EQ(check(result(), "eth1", whole).error().code, Errc::Invalid);
}

// --- owners --------------------------------------------------------------------------------------

TEST(CniOwner, IsReadAsItWasWritten) {
  const Owner owner{.attachment = {"4f3a", "eth0"}, .network = "mesh"};

  EXPECT_EQ(to_string(owner), "4f3a:cni:mesh:eth0");
  EXPECT_EQ(parse_owner("4f3a:cni:mesh:eth0"), owner);
  for (const char* text : {"",
                           "4f3a",
                           "weave:expose",
                           "netns:4026531840",
                           "a:cni:b",
                           "a:cni:b:c:d",
                           "a:ipc:b:c",
                           ":cni:b:c"}) {
    EXPECT_FALSE(parse_owner(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace weft::plugin::cni
