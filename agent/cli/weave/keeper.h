// Who starts a launched agent again when it is cut off, as Docker's `--restart always` did with
// Weave's container: a process that waits for its end. An agent that ends by itself has been
// stopped, or would not start the next time either. What outlives a boot is a unit's to start.
#pragma once

#include <functional>
#include <string>

#include <sys/types.h>

#include "base/result.h"

namespace weft::agent {

class Keeper {
 public:
  // `become_agent` does not return; `leave_terminal` is the keeper's, too. It goes on as long as
  // `run_dir`/keeper names it.
  static Result<Keeper> start(const std::string& run_dir,
                              const std::function<void()>& leave_terminal,
                              const std::function<void()>& become_agent);
  Keeper(Keeper&& other) noexcept;
  Keeper& operator=(Keeper&&) = delete;
  ~Keeper();

  ::pid_t agent() const { return agent_; }  // The first one.
  // How that ended, as waitpid() says it. Precondition: it has.
  int wait_status() const;

 private:
  Keeper(int news, ::pid_t agent) : news_(news), agent_(agent) {}

  int news_;
  ::pid_t agent_;
};

// Nobody starts the agent of this socket again.
void end_keeper(const std::string& control_socket);

}  // namespace weft::agent
