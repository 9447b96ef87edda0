#include "agent/cni/conflist.h"

#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "agent/cli/json_text.h"

namespace weft::agent {

namespace json = boost::json;

std::string cni_conflist(const CniSetup& setup) {
  json::object network{{"type", setup.name + "-net"},
                       {"hairpinMode", setup.hairpin},
                       {"capabilities", json::object{{"ips", true}, {"mac", true}}}};
  if (!setup.run_dir.empty()) {
    network["runDir"] = setup.run_dir;
  }
  // 1.0.0 is what portmap of the distributions in use speaks at most.
  return pretty(
      json::object{{"cniVersion", "1.0.0"},
                   {"name", setup.name},
                   {"plugins",
                    json::array{std::move(network),
                                json::object{{"type", "portmap"},
                                             {"capabilities", json::object{{"portMappings", true}}},
                                             {"snat", true}}}}});
}

}  // namespace weft::agent
