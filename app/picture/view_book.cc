#include "app/picture/view_book.h"

#include <algorithm>
#include <iterator>

#include "base/assert.h"

namespace weft::app {

ViewBook::ViewBook(TopologyId topology) : topology_(topology) {
  if (shows_connections(topology)) {
    for (auto& [id, node] : outside_nodes()) {
      Spot& outside = spot(id);
      *outside.node = node;
      outside.is_outside = true;
    }
  }
}

// Nodes -----------------------------------------------------------------------------------------

ViewBook::Spot& ViewBook::spot(const std::string& id) {
  const auto [found, is_new] = spots_.try_emplace(id);
  if (is_new) {
    found->second.node = &view_[id];
    changed_.insert(id);
  }
  return found->second;
}

void ViewBook::update(PeerName name, const probe::HostReport* report, const probe::Report& all) {
  updated_.insert(name);
  Host& host = hosts_[name];
  Share share = report == nullptr ? Share() : share_of(topology_, *report, all);
  remove_pieces(name, host, share);
  for (auto& [id, piece] : share.pieces) {
    put(name, host, id, std::move(piece));
  }
  for (const auto& [seat, id] : share.places) {
    Spot* const at = &spot(id);
    Spot*& place = host.places[seat];
    if (place != at) {
      place = at;
      host.moved.insert(seat);
    }
  }
  std::erase_if(host.places, [&](const auto& item) {
    if (share.places.contains(item.first)) {
      return false;
    }
    host.moved.insert(item.first);
    return true;
  });
}

void ViewBook::remove_pieces(PeerName name, Host& host, const Share& share) {
  std::erase_if(host.pieces, [&](const std::string& id) {
    if (share.pieces.contains(id)) {
      return false;
    }
    spots_.at(id).pieces.erase(name);
    due_spots_.insert(id);
    return true;
  });
}

void ViewBook::put(PeerName name, Host& host, const std::string& id, Share::Piece piece) {
  Spot& at = spot(id);
  host.pieces.insert(id);
  if (at.is_outside) {
    return;  // Something is called as the Internet is.
  }
  const auto [found, is_new] = at.pieces.try_emplace(name);
  if (is_new || found->second != piece) {
    found->second = std::move(piece);
    due_spots_.insert(id);
  }
}

void ViewBook::compose(Spot& spot) {
  Node fresh = join(topology_, spot.pieces);
  Node& node = *spot.node;
  if (shows_connections(topology_)) {
    fresh.links.swap(node.links);  // Edges make them.
    fresh.busy = node.busy;
  }
  const bool looks_otherwise_to_others =
      fresh.system != node.system || fresh.stopped != node.stopped || fresh.pseudo != node.pseudo
      || fresh.stacks != node.stacks || node.id.empty();
  node = std::move(fresh);
  changed_.insert(node.id);
  if (looks_otherwise_to_others) {
    touch_around(spot);
  }
}

// What is hidden is nowhere linked to, and what links to nothing else may be hidden with it.
void ViewBook::touch_around(const Spot& spot) {
  for (const auto& [to, link] : spot.node->links) {
    changed_.insert(to);
  }
  for (const Spot* const client : spot.clients) {
    changed_.insert(client->node->id);
  }
}

void ViewBook::touch(PeerName name) {
  if (const auto host = hosts_.find(name); host != hosts_.end()) {
    changed_.insert(host->second.pieces.begin(), host->second.pieces.end());
  }
}

// Precondition: no edge is placed at a node that no host has a piece of.
void ViewBook::drop_if_empty(const std::string& id) {
  const auto at = spots_.find(id);
  if (at->second.is_outside || !at->second.pieces.empty()) {
    return;
  }
  WEFT_ASSERT(at->second.clients.empty());
  WEFT_ASSERT(!shows_connections(topology_) || at->second.node->links.empty());
  spots_.erase(at);
  view_.erase(id);
  changed_.insert(id);
}

// Links -----------------------------------------------------------------------------------------

ViewBook::Spot* ViewBook::spot_of(const Party& party, bool is_client) {
  if (!is_client && is_service(party)) {
    return &service_spot(party);
  }
  if (party.kind != Party::Kind::Known) {
    return &spots_.at(std::string(outside_id(party.kind, is_client)));
  }
  const auto host = hosts_.find(party.host);
  const auto seat = seat_of(topology_, party);
  if (host == hosts_.end() || !seat) {
    return nullptr;
  }
  const auto place = host->second.places.find(*seat);
  return place == host->second.places.end() ? nullptr : place->second;
}

ViewBook::Spot& ViewBook::service_spot(const Party& party) {
  Spot& service = spot(service_id(party));
  if (!service.is_service) {
    *service.node = service_node(party);
    service.is_outside = true;
    service.is_service = true;
  }
  return service;
}

void ViewBook::drop_left_services() {
  for (const std::string& id : std::exchange(left_, {})) {
    if (spots_.at(id).clients.empty()) {
      spots_.erase(id);
      view_.erase(id);
      changed_.insert(id);
    }
  }
}

// Null if the view does not show it.
ViewBook::Bundle* ViewBook::bundle_of(const EdgeKey& key) {
  const bool from_known = key.from.kind == Party::Kind::Known;
  const bool to_known = key.to.kind == Party::Kind::Known;
  if (!from_known && !to_known) {
    return nullptr;
  }
  Spot* const from = spot_of(key.from, true);
  Spot* const to = from == nullptr ? nullptr : spot_of(key.to, false);
  if (to == nullptr) {
    return nullptr;
  }
  if (from == to) {
    const bool is_self =
        key.from.host == key.to.host && seat_of(topology_, key.from) == seat_of(topology_, key.to);
    if (is_self || !is_grouped(topology_)) {
      return nullptr;
    }
  }
  Bundle& bundle = from->bundles[to];
  bundle.from = from;
  bundle.to = to;
  return &bundle;
}

void ViewBook::settle(const EdgeBook& edges, const EdgeBook::Changes& changes) {
  const std::set<std::string> spots = std::exchange(due_spots_, {});
  for (const std::string& id : spots) {
    if (Spot& at = spots_.at(id); !at.pieces.empty()) {
      compose(at);
    }
  }
  for (const Edges::node_type& gone : changes.gone) {
    take_away(&gone.key());
  }
  const std::set<PeerName> updated = std::exchange(updated_, {});
  if (shows_connections(topology_)) {
    for (const PeerName name : updated) {
      place_moved(name, hosts_.at(name), edges);
    }
    for (const EdgeRef& edge : changes.changed) {
      place(edge);
    }
  }
  sum_due();
  drop_left_services();
  for (const std::string& id : spots) {
    drop_if_empty(id);
  }
  for (const PeerName name : updated) {
    Host& host = hosts_.at(name);
    host.moved.clear();
    if (host.pieces.empty()) {
      hosts_.erase(name);
    }
  }
}

void ViewBook::place_moved(PeerName name, Host& host, const EdgeBook& edges) {
  const auto has_moved = [&](const Party& party) {
    const bool is_ours = party.kind == Party::Kind::Known && party.host == name;
    const auto seat = is_ours ? seat_of(topology_, party) : std::nullopt;
    return seat && host.moved.contains(*seat);
  };
  if (host.moved.empty()) {
    return;
  }
  for (const EdgeRef& edge : edges.touching(name)) {
    if (has_moved(edge.key->from) || has_moved(edge.key->to)) {
      place(edge);
    }
  }
}

void ViewBook::place(const EdgeRef& edge) {
  Bundle* const bundle = bundle_of(*edge.key);
  const auto known = positions_.find(edge.key);
  if (known != positions_.end()) {
    if (known->second.bundle == bundle) {
      due(*bundle);
      return;
    }
    take_away(edge.key);
  }
  if (bundle != nullptr) {
    positions_[edge.key] = {.bundle = bundle, .index = bundle->edges.size()};
    bundle->edges.push_back(edge);
    due(*bundle);
  }
}

void ViewBook::take_away(const EdgeKey* key) {
  const auto known = positions_.find(key);
  if (known == positions_.end()) {
    return;
  }
  const auto [bundle, index] = known->second;
  std::vector<EdgeRef>& edges = bundle->edges;
  edges[index] = edges.back();
  positions_[edges[index].key].index = index;
  edges.pop_back();
  positions_.erase(key);
  due(*bundle);
}

void ViewBook::due(Bundle& bundle) {
  if (!std::exchange(bundle.is_due, true)) {
    due_.push_back(&bundle);
  }
}

void ViewBook::sum_due() {
  for (Bundle* const bundle : std::exchange(due_, {})) {
    bundle->is_due = false;
    if (bundle->edges.empty()) {
      cut(*bundle);
    } else {
      sum(*bundle);
    }
  }
}

void ViewBook::sum(Bundle& bundle) {
  Node& from = *bundle.from->node;
  if (bundle.from == bundle.to) {
    if (!std::exchange(from.busy, true)) {
      changed_.insert(from.id);
    }
    return;
  }
  Link total;
  for (const EdgeRef& edge : bundle.edges) {
    total.facts += *edge.facts;
    total.ports.insert({edge.key->port, edge.key->transport});
    if (const std::string& name = edge.key->to.name; !name.empty()) {
      total.names.insert(name);
    }
    if (total.names.size() > kNamesOfLink) {
      total.names.erase(std::prev(total.names.end()));
    }
  }
  const Node& to = *bundle.to->node;
  const auto [shown, is_new] = from.links.try_emplace(to.id);
  if (is_new) {
    bundle.to->clients.insert(bundle.from);
    changed_.insert(to.id);
  }
  if (is_new || shown->second != total) {
    shown->second = std::move(total);
    changed_.insert(from.id);
  }
}

void ViewBook::cut(Bundle& bundle) {
  Node& from = *bundle.from->node;
  changed_.insert(from.id);
  if (bundle.from == bundle.to) {
    from.busy = false;
  } else {
    from.links.erase(bundle.to->node->id);
    bundle.to->clients.erase(bundle.from);
    changed_.insert(bundle.to->node->id);
    if (bundle.to->is_service) {
      left_.insert(bundle.to->node->id);
    }
  }
  bundle.from->bundles.erase(bundle.to);
}

// What is chosen --------------------------------------------------------------------------------

bool ViewBook::is_listed(const std::string& id, const Filter& filter) const {
  const auto node = view_.find(id);
  return node != view_.end() && !filter.hides(node->second);
}

std::vector<const Node*> ViewBook::clients_of(const std::string& id) const {
  std::vector<const Node*> clients;
  if (!shows_connections(topology_)) {
    // Such links are pieces of hosts: nobody counts whose they are.
    for (const auto& [from, node] : view_) {
      if (node.links.contains(id)) {
        clients.push_back(&node);
      }
    }
    return clients;
  }
  for (const Spot* const client : spots_.at(id).clients) {
    clients.push_back(client->node);
  }
  std::sort(
      clients.begin(), clients.end(), [](const Node* a, const Node* b) { return a->id < b->id; });
  return clients;
}

const Node* ViewBook::shown(const std::string& id, const Filter& filter) const {
  const auto found = spots_.find(id);
  return found == spots_.end() ? nullptr : shown(found->second, filter);
}

const Node* ViewBook::shown(const Spot& spot, const Filter& filter) const {
  const Node& node = *spot.node;
  if (filter.hides(node)) {
    return nullptr;
  }
  if (node.busy || (!node.pseudo && !filter.hides_unconnected())) {
    return &node;
  }
  const bool is_connected =
      std::any_of(spot.clients.begin(),
                  spot.clients.end(),
                  [&](const Spot* client) { return !filter.hides(*client->node); })
      || std::any_of(node.links.begin(), node.links.end(), [&](const auto& link) {
           return is_listed(link.first, filter);
         });
  return is_connected ? &node : nullptr;
}

// Links are those of all nodes that are listed, less those that lead to one that is not.
ViewStats ViewBook::stats(const Filter& filter) const {
  ViewStats stats;
  for (const auto& [id, spot] : spots_) {
    const Node& node = *spot.node;
    stats.stacks.insert(node.stacks.begin(), node.stacks.end());
    if (filter.hides(node)) {
      ++stats.filtered_nodes;
      stats.edge_count -= static_cast<std::size_t>(
          std::count_if(spot.clients.begin(), spot.clients.end(), [&](const Spot* client) {
            return !filter.hides(*client->node);
          }));
      continue;
    }
    stats.edge_count += node.links.size();
    if (shown(spot, filter) != nullptr) {
      ++stats.node_count;
      stats.nonpseudo_node_count += node.pseudo ? 0U : 1U;
    } else {
      stats.filtered_nodes += node.pseudo ? 0U : 1U;
    }
  }
  return stats;
}

bool ViewBook::let_go(std::size_t& work) {
  for (; !spots_.empty() && work > 0; --work) {
    spots_.erase(spots_.begin());
    view_.erase(view_.begin());
  }
  for (; !positions_.empty() && work > 0; --work) {
    positions_.erase(positions_.begin());
  }
  return spots_.empty() && positions_.empty();
}

}  // namespace weft::app
