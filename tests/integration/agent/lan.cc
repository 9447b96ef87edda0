#include "tests/integration/agent/lan.h"

#include <chrono>

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>
#include <poll.h>

namespace weft::test {

namespace json = boost::json;

Lan::Lan(std::size_t hosts) {
  switch_.must({"ip", "link", "add", "br0", "type", "bridge"});
  switch_.must({"ip", "link", "set", "br0", "up"});
  for (std::size_t number = 1; number <= hosts; ++number) {
    hosts_.push_back(std::make_unique<VirtualHost>("host" + std::to_string(number)));
    const std::string port = "port" + std::to_string(number);
    wire(*hosts_.back(), "eth0", switch_, port);
    switch_.must({"ip", "link", "set", port, "master", "br0", "up"});
    host(number).must({"ip", "link", "set", "lo", "up"});
    host(number).must({"ip", "address", "add", address(number) + "/24", "dev", "eth0"});
    host(number).must({"ip", "link", "set", "eth0", "up"});
  }
}

void Lan::launch(std::size_t number, std::vector<std::string> words) const {
  words.insert(words.begin(), {"launch", "--no-docker"});
  const Outcome launched = host(number).weft(words);
  ASSERT_EQ(launched.exit_code, 0) << launched.err;
}

json::value Lan::status(std::size_t number, const std::string& part) const {
  const Outcome outcome = part.empty() ? host(number).weft({"status", "--json"})
                                       : host(number).weft({"status", part, "--json"});
  return outcome.exit_code == 0 ? json::parse(outcome.out) : json::value();
}

std::size_t Lan::established(std::size_t number, const std::string& nickname) const {
  const json::value connections = status(number, "connections");
  std::size_t count = 0;
  if (const json::array* rows = connections.if_array()) {
    for (const json::value& row : *rows) {
      const bool meant = nickname.empty() || row.at("nickname").as_string() == nickname;
      count += meant && row.at("state").as_string() == "established" ? 1U : 0U;
    }
  }
  return count;
}

bool Lan::is_full_mesh() const {
  for (std::size_t number = 1; number <= hosts_.size(); ++number) {
    if (established(number) + 1 != hosts_.size()) {
      return false;
    }
  }
  return true;
}

void Lan::signal(std::size_t number, const std::string& name) const {
  host(number).must({"sh", "-c", "kill -" + name + " $(pidof weft)"});
}

void Lan::cut(std::size_t number) const {
  host(number).must(
      {"nft",
       "add table inet cut; "
       "add chain inet cut in { type filter hook input priority -300; policy drop; };"
       "add chain inet cut out { type filter hook output priority -300; policy drop; }"});
}

void Lan::heal(std::size_t number) const {
  host(number).must({"nft", "delete table inet cut"});
}

std::string Lan::logs() const {
  std::string text;
  for (std::size_t number = 1; number <= hosts_.size(); ++number) {
    text += "host" + std::to_string(number) + ":\n" + host(number).read_file("/var/log/weft.log");
    text += host(number).weft({"status", "connections"}).out;
  }
  return text;
}

bool comes_true(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) {
      return false;
    }
    ::poll(nullptr, 0, 100);
  }
  return true;
}

}  // namespace weft::test
