#include "plugin/io/docker_watch.h"

#include <chrono>
#include <map>
#include <optional>
#include <utility>

#include <boost/asio/post.hpp>

#include "base/overloaded.h"
#include "sys/core_driver.h"
#include "sys/http/http_exchange.h"

namespace weft::plugin {

namespace {

// dockerd answers from memory, after a busy start within seconds.
constexpr std::chrono::seconds kAnswerMax{10};
// A list of 4,096 containers with their labels; an inspect is far smaller.
constexpr std::size_t kBodyMax = 32U << 20U;

}  // namespace

class DockerWatch::Impl {
 public:
  Impl(boost::asio::any_io_executor executor,
       const sys::Clock& clock,
       std::string socket,
       DockerEvents::Options options,
       OnNames on_names,
       OnEvents on_events,
       OnBridge on_bridge)
      : executor_(executor),
        socket_(std::move(socket)),
        on_names_(std::move(on_names)),
        on_events_(std::move(on_events)),
        on_bridge_(std::move(on_bridge)),
        events_(std::move(options)),
        driver_(executor, clock, events_, Perform{[this](EventsAction action) {
                  perform(std::move(action));
                }}) {
    driver_.feed([](DockerEvents&, TimePoint, EventsActions&) {});  // Its first deadline is due.
  }

  const DockerEvents& events() const { return events_; }

 private:
  struct Perform {
    std::function<void(EventsAction action)> act;
    void operator()(EventsAction action) const { act(std::move(action)); }
  };
  struct Asked {
    std::unique_ptr<sys::HttpExchange> exchange;
    unsigned status = 0;
    std::string body;
  };

  void perform(EventsAction action) {
    std::visit(overloaded{
                   [this](const OpenStream& open) { open_stream(open.target); },
                   [this](const AskDocker& ask) { this->ask(ask); },
                   [this](const ContainerNames& names) { on_names_(names); },
               },
               std::move(action));
  }

  void open_stream(const std::string& target) {
    stream_ = sys::start_http_exchange(
        executor_,
        {.socket_path = socket_, .target = target, .silence_max = {}},
        {.on_head =
             [this](unsigned status) {
               if (status == 200) {
                 driver_.feed([](DockerEvents& core, TimePoint now, EventsActions& out) {
                   core.on_stream_open(now, out);
                 });
                 ask_for_bridge();
               }
             },
         .on_body =
             [this](std::string_view piece) {
               on_events_();
               driver_.feed([piece](DockerEvents& core, TimePoint now, EventsActions& out) {
                 core.on_stream_bytes(now, piece, out);
               });
             },
         .on_end =
             [this](bool) {
               driver_.feed([](DockerEvents& core, TimePoint now, EventsActions& out) {
                 core.on_stream_end(now, out);
               });
             }});
  }

  void ask_for_bridge() {
    bridge_.body.clear();
    bridge_.exchange = sys::start_http_exchange(
        executor_,
        {.socket_path = socket_, .target = kDefaultNetworkTarget, .silence_max = kAnswerMax},
        {.on_head = [this](unsigned status) { bridge_.status = status; },
         .on_body =
             [this](std::string_view piece) {
               bridge_.body.append(
                   piece.substr(0, kBodyMax - std::min(bridge_.body.size(), kBodyMax)));
             },
         .on_end =
             [this](bool complete) {
               const auto name = parse_default_bridge(bridge_.body);
               if (complete && bridge_.status == 200 && name) {
                 on_bridge_(*name);
               }
             }});
  }

  void ask(const AskDocker& ask) {
    const DockerAskId id = ask.id;
    Asked& asked = asked_[id];
    asked.exchange = sys::start_http_exchange(
        executor_,
        {.socket_path = socket_, .target = ask.target, .silence_max = kAnswerMax},
        {.on_head = [this, id](unsigned status) { asked_.at(id).status = status; },
         .on_body =
             [this, id](std::string_view piece) {
               std::string& body = asked_.at(id).body;
               body.append(piece.substr(0, kBodyMax - std::min(body.size(), kBodyMax)));
             },
         .on_end =
             [this, id](bool complete) {
               const auto node = asked_.extract(id);
               const Asked& answered = node.mapped();
               driver_.feed([&](DockerEvents& core, TimePoint now, EventsActions& out) {
                 core.on_answer(now, id, complete ? answered.status : 0, answered.body, out);
               });
             }});
  }

  const boost::asio::any_io_executor executor_;
  const std::string socket_;
  const OnNames on_names_;
  const OnEvents on_events_;
  const OnBridge on_bridge_;
  DockerEvents events_;
  sys::CoreDriver<DockerEvents, EventsAction, Perform> driver_;
  std::unique_ptr<sys::HttpExchange> stream_;
  std::map<DockerAskId, Asked> asked_;
  Asked bridge_;
};

DockerWatch::DockerWatch(boost::asio::any_io_executor executor,
                         const sys::Clock& clock,
                         std::string socket,
                         DockerEvents::Options options,
                         OnNames on_names,
                         OnEvents on_events,
                         OnBridge on_bridge)
    : impl_(std::make_unique<Impl>(std::move(executor),
                                   clock,
                                   std::move(socket),
                                   std::move(options),
                                   std::move(on_names),
                                   std::move(on_events),
                                   std::move(on_bridge))) {}

DockerWatch::~DockerWatch() = default;

const DockerEvents& DockerWatch::events() const {
  return impl_->events();
}

}  // namespace weft::plugin
