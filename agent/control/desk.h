// Joins the web UI to controls: what browsers wish goes to control::ControlService, what it says
// goes back to them.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "app/io/app_service.h"
#include "base/bytes.h"
#include "base/entropy.h"
#include "base/peer_name.h"
#include "control/io/control_service.h"
#include "sys/clock.h"

namespace weft::agent {

class ControlDesk final : public app::Controls {
 public:
  using Send = std::function<void(PeerName to, Bytes message)>;

  ControlDesk(boost::asio::any_io_executor executor,
              const sys::Clock& clock,
              Entropy& entropy,
              control::ControlService::Options options,
              Send send);

  // Before anything is asked. The app must outlive what is said to it: it goes first, and nothing
  // runs on the executor after that.
  void set_app(app::AppService& app) { app_ = &app; }
  void on_message(PeerName from, ByteView message) { service_.on_message(from, message); }

  void on_request(const app::WebRequest& request,
                  app::Call call,
                  const std::vector<std::string>& path) override;
  Result<Ok> on_pipe(app::ClientId client,
                     const app::WebRequest& request,
                     const std::string& pipe) override;
  void on_pipe_data(app::ClientId client, std::string_view data) override;
  void on_pipe_drained(app::ClientId client) override;
  void on_pipe_gone(app::ClientId client) override;

 private:
  app::AppService* app_ = nullptr;
  control::ControlService service_;
};

}  // namespace weft::agent
