#include "router/mesh.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "router/mesh_impl.h"

namespace weft::router {

Mesh::Impl::Impl(Options options, Rng rng, Entropy& entropy)
    : options_(std::move(options)),
      rng_(rng),
      entropy_(entropy),
      connector_(Connector::Options{}, rng_.fork()),
      store_({.self = options_.name,
              .incarnation = options_.incarnation,
              .origins_max = options_.peers_max,
              .pool = options_.pool}),
      topology_(options_.name),
      broadcast_(Broadcast::Options{}),
      views_({.full_mesh_max = options_.full_mesh_max,
              .degree = options_.degree,
              .degree_max = options_.degree + options_.degree / 2 + 1,
              .degree_alone_max = 2 * options_.degree + 2},
             rng_.fork()),
      suspicions_(Suspicions::Options{}) {
  for (const std::optional<Psk>& psk : {options_.psk, options_.old_psk}) {
    if (psk) {
      passwords_.push_back(*psk);
    }
  }
  std::array<std::uint8_t, sizeof session_> random{};
  entropy_.fill(random);
  for (const std::uint8_t byte : random) {
    session_ = (session_ << 8U) | byte;
  }
}

// The first input starts the clocks.
void Mesh::Impl::begin(TimePoint now) {
  if (begun_) {
    note_lateness(now);
    now_ = std::max(now_, now);
    return;
  }
  now_ = now;
  begun_ = true;
  last_statement_ = last_topology_ = last_trim_ = last_rescue_ = last_up_ = now - hours(1);
  last_reconciliation_ = last_change_ = last_links_change_ = now - hours(1);
  last_answer_ = last_reconciliation_;
  state_self(now);
  restate_due_ = now + kRestateGrace + seconds(1) * rng_.below(10);
  discovery_due_ = now + kDiscoveryInterval;
}

void Mesh::Impl::connect(TimePoint now, const std::string& target, MeshActions& out) {
  begin(now);
  const auto parsed = Target::parse(target, options_.port);
  if (!parsed.ok()) {
    report(out, MeshEvent::Level::Warning, "target refused", target, parsed.error().what);
    return;
  }
  if (!connector_.add(now, parsed.value(), Duration::zero())) {
    report(out, MeshEvent::Level::Warning, "target refused", target, "too many targets");
    return;
  }
  targets_[parsed.value()] = target;
  connector_.retry(now, parsed.value());
}

void Mesh::Impl::forget(TimePoint now, const std::string& target, MeshActions&) {
  begin(now);
  const auto parsed = Target::parse(target, options_.port);
  if (parsed.ok()) {
    connector_.remove(parsed.value());
    targets_.erase(parsed.value());
    target_peer_.erase(parsed.value());
    full_targets_.erase(parsed.value());
  }
}

void Mesh::Impl::on_deadline(TimePoint now, MeshActions& out) {
  begin(now);
  run_gossip(now, out);
  run_links(now, out);
  run_liveness(now, out);
  run_discovery(now, out);
}

TimePoint Mesh::Impl::next_deadline() const {
  if (!begun_) {
    return TimePoint{};
  }
  TimePoint next = std::min({statement_due_,
                             topology_due_,
                             broadcast_.next_deadline(),
                             suspicions_.next_deadline(health_),
                             restate_due_,
                             discovery_due_,
                             connector_.next_deadline()});
  for (const auto& [id, link] : links_) {
    next = std::min(next, link_deadline(link));
  }
  return next;
}

void Mesh::Impl::report(MeshActions& out,
                        MeshEvent::Level level,
                        std::string what,
                        std::string peer,
                        std::string detail) {
  out.push_back(MeshEvent{level, std::move(what), std::move(peer), std::move(detail)});
}

std::string Mesh::Impl::describe(PeerName peer) const {
  if (peer == options_.name) {
    return fmt::format("{} ({})", peer.to_string(), options_.nickname);
  }
  const auto info = info_of(peer);
  return info ? fmt::format("{} ({})", peer.to_string(), info->nickname) : peer.to_string();
}

// As we see it, as it says.
std::vector<Ip> Mesh::Impl::underlay_of(PeerName peer) const {
  std::vector<Ip> found;
  const auto add = [&found](const Ip& address) {
    if (std::find(found.begin(), found.end(), address) == found.end()) {
      found.push_back(address);
    }
  };
  if (const auto up = up_.find(peer); up != up_.end()) {
    add(links_.at(up->second).remote.address);
  }
  for (const Target& target : addresses_of(peer)) {
    if (const auto address = Ip::parse(target.host); address.ok()) {
      add(address.value());
    }
  }
  return found;
}

PeerStatus Mesh::Impl::own_status() const {
  PeerStatus own{.name = options_.name,
                 .nickname = options_.nickname,
                 .incarnation = options_.incarnation,
                 .version = options_.version,
                 .self = true,
                 .reachable = true,
                 .next_hop = std::nullopt,
                 .underlay = own_addresses(),
                 .port = options_.port,
                 .key = options_.key.pub,
                 .neighbours = {}};
  for (const auto& [peer, id] : up_) {
    own.neighbours.push_back(peer);
  }
  return own;
}

PeerStatus Mesh::Impl::status_of(PeerName peer, const PeerInfo& info) const {
  PeerStatus status{.name = peer,
                    .nickname = info.nickname,
                    .incarnation = {},
                    .version = info.version,
                    .self = false,
                    .reachable = is_present(peer),
                    .next_hop = topology_.next_hop(peer),
                    .underlay = underlay_of(peer),
                    .port = info.port,
                    .key = info.key,
                    .neighbours = {}};
  if (const auto version = store_.version(peer)) {
    status.incarnation = version->incarnation;
  }
  if (const auto links = links_of(peer)) {
    for (const LinksRecord::Link& link : links->links) {
      status.neighbours.push_back(link.to);
    }
  }
  status.reason = reason_for(peer);
  if (const auto distance = topology_.distance(peer)) {
    status.latency = std::chrono::microseconds(*distance);
  }
  return status;
}

std::vector<PeerStatus> Mesh::Impl::peers() const {
  std::vector<PeerStatus> found{own_status()};
  store_.for_each(RecordKey{RecordKind::Peer, {}}, [&](PeerName peer, const Bytes& value) {
    if (const auto info = decode_peer_info(value); peer != options_.name && info.ok()) {
      found.push_back(status_of(peer, info.value()));
    }
  });
  return found;
}

std::optional<PeerStatus> Mesh::Impl::peer(PeerName name) const {
  if (name == options_.name) {
    return own_status();
  }
  const auto info = info_of(name);
  return info ? std::optional(status_of(name, *info)) : std::nullopt;
}

std::vector<ConnectionStatus> Mesh::Impl::connections() const {
  std::vector<ConnectionStatus> found;
  for (const auto& [id, link] : links_) {
    ConnectionStatus status;
    status.link = link.id;
    status.address = link.stage == Stage::Dialling ? link.address : link.remote.to_string();
    status.outbound = link.outbound;
    switch (link.stage) {
      case Stage::Dialling:
        status.state = ConnectionState::Connecting;
        break;
      case Stage::Handshake:
      case Stage::Verdict:
        status.state = ConnectionState::Pending;
        break;
      case Stage::Retired:
        status.state = ConnectionState::Pending;
        status.reason = "replaced by another connection with the peer";
        break;
      case Stage::Up:
        status.state = ConnectionState::Established;
        describe_link(link, status);
        break;
    }
    if (link.stage >= Stage::Verdict) {
      status.peer = link.hello.name;
      status.nickname = link.hello.nickname;
      status.authenticated = link.authenticated;
      status.old_password = is_old(link);
    }
    if (link.challenge != 0) {
      status.reason = "asking whether an earlier run of the peer is alive";
    }
    found.push_back(std::move(status));
  }
  add_waiting(found);
  add_refusals(found);
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.address < b.address;
  });
  return found;
}

void Mesh::Impl::describe_link(const Link& link, ConnectionStatus& status) const {
  status.rtt = link.meter.rtt();
  status.jitter = link.meter.jitter();
  status.loss_percent = link.meter.loss_percent();
  status.queue = broadcast_.queue(link.hello.name);
  if (link.silent) {
    status.reason =
        fmt::format("not heard for {} ms, not used", (now_ - link.heard) / milliseconds(1));
  }
}

// Why a peer is, or is not, there.
std::string Mesh::Impl::reason_for(PeerName peer) const {
  if (up_.contains(peer) && !links_.at(up_.at(peer)).silent) {
    return "neighbour";
  }
  if (const auto hop = topology_.next_hop(peer)) {
    return fmt::format("over {}", describe(*hop));
  }
  if (suspicions_.contains(peer)) {
    return "suspected: no path leads to it at the moment";
  }
  if (is_replaced(peer)) {
    return "replaced: another peer listens where it did";
  }
  if (const auto at = unreachable_.find(peer); at != unreachable_.end()) {
    return fmt::format("suspended: no path leads to it for {} s",
                       (now_ - at->second.since) / seconds(1));
  }
  return "not yet connected";
}

// Goals that are not connected and not being dialled.
void Mesh::Impl::add_waiting(std::vector<ConnectionStatus>& out) const {
  for (const auto& [goal, entry] : connector_.goals()) {
    if (entry.state == Connector::State::Dialling || entry.state == Connector::State::Connected) {
      continue;
    }
    const bool given_up = entry.state == Connector::State::GivenUp;
    ConnectionStatus status;
    status.outbound = true;
    status.state = given_up ? ConnectionState::Failed : ConnectionState::Retrying;
    status.reason = entry.reason;
    if (const auto* target = std::get_if<Target>(&goal)) {
      status.address = target->to_string();
    } else {
      const PeerName peer = std::get<PeerName>(goal);
      const auto addresses = addresses_of(peer);
      status.address = addresses.empty() ? peer.to_string() : addresses.front().to_string();
      status.peer = peer;
      const auto info = info_of(peer);
      status.nickname = info ? info->nickname : "";
    }
    if (!given_up) {
      const auto left = std::max(Duration::zero(), entry.due - now_);
      status.reason += fmt::format("{}next attempt in {} s",
                                   entry.reason.empty() ? "" : "; ",
                                   (left + seconds(1) - Duration(1)) / seconds(1));
    }
    out.push_back(std::move(status));
  }
}

std::vector<std::string> Mesh::Impl::targets() const {
  std::vector<std::string> found;
  for (const auto& [target, text] : targets_) {
    found.push_back(text);
  }
  return found;
}

MeshStats Mesh::Impl::stats() const {
  MeshStats stats = stats_;
  stats.records_refused = store_.refused();
  stats.windows_full = broadcast_.stats().windows_full;
  stats.announcements_skipped = broadcast_.stats().announcements_skipped;
  stats.health_score = health_.score();
  return stats;
}

void Mesh::Impl::check_invariants() const {
  store_.check_invariants();
  topology_.check_invariants();
  connector_.check_invariants();
  WEFT_ASSERT(links_.size() <= options_.links_max + kStrangersMax + Connector::Options{}.dials_max);
  WEFT_ASSERT(up_.size() <= options_.links_max);
  broadcast_.check_invariants();
  WEFT_ASSERT(accused_.size() <= kNeighboursMax);
  WEFT_ASSERT(referrals_.size() <= kReferralsHeldMax);
  WEFT_ASSERT(full_targets_.size() <= targets_.size());
  WEFT_ASSERT(reported_.size() <= kReportedMax);
  WEFT_ASSERT(refusals_.size() <= kRefusalsMax);
  WEFT_ASSERT(warnings_.size() <= kWarningsMax);
  admission_.check_invariants();
  for (const auto& [peer, id] : up_) {
    const Link& link = links_.at(id);
    WEFT_ASSERT(link.stage == Stage::Up);
    WEFT_ASSERT(link.hello.name == peer);
    WEFT_ASSERT(peer != options_.name);
  }
  for (const auto& [id, link] : links_) {
    WEFT_ASSERT((link.stage == Stage::Dialling) == (link.channel == nullptr));
    WEFT_ASSERT(link.stage != Stage::Up || up_.at(link.hello.name) == id);
  }
}

// The public face -----------------------------------------------------------------------------

Mesh::Mesh(Options options, Rng rng, Entropy& entropy)
    : impl_(std::make_unique<Impl>(std::move(options), rng, entropy)) {}

Mesh::~Mesh() = default;

void Mesh::connect(TimePoint now, const std::string& target, MeshActions& out) {
  impl_->connect(now, target, out);
}

void Mesh::forget(TimePoint now, const std::string& target, MeshActions& out) {
  impl_->forget(now, target, out);
}

void Mesh::dismiss(TimePoint now, PeerName peer) {
  impl_->dismiss(now, peer);
}

void Mesh::set_passwords(TimePoint now,
                         const Psk& psk,
                         const std::optional<Psk>& old_psk,
                         MeshActions& out) {
  std::vector<Psk> passwords{psk};
  if (old_psk) {
    passwords.push_back(*old_psk);
  }
  impl_->set_passwords(now, std::move(passwords), out);
}

LinkId Mesh::on_accepted(TimePoint now, Endpoint local, Endpoint remote, MeshActions& out) {
  return impl_->on_accepted(now, local, remote, out);
}

void Mesh::on_connected(
    TimePoint now, LinkId link, Endpoint local, Endpoint remote, MeshActions& out) {
  impl_->on_connected(now, link, local, remote, out);
}

void Mesh::on_bytes(TimePoint now, LinkId link, ByteView bytes, MeshActions& out) {
  impl_->on_bytes(now, link, bytes, out);
}

void Mesh::on_link_closed(TimePoint now, LinkId link, const std::string& reason, MeshActions& out) {
  impl_->on_link_closed(now, link, reason, out);
}

void Mesh::publish(TimePoint now, const PublishRecord& record, MeshActions& out) {
  impl_->publish(now, record, out);
}

void Mesh::send(TimePoint now, const GossipAll& gossip, MeshActions& out) {
  impl_->send(now, gossip, out);
}

void Mesh::send(TimePoint now, const GossipTo& gossip, MeshActions& out) {
  impl_->send(now, gossip, out);
}

void Mesh::on_deadline(TimePoint now, MeshActions& out) {
  impl_->on_deadline(now, out);
}

TimePoint Mesh::next_deadline() const {
  return impl_->next_deadline();
}

std::optional<PeerName> Mesh::next_hop(PeerName peer) const {
  return impl_->next_hop(peer);
}

bool Mesh::is_neighbour(PeerName peer) const {
  return impl_->is_neighbour(peer);
}

std::size_t Mesh::peers_reachable() const {
  return impl_->peers_reachable();
}

std::vector<PeerStatus> Mesh::peers() const {
  return impl_->peers();
}

std::optional<PeerStatus> Mesh::peer(PeerName name) const {
  return impl_->peer(name);
}

std::vector<ConnectionStatus> Mesh::connections() const {
  return impl_->connections();
}

std::vector<std::string> Mesh::targets() const {
  return impl_->targets();
}

std::vector<std::string> Mesh::warnings() const {
  return impl_->warnings();
}

std::uint64_t Mesh::records_hash() const {
  return impl_->records_hash();
}

MeshStats Mesh::stats() const {
  return impl_->stats();
}

void Mesh::check_invariants() const {
  impl_->check_invariants();
}

}  // namespace weft::router
