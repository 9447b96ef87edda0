#include "app/app.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "app/raw/raw_report.h"
#include "app/reach/reach.h"
#include "app/routes.h"
#include "base/assert.h"
#include "probe/report/codec.h"

namespace weft::app {

namespace json = boost::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// A script that polls every ten seconds keeps the picture warm.
constexpr seconds kLinger(15);

// A host that has not answered by then is shown as late rather than waited for.
constexpr milliseconds kWarmUpMax(1500);

// Three renewals may be lost before a host stops telling.
constexpr seconds kLease(10);
constexpr seconds kRenewEvery(3);

// How fresh the picture is while it is small enough to afford it.
constexpr seconds kInterval(1);

// News of several hosts goes out together. A picture of few hosts is cheap, so it is made anew at
// once; one of many at most four times a second.
constexpr milliseconds kPushDelay(10);
constexpr milliseconds kPushSpacingPerHost(25);
constexpr milliseconds kPushSpacingMax(250);

// An unchanged view still sends a frame this often, so that both ends know the other lives.
constexpr seconds kAliveEvery(5);

// A host is called late when three of its reports are missing, and forgotten a minute after it left
// the mesh.
constexpr int kLateReports = 3;
constexpr seconds kLateMin(4);
constexpr seconds kForgetAfter(60);

// Late hosts' ages move in steps, or each tick would resend all of their nodes.
constexpr std::int64_t kAgeStep = 5;

Respond refusal(RequestId id, unsigned status, std::string_view what) {
  return {.request = id, .status = status, .body = error_body(what)};
}

Respond success(RequestId id, const json::value& body) {
  return {.request = id, .status = 200, .body = json::serialize(body)};
}

// Scope's rule: without any query no option filters; with one, groups that are not named take their
// defaults, and a value that does not exist switches its group off.
Choice choice_of(const TopologySpec& spec, const Choice& query) {
  Choice choice;
  if (query.empty()) {
    return choice;
  }
  for (const OptionGroup& group : spec.options) {
    const auto asked = query.find(group.id);
    const std::string_view value =
        asked == query.end() ? group.fallback : std::string_view(asked->second);
    const bool is_known =
        std::any_of(group.values.begin(), group.values.end(), [&](const OptionValue& known) {
          return known.value == value;
        });
    if (is_known) {
      choice.emplace(group.id, value);
    }
  }
  return choice;
}

}  // namespace

App::App(Options options) : options_(std::move(options)) {}

// Collecting -------------------------------------------------------------------------------------

void App::look(TimePoint now, AppActions& out) {
  look_until_ = now + kLinger;
  if (looking_) {
    return;
  }
  looking_ = true;
  warm_by_ = now + kWarmUpMax;
  renew_ = now + kRenewEvery;
  out.emplace_back(AskPeers{});
}

void App::stop_looking(AppActions& out) {
  looking_ = false;
  renew_ = kNever;
  push_ = kNever;
  warm_by_ = kNever;
  const Bytes enough = probe::encode_watch({.lease = Duration::zero(), .interval = kInterval});
  for (const auto& [name, peer] : peers_) {
    out.emplace_back(SendWatch{name, enough});
  }
  report_ = probe::Report();
  heard_.clear();
  size_.clear();
  size_of_all_ = 0;
  peers_.clear();
  picture_.clear();
  ages_.clear();
}

// Hosts are asked less often the more they have to say: what arrives stays below the budget.
Duration App::interval() const {
  const auto rounds = static_cast<std::int64_t>(size_of_all_ / options_.intake_bytes_max) + 1;
  return std::min<Duration>(kInterval * rounds, probe::kIntervalMax);
}

Duration App::spacing() const {
  const auto hosts = static_cast<int>(report_.hosts().size());
  return std::min(kPushSpacingPerHost * hosts, kPushSpacingMax);
}

void App::on_peers(TimePoint now, const std::vector<PeerFacts>& peers, AppActions& out) {
  now_ = now;
  if (!looking_) {
    return;
  }
  peers_.clear();
  const Bytes watch = probe::encode_watch({.lease = kLease, .interval = interval()});
  for (const PeerFacts& peer : peers) {
    peers_.emplace(peer.name, peer);
    if (peer.reachable) {
      out.emplace_back(SendWatch{peer.name, watch});
    }
  }
  forget_lost(now);
}

void App::forget_lost(TimePoint now) {
  std::vector<PeerName> lost;
  for (const auto& [name, at] : heard_) {
    const auto peer = peers_.find(name);
    const bool is_gone = peer == peers_.end() || !peer->second.reachable;
    if (is_gone && now - at > kForgetAfter) {
      lost.push_back(name);
    }
  }
  for (const PeerName name : lost) {
    report_.forget(name);
    heard_.erase(name);
    size_of_all_ -= size_[name];
    size_.erase(name);
    picture_.update(name);
    push_ = std::min(push_, now + kPushDelay);
  }
}

void App::on_report(TimePoint now, PeerName from, ByteView message, AppActions& out) {
  now_ = now;
  if (!looking_) {
    return;  // Sent before it heard that nobody looks any more.
  }
  auto decoded = probe::decode_message(message);
  auto* report = decoded.ok() ? std::get_if<probe::HostReport>(&decoded.value()) : nullptr;
  if (report == nullptr || report->origin != from) {
    ++stats_.reports_refused;
    return;
  }
  ++stats_.reports;
  heard_[from] = now;
  size_of_all_ -= std::exchange(size_[from], message.size());
  size_of_all_ += message.size();
  if (report_.merge(std::move(*report))) {
    picture_.update(from);
    push_ = std::min(push_, std::max(now + kPushDelay, last_push_ + spacing()));
  }
  if (warm_by_ != kNever && is_warm()) {
    warm_by_ = now;
    on_deadline(now, out);
  }
}

bool App::is_warm() const {
  return !peers_.empty() && std::all_of(peers_.begin(), peers_.end(), [this](const auto& item) {
    return !item.second.reachable || heard_.contains(item.first);
  });
}

std::int64_t App::staleness(PeerName host) const {
  const auto heard = heard_.find(host);
  const probe::HostReport* report = report_.find(host);
  if (heard == heard_.end() || report == nullptr) {
    return 0;
  }
  const Duration age = now_ - heard->second;
  if (age < std::max<Duration>(kLateMin, std::max(report->interval, interval()) * kLateReports)) {
    return 0;
  }
  return std::chrono::duration_cast<seconds>(age).count() / kAgeStep * kAgeStep;
}

// Views ------------------------------------------------------------------------------------------

App::Filtered App::filtered(TopologyId topology, const Choice& choice) {
  Filtered filtered{.view = picture_.view(topology).view()};
  filtered.dropped = apply_choice(choice, filtered.view);
  return filtered;
}

Delta App::render(const StreamKey& key, Stream& stream, const std::set<std::string>& ids) {
  const ViewBook& view = picture_.view(key.topology);
  const Filter filter(key.choice);
  const Staleness stale = [this](PeerName host) { return staleness(host); };
  const SummaryOptions options{
      .shows_link = [&](const std::string& to) { return view.is_listed(to, filter); }};
  Delta delta;
  for (const std::string& id : ids) {
    const Node* const node = view.shown(id, filter);
    const auto known = stream.rendered.find(id);
    if (node == nullptr) {
      if (known != stream.rendered.end()) {
        stream.rendered.erase(known);
        delta.removed.push_back(id);
      }
      continue;
    }
    std::string summary = summary_text(*node, stale, options);
    if (known == stream.rendered.end()) {
      delta.added.emplace_back(stream.rendered.emplace(id, std::move(summary)).first->second);
    } else if (known->second != summary) {
      known->second = std::move(summary);
      delta.updated.emplace_back(known->second);
    }
  }
  return delta;
}

void App::render_all(const StreamKey& key, Stream& stream) {
  std::set<std::string> ids;
  for (const auto& [id, node] : picture_.view(key.topology).view()) {
    ids.insert(ids.end(), id);
  }
  (void)render(key, stream, ids);
}

void App::grow_old() {
  std::map<PeerName, std::int64_t> ages;
  for (const auto& [name, at] : heard_) {
    if (const std::int64_t age = staleness(name); age != 0) {
      ages.emplace(name, age);
    }
  }
  for (const auto& [name, at] : heard_) {
    const auto before = ages_.find(name);
    const auto now = ages.find(name);
    if ((before == ages_.end() ? 0 : before->second) != (now == ages.end() ? 0 : now->second)) {
      picture_.touch(name);
    }
  }
  ages_ = std::move(ages);
}

// Requests ---------------------------------------------------------------------------------------

void App::on_request(TimePoint now, RequestId id, std::string_view target, AppActions& out) {
  now_ = now;
  ++stats_.requests;
  look(now, out);
  if (warm_by_ == kNever) {
    out.emplace_back(answer(id, target));
    return;
  }
  if (waiting_.size() >= options_.waiting_max || target.size() > kTargetMax) {
    ++stats_.requests_refused;
    out.emplace_back(refusal(id, 503, "too many requests are waiting"));
    return;
  }
  waiting_.push_back({.request = id, .target = std::string(target)});
}

void App::answer_waiting(AppActions& out) {
  for (const Waiting& waiting : std::exchange(waiting_, {})) {
    out.emplace_back(answer(waiting.request, waiting.target));
  }
}

Respond App::answer(RequestId id, std::string_view text) {
  const auto target = parse_target(text);
  if (!target.ok()) {
    ++stats_.requests_refused;
    return refusal(id, 400, target.error().what);
  }
  const auto call = find_call("GET", target.value().path);
  if (!call.ok()) {
    ++stats_.requests_refused;
    return refusal(id, call.error().code == Errc::NotFound ? 404 : 405, call.error().what);
  }
  switch (call.value()) {
    case Call::About:
      return {.request = id, .status = 200, .body = api_json()};
    case Call::Probes:
      return success(id, probes_json());
    case Call::Report:
      return success(id, raw_report_json(report_));
    case Call::Topologies:
      return {.request = id, .status = 200, .body = menu_json(target.value().query)};
    case Call::Topology:
    case Call::Node:
      return answer_topology(id, target.value());
    case Call::Reach:
      return answer_reach(id, target.value().query);
    case Call::Stream:
    case Call::Pipe:
      ++stats_.requests_refused;
      return refusal(id, 400, "this path is a WebSocket");
    // Only browsers have these, and the shell keeps them.
    case Call::Visitor:
    case Call::Control:
    case Call::PipeCheck:
    case Call::PipeEnd:
    case Call::Login:
    case Call::Logout:
      break;
  }
  ++stats_.requests_refused;
  return refusal(id, 404, "no such path here");
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

Respond App::answer_topology(RequestId id, const Target& target) {
  const TopologySpec* spec = find_topology(target.path[2]);
  if (spec == nullptr) {
    ++stats_.requests_refused;
    return refusal(id, 404, "no such topology");
  }
  const Staleness stale = [this](PeerName host) { return staleness(host); };
  if (target.path.size() == 3) {
    std::string nodes;
    for (const auto& [name, node] : filtered(spec->id, choice_of(*spec, target.query)).view) {
      nodes += nodes.empty() ? "" : ",";
      append_json(nodes, name);
      nodes += ':' + summary_text(node, stale);
    }
    return {.request = id, .status = 200, .body = "{\"nodes\":{" + nodes + "}}"};
  }
  // A node that the options hide is still described.
  const View& view = picture_.view(spec->id).view();
  const auto node = view.find(target.path[3]);
  if (node == view.end()) {
    ++stats_.requests_refused;
    return refusal(id, 404, "no such node");
  }
  const std::string details = details_text(node->second, spec->id, view, picture_.scene(), stale);
  return {.request = id, .status = 200, .body = "{\"node\":" + details + "}"};
}

Respond App::answer_reach(RequestId id, const Choice& query) {
  const auto reach =
      reach_json(query, picture_.scene(), [this](PeerName host) { return staleness(host); });
  if (!reach.ok()) {
    ++stats_.requests_refused;
    return refusal(id, reach.error().code == Errc::NotFound ? 404 : 400, reach.error().what);
  }
  return success(id, reach.value());
}

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

std::string App::menu_json(const Choice& query) {
  return json::serialize(topologies_json([&](const TopologySpec& spec) {
    const Filtered result = filtered(spec.id, choice_of(spec, query));
    return stats_of(result.view, result.dropped);
  }));
}

// Streams ----------------------------------------------------------------------------------------

Result<Ok> App::on_client(TimePoint now, ClientId id, std::string_view text, AppActions& out) {
  now_ = now;
  const auto refuse = [this](Errc code, const char* what) {
    ++stats_.clients_refused;
    return Error{code, what};
  };
  const auto target = parse_target(text);
  if (!target.ok()) {
    return refuse(Errc::Invalid, "malformed target");
  }
  const std::vector<std::string>& path = target.value().path;
  const auto call = find_call("GET", path);
  const bool is_stream = call.ok() && call.value() == Call::Stream;
  const TopologySpec* spec = is_stream ? find_topology(path[2]) : nullptr;
  if (spec == nullptr) {
    return refuse(Errc::NotFound, "no such stream");
  }
  StreamKey key{.topology = spec->id, .choice = choice_of(*spec, target.value().query)};
  if (clients_.size() >= options_.clients_max
      || (streams_.size() >= options_.streams_max && !streams_.contains(key))) {
    return refuse(Errc::Exhausted, "too many clients");
  }
  look(now, out);
  const auto [found, is_first] = streams_.try_emplace(key);
  Stream& stream = found->second;
  stream.clients.insert(id);
  clients_.emplace(id, std::move(key));
  if (warm_by_ != kNever) {
    return Ok{};  // The first frame comes when there is something to show.
  }
  if (is_first) {
    render_all(found->first, stream);
    stream.last_frame = now;
  }
  ++stats_.frames;
  out.emplace_back(
      SendFrame{id, std::make_shared<const std::string>(reset_frame(stream.rendered))});
  return Ok{};
}

void App::on_client_gone(ClientId id) {
  const auto client = clients_.find(id);
  if (client == clients_.end()) {
    return;
  }
  const auto stream = streams_.find(client->second);
  stream->second.clients.erase(id);
  if (stream->second.clients.empty()) {
    streams_.erase(stream);
  }
  clients_.erase(client);
}

void App::push(TimePoint now, AppActions& out) {
  push_ = kNever;
  last_push_ = now;
  grow_old();
  std::map<TopologyId, std::set<std::string>> changed;
  std::set<TopologyId> topologies;
  for (const auto& [key, stream] : streams_) {
    if (topologies.insert(key.topology).second) {
      changed.emplace(key.topology, picture_.view(key.topology).take_changed());
    }
  }
  picture_.keep_only(topologies);
  for (auto& [key, stream] : streams_) {
    const bool is_first = !stream.last_frame;
    Delta delta;
    if (is_first) {
      render_all(key, stream);
    } else {
      delta = render(key, stream, changed.at(key.topology));
      if (delta.empty() && now - *stream.last_frame < kAliveEvery) {
        continue;
      }
    }
    const auto frame = std::make_shared<const std::string>(is_first ? reset_frame(stream.rendered)
                                                                    : delta_frame(delta));
    stream.last_frame = now;
    for (const ClientId client : stream.clients) {
      ++stats_.frames;
      out.emplace_back(SendFrame{client, frame});
    }
  }
}

void App::on_deadline(TimePoint now, AppActions& out) {
  now_ = now;
  if (!looking_) {
    return;
  }
  if (!clients_.empty()) {
    look_until_ = now + kLinger;
  }
  if (look_until_ <= now && waiting_.empty()) {
    stop_looking(out);
    return;
  }
  if (warm_by_ <= now) {
    warm_by_ = kNever;
    push(now, out);
    answer_waiting(out);
  }
  if (renew_ <= now) {
    renew_ = now + kRenewEvery;
    out.emplace_back(AskPeers{});
    // What grows old without news, and clients that wait for a sign of life.
    push_ = std::min(push_, now + kPushDelay);
  }
  if (push_ <= now && warm_by_ == kNever) {
    push(now, out);
  }
}

TimePoint App::next_deadline() const {
  if (!looking_) {
    return kNever;
  }
  const TimePoint push = warm_by_ == kNever ? push_ : kNever;
  const TimePoint end = clients_.empty() ? look_until_ : kNever;
  return std::min({renew_, warm_by_, push, end});
}

void App::check_invariants() const {
  WEFT_ASSERT(clients_.size() <= options_.clients_max);
  WEFT_ASSERT(streams_.size() <= options_.streams_max);
  std::size_t subscribed = 0;
  for (const auto& [key, stream] : streams_) {
    WEFT_ASSERT(!stream.clients.empty());
    subscribed += stream.clients.size();
  }
  WEFT_ASSERT(subscribed == clients_.size());
  WEFT_ASSERT(looking_ || (report_.hosts().empty() && waiting_.empty()));
}

}  // namespace weft::app
