// WebSocket clients of views: what each of them knows, and what it is told next. What a change
// shows otherwise is rendered once for all clients that look at the same.
//
// A view of many nodes is told in parts: a first frame of what there is, and then what is added,
// with how many hosts are not in it yet, until all is told. Pure; part of App.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/picture/picture.h"
#include "app/picture/summary.h"
#include "app/render.h"
#include "app/topology.h"
#include "base/strong_id.h"
#include "base/time.h"

namespace weft::app {

using ClientId = StrongId<struct ClientIdTag>;

// One text frame for a WebSocket client; many clients may share it.
struct SendFrame {
  ClientId client;
  std::shared_ptr<const std::string> frame;
};

class Streams {
 public:
  // What a client looks at.
  struct Key {
    TopologyId topology = TopologyId::Hosts;
    Choice choice;

    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Moment {
    TimePoint now{};
    bool is_warm = false;     // All hosts have told, or had the time to.
    std::size_t awaited = 0;  // Hosts that have not.
    std::size_t told = 0;     // Those that have.
    Staleness staleness{};
  };

  std::size_t client_count() const { return clients_.size(); }
  std::size_t count() const { return streams_.size(); }
  bool contains(const Key& key) const { return streams_.contains(key); }
  std::set<TopologyId> topologies() const;

  // Who comes to what others look at already is given what these know.
  void add(ClientId id,
           const Key& key,
           const Picture& picture,
           const Moment& moment,
           std::vector<SendFrame>& out);
  void remove(ClientId id);
  // Precondition: the picture has all views that are looked at.
  void note_changes(Picture& picture);
  // Renders as many nodes as `nodes`, which it takes them from, and frames that are due.
  void tell(Picture& picture,
            const Moment& moment,
            std::size_t& nodes,
            std::vector<SendFrame>& out);
  // When there is something to tell that changed already.
  TimePoint next_frame() const;

  void check_invariants() const;

 private:
  struct Stream {
    std::set<ClientId> clients;
    Rendered rendered;                    // What the clients know.
    std::set<std::string> pending;        // Nodes that may look otherwise by now.
    std::optional<std::uint64_t> begun;   // Rounds of the picture when all nodes became pending.
    bool is_made = false;                 // The view was whole since.
    bool is_whole = false;                // The clients were told all of it.
    std::optional<TimePoint> last_frame;  // Nothing before the first.
  };

  static std::optional<Loading> loading_of(const Key& key,
                                           const Stream& stream,
                                           const Picture& picture,
                                           const Moment& moment);
  static Delta render(const Key& key,
                      Stream& stream,
                      const ViewBook& view,
                      const Staleness& staleness,
                      std::size_t& nodes);
  static TimePoint frame_due(const Stream& stream);

  std::map<Key, Stream> streams_;
  std::map<ClientId, Key> clients_;
};

}  // namespace weft::app
