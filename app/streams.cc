#include "app/streams.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/assert.h"

namespace weft::app {
namespace {

// An unchanged view still sends a frame this often, so that both ends know the other lives.
constexpr std::chrono::seconds kAliveEvery(5);

// While a view is being made, its frames are this far apart: each of its nodes changes several
// times as its edges are found.
constexpr std::chrono::milliseconds kPartEvery(200);

}  // namespace

std::set<TopologyId> Streams::topologies() const {
  std::set<TopologyId> all;
  for (const auto& [key, stream] : streams_) {
    all.insert(key.topology);
  }
  return all;
}

void Streams::add(ClientId id,
                  const Key& key,
                  const Picture& picture,
                  const Moment& moment,
                  std::vector<SendFrame>& out) {
  Stream& stream = streams_[key];
  stream.clients.insert(id);
  clients_.emplace(id, key);
  if (stream.last_frame) {
    const auto loading = loading_of(key, stream, picture, moment);
    out.push_back({id, std::make_shared<const std::string>(reset_frame(stream.rendered, loading))});
  }
}

void Streams::remove(ClientId id) {
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

void Streams::note_changes(Picture& picture) {
  std::map<TopologyId, std::set<std::string>> changed;
  for (auto& [key, stream] : streams_) {
    ViewBook& view = picture.view_so_far(key.topology);
    const auto [ids, is_first] = changed.try_emplace(key.topology);
    if (is_first) {
      ids->second = view.take_changed();
    }
    if (stream.begun) {
      stream.pending.insert(ids->second.begin(), ids->second.end());
      continue;
    }
    stream.begun = picture.rounds();
    for (const auto& [id, node] : view.view()) {
      stream.pending.insert(stream.pending.end(), id);
    }
  }
}

std::optional<Loading> Streams::loading_of(const Key& key,
                                           const Stream& stream,
                                           const Picture& picture,
                                           const Moment& moment) {
  if (stream.is_whole) {
    return std::nullopt;
  }
  return Loading{.hosts = moment.told - picture.missing(key.topology),
                 .of = moment.told + moment.awaited};
}

Delta Streams::render(const Key& key,
                      Stream& stream,
                      const ViewBook& view,
                      const Staleness& staleness,
                      std::size_t& nodes) {
  const Filter filter(key.choice);
  const SummaryOptions options{
      .shows_link = [&](const std::string& to) { return view.is_listed(to, filter); }};
  Delta delta;
  for (; !stream.pending.empty() && nodes > 0; --nodes) {
    std::string id = std::move(stream.pending.extract(stream.pending.begin()).value());
    const Node* const node = view.shown(id, filter);
    const auto known = stream.rendered.find(id);
    if (node == nullptr) {
      if (known != stream.rendered.end()) {
        stream.rendered.erase(known);
        delta.removed.push_back(std::move(id));
      }
      continue;
    }
    std::string summary = summary_text(*node, staleness, options);
    if (known == stream.rendered.end()) {
      const auto added = stream.rendered.emplace(std::move(id), std::move(summary)).first;
      delta.added.emplace_back(added->second);
    } else if (known->second != summary) {
      known->second = std::move(summary);
      delta.updated.emplace_back(known->second);
    }
  }
  return delta;
}

// Of one that has something to tell.
TimePoint Streams::frame_due(const Stream& stream) {
  const bool is_held = stream.last_frame && !stream.is_made;
  return is_held ? *stream.last_frame + kPartEvery : TimePoint();
}

void Streams::tell(Picture& picture,
                   const Moment& moment,
                   std::size_t& nodes,
                   std::vector<SendFrame>& out) {
  for (auto& [key, stream] : streams_) {
    stream.is_made =
        stream.is_made || (moment.is_warm && picture.shows_all(key.topology, stream.begun.value()));
    if (frame_due(stream) > moment.now) {
      continue;
    }
    const ViewBook& view = picture.view_so_far(key.topology);
    const Delta delta = render(key, stream, view, moment.staleness, nodes);
    const bool was_whole = stream.is_whole;
    stream.is_whole = was_whole || (stream.is_made && stream.pending.empty());
    const bool is_first = !stream.last_frame;
    const bool is_alive = !is_first && moment.now - *stream.last_frame >= kAliveEvery;
    const bool is_news = is_first ? moment.told > 0 : !delta.empty();
    if (!is_news && stream.is_whole == was_whole && !is_alive) {
      continue;
    }
    const auto loading = loading_of(key, stream, picture, moment);
    const auto frame = std::make_shared<const std::string>(
        is_first ? reset_frame(stream.rendered, loading) : delta_frame(delta, loading));
    stream.last_frame = moment.now;
    for (const ClientId client : stream.clients) {
      out.push_back({client, frame});
    }
  }
}

TimePoint Streams::next_frame() const {
  TimePoint due = kNever;
  for (const auto& [key, stream] : streams_) {
    if (!stream.pending.empty()) {
      due = std::min(due, frame_due(stream));
    }
  }
  return due;
}

void Streams::check_invariants() const {
  std::size_t subscribed = 0;
  for (const auto& [key, stream] : streams_) {
    WEFT_ASSERT(!stream.clients.empty());
    subscribed += stream.clients.size();
  }
  WEFT_ASSERT(subscribed == clients_.size());
}

}  // namespace weft::app
