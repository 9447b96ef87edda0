// The mesh on real sockets: listens, dials, carries bytes, runs the core's timer
// (sys/core_driver.h).
//
// Translates and decides nothing. Runs on one executor; every callback runs there too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "base/result.h"
#include "router/mesh.h"
#include "sys/clock.h"

namespace weft::router {

class MeshService {
 public:
  struct Options {
    // Address of the listener, and what is dialled from; unspecified = all, both families.
    Ip host;
    std::uint16_t port = 6783;
    // Bytes waiting for a slow peer before its link is closed.
    std::size_t send_queue_max = 8U << 20U;
    // As in Mesh::Options.
    std::size_t links_max = 200;
  };
  // Everything the mesh decided that is not a socket's business: NeighbourUp … MeshEvent. Called
  // after the core has settled; may call the service again.
  using OnAction = std::function<void(MeshAction action)>;

  static Result<std::unique_ptr<MeshService>> start(boost::asio::any_io_executor executor,
                                                    const sys::Clock& clock,
                                                    Options options,
                                                    std::unique_ptr<Mesh> mesh,
                                                    OnAction on_action);
  ~MeshService();

  void connect(const std::string& target);
  void forget(const std::string& target);
  void dismiss(PeerName peer);
  void set_passwords(const Psk& psk, const std::optional<Psk>& old_psk);
  void publish(PublishRecord record);
  void send(GossipAll gossip);
  void send(GossipTo gossip);
  const Mesh& mesh() const;
  // Those of the mesh, with what waits for their sockets.
  std::vector<ConnectionStatus> connections() const;

  struct Stats {
    std::uint64_t accepted = 0;
    std::uint64_t accepts_refused = 0;    // Too many connections at once.
    std::uint64_t farewells_skipped = 0;  // Closed without waiting for the other side.
    std::uint64_t accepts_failed = 0;     // Such as no file descriptor left; tried again.
  };
  Stats stats() const;

 private:
  class Impl;
  explicit MeshService(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::router
