#include "control/io/control_service.h"

#include <csignal>
#include <map>
#include <utility>
#include <variant>

#include <boost/asio/post.hpp>

#include "base/log.h"
#include "base/overloaded.h"
#include "sys/core_driver.h"
#include "sys/http/http_exchange.h"
#include "sys/lifetime.h"
#include "sys/posix/host_shell.h"

namespace weft::control {

namespace asio = boost::asio;

namespace {

// The engine's longest answer that we read: a container with hundreds of mounts.
constexpr std::size_t kBodyMax = 1U << 20U;

// Longer than the ten seconds a container has to stop; shorter than the asker waits.
constexpr std::chrono::seconds kEngineSilenceMax(25);

void write_audit(std::string_view event, const Audit& audit) {
  log::info(event,
            {"who", audit.who},
            {"peer", audit.peer},
            {"node", audit.node},
            {"control", audit.control},
            {"outcome", audit.outcome});
}

}  // namespace

class ControlService::Impl {
 public:
  Impl(asio::any_io_executor executor,
       const sys::Clock& clock,
       Entropy& entropy,
       Options options,
       Hooks hooks)
      : executor_(executor),
        engine_socket_(std::move(options.engine_socket)),
        host_(std::move(options.host)),
        hooks_(std::move(hooks)),
        performer_(options.performer),
        requester_({.self = options.performer.self}, entropy),
        performer_driver_(executor, clock, performer_, Perform{this}),
        requester_driver_(std::move(executor), clock, requester_, Perform{this}) {}

  template <class Input>
  void feed_performer(Input input) {
    performer_driver_.feed(std::move(input));
  }
  template <class Input>
  void feed_requester(Input input) {
    requester_driver_.feed(std::move(input));
  }

  void on_message(PeerName from, ByteView bytes) {
    const auto message = decode(bytes);
    if (!message.ok()) {
      log::debug("control message refused", {"from", from}, {"why", message.error()});
    } else if (message.value().from_asker) {
      feed_performer([&](Performer& core, TimePoint now, PerformerActions& out) {
        core.on_message(now, from, message.value(), out);
      });
    } else {
      feed_requester([&](Requester& core, TimePoint now, RequesterActions& out) {
        core.on_message(now, from, message.value(), out);
      });
    }
  }

  const Requester& requester() const { return requester_; }

 private:
  struct Call {
    std::unique_ptr<sys::HttpExchange> exchange{};
    unsigned status = 0;
    std::string body{};
  };
  // What is at the end of a pipe: a shell of the host, or a stream of the engine with what it says
  // instead if it refuses.
  struct Source {
    std::unique_ptr<sys::HttpExchange> exchange{};
    std::unique_ptr<sys::HostShell> shell{};
    unsigned status = 0;
    std::string refusal{};
  };

  struct Perform {
    Impl* impl;
    void operator()(PerformerAction action) const {
      impl->post([action = std::move(action)](Impl& self) mutable {
        std::visit([&self](auto& item) { self.perform(item); }, action);
      });
    }
    void operator()(RequesterAction action) const {
      impl->post([action = std::move(action)](Impl& self) mutable {
        std::visit(
            overloaded{
                [&](Answer& answer) { self.hooks_.answer(std::move(answer)); },
                [&](ToBrowser& to) { self.hooks_.to_browser(to.browser, std::move(to.data)); },
                [&](CloseBrowser& close) {
                  self.hooks_.close_browser(close.browser, std::move(close.reason));
                },
                [&](SendMessage& send) { self.perform(send); },
                [](const Audit& audit) { write_audit("control asked for", audit); },
            },
            action);
      });
    }
  };

  template <class Work>
  void post(Work work) {
    asio::post(executor_,
               lifetime_.guard([this, work = std::move(work)]() mutable { work(*this); }));
  }

  void perform(SendMessage& send) { hooks_.send(send.to, std::move(send.message)); }
  void perform(const Audit& audit) { write_audit("control performed", audit); }
  void perform(const HangUp& hang_up) {
    (void)::kill(static_cast<pid_t>(hang_up.pid), SIGHUP);  // Gone already: just as well.
  }

  void perform(const CallEngine& ask) {
    const EngineCallId id = ask.call;
    calls_[id].exchange = sys::start_http_exchange(
        executor_,
        {.socket_path = engine_socket_,
         .target = ask.target,
         .silence_max = kEngineSilenceMax,
         .method = ask.method,
         .body = ask.body},
        {.on_head = [this, id](unsigned status) { calls_.at(id).status = status; },
         .on_body =
             [this, id](std::string_view piece) {
               std::string& body = calls_.at(id).body;
               body.append(piece.substr(0, kBodyMax - std::min(body.size(), kBodyMax)));
             },
         .on_end =
             [this, id](bool complete) {
               const auto call = calls_.extract(id);
               feed_performer([&](Performer& core, TimePoint now, PerformerActions& out) {
                 core.on_engine(
                     now, id, complete ? call.mapped().status : 0, call.mapped().body, out);
               });
             }});
  }

  void perform(const OpenStream& open) {
    const SourceId id = open.source;
    sources_[id].exchange = sys::start_http_exchange(
        executor_,
        {.socket_path = engine_socket_,
         .target = open.target,
         .silence_max = {},
         .method = open.method,
         .body = open.body,
         .upgrade = open.both_ways},
        {.on_head = [this, id](unsigned status) { on_head(id, status); },
         .on_body = [this, id](std::string_view piece) { on_output(id, piece); },
         .on_end = [this, id](bool) { on_end(id); },
         .on_written = [this, id](std::size_t count) { on_written(id, count); }});
  }

  void on_head(SourceId id, unsigned status) {
    constexpr unsigned kSwitching = 101;
    constexpr unsigned kOk = 200;
    sources_.at(id).status = status;
    if (status == kSwitching || status == kOk) {
      say_open(id, "");
    }
  }

  void say_open(SourceId id, const std::string& error) {
    feed_performer([&](Performer& core, TimePoint now, PerformerActions& out) {
      core.on_open(now, id, error, out);
    });
  }

  bool is_refused(SourceId id) const {
    constexpr unsigned kErrors = 300;
    const auto found = sources_.find(id);
    return found != sources_.end() && found->second.status >= kErrors;
  }

  void on_output(SourceId id, std::string_view piece) {
    if (is_refused(id)) {
      std::string& refusal = sources_.at(id).refusal;
      refusal.append(piece.substr(0, kTextMax - std::min(refusal.size(), kTextMax)));
      return;
    }
    feed_performer([&](Performer& core, TimePoint now, PerformerActions& out) {
      core.on_output(now, id, as_bytes(piece), out);
    });
  }

  void on_written(SourceId id, std::size_t count) {
    feed_performer([&](Performer& core, TimePoint now, PerformerActions& out) {
      core.on_written(now, id, count, out);
    });
  }

  void on_end(SourceId id) {
    if (is_refused(id)) {
      say_open(id, "the Docker engine refuses: " + sources_.at(id).refusal);
      return;
    }
    feed_performer(
        [&](Performer& core, TimePoint now, PerformerActions& out) { core.on_end(now, id, out); });
  }

  void perform(const OpenShell& open) {
    const SourceId id = open.source;
    auto shell = sys::start_host_shell(
        executor_,
        host_,
        {.on_output = [this, id](std::string_view output) { on_output(id, output); },
         .on_written = [this, id](std::size_t count) { on_written(id, count); },
         .on_end = [this, id] { on_end(id); }});
    if (!shell.ok()) {
      return say_open(id, shell.error().what);
    }
    sources_[id].shell = std::move(shell).value();
    say_open(id, "");
  }

  void perform(const WriteSource& write) {
    if (const auto found = sources_.find(write.source); found != sources_.end()) {
      Source& source = found->second;
      source.shell ? source.shell->write(as_text(write.data))
                   : source.exchange->write(as_text(write.data));
    }
  }

  void perform(const HoldSource& hold) {
    if (const auto found = sources_.find(hold.source); found != sources_.end()) {
      Source& source = found->second;
      source.shell ? source.shell->hold(hold.hold) : source.exchange->hold(hold.hold);
    }
  }

  void perform(const ResizeShell& resize) {
    if (const auto found = sources_.find(resize.source);
        found != sources_.end() && found->second.shell) {
      found->second.shell->resize(resize.columns, resize.rows);
    }
  }

  void perform(const CloseSource& close) { sources_.erase(close.source); }

  asio::any_io_executor executor_;
  std::string engine_socket_;
  sys::HostPaths host_;
  Hooks hooks_;
  Performer performer_;
  Requester requester_;
  sys::CoreDriver<Performer, PerformerAction, Perform> performer_driver_;
  sys::CoreDriver<Requester, RequesterAction, Perform> requester_driver_;
  sys::Lifetime lifetime_;
  std::map<EngineCallId, Call> calls_;
  std::map<SourceId, Source> sources_;
};

ControlService::ControlService(asio::any_io_executor executor,
                               const sys::Clock& clock,
                               Entropy& entropy,
                               Options options,
                               Hooks hooks)
    : impl_(std::make_unique<Impl>(
        std::move(executor), clock, entropy, std::move(options), std::move(hooks))) {}

ControlService::~ControlService() = default;

void ControlService::on_message(PeerName from, ByteView message) {
  impl_->on_message(from, message);
}

void ControlService::on_wish(RequestId request, const Person& person, const Wish& wish) {
  impl_->feed_requester([&](Requester& core, TimePoint now, RequesterActions& out) {
    core.on_wish(now, request, person, wish, out);
  });
}

void ControlService::on_delete(const std::string& pipe) {
  impl_->feed_requester([&](Requester& core, TimePoint now, RequesterActions& out) {
    core.on_delete(now, pipe, out);
  });
}

bool ControlService::may_be_open(std::string_view pipe) const {
  return impl_->requester().may_be_open(pipe);
}

Result<Ok> ControlService::on_browser(BrowserId browser,
                                      const Person& person,
                                      const std::string& pipe) {
  Result<Ok> admitted = Ok{};
  impl_->feed_requester([&](Requester& core, TimePoint now, RequesterActions& out) {
    admitted = core.on_browser(now, browser, person, pipe, out);
  });
  return admitted;
}

void ControlService::on_browser_bytes(BrowserId browser, ByteView data) {
  impl_->feed_requester([&](Requester& core, TimePoint now, RequesterActions& out) {
    core.on_browser_bytes(now, browser, data, out);
  });
}

void ControlService::on_browser_drained(BrowserId browser) {
  impl_->feed_requester([&](Requester& core, TimePoint now, RequesterActions& out) {
    core.on_browser_drained(now, browser, out);
  });
}

void ControlService::on_browser_gone(BrowserId browser) {
  impl_->feed_requester([&](Requester& core, TimePoint now, RequesterActions& out) {
    core.on_browser_gone(now, browser, out);
  });
}

}  // namespace weft::control
