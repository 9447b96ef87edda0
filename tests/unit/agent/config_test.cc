#include "agent/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Result<Config> config_of(std::vector<std::string> words) {
  const auto settings =
      parse_settings(Command::Agent, words, [](const std::string&) { return std::nullopt; });
  EXPECT_TRUE(settings.ok()) << settings.error().what;
  return make_config(settings.value(), "host1");
}

RouteInfo route_of(const char* destination, const char* link) {
  return {.destination = Cidr::parse(destination).value(), .link = link, .gateway = std::nullopt};
}

const Cidr kRange = Cidr::parse("10.32.0.0/12").value();

TEST(Config, KeepsItsStateWhereWeavesPrefixSaid) {
  const Config in_folder = config_of({"--db-prefix=/weavedb/weave"}).value();
  const Config in_root = config_of({"--db-prefix=/weave"}).value();
  const Config bare = config_of({"--db-prefix=/weavedb/"}).value();

  EXPECT_EQ(in_folder.store_path, "/weavedb/weaveweft.db");
  EXPECT_EQ(in_folder.state_dir, "/weavedb");
  EXPECT_EQ(in_root.store_path, "/weaveweft.db");
  EXPECT_EQ(in_root.state_dir, "/");
  EXPECT_EQ(bare.store_path, "/weavedb/weft.db");
}

TEST(Config, RefusesTwoPlacesForItsState) {
  const auto config = config_of({"--db-prefix=/weavedb/weave", "--state-dir=/var/lib/weft"});

  ASSERT_FALSE(config.ok());
  EXPECT_THAT(config.error().what, HasSubstr("--state-dir /var/lib/weft"));
  EXPECT_THAT(config.error().what, HasSubstr("--db-prefix /weavedb/weave"));
}

TEST(Config, HasTheDocumentedDefaults) {
  const Config config = config_of({}).value();

  EXPECT_EQ(config.nickname, "host1");
  EXPECT_EQ(config.name, std::nullopt);
  EXPECT_TRUE(config.host.is_unspecified());
  EXPECT_EQ(config.port, 6783);
  EXPECT_EQ(config.range, kRange);
  EXPECT_EQ(config.default_subnet, Cidr::parse("10.32.0.0/13").value());
  EXPECT_EQ(config.init.elector_count, std::nullopt);
  EXPECT_TRUE(config.discovery);
  EXPECT_TRUE(config.bpf);
  EXPECT_TRUE(config.docker);
  EXPECT_EQ(config.bridge, "weft");
  EXPECT_EQ(config.control_socket(), "/run/weft/weft.sock");
  EXPECT_EQ(config.store_path, "/var/lib/weft/weft.db");
}

TEST(Config, ServesTheControlApiBeyondLoopbackOnlyToWhoHasAToken) {
  EXPECT_TRUE(config_of({"--http-addr=127.0.0.2:6784"}).ok());
  EXPECT_THAT(config_of({"--http-addr=10.0.0.1:6784"}).error().what,
              HasSubstr("give it a token (--http-token-file PATH)"));
  const Config config =
      config_of({"--http-addr=10.0.0.1:6784", "--http-token-file=/etc/weft/token"}).value();
  EXPECT_EQ(config.http_token_file, "/etc/weft/token");

  EXPECT_THAT(config_of({"--http-addr=https://h2"}).error().what,
              HasSubstr("where commands find the agent of another host"));
  EXPECT_THAT(config_of({"--http-cert=/c.pem"}).error().what, HasSubstr("belong together"));
}

TEST(Config, TakesEveryFlagAsItsType) {
  const Config config = config_of({"--name=7a:01:02:03:04:05",
                                   "--nickname=left",
                                   "--host=192.0.2.1",
                                   "--ipalloc-range=10.40.0.0/16",
                                   "--ipalloc-default-subnet=10.40.3.0/24",
                                   "--ipalloc-init=consensus=5",
                                   "--no-discovery",
                                   "--no-bpf",
                                   "--no-docker",
                                   "--mtu=8000",
                                   "h2",
                                   "h3:7000"})
                            .value();

  EXPECT_EQ(config.name, PeerName(0x7a0102030405));
  EXPECT_EQ(config.nickname, "left");
  EXPECT_EQ(config.host, Ip::parse("192.0.2.1").value());
  EXPECT_EQ(config.default_subnet, Cidr::parse("10.40.3.0/24").value());
  EXPECT_EQ(config.init.elector_count, 5U);
  EXPECT_FALSE(config.discovery);
  EXPECT_FALSE(config.bpf);
  EXPECT_FALSE(config.docker);
  EXPECT_EQ(config.mtu, 8000U);
  EXPECT_THAT(config.targets, ElementsAre("h2", "h3:7000"));
}

TEST(Config, UsesAllOfARangeThatIsGiven) {
  const Config config = config_of({"--ipalloc-range=10.2.0.0/16"}).value();
  EXPECT_FALSE(config.range_v6.has_value());

  EXPECT_EQ(config.default_subnet, Cidr::parse("10.2.0.0/16").value());
}

TEST(Config, TakesARangeOfIpv6BehindTheComma) {
  const Config config = config_of({"--ipalloc-range=10.2.0.0/16,fd00:2::/48"}).value();
  const Config narrow = config_of({"--ipalloc-range=10.2.0.0/16,fd00:2::/96"}).value();
  const Config chosen = config_of({"--ipalloc-range=10.2.0.0/16,fd00:2::/48",
                                   "--ipalloc-default-subnet=10.2.1.0/24,fd00:2:0:9::/64"})
                            .value();

  EXPECT_EQ(config.range, Cidr::parse("10.2.0.0/16").value());
  EXPECT_EQ(config.range_v6, Cidr::parse("fd00:2::/48").value());
  EXPECT_EQ(config.default_subnet_v6, Cidr::parse("fd00:2::/64").value());
  EXPECT_EQ(narrow.default_subnet_v6, Cidr::parse("fd00:2::/96").value());
  EXPECT_EQ(chosen.default_subnet, Cidr::parse("10.2.1.0/24").value());
  EXPECT_EQ(chosen.default_subnet_v6, Cidr::parse("fd00:2:0:9::/64").value());
}

TEST(Config, RefusesAnIpv6SubnetThatNoRangeHas) {
  const auto outside = config_of({"--ipalloc-range=10.2.0.0/16,fd00:2::/48",
                                  "--ipalloc-default-subnet=10.2.0.0/16,fd00:3::/64"});
  const auto alone = config_of({"--ipalloc-default-subnet=10.32.0.0/24,fd00:3::/64"});

  ASSERT_FALSE(outside.ok());
  EXPECT_EQ(outside.error().what,
            "--ipalloc-default-subnet fd00:3::/64 is outside --ipalloc-range fd00:2::/48");
  ASSERT_FALSE(alone.ok());
  EXPECT_EQ(alone.error().what,
            "--ipalloc-default-subnet fd00:3::/64 without an IPv6 block in --ipalloc-range "
            "(expected such as 10.32.0.0/12,fd00:32::/48)");
}

TEST(Config, HasNoRangeIfItIsOff) {
  EXPECT_TRUE(config_of({}).value().has_range());
  const Config config = config_of({"--ipalloc-range=off"}).value();
  EXPECT_FALSE(config.has_range());
  EXPECT_FALSE(config.range.contains(Ip::parse("10.32.0.1").value()));

  for (const char* more : {"--ipalloc-default-subnet=10.32.0.0/24", "--ipalloc-init=observer"}) {
    const auto refused = config_of({"--ipalloc-range=off", more});
    ASSERT_FALSE(refused.ok()) << more;
    EXPECT_THAT(refused.error().what, testing::EndsWith(" without an --ipalloc-range"));
  }
}

TEST(Config, HasTheEngineAtASocketThoughItIsReachedOverTcp) {
  const Config config = config_of({"--docker-tcp=127.0.0.1:2375", "--run-dir=/run/x"}).value();
  EXPECT_EQ(config.docker_tcp, Endpoint::parse("127.0.0.1:2375").value());
  EXPECT_EQ(config.docker_socket, "/run/x/engine.sock");
}

TEST(Config, SpeaksTlsWithTheEngineWhereItIsToldWhomToBelieve) {
  const Config config = config_of({"--docker-tcp=127.0.0.1:2376",
                                   "--docker-tls-ca=/ca.pem",
                                   "--docker-tls-cert=/cert.pem",
                                   "--docker-tls-key=/key.pem"})
                            .value();
  EXPECT_EQ(
      config.docker_tls,
      (sys::TlsTrust{
          .authorities = "/ca.pem", .name = "127.0.0.1", .chain = "/cert.pem", .key = "/key.pem"}));
  EXPECT_EQ(config_of({"--docker-tcp=127.0.0.1:2376", "--docker-tls-ca=/ca", "--docker-tls-name=h"})
                .value()
                .docker_tls->name,
            "h");
  for (const char* const alone :
       {"--docker-tls-ca=/ca.pem", "--docker-tls-name=h", "--docker-tls-cert=/cert.pem"}) {
    EXPECT_FALSE(config_of({alone}).ok()) << alone;
  }
  EXPECT_FALSE(config_of({"--docker-tcp=127.0.0.1:2376", "--docker-tls-name=h"}).ok());
}

TEST(Config, RefusesADefaultSubnetOutsideTheRange) {
  const auto wider =
      config_of({"--ipalloc-range=10.9.0.0/17", "--ipalloc-default-subnet=10.9.0.0/16"});
  ASSERT_TRUE(wider.ok());
  EXPECT_EQ(wider.value().default_subnet.to_string(), "10.9.0.0/16");
  const auto config = config_of({"--ipalloc-default-subnet=10.64.0.0/24"});

  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().what,
            "--ipalloc-default-subnet 10.64.0.0/24 is outside --ipalloc-range 10.32.0.0/12");
}

TEST(Config, PeersForfeitNothingUnlessTheOperatorSaysAfterHowLong) {
  EXPECT_EQ(config_of({}).value().forfeit_after, Duration());
  EXPECT_EQ(config_of({"--ipalloc-forfeit-hours=24"}).value().forfeit_after,
            Duration(std::chrono::hours(24)));
}

TEST(Config, RefusesAPeerThatDoesNotParse) {
  const auto config = config_of({"host:99999"});

  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().code, Errc::Invalid);
}

TEST(Encryption, ReadsTrustedSubnets) {
  const auto config =
      config_of({"--password-file=/etc/weft/password", "--trusted-subnets=10.0.0.0/8,fd00::/8"});

  EXPECT_THAT(
      config.value().trusted_subnets,
      testing::ElementsAre(Cidr::parse("10.0.0.0/8").value(), Cidr::parse("fd00::/8").value()));
  EXPECT_TRUE(check_encryption(config.value()).ok());
  EXPECT_FALSE(config_of({"--trusted-subnets=ten"}).ok());
}

TEST(Encryption, TrustedSubnetsNeedAPasswordAndBpf) {
  const auto alone = check_encryption(config_of({"--trusted-subnets=10.0.0.0/8"}).value());
  const auto without_bpf = check_encryption(
      config_of({"--password-file=/p", "--trusted-subnets=10.0.0.0/8", "--no-bpf"}).value());

  ASSERT_FALSE(alone.ok());
  EXPECT_THAT(alone.error().what, HasSubstr("--password-file"));
  ASSERT_FALSE(without_bpf.ok());
  EXPECT_THAT(without_bpf.error().what, HasSubstr("--no-bpf"));
  EXPECT_TRUE(check_encryption(config_of({"--password-file=/p"}).value()).ok());
}

TEST(Encryption, KernelsSealOnlyWhereSomethingIsSealedAndProgramsWatchTheWire) {
  const auto refused = [](std::vector<std::string> arguments) {
    return check_encryption(config_of(std::move(arguments)).value()).error().what;
  };

  EXPECT_THAT(refused({"--esp=on"}), HasSubstr("--password-file"));
  EXPECT_THAT(refused({"--esp=on", "--password-file=/p", "--plaintext-data"}),
              HasSubstr("--plaintext-data"));
  EXPECT_THAT(refused({"--esp=on", "--password-file=/p", "--no-bpf"}), HasSubstr("BPF"));
  const auto config = config_of({"--esp", "on", "--password-file=/p"});
  EXPECT_EQ(config.value().esp, router::EspWish::On);
  EXPECT_TRUE(check_encryption(config.value()).ok());
}

TEST(Encryption, WhetherKernelsSealIsMeasuredUnlessThatIsSaid) {
  EXPECT_EQ(config_of({}).value().esp, router::EspWish::Auto);
  EXPECT_EQ(config_of({"--esp=off"}).value().esp, router::EspWish::Off);
  // Where nothing is sealed, or nobody watches the wire, there is nothing to choose.
  EXPECT_TRUE(check_encryption(config_of({}).value()).ok());
  EXPECT_TRUE(check_encryption(config_of({"--password-file=/p", "--no-bpf"}).value()).ok());
}

TEST(Overlap, NamesTheRouteInTheWay) {
  const std::vector<RouteInfo> routes{route_of("192.0.2.0/24", "eth0"),
                                      route_of("10.40.0.0/16", "tun0")};

  const auto free = check_overlap(kRange, "weft", routes);

  ASSERT_FALSE(free.ok());
  EXPECT_EQ(free.error().code, Errc::Conflict);
  EXPECT_THAT(free.error().what, HasSubstr("route 10.40.0.0/16 (dev tun0)"));
}

TEST(Overlap, CountsARouteThatContainsTheRange) {
  EXPECT_FALSE(check_overlap(kRange, "weft", {route_of("10.0.0.0/8", "eth0")}).ok());
}

TEST(Overlap, IgnoresDefaultRoutesOurBridgeAndOtherFamilies) {
  const std::vector<RouteInfo> routes{route_of("0.0.0.0/0", "eth0"),
                                      route_of("10.32.0.0/12", "weft"),
                                      route_of("fd00::/8", "eth0"),
                                      route_of("172.17.0.0/16", "docker0")};

  EXPECT_TRUE(check_overlap(kRange, "weft", routes).ok());
}

TEST(Resume, IsForNobodyWhoNamesPeers) {
  EXPECT_TRUE(config_of({"--resume"}).value().resume);
  EXPECT_THAT(config_of({"--resume", "host2"}).error().what, HasSubstr("expected no PEER"));
}

TEST(ConnectionLimit, IsThatOfPeersWhereThereIsNone) {
  EXPECT_EQ(config_of({}).value().connections_max, 200U);
  EXPECT_EQ(config_of({"--conn-limit=7"}).value().connections_max, 7U);
  EXPECT_EQ(config_of({"--conn-limit=0"}).value().connections_max, 4096U);
}

TEST(MetricsAddress, IsOffUnlessGiven) {
  EXPECT_TRUE(config_of({}).value().metrics_address.is_off());
  EXPECT_EQ(config_of({"--metrics-addr=/run/m.sock"}).value().metrics_address.path, "/run/m.sock");
  EXPECT_EQ(config_of({"--metrics-addr=127.0.0.1:6782"}).value().metrics_address.tcp,
            (Endpoint{Ip::parse("127.0.0.1").value(), 6782}));
}

TEST(Password, IsTheFirstLine) {
  const Passwords secret{"secret", std::nullopt};

  EXPECT_EQ(parse_passwords("secret\n").value(), secret);
  EXPECT_EQ(parse_passwords("secret").value(), secret);
  EXPECT_EQ(parse_passwords("secret\r\n\r\n\n").value(), secret);
  EXPECT_EQ(parse_passwords("with space \r\n").value().current, "with space ");
}

TEST(Password, IsAcceptedBesideTheOneItReplaces) {
  EXPECT_EQ(parse_passwords("new\nold\n").value(), (Passwords{"new", "old"}));
  EXPECT_EQ(parse_passwords("new\r\nold").value(), (Passwords{"new", "old"}));
  EXPECT_EQ(parse_passwords("same\nsame\n").value(), (Passwords{"same", std::nullopt}));
}

TEST(Password, IsNeitherEmptyNorOneOfMany) {
  EXPECT_EQ(parse_passwords("").error().code, Errc::Invalid);
  EXPECT_EQ(parse_passwords("\nsecret").error().code, Errc::Invalid);
  EXPECT_THAT(parse_passwords("a\nb\nc\n").error().what, HasSubstr("more than two lines"));
}

}  // namespace
}  // namespace weft::agent
