// Who may talk to us: how many strangers at a time, under which passwords, and what an operator
// should see of those who were refused.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "router/mesh_impl.h"

namespace weft::router {
namespace {

using Code = Verdict::Code;

// The least recent goes first.
template <class Map, class Last>
void make_room(Map& map, std::size_t size_max, Last last) {
  while (map.size() >= size_max) {
    map.erase(std::min_element(map.begin(), map.end(), [&](const auto& a, const auto& b) {
      return last(a.second) < last(b.second);
    }));
  }
}

}  // namespace

// Strangers ----------------------------------------------------------------------------------

bool Mesh::Impl::is_stranger(const Link& link) {
  return !link.outbound && link.stage == Stage::Handshake && !link.channel->is_proved();
}

LinkId Mesh::Impl::on_accepted(TimePoint now, Endpoint, Endpoint remote, MeshActions& out) {
  begin(now);
  const LinkId id(++last_link_);
  ++stats_.handshakes.accepted;
  if (links_.size() >= options_.links_max + kStrangersMax || !admission_.admit(now, remote.address)
      || !make_room_for(now, remote.address, out)) {
    turn_away(id, out);
    return id;
  }
  Link& link = links_[id];
  link.id = id;
  link.remote = remote;
  link.address = remote.to_string();
  start_channel(now, link, out);
  return id;
}

// Whoever floods us pushes out its own, so that a member, who proves itself within a round trip,
// still gets through.
bool Mesh::Impl::make_room_for(TimePoint now, const Ip& source, MeshActions& out) {
  std::map<Ip, std::vector<LinkId>> strangers;  // Of each source, oldest first.
  std::size_t count = 0;
  for (const auto& [id, link] : links_) {
    if (is_stranger(link)) {
      strangers[link.remote.address].push_back(id);
      ++count;
    }
  }
  if (strangers[source].size() >= kSourceStrangersMax) {
    return false;
  }
  if (count < kStrangersMax) {
    return true;
  }
  const auto heaviest =
      std::max_element(strangers.begin(), strangers.end(), [](const auto& a, const auto& b) {
        return a.second.size() < b.second.size();
      });
  ++stats_.handshakes.busy;
  drop(now, heaviest->second.front(), "others are waiting", out);
  return true;
}

void Mesh::Impl::turn_away(LinkId id, MeshActions& out) {
  ++stats_.links_refused;
  ++stats_.handshakes.busy;
  out.push_back(SendBytes{id, Channel::busy(VersionRange{}, !passwords_.empty())});
  out.push_back(CloseLink{id, "too many connections"});
}

// Passwords ----------------------------------------------------------------------------------

void Mesh::Impl::set_passwords(TimePoint now, std::vector<Psk> passwords, MeshActions& out) {
  begin(now);
  WEFT_ASSERT(!passwords.empty());
  WEFT_ASSERT(!passwords_.empty());
  passwords_ = std::move(passwords);
  std::vector<LinkId> orphans;
  for (const auto& [id, link] : links_) {
    const bool has_proved = link.stage >= Stage::Verdict;
    if (has_proved && !is_accepted(link.channel->password())) {
      orphans.push_back(id);
    }
  }
  for (const LinkId id : orphans) {
    const std::optional<Goal> goal = links_.at(id).goal;
    drop(now, id, "its password is no longer accepted", out);
    if (goal) {
      connector_.retry(now, *goal);
    }
  }
}

bool Mesh::Impl::is_accepted(const std::optional<Psk>& password) const {
  return passwords_.empty()
         || std::any_of(passwords_.begin(), passwords_.end(), [&](const Psk& accepted) {
              return password && accepted == *password;
            });
}

bool Mesh::Impl::is_old(const Link& link) const {
  const std::optional<Psk>& password = link.channel->password();
  return password && !(passwords_.front() == *password);
}

// Refusals -----------------------------------------------------------------------------------

void Mesh::Impl::count_failure(Channel::Cause cause) {
  switch (cause) {
    case Channel::Cause::Password:
      ++stats_.handshakes.password;
      return;
    case Channel::Cause::Version:
      ++stats_.handshakes.version;
      return;
    case Channel::Cause::Busy:
      ++stats_.handshakes.busy;
      return;
    case Channel::Cause::Broken:
      ++stats_.handshakes.broken;
      return;
  }
}

void Mesh::Impl::count_verdict(Code code) {
  switch (code) {
    case Code::Accept:
    case Code::Duplicate:
      return;
    case Code::Self:
      ++stats_.handshakes.self;
      return;
    case Code::Clone:
    case Code::Fenced:
      ++stats_.handshakes.clone;
      return;
    case Code::Full:
      ++stats_.handshakes.full;
      return;
    case Code::Malformed:
      ++stats_.handshakes.broken;
      return;
  }
}

void Mesh::Impl::note_refusal(TimePoint now, const Ip& source, const std::string& reason) {
  if (!refusals_.contains(source)) {
    make_room(refusals_, kRefusalsMax, [](const Refusal& refusal) { return refusal.last; });
  }
  Refusal& refusal = refusals_[source];
  refusal.count = refusal.reason == reason ? refusal.count + 1 : 1;
  refusal.reason = reason;
  refusal.last = now;
}

void Mesh::Impl::add_refusals(std::vector<ConnectionStatus>& out) const {
  for (const auto& [source, refusal] : refusals_) {
    const Duration ago = now_ - refusal.last;
    if (ago >= kRefusalShown) {
      continue;
    }
    ConnectionStatus status;
    status.address = source.to_string();
    status.state = ConnectionState::Failed;
    status.reason = fmt::format("{}; tried {} time{}, last {} s ago",
                                refusal.reason,
                                refusal.count,
                                refusal.count == 1 ? "" : "s",
                                ago / seconds(1));
    out.push_back(std::move(status));
  }
}

void Mesh::Impl::warn(const std::string& text) {
  if (!warnings_.contains(text)) {
    make_room(warnings_, kWarningsMax, [](TimePoint last) { return last; });
  }
  warnings_[text] = now_;
}

std::vector<std::string> Mesh::Impl::warnings() const {
  std::vector<std::string> found;
  for (const auto& [text, last] : warnings_) {
    if (now_ - last < kWarningShown) {
      found.push_back(text);
    }
  }
  return found;
}

// Runs ---------------------------------------------------------------------------------------

std::string Mesh::Impl::fenced_text(Incarnation known, const Hello& hello) {
  return fmt::format(
      "run {} of peer {} is over, run {} has been seen: if it was restored from a copy, "
      "remove /var/lib/weft on that host",
      hello.incarnation.value(),
      hello.name.to_string(),
      known.value());
}

// Whether this run of a peer may be the one after all that we know of.
//
// A host that has lost its store begins again, with a key of its own and nothing of what it said
// before: it is no copy, and becomes the next run as soon as the one we know has been missed for a
// while. Whether that one is dead or only cut off nobody can tell; it is fenced either way.
Verdict Mesh::Impl::judge_run(const Link& link) const {
  const Hello& hello = link.hello;
  const auto known = store_.version(hello.name);
  if (!known) {
    return {};
  }
  const auto info = info_of(hello.name);
  const bool is_other = info && info->key != link.key;
  if (is_other && topology_.reachable(hello.name)) {
    return {Code::Clone, clone_text(hello.name)};
  }
  const bool is_earlier = known->incarnation > hello.incarnation;
  const bool is_copy = info && !is_other;  // A store that was lost had another key.
  if (!hello.fresh || is_copy) {
    return is_earlier ? Verdict{Code::Fenced, fenced_text(known->incarnation, hello)} : Verdict{};
  }
  const bool is_same_run = known->incarnation == hello.incarnation;
  if (!is_earlier && !(is_same_run && is_other)) {
    return {};
  }
  const auto missed = unreachable_.find(hello.name);
  const bool is_gone =
      buried_.contains(hello.name)
      || (missed != unreachable_.end() && now_ - missed->second.since >= kLostAfter);
  if (!is_gone) {
    return {Code::Fenced,
            fmt::format("peer {} was here just before: a host that has lost its store takes its "
                        "place once it has been missed for {} s",
                        hello.name.to_string(),
                        kLostAfter / seconds(1))};
  }
  return {
      Code::Fenced,
      fmt::format("run {} of peer {} has been seen: this host has lost its store and comes back "
                  "as a later one",
                  known->incarnation.value(),
                  hello.name.to_string()),
      {},
      known->incarnation};
}

// We were told that we have lost our store. Whoever speaks has proved the password.
void Mesh::Impl::on_fenced(const Verdict& verdict, MeshActions& out) {
  if (verdict.code == Code::Fenced && options_.fresh && verdict.outrun >= options_.incarnation
      && verdict.outrun.value() <= kOutrunMax) {
    out.push_back(Outrun{verdict.outrun});
  }
}

// Where we are -------------------------------------------------------------------------------

// As we know them, then as neighbours see us: behind NAT that is the address others can use.
std::vector<Ip> Mesh::Impl::own_addresses() const {
  std::vector<Ip> found = options_.addresses;
  std::size_t observed = 0;
  for (const auto& [peer, id] : up_) {
    const std::optional<Ip>& seen = links_.at(id).hello.observed;
    if (seen && observed < kObservedMax
        && std::find(found.begin(), found.end(), *seen) == found.end()) {
      found.push_back(*seen);
      ++observed;
    }
  }
  return found;
}

}  // namespace weft::router
