// What the CNI plugin asks of the agent, over the control socket.
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include "agent/cli/attach/addresses.h"
#include "agent/cli/json_text.h"
#include "agent/cni/session.h"
#include "agent/http/form.h"

namespace weft::agent {

namespace json = boost::json;

namespace {

// Memory, or a few netlink calls in a container's namespace on a host that may be very busy.
constexpr int kCallTimeoutSeconds = 20;

// Throws where the agent says something else than it should.
template <class Read>
auto read_answer(const Result<std::string>& answer, Read read)
    -> Result<decltype(read(json::value()))> {
  if (!answer.ok()) {
    return answer.error();
  }
  try {
    return read(json::parse(answer.value()));
  } catch (const std::exception& error) {
    return Error{Errc::Os, fmt::format("answer of the agent: {}", error.what())};
  }
}

// Nothing, or why there are no addresses to be had.
std::string hindrance(const json::value& ipam) {
  const std::string state = text_of(ipam.at("state"));
  // Idle: the first request founds it. Off: they come from elsewhere.
  if (state == "ready" || state == "idle" || state == "off") {
    return "";
  }
  return fmt::format("addresses: {} ({})", state, text_of(ipam.at("detail")));
}

}  // namespace

Result<std::vector<CniHolding>> cni_held(const CniSession& session) {
  return read_answer(
      ask_agent(session.settings, "GET", "/ip", kCallTimeoutSeconds),
      [](const json::value& answer) {
        std::vector<CniHolding> all;
        const json::value& owned = answer.at("owned");
        for (const json::value& one : owned.is_null() ? json::array() : owned.as_array()) {
          CniHolding holding{.owner = text_of(one.at("containerid")), .addresses = {}};
          for (const json::value& address : one.at("addrs").as_array()) {
            holding.addresses.push_back(Cidr::parse(text_of(address)).value());
          }
          all.push_back(std::move(holding));
        }
        return all;
      });
}

Result<CniAttached> cni_attached(const CniSession& session) {
  return read_answer(ask_agent(session.settings, "GET", "/attach", kCallTimeoutSeconds),
                     [](const json::value& answer) {
                       CniAttached all;
                       for (const json::value& one : answer.at("attached").as_array()) {
                         all.attachments.push_back({.owner = text_of(one.at("id")),
                                                    .host = text_of(one.at("interface"))});
                       }
                       for (const json::value& one : answer.at("exposed").as_array()) {
                         all.exposed.push_back(Cidr::parse(text_of(one.at("address"))).value());
                       }
                       return all;
                     });
}

Result<Ok> cni_is_ready(const CniSession& session) {
  const auto why = read_answer(
      ask_agent(session.settings, "GET", "/status/ipam", kCallTimeoutSeconds), hindrance);
  if (!why.ok()) {
    return why.error();
  }
  return why.value().empty() ? Result<Ok>(Ok{}) : Error{Errc::Exhausted, why.value()};
}

Result<Ok> cni_attach(const CniSession& session,
                      const cni::AddResult& addresses,
                      const std::vector<cni::Route>& routes) {
  std::string target =
      fmt::format("/attach/{}?netns={}&interface={}&multicast=false&mtu={}&hairpin={}",
                  encode_percent(session.owner),
                  encode_percent(session.call.netns),
                  encode_percent(session.call.attachment.interface),
                  session.config.mtu,
                  session.config.hairpin);
  if (session.config.mac) {
    target += "&mac=" + encode_percent(session.config.mac->to_string());
  }
  for (const cni::IpConfig& ip : addresses.ips) {
    target += "&address=" + encode_percent(ip.address.to_string());
  }
  for (const cni::Route& route : routes) {
    const std::string gateway = route.gateway ? "," + route.gateway->to_string() : "";
    target += "&route=" + encode_percent(route.destination.to_string() + gateway);
  }
  (void)WEFT_TRY(ask_agent(session.settings, "POST", target, kCallTimeoutSeconds));
  return Ok{};
}

Result<Ok> cni_detach(const CniSession& session, const std::string& owner) {
  std::string target = "/attach/" + encode_percent(owner);
  if (owner == session.owner && !session.call.netns.empty()) {
    target += fmt::format("?netns={}&interface={}",
                          encode_percent(session.call.netns),
                          encode_percent(session.call.attachment.interface));
  }
  (void)WEFT_TRY(ask_agent(session.settings, "DELETE", target, kCallTimeoutSeconds));
  return Ok{};
}

}  // namespace weft::agent
