// Real agents on a few virtual hosts: killed, frozen, cut off, with changing and wrong passwords,
// and cloned. What `weft status --json` says is all that is looked at.
#include <algorithm>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/agent/lan.h"

namespace weft::agent {
namespace {

namespace json = boost::json;
using test::comes_true;
using test::Lan;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

const std::vector<std::string> kWithPassword{"--plaintext-data", "--password-file=/run/password"};

class Cluster : public testing::Test {
 protected:
  // Everybody is told of the first.
  void start(const std::vector<std::string>& flags = {}) {
    for (std::size_t number = 1; number <= kHosts; ++number) {
      std::vector<std::string> words = flags;
      if (number > 1) {
        words.push_back(Lan::address(1));
      }
      lan_.launch(number, words);
    }
    ASSERT_TRUE(comes_true([&] { return lan_.is_full_mesh(); })) << lan_.logs();
  }

  void set_password(std::size_t number, const std::string& lines) {
    lan_.host(number).write_file("/run/password", lines);
  }

  // Reasons of the connections that are in this state.
  std::vector<std::string> reasons(std::size_t number, const std::string& state) const {
    std::vector<std::string> found;
    const json::value connections = lan_.status(number, "connections");
    if (const json::array* rows = connections.if_array()) {
      for (const json::value& row : *rows) {
        if (row.at("state").as_string() == state) {
          found.emplace_back(row.at("reason").as_string());
        }
      }
    }
    return found;
  }

  bool sees(std::size_t number, const std::string& nickname, bool reachable) const {
    const json::value peers = lan_.status(number, "peers");
    const json::array* rows = peers.if_array();
    return rows != nullptr && std::any_of(rows->begin(), rows->end(), [&](const json::value& row) {
             return row.at("nickname").as_string() == nickname
                    && row.at("reachable").as_bool() == reachable;
           });
  }

  std::int64_t terminated(std::size_t number) const {
    return lan_.status(number)
        .at("router")
        .at("stats")
        .at("handshakes")
        .at("terminated")
        .to_number<std::int64_t>();
  }

  std::size_t on_old_password(std::size_t number) const {
    std::size_t count = 0;
    const json::value connections = lan_.status(number, "connections");
    for (const json::value& row : connections.as_array()) {
      count += row.at("old_password").as_bool() ? 1U : 0U;
    }
    return count;
  }

  std::vector<std::string> warnings(std::size_t number) const {
    std::vector<std::string> found;
    const json::value status = lan_.status(number);
    if (status.is_object()) {
      for (const json::value& warning : status.at("router").at("warnings").as_array()) {
        found.emplace_back(warning.as_string());
      }
    }
    return found;
  }

  static constexpr std::size_t kHosts = 3;
  Lan lan_{kHosts};
};

TEST_F(Cluster, NoticesThatAnAgentWasKilledAndTakesItBack) {
  start();

  lan_.signal(3, "KILL");
  EXPECT_TRUE(comes_true([&] { return sees(1, "host3", false) && sees(2, "host3", false); }))
      << lan_.logs();
  EXPECT_EQ(lan_.established(1, "host2"), 1U);
  lan_.launch(3);

  EXPECT_TRUE(comes_true([&] { return lan_.is_full_mesh() && sees(1, "host3", true); }))
      << lan_.logs();
}

TEST_F(Cluster, NoticesThatAnAgentIsFrozenAndTakesItBack) {
  start();

  lan_.signal(3, "STOP");
  EXPECT_TRUE(comes_true([&] { return sees(1, "host3", false) && sees(2, "host3", false); }))
      << lan_.logs();
  EXPECT_EQ(lan_.established(1, "host2"), 1U);
  lan_.signal(3, "CONT");

  EXPECT_TRUE(comes_true([&] { return lan_.is_full_mesh() && sees(1, "host3", true); }))
      << lan_.logs();
}

TEST_F(Cluster, NoticesASilentCutOnBothSidesAndHeals) {
  start();

  lan_.cut(3);
  EXPECT_TRUE(comes_true([&] {
    return sees(1, "host3", false) && sees(3, "host1", false) && sees(3, "host2", false);
  })) << lan_.logs();
  EXPECT_EQ(lan_.established(1, "host2"), 1U);
  lan_.heal(3);

  EXPECT_TRUE(comes_true([&] { return lan_.is_full_mesh(); })) << lan_.logs();
}

TEST_F(Cluster, ReplacesThePasswordWithoutLosingAConnection) {
  for (std::size_t number = 1; number <= kHosts; ++number) {
    set_password(number, "old\n");
  }
  start(kWithPassword);

  for (std::size_t number = 1; number <= kHosts; ++number) {
    set_password(number, "new\nold\n");
    lan_.host(number).must({WEFT_BINARY, "reload"});
  }
  for (std::size_t number = 1; number <= kHosts; ++number) {
    EXPECT_EQ(terminated(number), 0);
    EXPECT_EQ(on_old_password(number), kHosts - 1);
  }
  for (std::size_t number = 1; number <= kHosts; ++number) {
    set_password(number, "new\n");
    lan_.signal(number, "HUP");
  }

  EXPECT_TRUE(comes_true([&] {
    return lan_.is_full_mesh() && on_old_password(1) + on_old_password(2) + on_old_password(3) == 0;
  })) << lan_.logs();
  EXPECT_EQ(lan_.host(1).weft({"status"}).exit_code, 0);
}

TEST_F(Cluster, AHostThatMissedTheChangeIsNotLostMeanwhile) {
  for (std::size_t number = 1; number <= kHosts; ++number) {
    set_password(number, number == 3 ? "old\n" : "new\nold\n");
  }

  start(kWithPassword);

  EXPECT_EQ(on_old_password(1), 1U);
  EXPECT_EQ(on_old_password(3), 0U);
}

TEST_F(Cluster, AWrongPasswordFailsLoudlyForThatHostOnly) {
  set_password(1, "right\n");
  set_password(2, "right\n");
  set_password(3, "wrong\n");
  for (std::size_t number = 1; number <= kHosts; ++number) {
    std::vector<std::string> words = kWithPassword;
    words.push_back(Lan::address(number == 1 ? 2 : 1));
    lan_.launch(number, words);
  }

  EXPECT_TRUE(comes_true([&] {
    return lan_.established(1) == 1 && !reasons(1, "failed").empty()
           && !reasons(3, "retrying").empty();
  })) << lan_.logs();
  EXPECT_THAT(reasons(1, "failed"), Contains(HasSubstr("wrong password")));
  EXPECT_THAT(reasons(3, "retrying"), Contains(HasSubstr("wrong password")));
  EXPECT_THAT(lan_.host(1).read_file("/var/log/weft.log"), HasSubstr("wrong password"));
  EXPECT_THAT(lan_.host(3).read_file("/var/log/weft.log"), HasSubstr("wrong password"));
  EXPECT_EQ(lan_.established(3), 0U);
}

TEST_F(Cluster, ABadPasswordFileChangesNothingAndSaysSo) {
  for (std::size_t number = 1; number <= kHosts; ++number) {
    set_password(number, "old\n");
  }
  start(kWithPassword);
  set_password(1, "\n");

  const test::Outcome refused = lan_.host(1).weft({"reload"});

  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("password file is empty"));
  EXPECT_EQ(lan_.established(1), kHosts - 1);
}

TEST_F(Cluster, ACloneIsRefusedOnBothSidesWithTheCure) {
  lan_.launch(1);
  lan_.launch(2, {Lan::address(1)});
  ASSERT_TRUE(comes_true([&] { return lan_.established(1) == 1; })) << lan_.logs();
  // What a disk image of a running host holds, carried to the third.
  const test::Outcome image =
      lan_.host(2).run({"sh", "-c", "tar -C /var/lib -cf - weft | base64 -w0"});
  lan_.host(3).write_file("/run/image", "");
  for (std::size_t at = 0; at < image.out.size(); at += 60000) {
    lan_.host(3).must(
        {"sh", "-c", "printf %s \"$1\" >> /run/image", "sh", image.out.substr(at, 60000)});
  }
  lan_.host(3).must({"sh", "-c", "base64 -d /run/image | tar -C /var/lib -xf -"});

  lan_.launch(3, {Lan::address(1)});

  EXPECT_TRUE(comes_true([&] { return !warnings(1).empty() && !warnings(3).empty(); }))
      << lan_.logs();
  EXPECT_THAT(warnings(1), Contains(HasSubstr("two hosts share the peer name")));
  EXPECT_THAT(warnings(3), Contains(HasSubstr("remove /var/lib/weft there")));
  EXPECT_EQ(lan_.established(1, "host2"), 1U);
  EXPECT_EQ(lan_.established(3), 0U);
  lan_.host(3).must({WEFT_BINARY, "reset"});
  lan_.launch(3, {Lan::address(1)});
  EXPECT_TRUE(comes_true([&] { return lan_.established(1) == 2; })) << lan_.logs();
}

}  // namespace
}  // namespace weft::agent
