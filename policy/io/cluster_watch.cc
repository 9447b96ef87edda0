#include "policy/io/cluster_watch.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <utility>

#include <fmt/format.h>

#include "base/address.h"
#include "base/overloaded.h"
#include "sys/core_driver.h"
#include "sys/tls/authority.h"
#include "sys/tls/https_exchange.h"

namespace weft::policy {
namespace {

// A list of the largest page takes the server seconds; a watch is told something (a bookmark at
// least) every minute or so, and ends after ten at most.
constexpr std::chrono::seconds kSilenceMax{660};

// Empty where there is none: the server then says that it wants one.
std::string read_token(const std::string& path) {
  std::string token;
  if (!path.empty()) {
    std::ifstream file(path);
    std::getline(file, token);
  }
  return token;
}

}  // namespace

std::string ApiServer::to_string() const {
  return (has_tls ? "https://" : "http://") + sys::authority_of(host, port);
}

Result<ApiServer> parse_api_server(const std::string& text) {
  constexpr std::string_view kHttps = "https://";
  constexpr std::string_view kHttp = "http://";
  ApiServer server{.has_tls = text.starts_with(kHttps), .host = "", .port = ""};
  if (!server.has_tls && !text.starts_with(kHttp)) {
    return Error{Errc::Invalid, fmt::format("API server '{}' (expected https://HOST:PORT)", text)};
  }
  std::string place = text.substr(server.has_tls ? kHttps.size() : kHttp.size());
  while (place.ends_with('/')) {
    place.pop_back();
  }
  const std::size_t bracket = place.find(']');
  const std::size_t colon = place.find(':', bracket == std::string::npos ? 0 : bracket);
  server.host = place.substr(0, colon);
  server.port =
      colon == std::string::npos ? (server.has_tls ? "443" : "80") : place.substr(colon + 1);
  if (server.host.starts_with('[') && server.host.ends_with(']')) {
    server.host = server.host.substr(1, server.host.size() - 2);
  }
  const bool is_number =
      !server.port.empty() && std::all_of(server.port.begin(), server.port.end(), [](char each) {
        return each >= '0' && each <= '9';
      });
  if (server.host.empty() || !is_number || place.find('/') != std::string::npos) {
    return Error{Errc::Invalid, fmt::format("API server '{}' (expected https://HOST:PORT)", text)};
  }
  return server;
}

// One kind of objects: a reflector and the request it has under way.
class ClusterWatch::Follower {
 public:
  // By reference: GCC 12 takes moved variants of these for uninitialised ones where it optimises.
  using OnAction = std::function<void(const ReflectorAction& action)>;

  Follower(const boost::asio::any_io_executor& executor,
           const sys::Clock& clock,
           const ApiServer& server,
           Reflector::Options options,
           OnAction on_action)
      : executor_(executor),
        server_(server),
        on_action_(std::move(on_action)),
        reflector_(options),
        driver_(executor, clock, reflector_, Perform{[this](const ReflectorAction& action) {
                  perform(action);
                }}) {
    driver_.feed([](Reflector&, TimePoint, ReflectorActions&) {});  // Its first deadline is due.
  }

  const Reflector& reflector() const { return reflector_; }

 private:
  struct Perform {
    OnAction act;
    void operator()(const ReflectorAction& action) const { act(action); }
  };

  void perform(const ReflectorAction& action) {
    if (const auto* const start = std::get_if<StartRequest>(&action)) {
      request(start->target);
      return;
    }
    on_action_(action);
  }

  void request(const std::string& target) {
    exchange_ = sys::start_https_exchange(
        executor_,
        {.host = server_.host,
         .port = server_.port,
         .target = target,
         .has_tls = server_.has_tls,
         .authorities = server_.authorities,
         .token = read_token(server_.token_file),
         .silence_max = kSilenceMax},
        {.on_head =
             [this](unsigned status) {
               driver_.feed([status](Reflector& core, TimePoint now, ReflectorActions& out) {
                 core.on_head(now, status, out);
               });
             },
         .on_body =
             [this](std::string_view piece) {
               driver_.feed([piece](Reflector& core, TimePoint now, ReflectorActions& out) {
                 core.on_bytes(now, piece, out);
               });
             },
         .on_end =
             [this](bool is_complete) {
               driver_.feed([is_complete](Reflector& core, TimePoint now, ReflectorActions& out) {
                 core.on_end(now, is_complete, out);
               });
             }});
  }

  const boost::asio::any_io_executor executor_;
  const ApiServer server_;
  const OnAction on_action_;
  Reflector reflector_;
  sys::CoreDriver<Reflector, ReflectorAction, Perform> driver_;
  std::unique_ptr<sys::HttpExchange> exchange_;
};

ClusterWatch::ClusterWatch(boost::asio::any_io_executor executor,
                           const sys::Clock& clock,
                           ApiServer server,
                           std::uint64_t seed,
                           Compiler& compiler,
                           Handlers handlers)
    : compiler_(compiler),
      handlers_(std::move(handlers)) {
  constexpr std::array kKinds{Kind::Namespaces, Kind::Pods, Kind::Policies};
  for (std::size_t at = 0; at < kKinds.size(); ++at) {
    followers_[at] =
        std::make_unique<Follower>(executor,
                                   clock,
                                   server,
                                   Reflector::Options{.kind = kKinds[at], .seed = seed + at},
                                   [this](const ReflectorAction& action) { on_action(action); });
  }
}

ClusterWatch::~ClusterWatch() = default;

void ClusterWatch::on_action(const ReflectorAction& action) {
  std::visit(overloaded{
                 [](const StartRequest&) {},  // The follower's.
                 [this](const SetObject& set) { compiler_.set(set.object); },
                 [this](const RemoveObject& gone) {
                   switch (gone.kind) {
                     case Kind::Namespaces:
                       compiler_.remove_namespace(gone.id.name);
                       return;
                     case Kind::Pods:
                       compiler_.remove_pod(gone.id);
                       return;
                     case Kind::Policies:
                       compiler_.remove_policy(gone.id);
                       return;
                   }
                 },
                 [](const Listed&) {},
                 [this](const Problem& problem) { handlers_.on_problem(problem); },
             },
             action);
  if (!std::holds_alternative<Problem>(action) && is_listed()) {
    handlers_.on_change();
  }
}

bool ClusterWatch::is_listed() const {
  return std::all_of(followers_.begin(), followers_.end(), [](const auto& follower) {
    return follower != nullptr && follower->reflector().is_listed();
  });
}

bool ClusterWatch::is_watching() const {
  return std::all_of(followers_.begin(), followers_.end(), [](const auto& follower) {
    return follower->reflector().is_watching();
  });
}

Reflector::Stats ClusterWatch::stats() const {
  Reflector::Stats sum;
  for (const auto& follower : followers_) {
    const Reflector::Stats stats = follower->reflector().stats();
    sum.lists += stats.lists;
    sum.watches += stats.watches;
    sum.events += stats.events;
    sum.failures += stats.failures;
  }
  return sum;
}

}  // namespace weft::policy
