#include "plugin/io/docker_service.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <utility>

#include "base/log.h"
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

  Result<Ok> listen(const boost::asio::any_io_executor& executor, const Options& options) {
    for (const auto& [path, scope] : {std::pair(options.socket, Scope::Local),
                                      std::pair(options.swarm_socket, Scope::Global)}) {
      if (!path.empty()) {
        WEFT_TRY(listen(executor, path, options.connections_max, scope));
      }
    }
    for (const auto& [path, scope] : options.earlier) {
      if (const auto served = listen(executor, path, options.connections_max, scope);
          !served.ok()) {
        log::warning("Docker cannot ask for networks of an earlier run",
                     {"socket", path},
                     {"why", served.error()});
      }
    }
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
  // A socket, and the calls on it that wait: the server's ids, which differ on it alone, by those
  // the driver knows them by.
  struct Door {
    explicit Door(Scope of) : scope(of) {}
    const Scope scope;
    std::map<RequestId, RequestId> calls;
    std::unique_ptr<sys::HttpServer> server;  // Last: it calls into the rest until it is gone.
  };

  Result<Ok> listen(const boost::asio::any_io_executor& executor,
                    const std::string& path,
                    std::size_t connections_max,
                    Scope scope) {
    Door& door = doors_.emplace_back(scope);
    door.server = WEFT_TRY(sys::listen_http(
        executor,
        {.path = path, .group = {}, .connections_max = connections_max},
        [this, &door](const sys::HttpRequest& request) { on_request(door, request); },
        [this, &door](RequestId id) { on_hangup(door, id); }));
    return Ok{};
  }

  void on_request(Door& door, const sys::HttpRequest& request) {
    const std::string path = request.target.substr(0, request.target.find('?'));
    const RequestId call(++last_call_);
    door.calls.emplace(call, request.id);
    feed([&](DockerActions& out) { driver_->on_call(call, door.scope, path, request.body, out); });
  }

  void on_hangup(Door& door, RequestId id) {
    const auto found = std::find_if(
        door.calls.begin(), door.calls.end(), [id](const auto& call) { return call.second == id; });
    if (found == door.calls.end()) {
      return;
    }
    const RequestId call = found->first;
    door.calls.erase(found);
    feed([this, call](DockerActions& out) { driver_->on_hangup(call, out); });
  }

  void answer(HttpReply reply) {
    for (Door& door : doors_) {
      const auto found = door.calls.find(reply.call);
      if (found != door.calls.end()) {
        const RequestId id = found->second;
        door.calls.erase(found);
        door.server->respond(id, {reply.status, kContentType, std::move(reply.body)});
        return;
      }
    }
  }

  void perform(DockerAction action) {
    if (auto* reply = std::get_if<HttpReply>(&action)) {
      answer(std::move(*reply));
      return;
    }
    on_action_(std::move(action));
  }

  std::unique_ptr<DockerDriver> driver_;
  OnAction on_action_;
  std::deque<DockerAction> queue_;
  bool performing_ = false;
  std::uint64_t last_call_ = 0;
  std::list<Door> doors_;  // Last: they call into the rest until they are gone.
};

Result<std::unique_ptr<DockerService>> DockerService::start(boost::asio::any_io_executor executor,
                                                            Options options,
                                                            std::unique_ptr<DockerDriver> driver,
                                                            OnAction on_action) {
  auto impl = std::make_unique<Impl>(std::move(driver), std::move(on_action));
  impl->feed([&impl](DockerActions& out) { impl->driver().start(out); });
  (void)WEFT_TRY(impl->listen(executor, options));
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
