#include "agent/attach/attach_api.h"

#include <charconv>
#include <system_error>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "agent/http/form.h"

namespace weft::agent {

namespace json = boost::json;

namespace {

using sys::HttpResponse;
using Segments = std::vector<std::string>;

HttpResponse text(unsigned status, std::string body) {
  return {.status = status, .content_type = "text/plain; charset=utf-8", .body = std::move(body)};
}

HttpResponse refusal(const Error& error) {
  const bool is_asked_wrong = error.code == Errc::Invalid || error.code == Errc::NotFound
                              || error.code == Errc::Conflict || error.code == Errc::Exhausted;
  return text(is_asked_wrong ? 400 : 500, error.what + "\n");
}

HttpResponse answer_to(const Result<Ok>& done) {
  return done.ok() ? text(204, "") : refusal(done.error());
}

json::array texts(const std::vector<Cidr>& addresses) {
  json::array all;
  for (const Cidr& address : addresses) {
    all.emplace_back(address.to_string());
  }
  return all;
}

HttpResponse list(const Attached& attached) {
  json::array attachments;
  for (const Attachment& one : attached.attachments) {
    attachments.push_back(json::object{{"id", one.owner},
                                       {"mac", one.mac.to_string()},
                                       {"interface", one.host},
                                       {"addresses", texts(one.addresses)}});
  }
  json::array exposed;
  for (const Exposure& one : attached.exposed) {
    exposed.push_back(
        json::object{{"address", one.address.to_string()}, {"masquerade", one.masquerade}});
  }
  json::array endpoints;
  for (const Attached::Endpoint& one : attached.endpoints) {
    endpoints.push_back(json::object{{"id", one.id}, {"mac", one.mac.to_string()}});
  }
  return {.status = 200,
          .content_type = "application/json",
          .body = json::serialize(json::object{{"attached", std::move(attachments)},
                                               {"exposed", std::move(exposed)},
                                               {"endpoints", std::move(endpoints)},
                                               {"bridge_mac", attached.bridge.to_string()}})};
}

Result<std::vector<Cidr>> addresses_of(const Form& form) {
  std::vector<Cidr> addresses;
  for (const std::string& text : values_of(form, "address")) {
    addresses.push_back(WEFT_TRY(Cidr::parse(text)));
  }
  if (addresses.size() > kAttachedAddressesMax) {
    return Error{Errc::Exhausted,
                 fmt::format("{} addresses (at most {})", addresses.size(), kAttachedAddressesMax)};
  }
  return addresses;
}

// "10.0.0.0/8,10.32.0.1", or without a gateway "10.0.0.0/8".
Result<std::vector<sys::GuestRoute>> routes_of(const Form& form) {
  std::vector<sys::GuestRoute> routes;
  for (const std::string& text : values_of(form, "route")) {
    const std::size_t comma = text.find(',');
    const Cidr destination = WEFT_TRY(Cidr::parse(text.substr(0, comma)));
    sys::GuestRoute route{.destination = destination.network(), .gateway = {}};
    if (comma != std::string::npos) {
      route.gateway = WEFT_TRY(Ip::parse(text.substr(comma + 1)));
    }
    routes.push_back(route);
  }
  if (routes.size() > kAttachedRoutesMax) {
    return Error{Errc::Exhausted,
                 fmt::format("{} routes (at most {})", routes.size(), kAttachedRoutesMax)};
  }
  return routes;
}

Result<std::uint32_t> mtu_of(const Form& form) {
  const std::string text = value_of(form, "mtu");
  std::uint32_t mtu = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mtu);
  if (!text.empty() && (error != std::errc() || end != text.data() + text.size())) {
    return Error{Errc::Invalid, fmt::format("mtu {} (expected a number of bytes)", text)};
  }
  return mtu;
}

// What of a call is about the interface itself.
Result<AttachCall> interface_of(const Form& form) {
  AttachCall call;
  if (const std::string name = value_of(form, "interface"); !name.empty()) {
    call.interface = name;
  }
  if (call.interface.size() > kInterfaceNameMax) {
    return Error{
        Errc::Invalid,
        fmt::format("interface {} (at most {} characters)", call.interface, kInterfaceNameMax)};
  }
  if (const std::string mac = value_of(form, "mac"); !mac.empty()) {
    call.mac = WEFT_TRY(Mac::parse(mac));
  }
  call.mtu = WEFT_TRY(mtu_of(form));
  call.hairpin = flag_of(form, "hairpin");
  call.routes = WEFT_TRY(routes_of(form));
  return call;
}

Result<HttpResponse> attach(const sys::HttpRequest& request,
                            const Segments& path,
                            const AttachHooks& hooks) {
  const Form form = WEFT_TRY(parse_request_form(request.target, request.body));
  std::vector<Cidr> addresses = WEFT_TRY(addresses_of(form));
  if (request.method == "DELETE") {
    return answer_to(hooks.detach({.owner = path[1],
                                   .netns = value_of(form, "netns"),
                                   .addresses = std::move(addresses),
                                   .interface = value_of(form, "interface")}));
  }
  AttachCall call = WEFT_TRY(interface_of(form));
  call.owner = path[1];
  call.netns = value_of(form, "netns");
  call.addresses = std::move(addresses);
  call.multicast_route = value_of(form, "multicast") != "false";
  if (!call.netns.starts_with('/')) {
    return Error{Errc::Invalid, "netns is to be an absolute path, such as /proc/PID/ns/net"};
  }
  return answer_to(hooks.attach(call));
}

Result<HttpResponse> expose(const sys::HttpRequest& request,
                            const Segments& path,
                            const AttachHooks& hooks) {
  const Form form = WEFT_TRY(parse_request_form(request.target, request.body));
  const Cidr address = WEFT_TRY(Cidr::parse(path[1] + "/" + path[2]));
  return answer_to(
      request.method == "DELETE"
          ? hooks.hide(address)
          : hooks.expose({.address = address, .masquerade = !flag_of(form, "skipNAT")}));
}

Result<HttpResponse> respond(const sys::HttpRequest& request, const AttachHooks& hooks) {
  const Segments path = WEFT_TRY(path_segments(request.target));
  const bool is_change = request.method == "POST" || request.method == "DELETE";
  if (path[0] == "attach" && path.size() == 1 && request.method == "GET") {
    return list(hooks.list());
  }
  if (path[0] == "attach" && path.size() == 2 && !path[1].empty() && is_change) {
    return attach(request, path, hooks);
  }
  if (path[0] == "expose" && path.size() == 3 && is_change) {
    return expose(request, path, hooks);
  }
  return text(404, "404 page not found\n");
}

}  // namespace

bool is_attach_path(std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  return path == "/attach" || path.starts_with("/attach/") || path.starts_with("/expose/");
}

HttpResponse handle_attach(const sys::HttpRequest& request, const AttachHooks& hooks) {
  const auto response = respond(request, hooks);
  return response.ok() ? response.value() : refusal(response.error());
}

}  // namespace weft::agent
