#include "app/routes.h"

#include <array>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "app/request.h"

namespace weft::app {
namespace {

// Of two that fit a path the first counts.
constexpr std::array kRoutes{
    Route{"GET", "/api", Call::About},
    Route{"GET", "/api/probes", Call::Probes},
    Route{"GET", "/api/report", Call::Report},
    Route{"GET", "/api/reach", Call::Reach},
    Route{"GET", "/api/visitor", Call::Visitor},
    Route{"GET", "/api/topology", Call::Topologies},
    Route{"GET", "/api/topology/{topology}", Call::Topology},
    Route{"GET", "/api/topology/{topology}/ws", Call::Stream},
    Route{"GET", "/api/topology/{topology}/{node}", Call::Node},
    Route{"POST", "/api/control/{host}/{node}/{control}", Call::Control},
    Route{"GET", "/api/pipe/{pipe}", Call::Pipe},
    Route{"POST", "/api/pipe/{pipe}", Call::PipeEnd},
    Route{"DELETE", "/api/pipe/{pipe}", Call::PipeEnd},
    Route{"GET", "/api/pipe/{pipe}/check", Call::PipeCheck},
    Route{"POST", "/login", Call::Login},
    Route{"POST", "/logout", Call::Logout},
};

bool fits(std::string_view pattern, const std::vector<std::string>& path) {
  pattern.remove_prefix(1);
  for (const std::string& part : path) {
    const std::string_view wanted = take_until(pattern, '/');
    if (wanted.empty() || (!wanted.starts_with('{') && wanted != part)) {
      return false;
    }
  }
  return pattern.empty();
}

}  // namespace

std::span<const Route> routes() {
  return kRoutes;
}

Result<Call> find_call(std::string_view method, const std::vector<std::string>& path) {
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  std::string others;
  for (const Route& route : kRoutes) {
    if (!fits(route.path, path)) {
      continue;
    }
    if (route.method == wanted) {
      return route.call;
    }
    others += others.empty() ? "" : ", ";
    others += route.method;
  }
  if (others.empty()) {
    return Error{Errc::NotFound, "no such path"};
  }
  return Error{Errc::Invalid, "this path takes " + others + " alone"};
}

std::string error_body(std::string_view what) {
  return boost::json::serialize(boost::json::value(what));
}

}  // namespace weft::app
