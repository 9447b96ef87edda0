#include "plugin/io/docker_service.h"

#include <deque>
#include <utility>

#include "base/overloaded.h"
#include "sys/http_server.h"

namespace weft::plugin {
namespace {

// What dockerd names in its Accept header; versions up to 20.10 send 1.1 or 1.2 and take either.
constexpr const char* kContentType = "application/vnd.docker.plugins.v1.1+json";

}  // namespace

class DockerService::Impl {
 public:
  Impl(std::unique_ptr<DockerDriver> driver, OnAction on_action)
      : driver_(std::move(driver)),
        on_action_(std::move(on_action)) {}

  Result<Ok> listen(boost::asio::any_io_executor executor, const Options& options) {
    server_ = WEFT_TRY(sys::listen_http(
        std::move(executor),
        {.path = options.socket, .group = {}, .connections_max = options.connections_max},
        [this](const sys::HttpRequest& request) { on_request(request); },
        [this](RequestId id) {
          feed([this, id](DockerActions& out) { driver_->on_hangup(id, out); });
        }));
    return Ok{};
  }

  // Runs one input of the driver and performs what it wants, in order. An answer that comes while
  // another's actions are being performed (a port plugged on the spot) waits its turn, so that the
  // order of effects is always the order of decisions.
  template <class Input>
  void feed(Input input) {
    DockerActions actions;
    input(actions);
    for (DockerAction& action : actions) {
      queue_.push_back(std::move(action));
    }
    if (performing_) {
      return;
    }
    performing_ = true;
    while (!queue_.empty()) {
      DockerAction action = std::move(queue_.front());
      queue_.pop_front();
      perform(std::move(action));
    }
    performing_ = false;
  }

  DockerDriver& driver() { return *driver_; }

 private:
  void on_request(const sys::HttpRequest& request) {
    const std::string path = request.target.substr(0, request.target.find('?'));
    feed([&](DockerActions& out) { driver_->on_call(request.id, path, request.body, out); });
  }

  void perform(DockerAction action) {
    if (auto* reply = std::get_if<HttpReply>(&action)) {
      if (server_ != nullptr) {
        server_->respond(reply->call, {reply->status, kContentType, std::move(reply->body)});
      }
      return;
    }
    on_action_(std::move(action));
  }

  std::unique_ptr<DockerDriver> driver_;
  OnAction on_action_;
  std::deque<DockerAction> queue_;
  bool performing_ = false;
  std::unique_ptr<sys::HttpServer> server_;  // Last: it calls into the rest until it is gone.
};

Result<std::unique_ptr<DockerService>> DockerService::start(boost::asio::any_io_executor executor,
                                                            Options options,
                                                            std::unique_ptr<DockerDriver> driver,
                                                            OnAction on_action) {
  auto impl = std::make_unique<Impl>(std::move(driver), std::move(on_action));
  impl->feed([&impl](DockerActions& out) { impl->driver().start(out); });
  (void)WEFT_TRY(impl->listen(std::move(executor), options));
  return std::unique_ptr<DockerService>(new DockerService(std::move(impl)));
}

DockerService::DockerService(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

DockerService::~DockerService() = default;

void DockerService::on_address(RequestId call, const Result<Cidr>& address) {
  impl_->feed([&](DockerActions& out) { impl_->driver().on_address(call, address, out); });
}

void DockerService::on_plugged(RequestId call, const Result<Ok>& result) {
  impl_->feed([&](DockerActions& out) { impl_->driver().on_plugged(call, result, out); });
}

void DockerService::on_gateways(const Result<Ok>& result) {
  impl_->driver().on_gateways(result);
}

void DockerService::on_port_missing(const std::string& id) {
  impl_->feed([&](DockerActions& out) { impl_->driver().on_port_missing(id, out); });
}

void DockerService::on_held(const std::vector<std::pair<std::string, Cidr>>& held) {
  impl_->feed([&](DockerActions& out) { impl_->driver().on_held(held, out); });
}

void DockerService::on_port_gone(const std::string& id) {
  impl_->feed([&](DockerActions& out) { impl_->driver().on_port_gone(id, out); });
}

const DockerDriver& DockerService::driver() const {
  return impl_->driver();
}

}  // namespace weft::plugin
