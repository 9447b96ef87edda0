#include "agent/control/desk.h"

#include <utility>

#include <fmt/format.h>

namespace weft::agent {
namespace {

constexpr unsigned kNoContent = 204;
constexpr unsigned kDenied = 403;
constexpr unsigned kNotFound = 404;
constexpr unsigned kWrongMethod = 405;

control::Person person_of(const app::WebRequest& request) {
  return {.name = fmt::format("{}@{}", request.visitor.name, request.from),
          .role = request.visitor.role};
}

}  // namespace

ControlDesk::ControlDesk(boost::asio::any_io_executor executor,
                         const sys::Clock& clock,
                         Entropy& entropy,
                         control::ControlService::Options options,
                         Send send)
    : service_(std::move(executor),
               clock,
               entropy,
               std::move(options),
               {.send = std::move(send),
                .answer =
                    [this](control::Answer answer) {
                      app_->respond(answer.request, answer.status, std::move(answer.body));
                    },
                .to_browser =
                    [this](control::BrowserId browser, const Bytes& data) {
                      app_->send(app::ClientId(browser.value()), std::string(as_text(data)));
                    },
                .close_browser =
                    [this](control::BrowserId browser, const std::string&) {
                      app_->close(app::ClientId(browser.value()));
                    }}) {}

void ControlDesk::on_request(const app::WebRequest& request, const std::vector<std::string>& path) {
  if (path.size() >= 3 && path[1] == "pipe") {
    return on_pipe_request(request, path);
  }
  if (path.size() != 5) {
    return app_->respond(request.id, kNotFound, R"("expected /api/control/HOST/NODE/CONTROL")");
  }
  if (request.method != "POST") {
    return app_->respond(request.id, kWrongMethod, R"("controls are asked for with POST")");
  }
  service_.on_wish(request.id,
                   person_of(request),
                   {.peer = path[2], .node = path[3], .control = path[4], .body = request.body});
}

void ControlDesk::on_pipe_request(const app::WebRequest& request,
                                  const std::vector<std::string>& path) {
  const bool is_check = path.size() == 4 && path[3] == "check" && request.method == "GET";
  if (is_check) {
    const bool may_be_open = service_.may_be_open(path[2]);
    return app_->respond(request.id, may_be_open ? kNoContent : kNotFound, "");
  }
  const bool is_end = path.size() == 3 && (request.method == "DELETE" || request.method == "POST");
  if (!is_end) {
    return app_->respond(request.id, kWrongMethod, R"("a pipe is a WebSocket; DELETE ends it")");
  }
  if (request.visitor.role < control::Role::Operator) {
    return app_->respond(request.id, kDenied, R"("this needs the role operator")");
  }
  service_.on_delete(path[2]);
  app_->respond(request.id, kNoContent, "");
}

Result<Ok> ControlDesk::on_pipe(app::ClientId client,
                                const app::WebRequest& request,
                                const std::string& pipe) {
  return service_.on_browser(control::BrowserId(client.value()), person_of(request), pipe);
}

void ControlDesk::on_pipe_data(app::ClientId client, std::string_view data) {
  service_.on_browser_bytes(control::BrowserId(client.value()), as_bytes(data));
}

void ControlDesk::on_pipe_drained(app::ClientId client) {
  service_.on_browser_drained(control::BrowserId(client.value()));
}

void ControlDesk::on_pipe_gone(app::ClientId client) {
  service_.on_browser_gone(control::BrowserId(client.value()));
}

}  // namespace weft::agent
