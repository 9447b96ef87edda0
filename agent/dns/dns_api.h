// The DNS half of the control API, with the paths, parameters and texts that scripts of Weave's
// users know. Bodies are text. Pure but for what the hooks do.
//
//   GET    /domain, /dns-address, /dns-address-port   one line
//   GET    /name                                      every name known, JSON
//   PUT    /name/ID/ADDRESS?fqdn=NAME[&port=N][&check-alive=true]
//   DELETE /name/ID/ADDRESS, /name/ID, /name          [?fqdn=NAME]; of this host only
//
// Parameters may be in the body instead. Without DNS (--no-dns) all answer 404.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>

#include "base/result.h"
#include "dns/io/dns_service.h"
#include "sys/http_server.h"

namespace weft::agent {

struct NameRequest {
  std::string owner;
  Ip address;
  std::string fqdn;
  std::uint16_t port = 0;    // Not 0: a service.
  bool check_alive = false;  // A container that does not run gets no name.
};

struct DnsHooks {
  std::function<dns::DnsStatus()> status;
  std::function<Result<Ok>(const NameRequest& request)> add;
  std::function<std::size_t(const dns::Names::Filter& filter)> remove;
};

bool is_dns_path(std::string_view path);

// `hooks` is null where DNS is off.
sys::HttpResponse handle_dns(const sys::HttpRequest& request, const DnsHooks* hooks);

// Names as GET /name lists them.
boost::json::array names_json(const dns::DnsStatus& status);

}  // namespace weft::agent
