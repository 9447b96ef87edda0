#include "agent/npc/npc.h"

#include <array>
#include <csignal>
#include <cstdio>
#include <optional>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "agent/cli/process.h"
#include "agent/npc/npc_metrics.h"
#include "agent/version.h"
#include "base/entropy.h"
#include "base/log.h"
#include "sys/http_server.h"
#include "sys/netlink/nflog.h"

namespace weft::agent {
namespace {

// Weave's, which the agent's hooks log to.
constexpr std::uint16_t kBlockedGroup = 86;

class Controller {
 public:
  explicit Controller(const NpcConfig& config) : config_(config) {}

  Result<Ok> start();
  void run() { io_.run(); }

 private:
  void on_request(const sys::HttpRequest& request);
  void on_blocked(ByteView head);
  NpcState state() const;

  const NpcConfig& config_;
  boost::asio::io_context io_{1};
  boost::asio::signal_set signals_{io_, SIGINT, SIGTERM};
  sys::SystemClock clock_;
  policy::Compiler compiler_;
  policy::BlockedCounts blocked_;
  std::uint64_t problems_ = 0;
  std::unique_ptr<policy::Applier> applier_;
  std::unique_ptr<sys::Nflog> nflog_;
  std::unique_ptr<sys::HttpServer> metrics_;
  std::optional<policy::ClusterWatch> watch_;
};

// What it has put into the kernel stays when it ends, and is replaced at once by its successor.
Result<Ok> Controller::start() {
  signals_.async_wait([this](const boost::system::error_code& error, int) {
    if (!error) {
      log::info("stopping: what was in force stays in force");
      io_.stop();
    }
  });
  metrics_ = WEFT_TRY(sys::listen_http_tcp(
      io_.get_executor(),
      {.address = config_.metrics},
      [this](const sys::HttpRequest& request) { on_request(request); },
      [](RequestId) {}));
  applier_ = WEFT_TRY(policy::Applier::make(io_.get_executor(),
                                            compiler_,
                                            {.bridge = config_.bridge,
                                             .overlay_ports = config_.overlay_ports,
                                             .allow_multicast = config_.allow_multicast}));
  auto nflog = sys::Nflog::listen(
      io_.get_executor(), kBlockedGroup, [this](ByteView head) { on_blocked(head); });
  if (nflog.ok()) {
    nflog_ = std::move(nflog).value();
  } else {
    ++problems_;
    log::warning("blocked connections are not counted", {"error", nflog.error()});
  }
  std::array<std::uint8_t, sizeof(std::uint64_t)> seed{};
  SystemEntropy().fill(seed);
  watch_.emplace(io_.get_executor(),
                 clock_,
                 config_.server,
                 Reader(seed).u64().value(),
                 compiler_,
                 policy::ClusterWatch::Handlers{
                     .on_change = [this] { applier_->on_change(); },
                     .on_problem =
                         [this](const policy::Problem& problem) {
                           ++problems_;
                           log::warning("trouble with the API server or what it says",
                                        {"problem", problem.what});
                         }});
  log::info("policy controller started",
            {"version", kVersion},
            {"node", config_.node},
            {"server", config_.server},
            {"bridge", config_.bridge},
            {"metrics", config_.metrics});
  return Ok{};
}

void Controller::on_blocked(ByteView head) {
  const auto connection = policy::read_blocked(head);
  if (connection && blocked_.count(clock_.now(), *connection)) {
    log::warning(connection->to_string());
  }
}

NpcState Controller::state() const {
  return {.compiler = compiler_.stats(),
          .watch = watch_->stats(),
          .applier = applier_->stats(),
          .is_watching = watch_->is_watching(),
          .problems = problems_,
          .log_overruns = nflog_ != nullptr ? nflog_->overruns() : 0};
}

void Controller::on_request(const sys::HttpRequest& request) {
  const std::string path = request.target.substr(0, request.target.find('?'));
  if (request.method != "GET") {
    metrics_->respond(request.id, {.status = 405, .content_type = "text/plain", .body = ""});
  } else if (path == "/metrics") {
    metrics_->respond(request.id,
                      {.status = 200,
                       .content_type = "text/plain; version=0.0.4; charset=utf-8",
                       .body = npc_metrics(state(), blocked_)});
  } else if (path == "/ready") {
    const bool is_ready = applier_->stats().is_in_place;
    metrics_->respond(
        request.id,
        {.status = is_ready ? 200U : 503U,
         .content_type = "text/plain",
         .body = is_ready ? "policies are in place\n" : "policies are not in place yet\n"});
  } else {
    metrics_->respond(request.id, {.status = 404, .content_type = "text/plain", .body = ""});
  }
}

}  // namespace

ExitCode run_npc(const Settings& settings) {
  const auto config = make_npc_config(settings, environment);
  if (!config.ok()) {
    fmt::print(stderr, "weft: {}\n", config.error().what);
    return ExitCode::Usage;
  }
  if (const auto level = log::parse_level(config.value().log_level); level.ok()) {
    log::set_level(level.value());
  }
  Controller controller(config.value());
  if (const auto started = controller.start(); !started.ok()) {
    log::error("the policy controller cannot start", {"error", started.error()});
    return ExitCode::Failure;
  }
  controller.run();
  return ExitCode::Ok;
}

ExitCode run_weave_npc(std::span<const std::string> words) {
  std::vector<std::string> ours{"--bridge=weave"};
  const std::vector<std::string> theirs = npc_words(words);
  ours.insert(ours.end(), theirs.begin(), theirs.end());
  const auto settings = parse_settings(Command::Npc, ours, environment);
  if (!settings.ok()) {
    fmt::print(stderr, "weave-npc: {}\n", settings.error().what);
    return ExitCode::Usage;
  }
  if (::geteuid() != 0) {
    fmt::print(stderr, "weave-npc: must be run as root\n");
    return ExitCode::Denied;
  }
  return run_npc(settings.value());
}

}  // namespace weft::agent
