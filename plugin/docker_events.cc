#include "plugin/docker_events.h"

#include <algorithm>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include "base/assert.h"

namespace weft::plugin {

namespace json = boost::json;

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// dockerd restarts in about a second.
constexpr Duration kPauseMin = milliseconds(100);
constexpr Duration kPauseMax = seconds(5);
// A safety net under the event stream; a list of a hundred containers costs dockerd a millisecond.
constexpr Duration kListEvery = seconds(60);
// An event carries a container's labels, which together are below a megabyte.
constexpr std::size_t kLineMax = 1U << 20U;

// {"type":["container","network"],
//  "event":["start","die","destroy","rename","connect","disconnect"]}
constexpr const char* kEventsTarget =
    "/events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%2C%22event%22%3A%5B"
    "%22start%22%2C%22die%22%2C%22destroy%22%2C%22rename%22%2C%22connect%22%2C%22disconnect%22%5D"
    "%7D";
constexpr const char* kListTarget = "/containers/json";

constexpr std::size_t kShortIdSize = 12;

constexpr unsigned kOk = 200;
constexpr unsigned kNotFound = 404;

// Ids go into targets of requests.
bool is_id(std::string_view text) {
  constexpr std::size_t kIdSize = 64;
  return text.size() == kIdSize && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// The text at that path, or nothing.
std::string text_at(const json::value& value, std::initializer_list<std::string_view> path) {
  const json::value* at = &value;
  for (const std::string_view key : path) {
    at = at->is_object() ? at->as_object().if_contains(key) : nullptr;
    if (at == nullptr) {
      return "";
    }
  }
  return at->is_string() ? std::string(std::string_view(at->as_string())) : "";
}

const json::value* find(const json::value& value, std::string_view key) {
  return value.is_object() ? value.as_object().if_contains(key) : nullptr;
}

std::optional<json::value> parse(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  return error ? std::nullopt : std::optional(std::move(value));
}

// What a swarm says of the containers of its services.
constexpr std::string_view kServiceLabel = "com.docker.swarm.service.name";

// Names that hold on every network. A host name with a dot, or with a domain, is whole. That of a
// service is what all its tasks are called: the engine's own name for it may stand for an address
// that leads nowhere (docs/adr/0084).
std::vector<std::string> names_of(const json::value& container) {
  std::vector<std::string> names;
  const std::string name = text_at(container, {"Name"});
  if (name.size() > 1) {
    names.push_back(name.substr(1));  // "/web"
  }
  const std::string host = text_at(container, {"Config", "Hostname"});
  const std::string domain = text_at(container, {"Config", "Domainname"});
  if (!host.empty()) {
    const bool is_whole = !domain.empty() || host.find('.') != std::string::npos;
    names.push_back(host + (domain.empty() ? "" : "." + domain) + (is_whole ? "." : ""));
  }
  if (std::string service = text_at(container, {"Config", "Labels", kServiceLabel});
      !service.empty()) {
    names.push_back(std::move(service));
  }
  return names;
}

std::vector<Ip> addresses_of(const json::value& network) {
  std::vector<Ip> addresses;
  for (const std::string_view key : {"IPAddress", "GlobalIPv6Address"}) {
    if (const auto address = Ip::parse(text_at(network, {key})); address.ok()) {
      addresses.push_back(address.value());
    }
  }
  return addresses;
}

}  // namespace

std::optional<ContainerNames> parse_inspect(std::string_view body,
                                            const DockerEvents::Options& options) {
  const auto container = parse(body);
  const json::value* state = container ? find(*container, "State") : nullptr;
  const json::value* running = state != nullptr ? find(*state, "Running") : nullptr;
  const json::value* settings = container ? find(*container, "NetworkSettings") : nullptr;
  const json::value* networks = settings != nullptr ? find(*settings, "Networks") : nullptr;
  if (running == nullptr || !running->is_bool()) {
    return std::nullopt;
  }
  ContainerNames names{.container = {}, .entries = {}, .running = running->as_bool()};
  if (!names.running || networks == nullptr || !networks->is_object()) {
    return names;
  }
  const std::vector<std::string> everywhere = names_of(*container);
  for (const auto& [network_name, network] : networks->as_object()) {
    if (!options.is_ours(text_at(network, {"EndpointID"}))) {
      continue;
    }
    std::vector<std::string> here = everywhere;
    const json::value* aliases = find(network, "Aliases");
    if (aliases != nullptr && aliases->is_array()) {
      for (const json::value& alias : aliases->as_array()) {
        if (alias.is_string()) {
          here.emplace_back(std::string_view(alias.as_string()));
        }
      }
    }
    // Docker's alias and host name of those who have none: no name, and it would be the answer to
    // what an address is called.
    std::erase(here, text_at(*container, {"Id"}).substr(0, kShortIdSize));
    for (const Ip& address : addresses_of(network)) {
      for (const std::string& name : here) {
        names.entries.push_back({.name = name, .address = address});
      }
    }
  }
  auto& entries = names.entries;
  std::sort(entries.begin(), entries.end());
  entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
  return names;
}

std::optional<std::string> parse_default_bridge(std::string_view body) {
  const auto network = parse(body);
  std::string name =
      network ? text_at(*network, {"Options", "com.docker.network.bridge.name"}) : std::string();
  return name.empty() ? std::nullopt : std::optional(std::move(name));
}

void DockerEvents::on_deadline(TimePoint now, EventsActions& out) {
  if (now < due_) {
    return;
  }
  if (state_ == State::Open) {
    due_ = now + kListEvery;
    list(out);
    return;
  }
  if (state_ == State::Waiting) {
    state_ = State::Opening;
    due_ = kNever;
    out.push_back(OpenStream{kEventsTarget});
  }
}

void DockerEvents::on_stream_open(TimePoint now, EventsActions& out) {
  state_ = State::Open;
  pause_ = {};
  line_.clear();
  due_ = now + kListEvery;
  list(out);  // After the stream is open, so that nothing falls between the two.
}

void DockerEvents::on_stream_end(TimePoint now, EventsActions& /*out*/) {
  ++stats_.streams_ended;
  state_ = State::Waiting;
  listed_ = false;
  pause_ = std::clamp<Duration>(2 * pause_, kPauseMin, kPauseMax);
  due_ = now + pause_;
}

void DockerEvents::on_stream_bytes(TimePoint now, std::string_view bytes, EventsActions& out) {
  while (!bytes.empty() && state_ == State::Open) {
    const std::size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    if (line_.size() + piece.size() > kLineMax) {
      // What that event said is found out by listing.
      ++stats_.over_limit;
      line_.clear();
      due_ = now;
      return;
    }
    line_ += piece;
    if (end == std::string_view::npos) {
      return;
    }
    on_event(line_, out);
    line_.clear();
    bytes.remove_prefix(end + 1);
  }
}

void DockerEvents::on_event(std::string_view line, EventsActions& out) {
  ++stats_.events;
  const auto event = parse(line);
  if (!event) {
    ++stats_.malformed;
    return;
  }
  const bool is_network = text_at(*event, {"Type"}) == "network";
  const std::string id = is_network ? text_at(*event, {"Actor", "Attributes", "container"})
                                    : text_at(*event, {"Actor", "ID"});
  if (!is_id(id)) {
    stats_.malformed += is_network ? 0U : 1U;  // Networks have events of their own.
    return;
  }
  const std::string action = text_at(*event, {"Action"});
  const bool is_removed = !is_network && action == "destroy";
  const bool has_died = action == "die" || is_removed;
  if (has_died) {
    // At once; whether it runs again is asked all the same.
    out.push_back(
        ContainerNames{.container = id, .entries = {}, .running = false, .removed = is_removed});
  }
  inspect(id, out);
  if (const auto known = containers_.find(id); has_died && known != containers_.end()) {
    known->second.told_running = false;
    known->second.names.clear();
  }
}

void DockerEvents::list(EventsActions& out) {
  if (!listing_) {
    listing_ = DockerAskId(++last_ask_);
    out.push_back(AskDocker{*listing_, kListTarget});
  }
}

void DockerEvents::on_list(unsigned status, std::string_view body, EventsActions& out) {
  const auto list = status == kOk ? parse(body) : std::nullopt;
  if (!list || !list->is_array()) {
    stats_.malformed += status == kOk ? 1U : 0U;
    return;  // The next list makes up for it.
  }
  std::set<std::string> running;
  for (const json::value& container : list->as_array()) {
    if (std::string id = text_at(container, {"Id"}); is_id(id)) {
      running.insert(std::move(id));
    }
  }
  // Inspected, too, what is known but not listed: it may have started since.
  for (const auto& [id, container] : containers_) {
    running.insert(id);
  }
  for (const std::string& id : running) {
    inspect(id, out);
  }
  listed_ = true;
}

void DockerEvents::inspect(const std::string& id, EventsActions& out) {
  const auto known = containers_.find(id);
  if (known == containers_.end() && containers_.size() >= options_.containers_max) {
    ++stats_.over_limit;
    return;
  }
  Container& container = known == containers_.end() ? containers_[id] : known->second;
  if (container.asked) {
    container.changed = true;
    return;
  }
  container.asked = true;
  to_inspect_.push_back(id);
  ask_more(out);
}

void DockerEvents::ask_more(EventsActions& out) {
  while (!to_inspect_.empty() && inspecting_.size() < options_.asks_max) {
    const DockerAskId ask(++last_ask_);
    const std::string id = std::move(to_inspect_.front());
    to_inspect_.pop_front();
    containers_.at(id).changed = false;
    out.push_back(AskDocker{ask, "/containers/" + id + "/json"});
    inspecting_.emplace(ask, id);
  }
}

void DockerEvents::on_answer(TimePoint /*now*/,
                             DockerAskId ask,
                             unsigned status,
                             std::string_view body,
                             EventsActions& out) {
  if (listing_ == ask) {
    listing_.reset();
    on_list(status, body, out);
    return;
  }
  if (const auto node = inspecting_.extract(ask)) {
    on_inspected(node.mapped(), status, body, out);
    ask_more(out);
  }
}

void DockerEvents::on_inspected(const std::string& id,
                                unsigned status,
                                std::string_view body,
                                EventsActions& out) {
  Container& container = containers_.at(id);
  container.asked = false;
  if (container.changed) {
    inspect(id, out);
    return;
  }
  if (status == kNotFound) {
    on_stopped(id, out);
    return;
  }
  auto said = status == kOk ? parse_inspect(body, options_) : std::nullopt;
  if (!said) {
    stats_.malformed += status == kOk ? 1U : 0U;
    return;  // As it was, until the next list.
  }
  if (!said->running) {
    on_stopped(id, out);
    return;
  }
  if (said->entries.size() > options_.names_max) {
    ++stats_.over_limit;
    said->entries.resize(options_.names_max);
  }
  if (container.told_running != true || container.names != said->entries) {
    container.told_running = true;
    container.names = said->entries;
    said->container = id;
    out.push_back(std::move(*said));
  }
}

void DockerEvents::on_stopped(const std::string& id, EventsActions& out) {
  // Also of what nobody was told of: its names may be remembered from before a restart.
  if (containers_.at(id).told_running != false) {
    out.push_back(ContainerNames{.container = id, .entries = {}, .running = false});
  }
  containers_.erase(id);
}

bool DockerEvents::may_run(const std::string& container) const {
  return !listed_ || containers_.contains(container);
}

void DockerEvents::check_invariants() const {
  WEFT_ASSERT(containers_.size() <= options_.containers_max);
  WEFT_ASSERT(inspecting_.size() <= options_.asks_max);
  std::size_t asked = 0;
  for (const auto& [id, container] : containers_) {
    asked += container.asked ? 1U : 0U;
    WEFT_ASSERT(container.names.size() <= options_.names_max);
  }
  WEFT_ASSERT(asked == inspecting_.size() + to_inspect_.size());
}

}  // namespace weft::plugin
