// One connection: dial, handshake, verdict, liveness, end.
//
//   Dialling --on_connected--> Handshake --Established--> Verdict --both accept--> Up
//
// After the handshake each side judges the other and says so; the connection is used once both said
// accept. Of several with one peer both sides keep the same one (mesh_duplicates.cc).
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/overloaded.h"
#include "router/mesh_impl.h"

namespace weft::router {
namespace {

using Code = Verdict::Code;
using Level = MeshEvent::Level;

}  // namespace

std::string Mesh::Impl::clone_text(PeerName peer) {
  return fmt::format(
      "two hosts share the peer name {}: stop weft on the newer one, remove /var/lib/weft there, "
      "and "
      "start it again",
      peer.to_string());
}

void Mesh::Impl::dial(TimePoint now, const Goal& goal, MeshActions& out) {
  Target where;
  std::vector<Endpoint> others;
  if (const auto* target = std::get_if<Target>(&goal)) {
    where = *target;
  } else {
    const PeerName peer = std::get<PeerName>(goal);
    const std::vector<Target> addresses = addresses_of(peer);
    if (addresses.empty()) {
      connector_.on_lost(now, goal, "no address known");
      return;
    }
    // All of them are tried, another one first each time: what answers may be somebody else.
    const std::size_t first = dial_attempts_[peer]++ % addresses.size();
    where = addresses[first];
    for (std::size_t i = 1; i < addresses.size(); ++i) {
      const Target& other = addresses[(first + i) % addresses.size()];
      if (const auto address = Ip::parse(other.host); address.ok()) {
        others.push_back({address.value(), other.port});
      }
    }
  }
  const LinkId id(++last_link_);
  Link& link = links_[id];
  link.id = id;
  link.outbound = true;
  link.goal = goal;
  link.address = where.to_string();
  link.dial_serial = ++last_dial_;
  link.deadline = now + kHandshakeMax;
  link.heard = now;
  out.push_back(Dial{id, where.host, where.port, std::move(others)});
}

void Mesh::Impl::on_connected(
    TimePoint now, LinkId id, Endpoint, Endpoint remote, MeshActions& out) {
  begin(now);
  const auto at = links_.find(id);
  if (at == links_.end() || at->second.stage != Stage::Dialling) {
    return;  // Closed by us while the shell was connecting.
  }
  at->second.remote = remote;
  start_channel(now, at->second, out);
}

void Mesh::Impl::start_channel(TimePoint now, Link& link, MeshActions& out) {
  const Hello hello{.name = options_.name,
                    .incarnation = options_.incarnation,
                    .session = session_,
                    .nickname = options_.nickname,
                    .version = options_.version,
                    .port = options_.port,
                    .dial_serial = link.dial_serial,
                    .observed = link.remote.address,
                    .alone = up_.empty() || !full_targets_.empty(),
                    .fixed = !options_.discovery,
                    .fresh = options_.fresh,
                    .inflates = options_.deflates};
  Channel::Options channel;
  channel.role = link.outbound ? noise::Role::Initiator : noise::Role::Responder;
  channel.key = options_.key;
  channel.passwords = passwords_;
  channel.hello = encode(hello);
  link.channel = std::make_unique<Channel>(std::move(channel), entropy_);
  link.stage = Stage::Handshake;
  link.deadline = now + kHandshakeMax;
  link.heard = now;
  link.sent = now;
  Channel::Output output;
  link.channel->start(output);
  flush(now, link, output, out);
}

void Mesh::Impl::on_bytes(TimePoint now, LinkId id, ByteView bytes, MeshActions& out) {
  begin(now);
  const auto at = links_.find(id);
  if (at == links_.end() || at->second.channel == nullptr) {
    return;
  }
  Link& link = at->second;
  link.heard = now;
  stats_.bytes_in += bytes.size();
  Channel::Output output;
  link.channel->on_bytes(bytes, output);
  flush(now, link, output, out);
}

// Sends what the channel put out and handles its events. `link` may be gone afterwards.
void Mesh::Impl::flush(TimePoint now, Link& link, Channel::Output& output, MeshActions& out) {
  const LinkId id = link.id;
  if (!output.bytes.empty()) {
    stats_.bytes_out += output.bytes.size();
    link.sent = now;
    out.push_back(SendBytes{id, std::move(output.bytes)});
  }
  for (Channel::Event& event : output.events) {
    on_event(now, id, std::move(event), out);
  }
}

void Mesh::Impl::on_event(TimePoint now, LinkId id, Channel::Event event, MeshActions& out) {
  const auto at = links_.find(id);
  if (at == links_.end()) {
    return;  // An earlier event of the same bytes ended it.
  }
  Link& link = at->second;
  std::visit(overloaded{
                 [&](Channel::Established&& e) { on_established(now, link, std::move(e), out); },
                 [&](Channel::Frame&& e) { on_frame(now, link, e.bytes, out); },
                 [&](Channel::Failed&& e) {
                   const bool refused = e.error.code == Errc::Denied;
                   ++(refused ? stats_.links_refused : stats_.frames_refused);
                   count_failure(e.cause);
                   drop(now, id, e.error.what, out);
                 },
             },
             std::move(event));
}

void Mesh::Impl::on_established(TimePoint now,
                                Link& link,
                                Channel::Established event,
                                MeshActions& out) {
  auto hello = decode_hello(event.hello);
  if (!hello.ok()) {
    ++stats_.frames_refused;
    refuse(now, link, {Code::Malformed, hello.error().what}, out);
    return;
  }
  link.hello = std::move(hello).value();
  link.key = event.remote_key;
  link.authenticated = event.authenticated;
  link.stage = Stage::Verdict;
  link.deadline = now + kHandshakeMax;
  link.rekey_due = now + kRekeyInterval;
  stats_.handshakes.dh += link.channel->dh_count();
  if (!is_accepted(link.channel->password())) {
    drop(now, link.id, "its password is no longer accepted", out);  // Replaced in the meantime.
    return;
  }
  if (!link.outbound) {
    link.dial_serial = link.hello.dial_serial;
  }
  // An operator may have forgotten the target during the handshake.
  if (link.goal && std::holds_alternative<Target>(*link.goal) && connector_.find(*link.goal)) {
    target_peer_[std::get<Target>(*link.goal)] = link.hello.name;
  }
  const std::optional<Incarnation> earlier = earlier_run(link);
  if (!earlier) {
    decide(now, link, out);
    return;
  }
  // Either the agent was restarted, or its disk was cloned. An earlier run that answers is alive.
  link.challenge = rng_.next();
  link.decision_due = now + kChallengeMax;
  Routed question{.from = options_.name, .to = link.hello.name, .body = Challenge{}};
  question.body = Challenge{*earlier, link.challenge};
  if (!route(now, question, out)) {
    decide(now, link, out);
  }
}

// The earlier run of this peer that, as far as we know, may still be there.
std::optional<Incarnation> Mesh::Impl::earlier_run(const Link& link) const {
  const PeerName peer = link.hello.name;
  if (peer == options_.name || !topology_.next_hop(peer)) {
    return std::nullopt;
  }
  const auto at = up_.find(peer);
  const auto known = store_.version(peer);
  Incarnation earlier = known ? known->incarnation : Incarnation();
  if (at != up_.end()) {
    earlier = std::max(earlier, links_.at(at->second).hello.incarnation);
  }
  return earlier.value() > 0 && earlier < link.hello.incarnation ? std::optional(earlier)
                                                                 : std::nullopt;
}

void Mesh::Impl::decide(TimePoint now, Link& link, MeshActions& out) {
  link.challenge = 0;
  link.decision_due = kNever;
  const std::optional<Verdict> verdict = judge(link);
  link.waits = !verdict;
  if (!verdict) {
    return;
  }
  if (verdict->code == Code::Accept) {
    accept(now, link, out);
  } else {
    refuse(now, link, *verdict, out);
  }
}

// Nothing: that depends on another connection with the same peer.
std::optional<Verdict> Mesh::Impl::judge(const Link& link) const {
  const PeerName peer = link.hello.name;
  if (peer == options_.name) {
    return link.hello.session == session_ ? Verdict{Code::Self, "this is ourselves"}
                                          : Verdict{Code::Clone, clone_text(peer)};
  }
  if (const Link* rival = rival_of(link); rival != nullptr) {
    return judge_rival(link, *rival);
  }
  if (Verdict verdict = judge_run(link); verdict.code != Code::Accept) {
    return verdict;
  }
  std::set<PeerName> accepted;
  for (const auto& [id, other] : links_) {
    if (other.accept_sent) {
      accepted.insert(other.hello.name);
    }
  }
  if (accepted.size() >= options_.links_max) {
    return Verdict{Code::Full, fmt::format("limit of {} connections reached", options_.links_max)};
  }
  if (!store_.version(peer) && store_.origin_count() >= options_.peers_max) {
    return Verdict{Code::Full, fmt::format("limit of {} peers reached", options_.peers_max)};
  }
  if (is_crowded(link)) {
    return Verdict{Code::Full, "connections enough"};
  }
  return Verdict{};
}

void Mesh::Impl::accept(TimePoint now, Link& link, MeshActions& out) {
  const LinkId id = link.id;
  link.accept_sent = true;
  send_message(now, link, Verdict{}, out);
  // Connections with an earlier run are dead, whatever they look like.
  std::vector<LinkId> dead;
  for (const auto& [other_id, other] : links_) {
    if (other_id != id && other.accept_sent && other.hello.name == link.hello.name
        && other.hello.incarnation < link.hello.incarnation) {
      dead.push_back(other_id);
    }
  }
  for (const LinkId other : dead) {
    drop(now, other, "replaced by a connection with a later run of the peer", out);
  }
  if (link.accept_received) {
    go_up(now, link, out);
  }
}

void Mesh::Impl::refuse(TimePoint now, Link& link, Verdict verdict, MeshActions& out) {
  const bool is_crowded = verdict.code == Code::Full && verdict.referrals.empty();
  if (is_crowded) {
    refer(verdict);  // One too many is told of others: nothing is the matter.
  }
  link.duplicate = verdict.code == Code::Duplicate || is_crowded;
  if (verdict.code != Code::Duplicate) {
    ++stats_.links_refused;
  }
  const LinkId id = link.id;
  on_refusal(link, verdict);
  send_message(now, link, verdict, out);
  drop(now, id, verdict.reason, out);
}

// By us or by the other side. A target that is ourselves, or a host that uses our name, stays so
// until an operator does something. The address of a peer may be another's: it has more.
void Mesh::Impl::on_refusal(const Link& link, const Verdict& verdict) {
  count_verdict(verdict.code);
  const bool is_clone = verdict.code == Code::Clone || verdict.code == Code::Fenced;
  if (is_clone && verdict.outrun == Incarnation()) {
    warn(verdict.reason);
  }
  const bool is_hopeless =
      verdict.code == Code::Self || (is_clone && link.hello.name == options_.name);
  if (is_hopeless && link.goal && std::holds_alternative<Target>(*link.goal)) {
    connector_.give_up(*link.goal, verdict.reason);
  }
}

// A frame as its sender made it. What is said before a connection is in use is never deflated.
Result<Bytes> Mesh::Impl::unpack(Link& link, ByteView frame) const {
  if (!options_.deflates || !link.accept_received) {
    return Error{Errc::Invalid, "a deflated frame that was not asked for"};
  }
  return link.inflater.unpack(frame, kFrameMax);
}

void Mesh::Impl::on_frame(TimePoint now, Link& link, ByteView frame, MeshActions& out) {
  ++stats_.frames_in;
  Bytes unpacked;
  if (Inflater::is_packed(frame)) {
    auto result = unpack(link, frame);
    if (!result.ok()) {
      ++stats_.frames_refused;
      drop(now, link.id, result.error().what, out);
      return;
    }
    unpacked = std::move(result).value();
    frame = unpacked;
  }
  auto message = decode_message(frame);
  if (!message.ok()) {
    ++stats_.frames_refused;
    drop(now, link.id, message.error().what, out);
    return;
  }
  if (const auto* verdict = std::get_if<Verdict>(&message.value())) {
    on_verdict(now, link, *verdict, out);
    return;
  }
  if (!link.accept_received) {
    ++stats_.frames_refused;
    drop(now, link.id, "it spoke before it accepted the connection", out);
    return;
  }
  if (link.stage != Stage::Up && link.stage != Stage::Retired) {
    return;
  }
  if (link.replaces) {
    end_retired(now, link, out);
  }
  if (std::holds_alternative<Delta>(message.value())) {
    link.received += frame.size();
    link.beat_due = link.received - link.confirmed >= kConfirmBytes ? now : link.beat_due;
  }
  on_message(now, link, message.value(), out);
}

void Mesh::Impl::on_verdict(TimePoint now, Link& link, const Verdict& verdict, MeshActions& out) {
  if (link.accept_received) {
    ++stats_.frames_refused;
    drop(now, link.id, "a second verdict", out);
    return;
  }
  if (verdict.code == Code::Accept) {
    link.accept_received = true;
    if (link.accept_sent && link.stage == Stage::Verdict) {
      go_up(now, link, out);
    }
    return;
  }
  if (link.stage == Stage::Retired) {
    drop(now, link.id, verdict.reason, out);  // Nothing depends on it here either.
    return;
  }
  on_refusal(link, verdict);
  link.duplicate = verdict.code == Code::Duplicate;
  if (verdict.code == Code::Full) {
    on_full(now, link, verdict);
  }
  on_fenced(verdict, out);
  drop(now, link.id, fmt::format("refused by the peer: {}", verdict.reason), out);
}

void Mesh::Impl::go_up(TimePoint now, Link& link, MeshActions& out) {
  const LinkId id = link.id;
  const PeerName peer = link.hello.name;
  link.stage = Stage::Up;
  link.deadline = kNever;
  up_[peer] = id;
  last_up_ = now;
  retire_rivals(now, link);
  if (link.goal) {
    if (std::holds_alternative<PeerName>(*link.goal) && std::get<PeerName>(*link.goal) != peer) {
      connector_.on_lost(now, *link.goal, fmt::format("{} is {}", link.address, describe(peer)));
      link.goal.reset();
    } else {
      connector_.on_connected(now, *link.goal);
    }
  }
  connector_.on_connected(now, peer);
  for (const auto& [target, name] : target_peer_) {
    if (name == peer) {
      connector_.on_connected(now, target);
    }
  }
  dial_attempts_.erase(peer);
  refusals_.erase(link.remote.address);
  ++stats_.handshakes.established;
  reported_.erase(link.outbound ? link.address : link.remote.address.to_string());
  report(out,
         Level::Info,
         "connection established",
         fmt::format("{} ({})", peer.to_string(), link.hello.nickname),
         fmt::format(
             "{} {}, {}",
             link.outbound ? "to" : "from",
             link.address,
             link.authenticated ? "encrypted and authenticated" : "encrypted, not authenticated"));
  out.push_back(NeighbourUp{peer, link.remote.address});
  update_topology_soon(now);
  start_gossip(now, link, out);
  discover_soon(now);
}

void Mesh::Impl::on_link_closed(TimePoint now,
                                LinkId id,
                                const std::string& reason,
                                MeshActions& out) {
  begin(now);
  const auto at = links_.find(id);
  if (at == links_.end()) {
    return;
  }
  // Neither we nor it meant to: it may be gone.
  if (at->second.stage == Stage::Up && !at->second.goodbye) {
    accuse(now, at->second.hello.name);
  }
  drop(now, id, reason, out);
}

// Ends a connection, whatever its stage. References to it are dead afterwards.
void Mesh::Impl::drop(TimePoint now, LinkId id, const std::string& reason, MeshActions& out) {
  auto node = links_.extract(id);
  WEFT_ASSERT(!node.empty());
  const Link& link = node.mapped();
  out.push_back(CloseLink{id, reason});
  if (link.stage == Stage::Handshake) {
    stats_.handshakes.dh += link.channel->dh_count();
  }

  const PeerName peer = link.hello.name;
  const auto up = up_.find(peer);
  if (link.stage == Stage::Up && up != up_.end() && up->second == id) {
    up_.erase(up);
    ++stats_.handshakes.terminated;
    report(out, Level::Info, "connection lost", describe(peer), reason);
    out.push_back(NeighbourDown{peer});
    leave_branch(now, peer);
    update_topology_soon(now);
    state_links_soon(now, kStatementDelay);
    topology_due_ = up_.empty() ? now : topology_due_;
    discover_soon(now);
    connector_.on_lost(now, peer, reason);
    for (const auto& [target, name] : target_peer_) {
      if (name == peer) {
        connector_.on_lost(now, target, reason);
      }
    }
  } else if (link.stage != Stage::Up && !link.duplicate) {
    report_failure(link, reason, out);
    const bool is_self = link.hello.name == options_.name && link.hello.session == session_;
    if (!link.outbound && !is_self) {
      note_refusal(now, link.remote.address, reason);
    }
  }
  settle_goal(now, link, reason);
  judge_waiting(now, peer);
}

// One line per address and reason: retries say nothing new.
void Mesh::Impl::report_failure(const Link& link, const std::string& reason, MeshActions& out) {
  // Inbound, the port is another one every time.
  const std::string where = link.outbound ? link.address : link.remote.address.to_string();
  const auto said = reported_.find(where);
  if (said != reported_.end() && said->second == reason) {
    return;
  }
  if (reported_.size() >= kReportedMax) {
    reported_.clear();
  }
  reported_[where] = reason;
  report(out, Level::Warning, "connection failed", link.address, reason);
}

// What the end of `link` means for the goal it was dialled for.
void Mesh::Impl::settle_goal(TimePoint now, const Link& link, const std::string& reason) {
  if (!link.goal) {
    return;
  }
  const bool to_peer = std::holds_alternative<PeerName>(*link.goal);
  const PeerName peer = to_peer ? std::get<PeerName>(*link.goal) : link.hello.name;
  if (up_.contains(peer)) {
    connector_.on_connected(now, *link.goal);  // Met on another connection.
  } else {
    connector_.on_lost(now, *link.goal, reason);
  }
}

void Mesh::Impl::send_message(TimePoint now, Link& link, const Message& message, MeshActions& out) {
  if (link.channel->established()) {
    send_encoded(now, link, kind_of(message), encode(message), out);
  }
}

void Mesh::Impl::send_encoded(
    TimePoint now, Link& link, FrameKind kind, ByteView frame, MeshActions& out) {
  Channel::Output output;
  // A heartbeat says when a stream begins anew, so it is in none.
  const bool is_deflated = options_.deflates && link.hello.inflates && link.stage == Stage::Up
                           && kind != FrameKind::Heartbeat;
  if (is_deflated) {
    const Bytes packed = link.deflater.pack(now, frame);
    if (Inflater::is_packed(packed)) {
      stats_.deflated_from += frame.size();
      stats_.deflated_to += packed.size();
    }
    link.channel->send(packed, output);
  } else {
    link.channel->send(frame, output);
  }
  ++stats_.frames_out;
  MeshStats::Sent& sent = stats_.sent.at(static_cast<std::size_t>(kind));
  sent.frames += 1;
  sent.bytes += output.bytes.size();
  flush(now, link, output, out);
}

Link* Mesh::Impl::up_link(PeerName peer) {
  const auto at = up_.find(peer);
  return at == up_.end() ? nullptr : &links_.at(at->second);
}

TimePoint Mesh::Impl::link_deadline(const Link& link) const {
  if (link.stage != Stage::Up) {
    return std::min(link.deadline, link.decision_due);
  }
  return std::min({silence_due(now_, link), link.beat_due, link.rekey_due, link.unmet_due});
}

void Mesh::Impl::run_links(TimePoint now, MeshActions& out) {
  std::vector<LinkId> due;
  for (const auto& [id, link] : links_) {
    if (link.challenge != 0 && !topology_.reachable(link.hello.name)) {
      due.push_back(id);
    } else if (link_deadline(link) <= now) {
      due.push_back(id);
    }
  }
  for (const LinkId id : due) {
    const auto at = links_.find(id);
    if (at == links_.end()) {
      continue;
    }
    Link& link = at->second;
    if (link.challenge != 0 || link.decision_due <= now) {
      decide(now, link, out);
    } else if (link.stage != Stage::Up) {
      if (link.deadline <= now) {
        const std::string_view step = link.stage == Stage::Dialling    ? "an answer"
                                      : link.stage == Stage::Handshake ? link.channel->waiting_for()
                                                                       : "its verdict";
        drop(now, id, fmt::format("waited {} s for {}", kHandshakeMax / seconds(1), step), out);
      }
    } else if (link.silent && silence_due(now, link) <= now) {
      drop(now, id, fmt::format("silent for {} s", (now - link.heard) / seconds(1)), out);
    } else if (link.rekey_due <= now) {
      link.rekey_due = now + kRekeyInterval;
      Channel::Output output;
      link.channel->rekey(output);
      flush(now, link, output, out);
    } else {
      run_up_link(now, link, out);
    }
  }
}

}  // namespace weft::router
