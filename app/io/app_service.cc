#include "app/io/app_service.h"

#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/json/serialize.hpp>

#include "app/io/password_thread.h"
#include "app/request.h"
#include "app/routes.h"
#include "base/entropy.h"
#include "base/overloaded.h"
#include "sys/core_driver.h"
#include "sys/lifetime.h"

namespace weft::app {

namespace asio = boost::asio;

namespace {

// Ids of who asks without a browser; the web server counts from one.
constexpr std::uint64_t kFirstAsk = std::uint64_t{1} << 63U;

}  // namespace

class AppService::Impl {
 public:
  Impl(asio::any_io_executor executor, const sys::Clock& clock, App::Options options, Hooks hooks)
      : executor_(executor),
        clock_(clock),
        hooks_(std::move(hooks)),
        app_(std::move(options)),
        driver_(std::move(executor), clock, app_, Perform{this}) {}

  Result<Ok> listen(const WebServer::Options& options, Access access) {
    access_ = std::move(access);
    WebServer::Hooks hooks = web_hooks();
    if (access_.asks_for_login()) {
      login_.emplace(access_);
      passwords_ = std::make_unique<PasswordThread>(executor_);
      hooks.on_login = [this](RequestId id, const Ip& from, std::string_view form) {
        on_login(id, from, form);
      };
      hooks.on_logout = [this](std::string_view cookie) {
        login_->leave(cookie_value(cookie, kSessionCookie));
      };
    }
    server_ = WEFT_TRY(WebServer::listen(executor_, options, std::move(hooks)));
    return Ok{};
  }

  template <class Input>
  void feed(Input input) {
    driver_.feed(std::move(input));
  }

  void ask(const std::string& target, OnAnswer on_answer) {
    const RequestId id(++last_ask_);
    asked_.emplace(id, std::move(on_answer));
    feed([&](App& app, TimePoint now, AppActions& out) { app.on_request(now, id, target, out); });
  }

  WebServer* server() { return server_.get(); }
  const App& app() const { return app_; }
  Endpoint endpoint() const { return server_->endpoint(); }

 private:
  struct Perform {
    Impl* impl;
    void operator()(AppAction action) const {
      std::visit(overloaded{
                     [this](Respond&& answer) { impl->respond(std::move(answer)); },
                     [this](SendFrame&& frame) {
                       impl->server_->send(frame.client, std::move(frame.frame));
                     },
                     [this](AskPeers) { impl->post([](Impl& self) { self.tell_peers(); }); },
                     [this](SendWatch&& watch) {
                       impl->post([watch = std::move(watch)](Impl& self) mutable {
                         self.hooks_.watch(std::move(watch));
                       });
                     },
                 },
                 std::move(action));
    }
  };
  void respond(Respond answer) {
    if (auto asked = asked_.extract(answer.request)) {
      asio::post(executor_,
                 [on_answer = std::move(asked.mapped()), answer = std::move(answer)]() mutable {
                   on_answer(answer.status, std::move(answer.body));
                 });
    } else if (server_) {
      server_->respond(answer.request, answer.status, std::move(answer.body));
    }
  }

  template <class Work>
  void post(Work work) {
    asio::post(executor_,
               lifetime_.guard([this, work = std::move(work)]() mutable { work(*this); }));
  }

  void on_login(RequestId id, const Ip& from, std::string_view form) {
    const auto given = credentials_of_form(form);
    if (!given.ok()) {
      return server_->finish_login(id, given.error());
    }
    if (given.value().name.empty()) {
      return server_->finish_login(
          id, login_->enter(clock_.now(), from, given.value().secret, entropy_));
    }
    const auto check = login_->begin(clock_.now(), from, given.value());
    if (!check.ok()) {
      return server_->finish_login(id, check.error());
    }
    const bool is_taken =
        passwords_->compare(check.value(), [this, id, check = check.value()](bool is_right) {
          server_->finish_login(id, login_->end(clock_.now(), check, is_right, entropy_));
        });
    if (!is_taken) {
      server_->finish_login(id,
                            Error{Errc::Exhausted, "too many people log in at once; try again"});
    }
  }

  std::optional<Visitor> admits(const WebServer::Papers& papers) {
    constexpr std::string_view kBearer = "Bearer ";
    const std::string_view authorization = papers.authorization;
    if (!login_) {
      return Visitor{.name = "anybody", .role = access_.stranger};
    }
    if (authorization.starts_with(kBearer)) {
      return login_->find_token(clock_.now(), papers.from, authorization.substr(kBearer.size()));
    }
    return login_->find_session(clock_.now(), cookie_value(papers.cookie, kSessionCookie));
  }

  void on_request(const WebRequest& request) {
    const auto target = parse_target(request.target);
    if (!target.ok()) {
      return server_->respond(request.id, 400, error_body(target.error().what));
    }
    const auto call = find_call(request.method, target.value().path);
    if (!call.ok()) {
      const unsigned status = call.error().code == Errc::NotFound ? 404 : 405;
      return server_->respond(request.id, status, error_body(call.error().what));
    }
    switch (call.value()) {
      case Call::Visitor:
        return server_->respond(request.id, 200, visitor_json(request.visitor));
      case Call::Control:
      case Call::PipeCheck:
      case Call::PipeEnd:
        return hooks_.controls != nullptr
                   ? hooks_.controls->on_request(request, call.value(), target.value().path)
                   : server_->respond(request.id, 404, error_body("no controls"));
      case Call::About:
      case Call::Probes:
      case Call::Report:
      case Call::Topologies:
      case Call::Topology:
      case Call::Node:
      case Call::Reach:
      case Call::Stream:
      case Call::Pipe:
      case Call::Login:
      case Call::Logout:
        break;
    }
    feed([&](App& app, TimePoint now, AppActions& out) {
      app.on_request(now, request.id, request.target, out);
    });
  }

  std::string visitor_json(const Visitor& visitor) const {
    return boost::json::serialize(boost::json::object{{"name", visitor.name},
                                                      {"role", control::text_of(visitor.role)},
                                                      {"login", login_.has_value()}});
  }

  Result<Ok> on_client(ClientId id, const WebRequest& request) {
    const auto target = parse_target(request.target);
    const auto call = target.ok() ? find_call("GET", target.value().path) : target.error();
    if (!call.ok() || call.value() != Call::Pipe) {
      Result<Ok> admitted = Ok{};
      feed([&](App& app, TimePoint now, AppActions& out) {
        admitted = app.on_client(now, id, request.target, out);
      });
      return admitted;
    }
    if (hooks_.controls == nullptr) {
      return Error{Errc::NotFound, "no controls"};
    }
    WEFT_TRY(hooks_.controls->on_pipe(id, request, target.value().path[2]));
    pipes_.insert(id);
    return Ok{};
  }

  void on_client_gone(ClientId id) {
    if (pipes_.erase(id) > 0) {
      return hooks_.controls->on_pipe_gone(id);
    }
    feed([&](App& app, TimePoint, AppActions&) { app.on_client_gone(id); });
  }

  WebServer::Hooks web_hooks() {
    return {.on_request = [this](const WebRequest& request) { on_request(request); },
            .on_client = [this](ClientId id,
                                const WebRequest& request) { return on_client(id, request); },
            .on_client_data =
                [this](ClientId id, std::string_view data) {
                  if (pipes_.contains(id)) {
                    hooks_.controls->on_pipe_data(id, data);
                  }
                },
            .on_client_drained =
                [this](ClientId id) {
                  if (pipes_.contains(id)) {
                    hooks_.controls->on_pipe_drained(id);
                  }
                },
            .on_client_gone = [this](ClientId id) { on_client_gone(id); },
            .admits = [this](const WebServer::Papers& papers) { return admits(papers); }};
  }

  void tell_peers() {
    const std::vector<PeerFacts> peers = hooks_.peers();
    feed([&](App& app, TimePoint now, AppActions& out) { app.on_peers(now, peers, out); });
  }

  asio::any_io_executor executor_;
  const sys::Clock& clock_;
  Hooks hooks_;
  SystemEntropy entropy_;
  Access access_;
  std::optional<Login> login_;
  App app_;
  sys::CoreDriver<App, AppAction, Perform> driver_;
  sys::Lifetime lifetime_;
  std::uint64_t last_ask_ = kFirstAsk;
  std::map<RequestId, OnAnswer> asked_;
  std::set<ClientId> pipes_;                   // Clients that are at a terminal.
  std::unique_ptr<WebServer> server_;          // It calls into the rest until it is gone.
  std::unique_ptr<PasswordThread> passwords_;  // Last: what it has found goes to all of them.
};

AppService::AppService(asio::any_io_executor executor,
                       const sys::Clock& clock,
                       App::Options options,
                       Hooks hooks)
    : impl_(
        std::make_unique<Impl>(std::move(executor), clock, std::move(options), std::move(hooks))) {}

AppService::~AppService() = default;

Result<Ok> AppService::listen(const WebServer::Options& options, Access access) {
  return impl_->listen(options, std::move(access));
}

void AppService::respond(RequestId request, unsigned status, std::string body) {
  if (WebServer* const server = impl_->server()) {
    server->respond(request, status, std::move(body));
  }
}

void AppService::send(ClientId pipe, std::string data) {
  if (WebServer* const server = impl_->server()) {
    server->send(pipe, std::make_shared<const std::string>(std::move(data)));
  }
}

void AppService::close(ClientId pipe) {
  if (WebServer* const server = impl_->server()) {
    server->close(pipe);
  }
}

void AppService::ask(const std::string& target, OnAnswer on_answer) {
  impl_->ask(target, std::move(on_answer));
}

void AppService::on_report(PeerName from, ByteView message) {
  impl_->feed(
      [&](App& app, TimePoint now, AppActions& out) { app.on_report(now, from, message, out); });
}

const App& AppService::app() const {
  return impl_->app();
}

Endpoint AppService::endpoint() const {
  return impl_->endpoint();
}

}  // namespace weft::app
