#include "agent/run_agent.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include <boost/asio/signal_set.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cli/client.h"
#include "agent/version.h"
#include "agent/wiring.h"
#include "base/log.h"

namespace weft::agent {

namespace {

// Why the agent did not start, and what to tell the shell.
struct Failure {
  ExitCode code = ExitCode::Failure;
  Error error;
};

Error os_error(std::string_view doing) {
  const int error = errno;
  return Error{Errc::Os, fmt::format("{}: {}", doing, std::strerror(error)), error};
}

Result<Ok> redirect_log(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (file < 0 || ::dup2(file, STDERR_FILENO) < 0) {
    return os_error("log file " + path);
  }
  ::close(file);
  return Ok{};
}

Result<Ok> ensure_directory(const std::string& path, ::mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    return os_error("directory " + path);
  }
  return Ok{};
}

Result<std::optional<router::Psk>> read_psk(const std::string& path) {
  if (path.empty()) {
    return std::optional<router::Psk>();
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return os_error("password file " + path);
  }
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    log::warning("password file is open to others than its owner", {"path", path});
  }
  const std::string content((std::istreambuf_iterator<char>(file)),
                            std::istreambuf_iterator<char>());
  const std::string password = WEFT_TRY(parse_password(content));
  return std::optional<router::Psk>(WEFT_TRY(router::stretch_password(password)));
}

// Peers given by hand replace those of the last run; without any, the last run's are used.
Result<std::vector<std::string>> choose_targets(sys::Store& store, const Config& config) {
  if (config.targets.empty()) {
    return load_targets(store);
  }
  WEFT_TRY(replace_targets(store, config.targets));
  return config.targets;
}

class Runner {
 public:
  explicit Runner(const Config& config) : config_(config) {}

  std::optional<Failure> start();
  void run();
  // Closes everything that must be closed in order, the store last.
  void close();

 private:
  std::optional<Failure> check_host();
  Result<Ok> take_seat();

  const Config& config_;
  boost::asio::io_context io_{1};
  sys::SystemClock clock_;
  SystemEntropy entropy_;
  std::unique_ptr<sys::Netdev> netdev_;
  std::unique_ptr<sys::Store> store_;
  Agent::Seat seat_;
  std::unique_ptr<Agent> agent_;
};

// Everything that can be refused without having changed anything.
std::optional<Failure> Runner::check_host() {
  if (const auto encrypted = check_encryption(config_); !encrypted.ok()) {
    return Failure{ExitCode::Refused, encrypted.error()};
  }
  if (running_agent(config_.control_socket()).ok()) {
    return Failure{
        ExitCode::AlreadyRunning,
        {Errc::Conflict, fmt::format("an agent answers on {} already", config_.control_socket())}};
  }
  auto netdev = sys::open_netdev();
  if (!netdev.ok()) {
    return Failure{ExitCode::Failure, netdev.error()};
  }
  netdev_ = std::move(netdev).value();
  const auto routes = netdev_->routes();
  if (!routes.ok()) {
    return Failure{ExitCode::Failure, routes.error()};
  }
  if (const auto free = check_overlap(config_.range, config_.bridge, routes.value()); !free.ok()) {
    return Failure{ExitCode::Refused, free.error()};
  }
  return std::nullopt;
}

// Password before identity: an incarnation is not spent on a start that fails.
Result<Ok> Runner::take_seat() {
  seat_.psk = WEFT_TRY(read_psk(config_.password_file));
  ::malloc_trim(0);  // Argon2id has just used 64 MiB once and for all.
  seat_.identity = WEFT_TRY(claim_identity(*store_, entropy_, config_.name));
  seat_.targets = WEFT_TRY(choose_targets(*store_, config_));
  return remember_bridge(*store_, config_.bridge);
}

std::optional<Failure> Runner::start() {
  if (auto refused = check_host()) {
    return refused;
  }
  for (const auto& made :
       {ensure_directory(config_.run_dir, 0755), ensure_directory(config_.state_dir, 0700)}) {
    if (!made.ok()) {
      return Failure{ExitCode::Failure, made.error()};
    }
  }
  auto store = sys::open_store(config_.store_path());
  if (!store.ok()) {
    const bool busy = store.error().code == Errc::Unavailable;
    return Failure{busy ? ExitCode::AlreadyRunning : ExitCode::Failure, store.error()};
  }
  store_ = std::move(store).value();
  if (const auto seated = take_seat(); !seated.ok()) {
    const bool refused = seated.error().code == Errc::Conflict;
    return Failure{refused ? ExitCode::Refused : ExitCode::Failure, seated.error()};
  }
  auto agent = Agent::start(
      {.io = io_, .clock = clock_, .store = *store_, .netdev = *netdev_, .entropy = entropy_},
      config_,
      seat_,
      [this] { boost::asio::post(io_, [this] { io_.stop(); }); });
  if (!agent.ok()) {
    return Failure{ExitCode::Failure, agent.error()};
  }
  agent_ = std::move(agent).value();
  return std::nullopt;
}

void Runner::run() {
  boost::asio::signal_set signals(io_, SIGTERM, SIGINT);
  signals.async_wait([this](const boost::system::error_code& error, int signal) {
    if (!error) {
      log::info("ending on a signal", {"signal", signal});
      io_.stop();
    }
  });
  log::info("ready",
            {"version", kVersion},
            {"name", seat_.identity.name},
            {"nickname", config_.nickname},
            {"incarnation", seat_.identity.incarnation},
            {"range", config_.range});
  if (!seat_.psk) {
    log::warning(
        "no password: control traffic is encrypted but unauthenticated, whoever reaches the port "
        "can join",
        {"port", config_.port});
  } else {
    log::warning("containers' traffic is not encrypted", {"because", "--plaintext-data"});
  }
  ::malloc_trim(0);  // What starting needed and running does not.
  io_.run();
}

void Runner::close() {
  agent_.reset();
  store_.reset();
}

}  // namespace

ExitCode run_agent(const Config& config) {
  // One arena: there is one thread, and each further arena would cost its own free lists.
  ::mallopt(M_ARENA_MAX, 1);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);
  if (const auto level = log::parse_level(config.log_level); level.ok()) {
    log::set_level(level.value());
  }
  if (!config.log_file.empty()) {
    if (const auto redirected = redirect_log(config.log_file); !redirected.ok()) {
      log::error("cannot start", {"why", redirected.error()});
      return ExitCode::Failure;
    }
  }
  Runner runner(config);
  if (const auto failure = runner.start()) {
    log::error("cannot start", {"why", failure->error});
    return failure->code;
  }
  runner.run();
  runner.close();
  log::info("ended; containers' traffic goes on");
  // A name lookup may be under way on Asio's resolver thread; a dead resolver would hold up the
  // end.
  std::_Exit(static_cast<int>(ExitCode::Ok));
}

}  // namespace weft::agent
