// A root shell of the host behind a pseudo-terminal, in the namespaces of process 1 so that it is
// the host's even where the agent runs in a container. Destroying it hangs up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>

#include "base/result.h"
#include "sys/posix/host_paths.h"

namespace weft::sys {

class HostShell {
 public:
  // Run on the executor, never within the call that made it; on_end is the last. A handler may
  // destroy the HostShell.
  struct Handlers {
    std::function<void(std::string_view output)> on_output;
    std::function<void(std::size_t count)> on_written;
    std::function<void()> on_end;
  };

  HostShell() = default;
  HostShell(const HostShell&) = delete;
  HostShell& operator=(const HostShell&) = delete;
  virtual ~HostShell() = default;

  virtual void write(std::string_view input) = 0;
  virtual void hold(bool is_held) = 0;
  virtual void resize(std::uint16_t columns, std::uint16_t rows) = 0;
};

Result<std::unique_ptr<HostShell>> start_host_shell(const boost::asio::any_io_executor& executor,
                                                    const HostPaths& host,
                                                    HostShell::Handlers handlers);

}  // namespace weft::sys
