// Who starts a launched agent again when it ends, as Docker's `--restart always` did with Weave's
// container: a process that waits for that. It does not once the agent is stopped, and not one that
// never was ready. What is to run after a boot is a unit's to start.
#pragma once

#include <functional>
#include <string>

#include <sys/types.h>

#include "base/result.h"

namespace weft::agent {

class Keeper {
 public:
  // `become_agent` does not return; `leave_terminal` is the keeper's, too. It goes on as long as
  // the file in `run_dir` names it.
  static Result<Keeper> start(const std::string& run_dir,
                              const std::function<void()>& leave_terminal,
                              const std::function<void()>& become_agent);
  Keeper(Keeper&& other) noexcept;
  Keeper& operator=(Keeper&&) = delete;
  ~Keeper();

  ::pid_t agent() const { return agent_; }  // The first one.
  // How that ended, as waitpid() says it. Precondition: it has. Who holds this object is told of
  // the end; once it is gone the agent is started again.
  int wait_status() const;

 private:
  Keeper(int news, ::pid_t agent) : news_(news), agent_(agent) {}

  int news_;
  ::pid_t agent_;
};

// Nobody starts the agent of this socket again.
void end_keeper(const std::string& control_socket);

}  // namespace weft::agent
