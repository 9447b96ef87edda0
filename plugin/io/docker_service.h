// Serves the DockerDriver on Docker's plugin sockets, one for each scope of networks.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "base/result.h"
#include "plugin/docker.h"

namespace weft::plugin {

class DockerService {
 public:
  struct Options {
    std::string socket = "/run/docker/plugins/weft.sock";  // Empty: Docker finds no plugin.
    std::string swarm_socket{};  // The same driver for networks of a swarm; empty: none.
    // Where earlier runs were asked. Docker finds a network's driver by the name of its socket, so
    // networks of then are asked for there. One that cannot be listened to is logged.
    std::map<std::string, Scope> earlier{};
    // dockerd keeps a few idle connections per plugin and opens one per concurrent call.
    std::size_t connections_max = 256;
  };
  // What the driver wants from others: AllocateAddress … Persist. HttpReply is handled here.
  // Performed in order, so that a Persist is durable before the reply behind it leaves.
  using OnAction = std::function<void(DockerAction action)>;

  static Result<std::unique_ptr<DockerService>> start(boost::asio::any_io_executor executor,
                                                      Options options,
                                                      std::unique_ptr<DockerDriver> driver,
                                                      OnAction on_action);
  ~DockerService();

  void on_address(RequestId call, const Result<Cidr>& address);
  void on_plugged(RequestId call, const Result<Ok>& result);
  void on_gateways(const Result<Ok>& result);
  void on_port_missing(const std::string& id);
  void on_held(const std::vector<std::pair<std::string, Cidr>>& held);
  void on_port_gone(const std::string& id);
  const DockerDriver& driver() const;

 private:
  class Impl;
  explicit DockerService(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::plugin
