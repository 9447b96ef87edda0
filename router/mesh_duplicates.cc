// Several connections with one peer: two hosts dial each other at once, or one of them twice at two
// addresses. Both ends keep the same one, and neither is ever without.
//
// Connections are ordered by who dialled and by their number among that dialler's, which both ends
// know from the handshake: of any two both ends prefer the same (wins). What one end prefers may
// still fail at the other, and connections overtake each other, so nothing is given up early:
//   - one that loses to a connection that is not in use yet waits for what becomes of that one;
//   - one that has been accepted and loses to the one in use is retired: it is not used here, and
//     closed only when the other end speaks on the winner, which it does as soon as it uses it.
#include <algorithm>
#include <vector>

#include "router/mesh_impl.h"

namespace weft::router {
namespace {

using Code = Verdict::Code;

}  // namespace

// `rival` is another connection with the same peer that has been accepted. Nothing: it has to wait.
std::optional<Verdict> Mesh::Impl::judge_rival(const Link& link, const Link& rival) const {
  const PeerName peer = link.hello.name;
  if (rival.key != link.key) {
    return Verdict{Code::Clone, clone_text(peer)};
  }
  if (link.hello.incarnation > rival.hello.incarnation) {
    return Verdict{};  // It was challenged and did not answer.
  }
  if (link.hello.incarnation < rival.hello.incarnation) {
    return Verdict{Code::Fenced, fenced_text(rival.hello.incarnation, link.hello)};
  }
  if (link.hello.session != rival.hello.session) {
    return Verdict{Code::Clone, clone_text(peer)};
  }
  if (wins(link, rival)) {
    return Verdict{};
  }
  return rival.stage == Stage::Up
             ? std::optional(Verdict{Code::Duplicate, "another connection between the two exists"})
             : std::nullopt;
}

// The connection dialled by the lower name stays; of two dialled by the same peer the later one,
// because its dialler knows why it dialled again.
bool Mesh::Impl::wins(const Link& link, const Link& rival) const {
  if (link.outbound != rival.outbound) {
    return link.outbound == (options_.name < link.hello.name);
  }
  return link.dial_serial > rival.dial_serial;
}

// The best that was accepted.
const Link* Mesh::Impl::rival_of(const Link& link) const {
  const Link* best = nullptr;
  for (const auto& [id, other] : links_) {
    if (id == link.id || !other.accept_sent || other.stage == Stage::Retired
        || other.hello.name != link.hello.name) {
      continue;
    }
    if (best == nullptr || wins(other, *best)) {
      best = &other;
    }
  }
  return best;
}

// `winner` is in use from here on. One that would win over it and is not agreed on yet replaces it
// later.
void Mesh::Impl::retire_rivals(TimePoint now, Link& winner) {
  for (auto& [id, other] : links_) {
    if (id != winner.id && other.accept_sent && other.stage != Stage::Retired
        && other.hello.name == winner.hello.name && wins(winner, other)) {
      other.stage = Stage::Retired;
      other.duplicate = true;
      other.replaces = false;  // Those it has retired wait for the winner, too.
      other.deadline = now + kHandshakeMax;
      winner.replaces = true;
    }
  }
  judge_waiting(now, winner.hello.name);
}

// The peer uses `winner`, too.
void Mesh::Impl::end_retired(TimePoint now, Link& winner, MeshActions& out) {
  winner.replaces = false;
  std::vector<LinkId> over;
  for (const auto& [id, other] : links_) {
    if (other.stage == Stage::Retired && other.hello.name == winner.hello.name) {
      over.push_back(id);
    }
  }
  for (const LinkId id : over) {
    drop(now, id, "replaced by another connection with the peer", out);
  }
}

// Something has become of one that others wait for.
void Mesh::Impl::judge_waiting(TimePoint now, PeerName peer) {
  for (auto& [id, other] : links_) {
    if (other.waits && other.hello.name == peer) {
      other.decision_due = now;
    }
  }
}

}  // namespace weft::router
