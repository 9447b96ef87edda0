#include "ipam/news/ring_news.h"

#include <algorithm>
#include <utility>

#include "ipam/messages.h"

namespace weft::ipam {
namespace {

// A part states where each entry ends, and a whole ring its seeds: with more than half of the
// entries a part is hardly the smaller one, and the whole cannot fail to fit. What is not in the
// ring any more, as another has replaced it, no part can state.
bool is_statable(const std::set<Uint128>& tokens, const Ring& ring) {
  return tokens.size() <= ring.entries().size() / 2
         && std::all_of(tokens.begin(), tokens.end(), [&ring](Uint128 token) {
              return ring.entries().contains(token);
            });
}

}  // namespace

void RingNews::note_source(std::optional<PeerName> from) {
  from_ = has_news() && from_ != from ? std::nullopt : from;
}

void RingNews::on_changed(std::optional<PeerName> from, const std::vector<Uint128>& tokens) {
  note_source(from);
  changed_.insert(tokens.begin(), tokens.end());
}

void RingNews::on_replaced(std::optional<PeerName> from) {
  note_source(from);
  changed_.clear();
  is_replaced_ = true;
}

void RingNews::owe(PeerName peer) {
  if (owed_.contains(peer) || owed_.size() < kPeerMax) {
    owed_[peer] = std::nullopt;
  }
}

void RingNews::owe(PeerName peer, const std::vector<Uint128>& tokens) {
  if (!owed_.contains(peer) && owed_.size() >= kPeerMax) {
    return;
  }
  auto& lacks = owed_.try_emplace(peer, std::set<Uint128>()).first->second;
  if (lacks) {
    lacks->insert(tokens.begin(), tokens.end());
  }
}

void RingNews::doubt(PeerName peer) {
  if (doubted_.size() < kPeerMax) {
    doubted_.insert(peer);
  }
}

std::vector<RingNews::Message> RingNews::take(const Ring& ring) {
  std::optional<Bytes> whole;
  const auto all_of_it = [&whole, &ring] {
    if (!whole) {
      whole = encode(ring);
    }
    return *whole;
  };
  const auto state = [&](const std::set<Uint128>& tokens) {
    return is_statable(tokens, ring) ? encode(ring.part(tokens)) : all_of_it();
  };
  std::vector<Message> said;
  if (has_news()) {
    said.push_back({.to = std::nullopt,
                    .except = from_,
                    .topic = Topic::Ring,
                    .payload = is_replaced_ ? all_of_it() : state(changed_)});
  }
  for (auto& [peer, lacks] : owed_) {
    if (lacks && has_news() && from_ != peer) {
      // Whoever shows us its ring is a neighbour, but for few, and hears these as news.
      std::erase_if(*lacks, [this](Uint128 token) { return changed_.contains(token); });
    }
    if (!lacks || !lacks->empty()) {
      said.push_back({.to = peer,
                      .except = std::nullopt,
                      .topic = Topic::Ring,
                      .payload = lacks ? state(*lacks) : all_of_it()});
    }
  }
  for (const PeerName& peer : doubted_) {
    said.push_back({.to = peer,
                    .except = std::nullopt,
                    .topic = Topic::Ipam,
                    .payload = encode(PeerMessage{.id = 0, .body = RingDigest{ring.digest()}})});
  }
  *this = RingNews();
  return said;
}

}  // namespace weft::ipam
