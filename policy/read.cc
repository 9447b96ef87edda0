#include "policy/read.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "base/overloaded.h"

namespace weft::policy {
namespace {

namespace json = boost::json;

constexpr std::int64_t kPortMax = 65'535;
constexpr std::int64_t kGone = 410;  // HTTP's, in the code of a Status.

// An object, and what of it could not be read.
struct Readout {
  Object object;
  std::string problem{};
};

// Null where the field, or one on the way to it, is absent, null or of another kind.
const json::value* at(const json::object& object, std::initializer_list<std::string_view> path) {
  const json::object* place = &object;
  const json::value* value = nullptr;
  for (const std::string_view name : path) {
    value = place == nullptr ? nullptr : place->if_contains({name.data(), name.size()});
    if (value == nullptr || value->is_null()) {
      return nullptr;
    }
    place = value->if_object();
  }
  return value;
}

std::string text_at(const json::object& object, std::initializer_list<std::string_view> path) {
  const json::value* const value = at(object, path);
  return value != nullptr && value->is_string() ? std::string(std::string_view(value->as_string()))
                                                : std::string();
}

const json::array& list_at(const json::object& object,
                           std::initializer_list<std::string_view> path) {
  static const json::array kNone;
  const json::value* const value = at(object, path);
  return value != nullptr && value->is_array() ? value->as_array() : kNone;
}

std::optional<std::int64_t> number_of(const json::value* value) {
  return value != nullptr && value->is_int64() ? std::optional(value->as_int64()) : std::nullopt;
}

Error invalid(std::string what) {
  return Error{Errc::Invalid, std::move(what)};
}

Labels labels_of(const json::object& object) {
  Labels labels;
  const json::value* const found = at(object, {"metadata", "labels"});
  if (found == nullptr || !found->is_object()) {
    return labels;
  }
  for (const auto& label : found->as_object()) {
    if (label.value().is_string() && labels.size() < kLabelsMax) {
      labels.emplace(std::string_view(label.key()), std::string_view(label.value().as_string()));
    }
  }
  return labels;
}

Result<PolicyProtocol> parse_protocol(std::string_view text) {
  if (text.empty() || text == "TCP") {
    return PolicyProtocol::Tcp;
  }
  if (text == "UDP") {
    return PolicyProtocol::Udp;
  }
  if (text == "SCTP") {
    return PolicyProtocol::Sctp;
  }
  return invalid(fmt::format("protocol {} (expected TCP, UDP or SCTP)", text));
}

// --- pods ----------------------------------------------------------------------------------------

void add_address(std::string_view text, std::vector<Ip>& addresses) {
  const auto address = Ip::parse(text);
  if (address.ok() && addresses.size() < kAddressesMax
      && std::find(addresses.begin(), addresses.end(), address.value()) == addresses.end()) {
    addresses.push_back(address.value());
  }
}

// On the host's network its addresses are the host's; when it has ended, they are others' to come.
bool has_own_addresses(const json::object& object) {
  const json::value* const on_host = at(object, {"spec", "hostNetwork"});
  const std::string phase = text_at(object, {"status", "phase"});
  return !(on_host != nullptr && on_host->is_bool() && on_host->as_bool()) && phase != "Succeeded"
         && phase != "Failed";
}

void add_ports(const json::object& container, std::vector<NamedPort>& ports) {
  for (const json::value& each : list_at(container, {"ports"})) {
    if (!each.is_object() || ports.size() >= kPortsMax) {
      continue;
    }
    const json::object& port = each.as_object();
    const std::string name = text_at(port, {"name"});
    const auto number = number_of(at(port, {"containerPort"}));
    const auto protocol = parse_protocol(text_at(port, {"protocol"}));
    if (!name.empty() && number && *number > 0 && *number <= kPortMax && protocol.ok()) {
      ports.push_back({name, protocol.value(), static_cast<std::uint16_t>(*number)});
    }
  }
}

Pod read_pod(ObjectName id, const json::object& object) {
  Pod pod{.id = std::move(id), .labels = labels_of(object)};
  if (!has_own_addresses(object)) {
    return pod;
  }
  add_address(text_at(object, {"status", "podIP"}), pod.addresses);
  for (const json::value& each : list_at(object, {"status", "podIPs"})) {
    if (each.is_object()) {
      add_address(text_at(each.as_object(), {"ip"}), pod.addresses);
    }
  }
  for (const json::value& container : list_at(object, {"spec", "containers"})) {
    if (container.is_object()) {
      add_ports(container.as_object(), pod.ports);
    }
  }
  return pod;
}

// --- policies ------------------------------------------------------------------------------------

Result<const json::array*> strict_list(const json::object& object, std::string_view name) {
  static const json::array kNone;
  const json::value* const value = at(object, {name});
  if (value == nullptr) {
    return &kNone;
  }
  if (!value->is_array()) {
    return invalid(fmt::format("{} is not a list", name));
  }
  return &value->as_array();
}

Result<const json::object*> strict_object(const json::value& value, std::string_view what) {
  if (!value.is_object()) {
    return invalid(fmt::format("{} is not an object", what));
  }
  return &value.as_object();
}

Result<std::string> strict_text(const json::value& value, std::string_view what) {
  if (!value.is_string()) {
    return invalid(fmt::format("{} is not a string", what));
  }
  return std::string(std::string_view(value.as_string()));
}

Result<Requirement> parse_requirement(const json::object& object) {
  using enum Requirement::Operator;
  Requirement requirement{.key = text_at(object, {"key"})};
  const std::string op = text_at(object, {"operator"});
  if (op == "In") {
    requirement.op = In;
  } else if (op == "NotIn") {
    requirement.op = NotIn;
  } else if (op == "Exists") {
    requirement.op = Exists;
  } else if (op == "DoesNotExist") {
    requirement.op = DoesNotExist;
  } else {
    return invalid(fmt::format("operator '{}' of a selector", op));
  }
  const json::array* const values = WEFT_TRY(strict_list(object, "values"));
  for (const json::value& value : *values) {
    std::string text = WEFT_TRY(strict_text(value, "value of a selector"));
    requirement.values.push_back(std::move(text));
  }
  const bool has_values = requirement.op == In || requirement.op == NotIn;
  if (requirement.key.empty() || requirement.values.empty() == has_values) {
    return invalid(fmt::format(
        "selector '{} {}' of {} values", requirement.key, op, requirement.values.size()));
  }
  std::sort(requirement.values.begin(), requirement.values.end());
  requirement.values.erase(std::unique(requirement.values.begin(), requirement.values.end()),
                           requirement.values.end());
  return requirement;
}

Result<Selector> parse_selector(const json::value& value) {
  Selector selector;
  const json::object* const object = WEFT_TRY(strict_object(value, "selector"));
  if (const json::value* const labels = at(*object, {"matchLabels"})) {
    const json::object* const wanted = WEFT_TRY(strict_object(*labels, "matchLabels"));
    for (const auto& label : *wanted) {
      std::string text = WEFT_TRY(strict_text(label.value(), "label"));
      selector.requirements.push_back({.key = std::string(std::string_view(label.key())),
                                       .op = Requirement::Operator::In,
                                       .values = {std::move(text)}});
    }
  }
  const json::array* const expressions = WEFT_TRY(strict_list(*object, "matchExpressions"));
  for (const json::value& expression : *expressions) {
    const json::object* const one = WEFT_TRY(strict_object(expression, "matchExpressions"));
    Requirement requirement = WEFT_TRY(parse_requirement(*one));
    selector.requirements.push_back(std::move(requirement));
  }
  std::sort(selector.requirements.begin(), selector.requirements.end());
  selector.requirements.erase(
      std::unique(selector.requirements.begin(), selector.requirements.end()),
      selector.requirements.end());
  return selector;
}

Result<IpBlock> parse_block(const json::value& value) {
  const json::object* const object = WEFT_TRY(strict_object(value, "ipBlock"));
  const Cidr block = WEFT_TRY(Cidr::parse(text_at(*object, {"cidr"})));
  IpBlock made{.block = block.network()};
  const json::array* const excepts = WEFT_TRY(strict_list(*object, "except"));
  for (const json::value& each : *excepts) {
    const std::string text = WEFT_TRY(strict_text(each, "except"));
    const Cidr except = WEFT_TRY(Cidr::parse(text));
    made.except.push_back(except.network());
  }
  return made;
}

Result<Peer> parse_peer(const json::value& value) {
  const json::object* const object = WEFT_TRY(strict_object(value, "peer"));
  const json::value* const block = at(*object, {"ipBlock"});
  const json::value* const spaces = at(*object, {"namespaceSelector"});
  const json::value* const pods = at(*object, {"podSelector"});
  if (block != nullptr) {
    if (spaces != nullptr || pods != nullptr) {
      return invalid("a peer with an ipBlock and a selector");
    }
    IpBlock parsed = WEFT_TRY(parse_block(*block));
    return Peer(std::move(parsed));
  }
  if (spaces == nullptr && pods == nullptr) {
    return invalid("a peer of an unknown kind");
  }
  PodPeer peer;
  if (spaces != nullptr) {
    peer.spaces = WEFT_TRY(parse_selector(*spaces));
  }
  if (pods != nullptr) {
    peer.pods = WEFT_TRY(parse_selector(*pods));
  }
  return Peer(std::move(peer));
}

Result<Port> parse_port(const json::value& value) {
  const json::object* const object = WEFT_TRY(strict_object(value, "port"));
  const PolicyProtocol protocol = WEFT_TRY(parse_protocol(text_at(*object, {"protocol"})));
  const json::value* const port = at(*object, {"port"});
  if (port == nullptr) {
    return Port(PolicyPorts{.protocol = protocol});
  }
  if (port->is_string()) {
    return Port(PortName{protocol, std::string(std::string_view(port->as_string()))});
  }
  const auto first = number_of(port);
  const json::value* const end = at(*object, {"endPort"});
  const auto last = end == nullptr ? first : number_of(end);
  if (!first || !last || *first < 0 || *last < *first || *last > kPortMax) {
    return invalid("a port that is none");
  }
  return Port(
      PolicyPorts{protocol, static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)});
}

Result<std::vector<Rule>> parse_rules(const json::object& object,
                                      std::string_view rules_name,
                                      std::string_view peers_name) {
  std::vector<Rule> rules;
  const json::array* const list = WEFT_TRY(strict_list(object, rules_name));
  for (const json::value& each : *list) {
    Rule rule;
    const json::object* const from = WEFT_TRY(strict_object(each, "rule"));
    const json::array* const peers = WEFT_TRY(strict_list(*from, peers_name));
    for (const json::value& peer : *peers) {
      Peer parsed = WEFT_TRY(parse_peer(peer));
      rule.peers.push_back(std::move(parsed));
    }
    const json::array* const ports = WEFT_TRY(strict_list(*from, "ports"));
    for (const json::value& port : *ports) {
      Port parsed = WEFT_TRY(parse_port(port));
      rule.ports.push_back(std::move(parsed));
    }
    rules.push_back(std::move(rule));
  }
  return rules;
}

// Closed where it cannot be read.
std::vector<Rule> rules_or_none(const json::object& spec,
                                std::string_view rules_name,
                                std::string_view peers_name,
                                std::string& problem) {
  auto rules = parse_rules(spec, rules_name, peers_name);
  if (rules.ok()) {
    return std::move(rules).value();
  }
  problem = fmt::format("{}: {}", rules_name, rules.error().what);
  return {};
}

Result<Readout> read_policy(ObjectName id, const json::object& object) {
  const json::value* const found = at(object, {"spec"});
  if (found == nullptr) {
    return invalid("no spec");
  }
  const json::object* const spec = WEFT_TRY(strict_object(*found, "spec"));
  Policy policy{.id = std::move(id)};
  // Since Kubernetes 1.34 it may be left out, which says the same as an empty one.
  if (const json::value* const pods = at(*spec, {"podSelector"})) {
    policy.pods = WEFT_TRY(parse_selector(*pods));
  }
  const json::array* const types = WEFT_TRY(strict_list(*spec, "policyTypes"));
  const auto names = [types](std::string_view type) {
    return std::any_of(types->begin(), types->end(), [type](const json::value& each) {
      return each.is_string() && std::string_view(each.as_string()) == type;
    });
  };
  std::string problem;
  // What the API server fills in where it is not said (NetworkPolicySpec.policyTypes).
  if (types->empty() || names("Ingress")) {
    policy.ingress = rules_or_none(*spec, "ingress", "from", problem);
  }
  if (types->empty() ? at(*spec, {"egress"}) != nullptr : names("Egress")) {
    policy.egress = rules_or_none(*spec, "egress", "to", problem);
  }
  return Readout{std::move(policy), std::move(problem)};
}

// --- objects -------------------------------------------------------------------------------------

Result<ObjectName> read_id(Kind kind, const json::object& object) {
  ObjectName id{.space = kind == Kind::Namespaces ? "" : text_at(object, {"metadata", "namespace"}),
                .name = text_at(object, {"metadata", "name"})};
  if (id.name.empty() || (kind != Kind::Namespaces && id.space.empty())) {
    return invalid("an object without a name");
  }
  return id;
}

Result<Readout> read_object(Kind kind, const ObjectName& id, const json::object& object) {
  switch (kind) {
    case Kind::Namespaces:
      return Readout{Namespace{.name = id.name, .labels = labels_of(object)}};
    case Kind::Pods:
      return Readout{read_pod(id, object)};
    case Kind::Policies:
      return read_policy(id, object);
  }
  return invalid("an object of an unknown kind");
}

Result<json::object> parse(std::string_view text) {
  json::error_code error;
  json::value value = json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) {
    return invalid(error ? error.message() : "not an object");
  }
  return std::move(value.as_object());
}

void add_object(Kind kind, const json::value& item, ListPage& page) {
  if (!item.is_object()) {
    page.problems.emplace_back("an item that is no object");
    return;
  }
  const auto id = read_id(kind, item.as_object());
  if (!id.ok()) {
    page.problems.push_back(id.error().what);
    return;
  }
  auto made = read_object(kind, id.value(), item.as_object());
  const std::string problem = made.ok() ? made.value().problem : made.error().what;
  if (!problem.empty()) {
    page.problems.push_back(fmt::format("{}: {}", id.value().to_string(), problem));
  }
  if (made.ok()) {
    page.objects.push_back(std::move(made).value().object);
  }
}

}  // namespace

ObjectName id_of(const Object& object) {
  return std::visit(overloaded{
                        [](const Pod& pod) { return pod.id; },
                        [](const Namespace& space) {
                          return ObjectName{"", space.name};
                        },
                        [](const Policy& policy) { return policy.id; },
                    },
                    object);
}

Result<ListPage> read_list(Kind kind, std::string_view body) {
  const json::object object = WEFT_TRY(parse(body));
  const json::value* const items = at(object, {"items"});
  ListPage page{.objects = {},
                .problems = {},
                .resource_version = text_at(object, {"metadata", "resourceVersion"}),
                .continuation = text_at(object, {"metadata", "continue"})};
  if (page.resource_version.empty() || (items != nullptr && !items->is_array())) {
    return invalid("not a list of objects");
  }
  for (const json::value& item : list_at(object, {"items"})) {
    add_object(kind, item, page);
  }
  return page;
}

Result<WatchEvent> read_event(Kind kind, std::string_view line) {
  const json::object event = WEFT_TRY(parse(line));
  const std::string type = text_at(event, {"type"});
  const json::value* const found = at(event, {"object"});
  if (found == nullptr || !found->is_object()) {
    return invalid("an event without an object");
  }
  const json::object& object = found->as_object();
  if (type == "ERROR") {
    const bool is_gone = number_of(at(object, {"code"})) == kGone;
    return WatchEvent{.type = is_gone ? WatchEvent::Type::Expired : WatchEvent::Type::Failed,
                      .problem = text_at(object, {"message"})};
  }
  WatchEvent made{.resource_version = text_at(object, {"metadata", "resourceVersion"})};
  if (type == "BOOKMARK") {
    made.type = WatchEvent::Type::Bookmark;
    return made;
  }
  made.id = WEFT_TRY(read_id(kind, object));
  if (type == "DELETED") {
    made.type = WatchEvent::Type::Removed;
    return made;
  }
  if (type != "ADDED" && type != "MODIFIED") {
    return invalid(fmt::format("an event of type '{}'", type));
  }
  made.type = WatchEvent::Type::Set;
  auto read = read_object(kind, made.id, object);
  if (read.ok()) {
    made.problem = std::move(read.value().problem);
    made.object = std::move(read.value().object);
  } else {
    made.problem = read.error().what;
  }
  return made;
}

}  // namespace weft::policy
