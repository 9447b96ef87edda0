#include "agent/control/desk.h"

#include <utility>

#include <fmt/format.h>

#include "app/routes.h"
#include "base/assert.h"

namespace weft::agent {
namespace {

constexpr unsigned kNoContent = 204;
constexpr unsigned kDenied = 403;
constexpr unsigned kNotFound = 404;

control::Person person_of(const app::WebRequest& request) {
  return {.name = fmt::format("{}@{}", request.visitor.name, request.from.to_string()),
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

void ControlDesk::on_request(const app::WebRequest& request,
                             app::Call call,
                             const std::vector<std::string>& path) {
  if (call == app::Call::Control) {
    return service_.on_wish(
        request.id,
        person_of(request),
        {.peer = path[2], .node = path[3], .control = path[4], .body = request.body});
  }
  if (call == app::Call::PipeCheck) {
    const bool may_be_open = service_.may_be_open(path[2]);
    return app_->respond(request.id,
                         may_be_open ? kNoContent : kNotFound,
                         may_be_open ? "" : app::error_body("no such pipe"));
  }
  WEFT_ASSERT(call == app::Call::PipeEnd);
  if (request.visitor.role < control::Role::Operator) {
    return app_->respond(request.id, kDenied, app::error_body("this needs the role operator"));
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
