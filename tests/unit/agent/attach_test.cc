// Attachments and exposures: the words that ask for them, the calls, and the rows they leave.
#include <gmock/gmock.h>

#include "agent/attach/attach_api.h"
#include "agent/attach/attachment.h"
#include "agent/cli/attach/addresses.h"
#include "agent/cni/conflist.h"
#include "agent/dns/kept_names.h"

namespace weft::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Kind = AddressWord::Kind;

Cidr cidr(const char* text) {
  return Cidr::parse(text).value();
}

Attachment attachment(const std::string& owner) {
  Attachment one;
  one.owner = owner;
  one.host = host_end_name(0x1234567);
  one.mac = Mac::parse("0a:01:02:03:04:05").value();
  one.netns = 4026531840;
  one.addresses = {cidr("10.32.0.1/12"), cidr("fd00::1/64")};
  return one;
}

// The table that the writes make.
StoreTable table_of(const StoreBatch& writes) {
  StoreTable table;
  for (const StoreWrite& write : writes) {
    if (write.value) {
      table.insert_or_assign(write.key, *write.value);
    } else {
      table.erase(write.key);
    }
  }
  return table;
}

TEST(AddressWords, HaveTheFormsOfWeave) {
  const auto words = parse_address_words(
      {"10.2.1.1/24", "ip:10.2.1.2/24", "net:10.2.2.0/24", "net:default", "c1"});

  ASSERT_TRUE(words.ok());
  EXPECT_THAT(words.value().addresses,
              ElementsAre(AddressWord{Kind::Exact, cidr("10.2.1.1/24")},
                          AddressWord{Kind::Exact, cidr("10.2.1.2/24")},
                          AddressWord{Kind::Subnet, cidr("10.2.2.0/24")},
                          AddressWord{}));
  EXPECT_THAT(words.value().rest, ElementsAre("c1"));
}

TEST(AddressWords, NoneMeansTheDefaultSubnet) {
  EXPECT_THAT(parse_address_words({"c1"}).value().addresses, ElementsAre(AddressWord{}));
}

TEST(AddressWords, RefuseWhatBeginsLikeAnAddressAndIsNone) {
  for (const char* word :
       {"ip:10.2.1.1", "net:10.2.1.1/24", "net:", "net:x/8", "ip:c1", "10.2.1.1", "10.2.1.1/33"}) {
    EXPECT_FALSE(parse_address_word(word).ok()) << word;
  }
  EXPECT_EQ(parse_address_word("10.2.1.1").error().what,
            "10.2.1.1 has no prefix length (expected 10.2.1.1/LEN, as in its subnet)");
  EXPECT_FALSE(parse_address_word("/run/netns/c1").value().has_value());
}

TEST(AttachmentRows, AreReadAsTheyWereWritten) {
  const Attachment one = attachment("c1");

  const auto rows = read_attachments(table_of(
      {write_attachment(one), write_attachment(attachment("c2")), erase_attachment("c2")}));

  ASSERT_TRUE(rows.ok());
  EXPECT_EQ(rows.value(), (std::map<std::string, Attachment>{{"c1", one}}));
  EXPECT_EQ(one.host, "vethwepl1234567");
  EXPECT_EQ(one.guest(), "vethwepg1234567");
}

TEST(AttachmentRows, KeepWhatARuntimeAskedForAndAreReadWithoutIt) {
  Attachment one = attachment("c1");
  one.mtu = 1200;
  one.hairpin = true;
  const std::string old = R"({"host":"a","mac":"0a:01:02:03:04:05","netns":1,"addresses":[]})";

  EXPECT_EQ(read_attachments(table_of({write_attachment(one)})).value().at("c1"), one);
  const auto before = read_attachments({{Bytes{'c'}, Bytes(old.begin(), old.end())}});
  EXPECT_EQ(before.value().at("c").mtu, 0U);
  EXPECT_FALSE(before.value().at("c").hairpin);
}

TEST(AttachmentRows, RefuseWhatIsNoRow) {
  for (const std::string row : {"", "{}", "[]", R"({"host":1})", R"({"host":"a","mac":"x"})"}) {
    const StoreTable table{{Bytes{'c'}, Bytes(row.begin(), row.end())}};
    EXPECT_FALSE(read_attachments(table).ok()) << row;
    EXPECT_FALSE(read_exposures(table).ok()) << row;
  }
}

TEST(ExposureRows, AreReadAsTheyWereWritten) {
  const Exposure one{.address = cidr("10.32.0.7/13"), .masquerade = false};
  const Exposure other{.address = cidr("10.40.0.7/24")};

  const auto rows = read_exposures(
      table_of({write_exposure(one), write_exposure(other), erase_exposure(other.address)}));

  ASSERT_TRUE(rows.ok());
  EXPECT_THAT(rows.value(), ElementsAre(one));
}

TEST(KeptNames, OutliveARestartUntilTheyAreTakenBack) {
  KeptNames names;
  const dns::NameEntry web{.name = dns::Name::parse("Web.weft.local").value(),
                           .address = Ip::parse("10.32.0.1").value(),
                           .port = 80};
  const dns::NameEntry db{.name = dns::Name::parse("db.weft.local").value(),
                          .address = Ip::parse("fd00::1").value()};
  names.add("c1", web);
  names.add("c1", web);
  names.add("weave:extern", db);
  StoreTable table = table_of(names.take_changes());

  KeptNames restored;
  ASSERT_TRUE(restored.load(table).ok());
  EXPECT_EQ(restored.all(), names.all());
  EXPECT_THAT(names.take_changes(), IsEmpty());

  names.remove({.owner = {}, .address = {}, .name = dns::Name::parse("web.WEFT.local").value()});
  EXPECT_THAT(names.all(), ElementsAre(KeptNames::Kept("weave:extern", db)));
  names.remove({.owner = "weave:extern", .address = {}, .name = {}});
  EXPECT_THAT(names.all(), IsEmpty());
  EXPECT_EQ(names.take_changes().size(), 2U);
}

TEST(KeptNames, OfAContainerAreReplacedAsAWhole) {
  const auto entry = [](const char* name, const char* address) {
    return dns::NameEntry{.name = dns::Name::parse(name).value(),
                          .address = Ip::parse(address).value()};
  };
  KeptNames names(kContainerNamesTable);
  names.replace("c1", {entry("web.weft.local", "10.32.0.1"), entry("web.weft.local", "10.40.0.1")});
  names.replace("c2", {entry("db.weft.local", "10.32.0.2")});
  (void)names.take_changes();

  names.replace("c1",
                {entry("web.weft.local", "10.40.0.1"), entry("shop.weft.local", "10.40.0.1")});

  EXPECT_THAT(names.all(),
              ElementsAre(KeptNames::Kept("c1", entry("web.weft.local", "10.40.0.1")),
                          KeptNames::Kept("c1", entry("shop.weft.local", "10.40.0.1")),
                          KeptNames::Kept("c2", entry("db.weft.local", "10.32.0.2"))));
  const StoreBatch changes = names.take_changes();
  EXPECT_EQ(changes.size(), 2U);  // One gone, one new: what stays is not written again.
  EXPECT_EQ(changes.front().table, kContainerNamesTable);
  names.replace("c1", {});
  EXPECT_EQ(names.all().size(), 1U);
}

TEST(KeptNames, RefuseWhatIsNoRow) {
  for (const std::string key :
       {"", "c1", "c1 web. 10.0.0.1", "c1 web. x 0", "c1 w 10.0.0.1 70000"}) {
    EXPECT_FALSE(KeptNames().load({{Bytes(key.begin(), key.end()), Bytes()}}).ok()) << key;
  }
}

class AttachApi : public ::testing::Test {
 protected:
  sys::HttpResponse call(const std::string& method, const std::string& target) {
    return handle_attach({.id = {}, .method = method, .target = target, .body = {}}, hooks_);
  }

  AttachCall attached_;
  DetachCall detached_;
  Exposure exposed_;
  Cidr hidden_;
  Result<Ok> outcome_ = Ok{};
  AttachHooks hooks_{
      .list =
          [] {
            Attached all;
            all.attachments = {attachment("c1")};
            all.exposed = {{.address = cidr("10.32.0.7/13")}};
            all.endpoints = {{.id = "e1", .mac = Mac()}};
            return all;
          },
      .attach =
          [this](const AttachCall& call) {
            attached_ = call;
            return outcome_;
          },
      .detach =
          [this](const DetachCall& call) {
            detached_ = call;
            return outcome_;
          },
      .expose =
          [this](const Exposure& exposure) {
            exposed_ = exposure;
            return outcome_;
          },
      .hide =
          [this](const Cidr& address) {
            hidden_ = address;
            return outcome_;
          },
  };
};

TEST_F(AttachApi, AttachesWithAllAddresses) {
  const auto response = call("POST",
                             "/attach/netns%3A7?netns=%2Fproc%2F1%2Fns%2Fnet&address=10.2.1.1%2F24"
                             "&address=10.2.2.1/24&multicast=false");

  EXPECT_EQ(response.status, 204U);
  EXPECT_EQ(attached_.owner, "netns:7");
  EXPECT_EQ(attached_.netns, "/proc/1/ns/net");
  EXPECT_THAT(attached_.addresses, ElementsAre(cidr("10.2.1.1/24"), cidr("10.2.2.1/24")));
  EXPECT_FALSE(attached_.multicast_route);
}

TEST_F(AttachApi, MakesTheInterfaceAsARuntimeWantsIt) {
  const auto response =
      call("POST",
           "/attach/c1?netns=/x&address=10.2.1.1/24&interface=eth0&mtu=1200&hairpin=true"
           "&mac=0a:00:00:00:00:01&route=10.2.0.9/32&route=0.0.0.0/0,10.2.0.9");

  EXPECT_EQ(response.status, 204U);
  EXPECT_EQ(attached_.interface, "eth0");
  EXPECT_EQ(attached_.mtu, 1200U);
  EXPECT_TRUE(attached_.hairpin);
  EXPECT_EQ(attached_.mac, Mac::parse("0a:00:00:00:00:01").value());
  EXPECT_THAT(attached_.routes,
              ElementsAre(sys::GuestRoute{.destination = cidr("10.2.0.9/32"), .gateway = {}},
                          sys::GuestRoute{.destination = cidr("0.0.0.0/0"),
                                          .gateway = Ip::parse("10.2.0.9").value()}));
  EXPECT_EQ(call("DELETE", "/attach/c1?netns=/x&interface=eth0").status, 204U);
  EXPECT_EQ(detached_.interface, "eth0");
}

TEST_F(AttachApi, RefusesInterfacesThatCannotBe) {
  for (const char* what : {"mtu=x",
                           "mtu=-1",
                           "mac=x",
                           "route=10.0.0.0",
                           "route=10.0.0.0/8,x",
                           "interface=sixteen-letters-"}) {
    EXPECT_EQ(call("POST", std::string("/attach/c1?netns=/x&address=10.2.1.1/24&") + what).status,
              400U)
        << what;
  }
  std::string many = "/attach/c1?netns=/x";
  for (std::size_t i = 0; i <= kAttachedRoutesMax; ++i) {
    many += "&route=10.2.1.0/24";
  }
  EXPECT_EQ(call("POST", many).status, 400U);
}

TEST_F(AttachApi, DetachesExposesAndHides) {
  EXPECT_EQ(call("DELETE", "/attach/c1?address=10.2.1.1/24").status, 204U);
  EXPECT_THAT(detached_.addresses, ElementsAre(cidr("10.2.1.1/24")));
  EXPECT_EQ(call("POST", "/expose/10.32.0.7/13?skipNAT=true").status, 204U);
  EXPECT_EQ(exposed_, (Exposure{.address = cidr("10.32.0.7/13"), .masquerade = false}));
  EXPECT_EQ(call("DELETE", "/expose/10.32.0.7/13").status, 204U);
  EXPECT_EQ(hidden_, cidr("10.32.0.7/13"));
}

TEST_F(AttachApi, ListsWhatHasAnInterface) {
  const std::string body = call("GET", "/attach").body;

  EXPECT_THAT(body, HasSubstr(R"({"id":"c1","mac":"0a:01:02:03:04:05")"));
  EXPECT_THAT(body, HasSubstr(R"("addresses":["10.32.0.1/12","fd00::1/64"])"));
  EXPECT_THAT(body, HasSubstr(R"({"address":"10.32.0.7/13","masquerade":true})"));
}

TEST_F(AttachApi, RefusesWhatIsNoCall) {
  EXPECT_EQ(call("POST", "/attach/c1?netns=relative&address=10.2.1.1/24").status, 400U);
  EXPECT_EQ(call("POST", "/attach/c1?netns=/x&address=10.2.1.1").status, 400U);
  EXPECT_EQ(call("POST", "/attach/?netns=/x").status, 404U);
  EXPECT_EQ(call("PUT", "/attach/c1").status, 404U);
  EXPECT_EQ(call("POST", "/attach/%zz").status, 400U);
  EXPECT_EQ(call("POST", "/expose/10.32.0.7").status, 404U);
  EXPECT_EQ(call("POST", "/expose/10.32.0.7/99").status, 400U);
  EXPECT_EQ(call("POST", "/expose/fd00::1/129").status, 400U);
  std::string many = "/attach/c1?netns=/x";
  for (std::size_t i = 0; i <= kAttachedAddressesMax; ++i) {
    many += "&address=10.2.1.1/24";
  }
  EXPECT_EQ(call("POST", many).status, 400U);
}

TEST_F(AttachApi, TellsWhoAskedFromWhatBroke) {
  outcome_ = Error{Errc::Conflict, "another interface ethwe"};
  EXPECT_EQ(call("POST", "/attach/c1?netns=/x&address=10.2.1.1/24").status, 400U);
  outcome_ = Error{Errc::Os, "no memory"};
  EXPECT_EQ(call("POST", "/expose/10.32.0.7/13").status, 500U);
}

TEST(CniConflist, HasPortmapBehindThePlugin) {
  const std::string list = cni_conflist({});

  EXPECT_THAT(list, HasSubstr(R"("name": "weft")"));
  EXPECT_THAT(list, HasSubstr(R"("type": "weft-net")"));
  EXPECT_THAT(list, HasSubstr(R"("hairpinMode": true)"));
  EXPECT_LT(list.find("weft-net"), list.find(R"("type": "portmap")"));
  EXPECT_THAT(list, HasSubstr(R"("portMappings": true)"));
}

TEST(CniConflist, WritesWeavesNetworkUnderWeavesName) {
  CniSetup setup;
  setup.name = "weave";
  setup.run_dir = "/run/other";
  setup.hairpin = false;
  const std::string list = cni_conflist(setup);

  EXPECT_THAT(list, HasSubstr(R"("name": "weave")"));
  EXPECT_THAT(list, HasSubstr(R"("type": "weave-net")"));
  EXPECT_THAT(list, HasSubstr(R"("hairpinMode": false)"));
  EXPECT_THAT(list, HasSubstr(R"("runDir": "/run/other")"));
}

}  // namespace
}  // namespace weft::agent
