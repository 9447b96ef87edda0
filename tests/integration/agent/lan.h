// Virtual hosts on one switch, each with an agent that talks JSON.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "tests/integration/agent/virtual_host.h"

namespace weft::test {

class Lan {
 public:
  // Hosts named host1 …, at 192.0.2.1 …
  explicit Lan(std::size_t hosts);

  const VirtualHost& host(std::size_t number) const { return *hosts_.at(number - 1); }
  static std::string address(std::size_t number) { return "192.0.2." + std::to_string(number); }

  // Without Docker; asserts that it starts.
  void launch(std::size_t number, std::vector<std::string> words = {}) const;
  // What `weft status PART --json` says; null while nobody answers.
  boost::json::value status(std::size_t number, const std::string& part = "") const;
  // Established connections; of `number` with everybody, or with the host of that nickname.
  std::size_t established(std::size_t number, const std::string& nickname = "") const;
  // All hosts have connections with all others.
  bool is_full_mesh() const;
  // Sends the agent of the host a signal.
  void signal(std::size_t number, const std::string& name) const;
  // All packets of the host are lost from here on, in silence; or are not.
  void cut(std::size_t number) const;
  void heal(std::size_t number) const;
  // Of all hosts, for a failed assertion.
  std::string logs() const;

 private:
  VirtualHost switch_{"switch"};
  std::vector<std::unique_ptr<VirtualHost>> hosts_;
};

// Asks ten times a second. False if it is not so within 30 s.
bool comes_true(const std::function<bool()>& condition);

}  // namespace weft::test
