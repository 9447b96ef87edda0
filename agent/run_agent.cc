#include "agent/run_agent.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cli/client.h"
#include "agent/cli/process.h"
#include "agent/http/host_certificate.h"
#include "agent/http/token_file.h"
#include "agent/ipam/rebuild.h"
#include "agent/password_file.h"
#include "agent/probe/ui_access.h"
#include "agent/version.h"
#include "agent/wiring.h"
#include "base/log.h"
#include "sys/posix/code_pages.h"

// Of a sanitizer's library. What ends by _Exit is not looked at for leaks unless it asks.
extern "C" __attribute__((weak)) void __lsan_do_leak_check();

namespace weft::agent {

namespace {

// A cluster that started together has settled by then.
constexpr std::chrono::seconds kSettledAfter{10};

// Memory that was needed once. Only makes the process smaller.
void give_back_memory() {
  ::malloc_trim(0);
  (void)sys::release_code_pages();
}

// Why the agent did not start, and what to tell the shell.
struct Failure {
  ExitCode code = ExitCode::Failure;
  Error error;
};

// What we judged by what we were told and what we keep cannot be otherwise a second later. The rest
// can: what the kernel says (a port in use, a device that is busy, a file that is not mounted yet),
// and what is so on this host just now.
Failure failure_of(Error error) {
  const bool is_judged =
      error.os == 0 && (error.code == Errc::Conflict || error.code == Errc::Invalid);
  return {is_judged ? ExitCode::Refused : ExitCode::Failure, std::move(error)};
}

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

// Peers given by hand replace those of the last run, unless that was cut off: then it is a service
// manager that starts the agent again as it did before, and an operator may have named others
// since. What is to be written is said in `out`.
Result<std::vector<std::string>> choose_targets(sys::Store& store,
                                                const Config& config,
                                                StoreBatch& out) {
  if (config.targets.empty()) {
    return load_targets(store);
  }
  const bool is_restart = WEFT_TRY(was_cut_off(store));
  if (is_restart) {
    auto targets = WEFT_TRY(load_targets(store));
    log::info("the last run was cut off: its peers are kept", {"count", targets.size()});
    return targets;
  }
  out = WEFT_TRY(replaced_targets(store, config.targets));
  return config.targets;
}

// What the bridge remembers. An earlier run may have called it otherwise.
Result<std::optional<PeerName>> name_of_bridges(sys::Netdev& netdev, const std::string& bridge) {
  const std::vector<LinkInfo> links = WEFT_TRY(netdev.links());
  std::optional<PeerName> recalled;
  for (const LinkInfo& link : links) {
    const std::optional<PeerName> name = name_of_bridge(link);
    if (name && (!recalled || link.name == bridge)) {
      recalled = name;
    }
  }
  return recalled;
}

class Runner {
 public:
  explicit Runner(const Config& config) : config_(config) {}

  std::optional<Failure> start();
  void run();
  bool is_restart() const { return is_restart_; }
  // Closes everything that must be closed in order, the store last.
  void close();

 private:
  std::optional<Failure> check_host();
  Result<Ok> read_http_access();
  Result<Ok> take_seat();
  void wait_signal(boost::asio::signal_set& signals);

  const Config& config_;
  boost::asio::io_context io_{1};
  sys::SystemClock clock_;
  SystemEntropy entropy_;
  std::unique_ptr<sys::Netdev> netdev_;
  std::unique_ptr<sys::Store> store_;
  Agent::Seat seat_;
  std::unique_ptr<Agent> agent_;
  bool is_restart_ = false;
};

// Nobody can listen at an address of another one.
bool is_of_this_host(const Ip& address) {
  namespace ip = boost::asio::ip;
  boost::asio::io_context io;
  ip::tcp::acceptor acceptor(io);
  const ip::tcp::endpoint place(ip::make_address(address.to_string()), 0);
  boost::system::error_code error;
  acceptor.open(place.protocol(), error);
  acceptor.bind(place, error);
  return !error && !address.is_unspecified();
}

// Everything that can be refused without having changed anything.
std::optional<Failure> Runner::check_host() {
  if (const auto encrypted = check_encryption(config_); !encrypted.ok()) {
    return failure_of(encrypted.error());
  }
  if (config_.ui_listen) {
    auto access = read_ui_access(config_);
    if (!access.ok()) {
      return failure_of(access.error());
    }
    seat_.ui_access = std::move(access).value();
    auto certificate = read_ui_certificate(config_);
    if (!certificate.ok()) {
      return failure_of(certificate.error());
    }
    seat_.ui_certificate = std::move(certificate).value();
  }
  if (const auto access = read_http_access(); !access.ok()) {
    return failure_of(Error(access.error()).with_context("control API"));
  }
  if (config_.docker_tcp && !is_of_this_host(config_.docker_tcp->address)) {
    return Failure{ExitCode::Failure,  // It may get the address yet.
                   {Errc::Unavailable,
                    fmt::format("--docker-tcp {}: containers are attached on this host, and so "
                                "the engine has to be here (expected an address of this host)",
                                config_.docker_tcp->to_string())}};
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
  std::vector<Cidr> ranges;
  if (config_.has_range()) {
    ranges.push_back(config_.range);
  }
  if (config_.range_v6) {
    ranges.push_back(*config_.range_v6);
  }
  for (const Cidr& range : ranges) {
    const auto free = check_overlap(range, config_.bridge, routes.value());
    if (!free.ok() && !config_.range_may_overlap) {
      return Failure{ExitCode::Failure, free.error()};  // Routes come and go.
    }
    if (!free.ok()) {
      log::warning("containers do not reach what this host does", {"why", free.error()});
    }
  }
  return std::nullopt;
}

Result<Ok> Runner::read_http_access() {
  if (config_.http_token_file.empty()) {
    return Ok{};
  }
  seat_.http_token = WEFT_TRY(read_token("--http-token-file", config_.http_token_file));
  const std::optional<Endpoint>& listen = config_.http_address.tcp;
  if (listen && !listen->address.is_loopback()) {
    seat_.http_certificate =
        WEFT_TRY(host_certificate(config_, config_.http_files, listen->address));
  }
  return Ok{};
}

// Password before identity: an incarnation is not spent on a start that fails.
Result<Ok> Runner::take_seat() {
  if (!config_.password_file.empty()) {
    seat_.passwords = WEFT_TRY(read_password_file(config_.password_file));
  }
  const auto recalled = WEFT_TRY(name_of_bridges(*netdev_, config_.bridge));
  StoreBatch also;  // All in one transaction.
  seat_.targets = WEFT_TRY(choose_targets(*store_, config_, also));
  also.push_back(bridge_row(config_.bridge));
  seat_.identity =
      WEFT_TRY(claim_identity(*store_, entropy_, config_.name, recalled, std::move(also)));
  if (seat_.identity.is_new && seat_.identity.has_lost_store) {
    log::warning("the state of this host was lost; its bridge has kept its name",
                 {"name", seat_.identity.name});
  }
  return Ok{};
}

std::optional<Failure> Runner::start() {
  if (auto refused = check_host()) {
    return refused;
  }
  for (const auto& made : {sys::ensure_sysctls_are_writable(config_.host_paths),
                           ensure_directory(config_.run_dir, 0755),
                           ensure_directory(config_.state_dir, 0700)}) {
    if (!made.ok()) {
      return Failure{ExitCode::Failure, made.error()};
    }
  }
  auto opened = open_or_rebuild(config_.store_path);
  if (!opened.ok()) {
    return opened.error().code == Errc::Unavailable
               ? Failure{ExitCode::AlreadyRunning, opened.error()}
               : failure_of(opened.error());
  }
  store_ = std::move(opened.value().store);
  seat_.is_rebuilt = opened.value().is_rebuilt;
  if (const auto seated = take_seat(); !seated.ok()) {
    return failure_of(seated.error());
  }
  auto agent = Agent::start(
      {.io = io_, .clock = clock_, .store = *store_, .netdev = *netdev_, .entropy = entropy_},
      config_,
      seat_,
      {.stop = [this] { boost::asio::post(io_, [this] { io_.stop(); }); },
       .restart =
           [this] {
             is_restart_ = true;
             io_.stop();
           }});
  if (!agent.ok()) {
    return failure_of(agent.error());
  }
  agent_ = std::move(agent).value();
  if (const auto marked = mark_running(*store_); !marked.ok()) {
    return Failure{ExitCode::Failure, marked.error()};
  }
  return std::nullopt;
}

void Runner::run() {
  boost::asio::signal_set signals(io_, SIGTERM, SIGINT, SIGHUP);
  wait_signal(signals);
  log::info("ready",
            {"version", kVersion},
            {"name", seat_.identity.name},
            {"nickname", config_.nickname},
            {"incarnation", seat_.identity.incarnation},
            {"range",
             (config_.has_range() ? config_.range.to_string() : "none")
                 + (config_.range_v6 ? "," + config_.range_v6->to_string() : std::string())});
  if (!seat_.passwords) {
    log::warning(
        "no password: control traffic is encrypted but unauthenticated, whoever reaches the port "
        "can join",
        {"port", config_.port});
  } else if (config_.plaintext_data) {
    log::warning("containers' traffic is not encrypted", {"because", "--plaintext-data"});
  }
  // What starting and joining needed and running does not.
  boost::asio::steady_timer settled(io_, kSettledAfter);
  settled.async_wait([](const boost::system::error_code& error) {
    if (!error) {
      give_back_memory();
    }
  });
  io_.run();
}

void Runner::wait_signal(boost::asio::signal_set& signals) {
  signals.async_wait([this, &signals](const boost::system::error_code& error, int signal) {
    if (error) {
      return;
    }
    if (signal != SIGHUP) {
      log::info("ending on a signal", {"signal", signal});
      io_.stop();
      return;
    }
    (void)agent_->reload();  // It has said in the log what went wrong.
    wait_signal(signals);
  });
}

void Runner::close() {
  agent_.reset();
  // To be started again by ourselves or a keeper is to be cut off: whom an operator has named since
  // counts.
  const bool comes_again =
      is_restart_ || ::access(keeper_file_in(config_.run_dir).c_str(), F_OK) == 0;
  if (const auto ended = comes_again ? Result<Ok>(Ok{}) : mark_ended(*store_); !ended.ok()) {
    log::warning("state not written", {"why", ended.error()});
  }
  store_.reset();
}

// What the store says that a start would use: one that cannot be read is set aside there, and one
// that was never written to says nothing.
Result<std::optional<PeerName>> find_stored_name(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || status.st_size == 0) {
    return std::optional<PeerName>();
  }
  auto store = sys::open_store(path);
  if (!store.ok()) {
    return store.error().code == Errc::Invalid ? std::optional<PeerName>()
                                               : Result<std::optional<PeerName>>(store.error());
  }
  return stored_name(*store.value());
}

// In the order of a start.
Result<std::string> find_peer_name(const Config& config) {
  if (const auto running = name_of_agent(config.control_socket()); running.ok()) {
    const PeerName name = WEFT_TRY(PeerName::parse(running.value()));
    WEFT_TRY(choose_name(name, config.name, std::nullopt));
    return running;
  }
  const auto netdev = WEFT_TRY(sys::open_netdev());
  const auto recalled = WEFT_TRY(name_of_bridges(*netdev, config.bridge));
  const auto stored = WEFT_TRY(find_stored_name(config.store_path));
  const auto name = WEFT_TRY(choose_name(stored, config.name, recalled));
  if (!name) {
    return Error{Errc::NotFound,
                 "this host's peer has no name yet: its first start draws one at random (--name "
                 "gives it one)"};
  }
  return name->to_string();
}

}  // namespace

ExitCode print_peer_name(const Config& config) {
  const auto name = find_peer_name(config);
  if (!name.ok()) {
    fmt::print(stderr, "weft: {}\n", name.error().what);
    return name.error().code == Errc::Conflict ? ExitCode::Refused : ExitCode::Failure;
  }
  fmt::print("{}\n", name.value());
  return ExitCode::Ok;
}

ExitCode run_agent(const Config& config) {
  // One arena: there is one thread, and each further arena would cost its own free lists.
  ::mallopt(M_ARENA_MAX, 1);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);  // Until there is something to reload.
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
  if (runner.is_restart()) {
    log::error("cannot start again", {"why", restart_process()});
    return ExitCode::Failure;
  }
  log::info("ended; containers' traffic goes on");
  if (__lsan_do_leak_check != nullptr) {
    __lsan_do_leak_check();
  }
  // A name lookup may be under way on Asio's resolver thread; a dead resolver would hold up the
  // end.
  std::_Exit(static_cast<int>(ExitCode::Ok));
}

}  // namespace weft::agent
