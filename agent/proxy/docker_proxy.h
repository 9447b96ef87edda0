// The Docker API proxy in the agent: what containers that are made through it get, by the calls and
// the command that people use (`weft attach`).
//
// Containers that start by themselves, or were there before the agent, follow from Docker's events.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "agent/config.h"
#include "base/result.h"
#include "sys/posix/host_paths.h"

namespace weft::agent {

// Where the engine finds the program that containers begin with: a path on its host.
std::string wait_folder(const std::string& state_folder, const sys::HostPaths& host);

class DockerProxy {
 public:
  // Listens when it returns. Calls the control API, which must be there and end before this does.
  static Result<std::unique_ptr<DockerProxy>> start(const boost::asio::any_io_executor& executor,
                                                    const Config& config);
  DockerProxy(const DockerProxy&) = delete;
  DockerProxy& operator=(const DockerProxy&) = delete;
  ~DockerProxy();

  // Docker says that it runs: attached, if it was made through the proxy, again and again until it
  // is.
  void on_running(const std::string& container);

  std::vector<std::string> addresses() const;

 private:
  class Impl;
  explicit DockerProxy(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace weft::agent
