#include "app/io/app_service.h"

#include <utility>

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include "app/io/web_server.h"
#include "base/overloaded.h"
#include "sys/core_driver.h"

namespace weft::app {

namespace asio = boost::asio;

Result<Ok> check_listen(const Endpoint& listen) {
  const Cidr loopback =
      listen.address.is_v4() ? Cidr::parse("127.0.0.0/8").value() : Cidr::parse("::1/128").value();
  if (loopback.contains(listen.address)) {
    return Ok{};
  }
  return Error{Errc::Denied,
               fmt::format("--ui-listen {}: the UI has no login yet, so it is served on loopback "
                           "only; forward a port to it "
                           "(ssh -L 4040:127.0.0.1:4040 host)",
                           listen.to_string())};
}

class AppService::Impl {
 public:
  Impl(asio::any_io_executor executor, const sys::Clock& clock, App::Options options, Hooks hooks)
      : executor_(executor),
        hooks_(std::move(hooks)),
        app_(std::move(options)),
        driver_(std::move(executor), clock, app_, Perform{this}) {}

  Result<Ok> listen(const Endpoint& endpoint) {
    server_ = WEFT_TRY(WebServer::listen(executor_,
                                         {.listen = endpoint},
                                         {.on_request =
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
                                                feed([&](App& app, TimePoint, AppActions&) {
                                                  app.on_client_gone(id);
                                                });
                                              }}));
    return Ok{};
  }

  template <class Input>
  void feed(Input input) {
    driver_.feed(std::move(input));
  }

  const App& app() const { return app_; }
  Endpoint endpoint() const { return server_->endpoint(); }

 private:
  struct Perform {
    Impl* impl;
    void operator()(AppAction action) const {
      std::visit(overloaded{
                     [this](Respond&& answer) {
                       impl->server_->respond(
                           answer.request, answer.status, std::move(answer.body));
                     },
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

  void tell_peers() {
    const std::vector<PeerFacts> peers = hooks_.peers();
    feed([&](App& app, TimePoint now, AppActions& out) { app.on_peers(now, peers, out); });
  }

  asio::any_io_executor executor_;
  Hooks hooks_;
  App app_;
  sys::CoreDriver<App, AppAction, Perform> driver_;
  std::shared_ptr<const Alive> alive_ = std::make_shared<const Alive>();
  std::unique_ptr<WebServer> server_;  // Last: it calls into the rest until it is gone.
};

Result<std::unique_ptr<AppService>> AppService::start(asio::any_io_executor executor,
                                                      const sys::Clock& clock,
                                                      App::Options options,
                                                      const Endpoint& listen,
                                                      Hooks hooks) {
  WEFT_TRY(check_listen(listen));
  auto impl =
      std::make_unique<Impl>(std::move(executor), clock, std::move(options), std::move(hooks));
  WEFT_TRY(impl->listen(listen));
  return std::unique_ptr<AppService>(new AppService(std::move(impl)));
}

AppService::AppService(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

AppService::~AppService() = default;

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
