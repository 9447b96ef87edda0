#include "agent/dns/dns_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::agent {
namespace {

using testing::HasSubstr;

// What the hooks were told.
class DnsApi : public testing::Test {
 protected:
  sys::HttpResponse call(const std::string& method,
                         const std::string& target,
                         std::string body = "") {
    return handle_dns({.id = {}, .method = method, .target = target, .body = std::move(body)},
                      &hooks_);
  }

  dns::DnsStatus status_{.domain = dns::Name::parse("weft.local").value(),
                         .address = Endpoint{Ipv4(0xac110001), 53}};
  std::vector<NameRequest> added_;
  std::vector<dns::Names::Filter> removed_;
  Result<Ok> added_result_ = Ok{};
  DnsHooks hooks_{.status = [this] { return status_; },
                  .add =
                      [this](const NameRequest& request) {
                        added_.push_back(request);
                        return added_result_;
                      },
                  .remove =
                      [this](const dns::Names::Filter& filter) {
                        removed_.push_back(filter);
                        return std::size_t{1};
                      }};
};

TEST_F(DnsApi, SaysWhereAndWhat) {
  EXPECT_EQ(call("GET", "/domain").body, "weft.local.");
  EXPECT_EQ(call("GET", "/dns-address").body, "172.17.0.1");
  EXPECT_EQ(call("GET", "/dns-address-port").body, "172.17.0.1:53");
  status_.address.reset();
  EXPECT_EQ(call("GET", "/dns-address").status, 503U);
}

TEST_F(DnsApi, AddsANameFromQueryOrBody) {
  EXPECT_EQ(call("PUT", "/name/c1/10.32.0.1?fqdn=web.weft.local&check-alive=true").status, 204U);
  EXPECT_EQ(call("PUT", "/name/weave%3Aextern/fd00::1", "fqdn=_http._tcp.web&port=80").status,
            204U);
  ASSERT_EQ(added_.size(), 2U);
  EXPECT_EQ(added_[0].owner, "c1");
  EXPECT_EQ(added_[0].fqdn, "web.weft.local");
  EXPECT_TRUE(added_[0].check_alive);
  EXPECT_EQ(added_[1].owner, "weave:extern");
  EXPECT_EQ(added_[1].port, 80);
}

TEST_F(DnsApi, IgnoresACallWithoutAName) {
  EXPECT_EQ(call("PUT", "/name/c1/10.32.0.1").status, 204U);
  EXPECT_TRUE(added_.empty());
}

TEST_F(DnsApi, RemovesWhateverIsLeftOut) {
  EXPECT_EQ(call("DELETE", "/name/c1/10.32.0.1?fqdn=web.weft.local").status, 204U);
  EXPECT_EQ(call("DELETE", "/name/c1").status, 204U);
  EXPECT_EQ(call("DELETE", "/name").status, 204U);
  ASSERT_EQ(removed_.size(), 3U);
  EXPECT_TRUE(removed_[0].name && removed_[0].address && removed_[0].owner);
  EXPECT_TRUE(removed_[1].owner && !removed_[1].address && !removed_[1].name);
  EXPECT_FALSE(removed_[2].owner);
}

TEST_F(DnsApi, RefusesWhatMakesNoSense) {
  EXPECT_EQ(call("PUT", "/name/c1/10.32.0?fqdn=a").status, 400U);
  EXPECT_EQ(call("DELETE", "/name/c1/nowhere").status, 400U);
  EXPECT_EQ(call("PUT", "/name/c1/10.32.0.1?fqdn=a&port=65536").status, 400U);
  EXPECT_EQ(call("DELETE", "/name?fqdn=a..b").status, 400U);
  EXPECT_EQ(call("PUT", "/name/c1").status, 404U);
  EXPECT_EQ(call("DELETE", "/name/a/1.2.3.4/c").status, 404U);
  EXPECT_EQ(call("POST", "/name/c1/10.32.0.1").status, 405U);
  EXPECT_EQ(call("PUT", "/domain").status, 405U);
  EXPECT_TRUE(added_.empty());
  added_result_ = Error{Errc::Exhausted, "full"};
  EXPECT_EQ(call("PUT", "/name/c1/10.32.0.1?fqdn=a").status, 500U);
}

TEST_F(DnsApi, ListsNamesAsWeaveDid) {
  status_.names.push_back(
      {.entry = {.name = dns::Name::parse("web.weft.local").value(), .address = Ipv4(0x0a200001)},
       .origin = PeerName(1),
       .owner = "c1"});
  EXPECT_THAT(call("GET", "/name").body,
              HasSubstr(R"("Hostname":"web.weft.local.","Origin":"00:00:00:00:00:01",)"
                        R"("ContainerID":"c1","Address":"10.32.0.1","Version":0,"Tombstone":0)"));
}

TEST_F(DnsApi, IsNotThereWithoutDns) {
  EXPECT_EQ(
      handle_dns({.id = {}, .method = "GET", .target = "/domain", .body = {}}, nullptr).status,
      404U);
}

}  // namespace
}  // namespace weft::agent
