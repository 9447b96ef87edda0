#include "app/app.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <span>
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

// Streams do not wait so long: by then they are told what there is.
constexpr milliseconds kFirstFrameMax(100);

// What is done in one go, before the loop does its other work: about 10 ms of a CPU, in nodes and
// flows (bench/views).
constexpr std::size_t kSliceWork = 3000;
// A node as text costs as much as so many.
constexpr std::size_t kTextWork = 4;

// Counting the nodes of a view that nobody watches takes making it. Of a large cluster these counts
// stay for so long per host beyond those that are counted at once.
constexpr milliseconds kCountedPerHost(30);
constexpr std::size_t kCountedAtOnce = 20;
// Whoever asks chooses what is counted: all views of all requests that may wait, with room.
constexpr std::size_t kCountedMax = 4096;

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
  first_by_ = now + kFirstFrameMax;
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
  is_asked_ = false;
  picture_.clear();
  counted_.clear();
  is_behind_ = false;
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
  is_asked_ = !peers.empty();
  awaited_ = 0;
  const Bytes watch = probe::encode_watch({.lease = kLease, .interval = interval()});
  for (const PeerFacts& peer : peers) {
    peers_.emplace(peer.name, peer);
    if (peer.reachable) {
      awaited_ += heard_.contains(peer.name) ? 0U : 1U;
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
  if (heard_.insert_or_assign(from, now).second) {
    const auto peer = peers_.find(from);
    awaited_ -= peer != peers_.end() && peer->second.reachable ? 1U : 0U;
  }
  size_of_all_ -= std::exchange(size_[from], message.size());
  size_of_all_ += message.size();
  if (report_.merge(std::move(*report))) {
    picture_.update(from);
    push_ = std::min(push_, std::max(now + kPushDelay, last_push_ + spacing()));
  }
  if (warm_by_ != kNever && is_asked_ && awaited_ == 0) {
    warm_by_ = now;
    on_deadline(now, out);
  }
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
  if (waiting_.size() >= options_.waiting_max || target.size() > kTargetMax) {
    refuse(id, 503, "too many requests are waiting", out);
    return;
  }
  waiting_.push_back({.request = id, .target = std::string(target), .rounds = picture_.rounds()});
  if (warm_by_ == kNever) {
    slice(out);
  }
}

void App::refuse(RequestId id, unsigned status, std::string_view what, AppActions& out) {
  ++stats_.requests_refused;
  out.emplace_back(refusal(id, status, what));
}

// Answers what can be answered. What the first of the others needs is made next.
App::Needs App::serve(std::size_t& work, AppActions& out) {
  Needs first;
  std::vector<Waiting> still;
  for (Waiting& waiting : waiting_) {
    if (const Needs needs = answer(waiting, work, out)) {
      first = first ? first : needs;
      still.push_back(std::move(waiting));
    }
  }
  waiting_ = std::move(still);
  return first;
}

App::Needs App::answer(Waiting& waiting, std::size_t& work, AppActions& out) {
  const RequestId id = waiting.request;
  const auto target = parse_target(waiting.target);
  if (!target.ok()) {
    refuse(id, 400, target.error().what, out);
    return {};
  }
  const auto call = find_call("GET", target.value().path);
  if (!call.ok()) {
    refuse(id, call.error().code == Errc::NotFound ? 404 : 405, call.error().what, out);
    return {};
  }
  switch (call.value()) {
    case Call::About:
      out.emplace_back(Respond{.request = id, .status = 200, .body = api_json()});
      return {};
    case Call::Probes:
      out.emplace_back(success(id, probes_json()));
      return {};
    case Call::Report:
      return answer_report(waiting, work, out);
    case Call::Topologies:
      return answer_menu(waiting, target.value().query, out);
    case Call::Topology:
    case Call::Node:
      return answer_topology(waiting, target.value(), work, out);
    case Call::Reach:
      // Of the views that have edges the one that costs least.
      if (!picture_.shows_all(TopologyId::Hosts, waiting.rounds)) {
        return Missing{TopologyId::Hosts};
      }
      out.emplace_back(answer_reach(id, target.value().query));
      return {};
    case Call::Stream:
    case Call::Pipe:
      refuse(id, 400, "this path is a WebSocket", out);
      return {};
    // Only browsers have these, and the shell keeps them.
    case Call::Visitor:
    case Call::Control:
    case Call::PipeCheck:
    case Call::PipeEnd:
    case Call::Login:
    case Call::Logout:
      break;
  }
  refuse(id, 404, "no such path here", out);
  return {};
}

App::Needs App::answer_topology(Waiting& waiting,
                                const Target& target,
                                std::size_t& work,
                                AppActions& out) {
  const TopologySpec* const spec = find_topology(target.path[2]);
  if (spec == nullptr) {
    refuse(waiting.request, 404, "no such topology", out);
    return {};
  }
  if (!picture_.contains(spec->id)) {
    waiting.text.clear();  // The view was dropped for another.
    waiting.children.reset();
  }
  const bool is_begun = !waiting.text.empty() || waiting.children;
  if (!is_begun && !picture_.shows_all(spec->id, waiting.rounds)) {
    return Missing{spec->id};
  }
  if (target.path.size() > 3) {
    return answer_node(waiting, target, *spec, work, out);
  }
  const Filter filter(choice_of(*spec, target.query));
  if (!add_nodes(waiting, picture_.view_so_far(spec->id), filter, work)) {
    return Missing{spec->id};
  }
  out.emplace_back(Respond{
      .request = waiting.request, .status = 200, .body = "{\"nodes\":{" + waiting.text + "}}"});
  return {};
}

App::Needs App::answer_report(Waiting& waiting, std::size_t& work, AppActions& out) {
  if (!waiting.raw) {
    waiting.raw = std::make_unique<RawReport>(report_);
  }
  // Views go on meanwhile.
  std::size_t share = (work + 1) / 2;
  work -= share;
  const bool is_whole = waiting.raw->advance(share);
  work += share;
  if (!is_whole) {
    return Missing{};
  }
  out.emplace_back(Respond{.request = waiting.request, .status = 200, .body = waiting.raw->take()});
  return {};
}

// True if there are no more.
bool App::add_nodes(Waiting& waiting,
                    const ViewBook& view,
                    const Filter& filter,
                    std::size_t& work) {
  const Staleness stale = [this](PeerName host) { return staleness(host); };
  const SummaryOptions options{
      .shows_link = [&](const std::string& to) { return view.is_listed(to, filter); }};
  auto at = waiting.text.empty() ? view.view().begin() : view.view().upper_bound(waiting.last_node);
  for (; at != view.view().end() && work > 0; ++at) {
    waiting.last_node = at->first;
    if (const Node* const node = view.shown(at->first, filter)) {
      waiting.text += waiting.text.empty() ? "" : ",";
      append_json(waiting.text, at->first);
      waiting.text += ':' + summary_text(*node, stale, options);
      work -= std::min(work, kTextWork);
    }
  }
  return at == view.view().end();
}

// One that the options hide is described all the same.
App::Needs App::answer_node(Waiting& waiting,
                            const Target& target,
                            const TopologySpec& spec,
                            std::size_t& work,
                            AppActions& out) {
  const ViewBook& view = picture_.view_so_far(spec.id);
  const auto node = view.view().find(target.path[3]);
  if (node == view.view().end()) {
    refuse(waiting.request, 404, "no such node", out);
    return {};
  }
  if (!waiting.children) {
    waiting.children = std::make_unique<Children>(spec.id, node->second, report_);
  }
  if (!waiting.children->advance(work)) {
    return Missing{spec.id};
  }
  const Staleness stale = [this](PeerName host) { return staleness(host); };
  const std::string children = waiting.children->text(stale);
  out.emplace_back(Respond{
      .request = waiting.request,
      .status = 200,
      .body = "{\"node\":" + details_text(node->second, spec.id, view, children, stale) + "}"});
  return {};
}

// Views are counted one after the other, so that they need not all be there.
App::Needs App::answer_menu(Waiting& waiting, const Choice& query, AppActions& out) {
  const std::size_t hosts = report_.hosts().size();
  const Duration lasts = kCountedPerHost * (hosts - std::min(hosts, kCountedAtOnce));
  const auto key_of = [&](const TopologySpec& spec) {
    return std::pair(spec.id, choice_of(spec, query));
  };
  if (waiting.step == 0 && counted_.size() > kCountedMax) {
    counted_.clear();
  }
  for (const std::span<const TopologySpec> all = topologies(); waiting.step < all.size();
       ++waiting.step) {
    const TopologySpec& spec = all[waiting.step];
    Counted& counted = counted_[key_of(spec)];
    if (picture_.shows_all(spec.id, waiting.rounds)) {
      const Filter filter(std::get<1>(key_of(spec)));
      counted = {.at = now_, .stats = picture_.view_so_far(spec.id).stats(filter)};
    } else if (counted.at == TimePoint() || now_ - counted.at >= lasts) {
      return Missing{spec.id};
    }
  }
  // Another request's beginning may have cleared what this one counted.
  for (const TopologySpec& spec : topologies()) {
    if (!counted_.contains(key_of(spec))) {
      waiting.step = 0;
      return Missing{spec.id};
    }
  }
  const auto stats = [&](const TopologySpec& spec) { return counted_.at(key_of(spec)).stats; };
  out.emplace_back(Respond{
      .request = waiting.request, .status = 200, .body = json::serialize(topologies_json(stats))});
  return {};
}

Respond App::answer_reach(RequestId id, const Choice& query) {
  const auto reach =
      reach_json(query, picture_.scene_so_far(), [this](PeerName host) { return staleness(host); });
  if (!reach.ok()) {
    ++stats_.requests_refused;
    return refusal(id, reach.error().code == Errc::NotFound ? 404 : 400, reach.error().what);
  }
  return success(id, reach.value());
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
  Streams::Key key{.topology = spec->id, .choice = choice_of(*spec, target.value().query)};
  if (streams_.client_count() >= options_.clients_max
      || (streams_.count() >= options_.streams_max && !streams_.contains(key))) {
    return refuse(Errc::Exhausted, "too many clients");
  }
  look(now, out);
  std::vector<SendFrame> frames;
  streams_.add(id, key, picture_, moment(), frames);
  send(std::move(frames), out);
  if (is_showing()) {
    slice(out);
  }
  return Ok{};
}

void App::send(std::vector<SendFrame> frames, AppActions& out) {
  for (SendFrame& frame : frames) {
    ++stats_.frames;
    out.emplace_back(std::move(frame));
  }
}

void App::push(TimePoint now, AppActions& out) {
  push_ = kNever;
  last_push_ = now;
  grow_old();
  slice(out);
}

// Edges wait until all hosts have told, or had the time to.
Picture::Stage App::stage() const {
  return is_warm() ? Picture::Stage::All : Picture::Stage::Nodes;
}

Streams::Moment App::moment() const {
  return {.now = now_,
          .is_warm = is_warm(),
          .awaited = awaited_,
          .told = report_.hosts().size(),
          .staleness = [this](PeerName host) { return staleness(host); }};
}

void App::slice(AppActions& out) {
  std::size_t work = kSliceWork;
  Needs needs;
  do {
    needs = is_warm() ? serve(work, out) : Needs();
    std::set<TopologyId> wanted = streams_.topologies();
    if (needs && needs->view) {
      wanted.insert(*needs->view);
    }
    picture_.keep_only(wanted);
    for (const TopologyId topology : wanted) {
      picture_.want(topology);
    }
    picture_.advance(work, stage());
  } while (needs && work > 0);
  streams_.note_changes(picture_);
  std::size_t nodes = kSliceWork / kTextWork;
  std::vector<SendFrame> frames;
  streams_.tell(picture_, moment(), nodes, frames);
  send(std::move(frames), out);
  is_behind_ = needs || !picture_.is_done(stage());
}

TimePoint App::next_slice() const {
  return is_behind_ ? now_ : streams_.next_frame();
}

void App::on_client_gone(ClientId id) {
  streams_.remove(id);
}

void App::on_deadline(TimePoint now, AppActions& out) {
  now_ = now;
  if (!looking_) {
    return;
  }
  if (streams_.client_count() > 0) {
    look_until_ = now + kLinger;
  }
  if (look_until_ <= now && waiting_.empty()) {
    stop_looking(out);
    return;
  }
  if (warm_by_ <= now) {
    warm_by_ = kNever;
    push_ = now;
  }
  if (renew_ <= now) {
    renew_ = now + kRenewEvery;
    out.emplace_back(AskPeers{});
    // What grows old without news, and clients that wait for a sign of life.
    push_ = std::min(push_, now + kPushDelay);
  }
  if (!is_showing()) {
    return;
  }
  if (push_ <= now) {
    push(now, out);
  } else if (next_slice() <= now) {
    slice(out);
  }
}

TimePoint App::next_deadline() const {
  if (!looking_) {
    return kNever;
  }
  const TimePoint news = std::min(push_, next_slice());
  const TimePoint show = is_showing() ? news : std::max(news, first_by_);
  const TimePoint end = streams_.client_count() == 0 ? look_until_ : kNever;
  return std::min({renew_, warm_by_, show, end});
}

void App::check_invariants() const {
  WEFT_ASSERT(streams_.client_count() <= options_.clients_max);
  WEFT_ASSERT(streams_.count() <= options_.streams_max);
  streams_.check_invariants();
  WEFT_ASSERT(looking_ || (report_.hosts().empty() && waiting_.empty()));
}

}  // namespace weft::app
