// What an agent shows: collects reports from all hosts while somebody looks, and answers API
// requests and WebSocket clients from them.
//
// Nobody looking costs nothing: hosts are asked (probe::Watch) only while a client is connected, or
// for kLinger after a request. The first request after a pause waits until the hosts have answered,
// kWarmUpMax at most. Views are kept by app/picture/, and what a change shows otherwise is told by
// app/streams.h.
//
// What is much to do is done in slices, between which the loop does its other work: streams are
// told in parts, requests wait until the views they are about are whole.
// Sans-IO; the shell is app/io/app_service.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <boost/json/array.hpp>

#include "app/picture/children.h"
#include "app/picture/picture.h"
#include "app/raw/raw_report.h"
#include "app/render.h"
#include "app/request.h"
#include "app/streams.h"
#include "app/topology.h"
#include "base/bytes.h"
#include "base/peer_name.h"
#include "base/request.h"
#include "base/result.h"
#include "base/time.h"
#include "probe/report/report.h"

namespace weft::app {

// Answer a request. Bodies are JSON.
struct Respond {
  RequestId request;
  unsigned status = 200;
  std::string body;

  friend bool operator==(const Respond&, const Respond&) = default;
};
// Tell which peers there are: answer with on_peers().
struct AskPeers {
  friend bool operator==(AskPeers, AskPeers) = default;
};
// For the probe of that host, ourselves included.
struct SendWatch {
  PeerName to;
  Bytes message;

  friend bool operator==(const SendWatch&, const SendWatch&) = default;
};
using AppAction = std::variant<Respond, SendFrame, AskPeers, SendWatch>;
using AppActions = std::vector<AppAction>;

struct PeerFacts {
  PeerName name;
  std::string nickname;
  bool reachable = false;  // True for ourselves.

  friend bool operator==(const PeerFacts&, const PeerFacts&) = default;
};

class App {
 public:
  struct Options {
    PeerName self;
    std::string version;
    std::string hostname;
    // Frames and requests are cheap; views are what costs, and there are ten topologies.
    std::size_t clients_max = 256;
    std::size_t streams_max = 64;
    std::size_t waiting_max = 256;
    // Reports of all hosts per second, over which hosts are asked less often.
    std::size_t intake_bytes_max = 4U << 20U;
  };
  struct Stats {
    std::uint64_t requests = 0;
    std::uint64_t requests_refused = 0;
    std::uint64_t clients_refused = 0;
    std::uint64_t reports = 0;
    std::uint64_t reports_refused = 0;
    std::uint64_t frames = 0;
  };

  explicit App(Options options);

  // A GET of /api…; answered by a Respond, now or later.
  void on_request(TimePoint now, RequestId id, std::string_view target, AppActions& out);
  // A WebSocket for /api/topology/<topology>/ws. Frames follow until on_client_gone().
  Result<Ok> on_client(TimePoint now, ClientId id, std::string_view target, AppActions& out);
  void on_client_gone(ClientId id);

  void on_peers(TimePoint now, const std::vector<PeerFacts>& peers, AppActions& out);
  // A message of the probe topic that is a report; anything else is refused and counted.
  void on_report(TimePoint now, PeerName from, ByteView message, AppActions& out);

  void on_deadline(TimePoint now, AppActions& out);
  TimePoint next_deadline() const;

  Stats stats() const { return stats_; }
  bool is_looking() const { return looking_; }
  void check_invariants() const;

 private:
  // A request that is not answered yet, and how far its answer is.
  struct Waiting {
    RequestId request;
    std::string target;
    std::uint64_t rounds = 0;  // Of the picture when it came.
    std::size_t step = 0;      // Counted topologies of the menu.
    std::string text{};        // Nodes of a topology, up to this one:
    std::string last_node{};
    std::unique_ptr<RawReport> raw{};
    std::unique_ptr<Children> children{};  // Of the node that is asked for.
  };
  struct Counted {
    TimePoint at{};
    ViewStats stats;
  };
  // Why a request is not answered yet: it takes more work, or a view.
  struct Missing {
    std::optional<TopologyId> view{};
  };
  using Needs = std::optional<Missing>;

  void look(TimePoint now, AppActions& out);
  void stop_looking(AppActions& out);
  void push(TimePoint now, AppActions& out);
  void slice(AppActions& out);
  Needs serve(std::size_t& work, AppActions& out);
  Streams::Moment moment() const;
  Picture::Stage stage() const;
  TimePoint next_slice() const;
  bool is_warm() const { return warm_by_ == kNever; }
  bool is_showing() const { return is_warm() || now_ >= first_by_; }
  void send(std::vector<SendFrame> frames, AppActions& out);
  void forget_lost(TimePoint now);
  Duration interval() const;
  Duration spacing() const;
  std::int64_t staleness(PeerName host) const;

  // Answers, or tells what is missing.
  Needs answer(Waiting& waiting, std::size_t& work, AppActions& out);
  Needs answer_topology(Waiting& waiting, const Target& target, std::size_t& work, AppActions& out);
  Needs answer_report(Waiting& waiting, std::size_t& work, AppActions& out);
  Needs answer_menu(Waiting& waiting, const Choice& query, AppActions& out);
  Needs answer_node(Waiting& waiting,
                    const Target& target,
                    const TopologySpec& spec,
                    std::size_t& work,
                    AppActions& out);
  Respond answer_reach(RequestId id, const Choice& query);
  void refuse(RequestId id, unsigned status, std::string_view what, AppActions& out);
  bool add_nodes(Waiting& waiting, const ViewBook& view, const Filter& filter, std::size_t& work);
  std::string api_json() const;
  boost::json::array probes_json() const;
  // Tells the views whose data is of another age.
  void grow_old();

  Options options_;
  probe::Report report_;
  std::map<PeerName, TimePoint> heard_;   // When each host last spoke.
  std::map<PeerName, std::size_t> size_;  // Bytes of its last report.
  std::size_t size_of_all_ = 0;
  std::map<PeerName, PeerFacts> peers_;
  TimePoint now_{};
  bool looking_ = false;
  TimePoint look_until_{};
  TimePoint warm_by_ = kNever;  // When those who wait are answered with what there is.
  TimePoint first_by_{};        // When streams are told what there is, warm or not.
  std::size_t awaited_ = 0;     // Hosts that are asked, and have not answered.
  bool is_asked_ = false;       // Peers are known.
  TimePoint renew_ = kNever;
  TimePoint push_ = kNever;
  TimePoint last_push_{};
  std::map<PeerName, std::int64_t> ages_;  // Of hosts that were late at the last push.
  std::vector<Waiting> waiting_;
  bool is_behind_ = false;  // There is more to do than the last slice did.
  std::map<std::pair<TopologyId, Choice>, Counted> counted_;
  Streams streams_;
  Picture picture_{report_};
  Stats stats_;
};

}  // namespace weft::app
