// What is told of the agent and of its hosts without any view.
#include <chrono>
#include <string>
#include <utility>

#include <boost/json/serialize.hpp>

#include "app/app.h"

namespace weft::app {

namespace json = boost::json;

std::string App::api_json() const {
  json::array hosts;
  for (const auto& [name, peer] : peers_) {
    const probe::HostReport* report = report_.find(name);
    const auto heard = heard_.find(name);
    json::object host{{"id", name.to_string()},
                      {"name", report == nullptr ? peer.nickname : report->host.name},
                      {"reachable", peer.reachable},
                      {"stale", staleness(name)},
                      {"age", nullptr}};
    if (heard != heard_.end()) {
      host["age"] = std::chrono::duration<double>(now_ - heard->second).count();
    }
    hosts.push_back(std::move(host));
  }
  return json::serialize(json::object{{"id", options_.self.to_string()},
                                      {"version", options_.version},
                                      {"hostname", options_.hostname},
                                      {"plugins", json::array()},
                                      {"capabilities", {{"historic_reports", false}}},
                                      {"hosts", std::move(hosts)}});
}

json::array App::probes_json() const {
  json::array probes;
  for (const auto& [name, host] : report_.hosts()) {
    probes.push_back(
        json::object{{"id", name.to_string()},
                     {"hostname", host.host.name},
                     {"version", host.host.version},
                     {"age", std::chrono::duration<double>(now_ - heard_.at(name)).count()}});
  }
  return probes;
}

}  // namespace weft::app
