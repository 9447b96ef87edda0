// Follows dockerd's events (plugin/docker_events.h) over its API socket.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "plugin/docker_events.h"
#include "sys/clock.h"

namespace weft::plugin {

class DockerWatch {
 public:
  using OnNames = std::function<void(const ContainerNames& names)>;

  // Containers started, stopped or changed their networks; called before their names are known.
  using OnEvents = std::function<void()>;

  // What the bridge of Docker's default network is called.
  using OnBridge = std::function<void(const std::string& name)>;

  // Begins at once; without a dockerd it keeps trying.
  DockerWatch(boost::asio::any_io_executor executor,
              const sys::Clock& clock,
              std::string socket,
              DockerEvents::Options options,
              OnNames on_names,
              OnEvents on_events,
              OnBridge on_bridge);
  DockerWatch(const DockerWatch&) = delete;
  DockerWatch& operator=(const DockerWatch&) = delete;
  ~DockerWatch();

  const DockerEvents& events() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::plugin
