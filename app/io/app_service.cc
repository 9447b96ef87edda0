#include "app/io/app_service.h"

#include <cstdint>
#include <map>
#include <utility>

#include <boost/asio/post.hpp>

#include "app/login.h"
#include "base/entropy.h"
#include "base/overloaded.h"
#include "sys/core_driver.h"

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

  Result<Ok> listen(const WebServer::Options& options, const std::optional<std::string>& token) {
    WebServer::Hooks hooks = web_hooks();
    if (token) {
      login_.emplace(*token);
      hooks.admits = [this](std::string_view cookie, std::string_view authorization) {
        return admits(cookie, authorization);
      };
      hooks.on_login = [this](std::string_view form) -> Result<std::string> {
        const std::string given = WEFT_TRY(token_of_form(form));
        return login_->enter(clock_.now(), given, entropy_);
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
  struct Alive {};

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
    asio::post(
        executor_,
        [this, alive = std::weak_ptr<const Alive>(alive_), work = std::move(work)]() mutable {
          if (!alive.expired()) {
            work(*this);
          }
        });
  }

  bool admits(std::string_view cookie, std::string_view authorization) {
    constexpr std::string_view kBearer = "Bearer ";
    if (authorization.starts_with(kBearer)) {
      return login_->is_token(clock_.now(), authorization.substr(kBearer.size()));
    }
    return login_->is_session(clock_.now(), cookie_value(cookie, kSessionCookie));
  }

  WebServer::Hooks web_hooks() {
    return {.on_request =
                [this](RequestId id, const std::string& target) {
                  feed([&](App& app, TimePoint now, AppActions& out) {
                    app.on_request(now, id, target, out);
                  });
                },
            .on_client =
                [this](ClientId id, const std::string& target) {
                  Result<Ok> admitted = Ok{};
                  feed([&](App& app, TimePoint now, AppActions& out) {
                    admitted = app.on_client(now, id, target, out);
                  });
                  return admitted;
                },
            .on_client_gone =
                [this](ClientId id) {
                  feed([&](App& app, TimePoint, AppActions&) { app.on_client_gone(id); });
                }};
  }

  void tell_peers() {
    const std::vector<PeerFacts> peers = hooks_.peers();
    feed([&](App& app, TimePoint now, AppActions& out) { app.on_peers(now, peers, out); });
  }

  asio::any_io_executor executor_;
  const sys::Clock& clock_;
  Hooks hooks_;
  SystemEntropy entropy_;
  std::optional<Login> login_;
  App app_;
  sys::CoreDriver<App, AppAction, Perform> driver_;
  std::shared_ptr<const Alive> alive_ = std::make_shared<const Alive>();
  std::uint64_t last_ask_ = kFirstAsk;
  std::map<RequestId, OnAnswer> asked_;
  std::unique_ptr<WebServer> server_;  // Last: it calls into the rest until it is gone.
};

AppService::AppService(asio::any_io_executor executor,
                       const sys::Clock& clock,
                       App::Options options,
                       Hooks hooks)
    : impl_(
        std::make_unique<Impl>(std::move(executor), clock, std::move(options), std::move(hooks))) {}

AppService::~AppService() = default;

Result<Ok> AppService::listen(const WebServer::Options& options,
                              const std::optional<std::string>& token) {
  return impl_->listen(options, token);
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
