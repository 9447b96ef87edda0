#include "agent/proxy/docker_proxy.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "agent/cli/attach/addresses.h"
#include "agent/cli/attach/attach.h"
#include "agent/cli/options.h"
#include "agent/http/form.h"
#include "agent/http/host_certificate.h"
#include "base/log.h"
#include "plugin/proxy/container.h"
#include "plugin/proxy/io/proxy_server.h"
#include "plugin/proxy/io/wait_program.h"
#include "sys/http_server.h"

namespace weft::agent {

namespace proxy = plugin::proxy;

namespace {

// Engines answer from memory; longer means that one of them hangs.
constexpr int kEngineTimeoutSeconds = 15;
constexpr int kAgentTimeoutSeconds = 5;

// As Weave's proxy tried again.
constexpr std::chrono::milliseconds kRetryMin(2000);
constexpr std::chrono::milliseconds kRetryMax(60'000);

constexpr unsigned kOk = 200;
constexpr unsigned kNotFound = 404;

}  // namespace

// The folder of an agent in a container is nothing that the host's engine knows.
std::string wait_folder(const std::string& state_folder, const sys::HostPaths& host) {
  return (host.root.empty() ? state_folder : "/var/lib/weft") + "/wait";
}

class DockerProxy::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(const boost::asio::any_io_executor& executor, const Config& config)
      : executor_(executor),
        config_(config) {}

  Result<Ok> start() {
    const std::string folder = wait_folder(config_.state_dir, config_.host_paths);
    WEFT_TRY(proxy::install_wait_program(config_.host_paths.here(folder)));
    options_ = {.wait_folder = folder,
                .default_allocation = config_.proxy.default_allocation,
                .multicast_route = config_.proxy.multicast_route,
                .hostname_label = config_.proxy.hostname_label,
                .hostname_match = config_.proxy.hostname_match,
                .hostname_replacement = config_.proxy.hostname_replacement};
    std::optional<proxy::ProxyServer::Tls> tls;
    if (!config_.proxy.client_authorities.empty()) {
      tls = {.certificate = WEFT_TRY(certificate()),
             .client_authorities = config_.proxy.client_authorities};
    }
    server_ = WEFT_TRY(proxy::ProxyServer::start(
        {.places = config_.proxy.places,
         .tls = std::move(tls),
         .docker_socket = config_.docker_socket},
        {.on_create = [this](const proxy::Call& call,
                             const std::string& body) { return on_create(call, body); },
         .on_started = [this](const std::string& container) { return on_started(container); },
         .on_exec = [this](const std::string& container) { return on_exec(container); }}));
    return Ok{};
  }

  // Of the first address that clients find it at.
  Result<sys::Certificate> certificate() const {
    const auto& places = config_.proxy.places;
    const auto place = std::find_if(
        places.begin(), places.end(), [](const auto& one) { return one.tcp.has_value(); });
    return host_certificate(
        config_, config_.proxy.files, place == places.end() ? Ip() : place->tcp->address);
  }

  // Who retries forgets it; the threads end, as what they wait for has ended.
  void stop() { server_.reset(); }

  std::vector<std::string> addresses() const { return server_->addresses(); }

  void on_running(const std::string& container, std::chrono::milliseconds pause) {
    if (!server_) {
      return;
    }
    server_->work([this, container, pause] {
      const auto attached = attach(container);
      if (!attached.ok()) {
        log::warning("container made through the proxy not attached",
                     {"container", container},
                     {"why", attached.error()});
        boost::asio::post(executor_, [self = weak_from_this(), container, pause] {
          if (const auto impl = self.lock()) {
            impl->retry(container, pause);
          }
        });
      }
    });
  }

 private:
  void retry(const std::string& container, std::chrono::milliseconds pause) {
    auto timer = std::make_shared<boost::asio::steady_timer>(executor_, pause);
    timer->async_wait(
        [self = weak_from_this(), timer, container, pause](const boost::system::error_code& error) {
          const auto impl = self.lock();
          if (!error && impl) {
            impl->on_running(container, std::min(pause * 3 / 2, kRetryMax));
          }
        });
  }

  Result<sys::HttpResponse> ask_engine(const std::string& method, const std::string& target) const {
    return sys::http_call(config_.docker_socket, method, target, "", kEngineTimeoutSeconds);
  }

  // Of the proxy's threads.
  Result<std::string> on_create(const proxy::Call& call, const std::string& body) const {
    auto request = proxy::CreateRequest::parse(body, options_);
    if (!request) {
      return body;
    }
    std::string image;
    if (const auto name = request->image()) {
      auto described =
          WEFT_TRY(ask_engine("GET", fmt::format("/images/{}/json", encode_percent(*name))));
      if (described.status != kOk) {
        return body;  // The engine says what is wrong, and clients pull the image.
      }
      image = std::move(described.body);
    }
    proxy::Options options = options_;
    if (config_.proxy.dns && config_.dns.enabled) {
      const auto server = WEFT_TRY(sys::http_call(
          config_.control_socket(), "GET", "/dns-address", "", kAgentTimeoutSeconds));
      if (server.status == kOk) {  // Else it does not listen.
        options.dns_server = server.body.substr(0, server.body.find('\n'));
        options.dns_domain = config_.dns.domain.to_string();
      }
    }
    auto rewritten = WEFT_TRY(request->rewrite(call.name, image, options));
    return rewritten ? *std::move(rewritten) : body;
  }

  // What cannot be attached shall not run: it would wait for ever.
  Result<Ok> on_started(const std::string& container) const {
    auto attached = attach(container);
    // Where nobody answers the container waits for who comes back.
    if (!attached.ok() && attached.error().code != Errc::Unavailable) {
      (void)ask_engine("POST", fmt::format("/containers/{}/kill", container));
    }
    return attached;
  }

  // One that has begun is as it was left: somebody may have detached it.
  Result<Ok> on_exec(const std::string& container) const {
    const std::optional<proxy::Proxied> made = WEFT_TRY(running(container));
    if (!made) {
      return Ok{};
    }
    std::ifstream file(config_.host_paths.of_process(made->pid, "cmdline"));
    const std::string command(std::istreambuf_iterator<char>(file), {});
    return proxy::is_waiting(command) ? attach(container) : Result<Ok>(Ok{});
  }

  // Nothing if it does not run, or is not made through the proxy.
  Result<std::optional<proxy::Proxied>> running(const std::string& container) const {
    const auto answer =
        WEFT_TRY(ask_engine("GET", fmt::format("/containers/{}/json", encode_percent(container))));
    if (answer.status == kNotFound) {
      return std::optional<proxy::Proxied>();
    }
    if (answer.status != kOk) {
      return Error{Errc::Unavailable,
                   fmt::format("the Docker engine answers {}: {}", answer.status, answer.body)};
    }
    auto made = proxy::parse_proxied(answer.body);
    return made && made->is_running ? std::move(made) : std::optional<proxy::Proxied>();
  }

  Result<Ok> attach(const std::string& container) const {
    const std::optional<proxy::Proxied> made = WEFT_TRY(running(container));
    if (!made) {
      return Ok{};
    }
    std::vector<std::string> words;
    for (const std::string& word : made->addresses) {
      const auto address = WEFT_TRY(parse_address_word(word));
      if (!address) {
        return Error{Errc::Invalid, fmt::format("WEAVE_CIDR: \"{}\" is no address", word)};
      }
      words.push_back(word);
    }
    words.push_back(container);
    const Settings settings = WEFT_TRY(settings_of(words));
    const auto attached = attach_container(settings);
    if (attached.ok()) {
      return Ok{};
    }
    // Who starts it and the engine's event attach it both: it may have ended by the second time.
    const auto now = running(container);
    return now.ok() && !now.value() ? Result<Ok>(Ok{}) : Result<Ok>(attached.error());
  }

  // As if somebody had typed it on this host.
  Result<Settings> settings_of(const std::vector<std::string>& words) const {
    const auto is = [](bool value) { return value ? "true" : "false"; };
    std::vector<std::string> all{
        "--run-dir=" + config_.run_dir,
        "--docker-socket=" + config_.docker_socket,
        "--proc-path=" + config_.host_paths.proc,
        fmt::format("--rewrite-hosts={}", is(config_.proxy.rewrite_hosts)),
        fmt::format("--without-dns={}", is(!config_.proxy.dns)),
        fmt::format("--no-multicast-route={}", is(!config_.proxy.multicast_route))};
    if (!config_.host_paths.root.empty()) {
      all.push_back("--host-root=" + config_.host_paths.root);
    }
    all.insert(all.end(), words.begin(), words.end());
    return parse_settings(
        Command::Attach, all, [](const std::string& /*name*/) { return std::nullopt; });
  }

  const boost::asio::any_io_executor executor_;
  const Config config_;
  proxy::Options options_;
  std::unique_ptr<proxy::ProxyServer> server_;
};

Result<std::unique_ptr<DockerProxy>> DockerProxy::start(
    const boost::asio::any_io_executor& executor, const Config& config) {
  auto impl = std::make_shared<Impl>(executor, config);
  WEFT_TRY(impl->start());
  return std::unique_ptr<DockerProxy>(new DockerProxy(std::move(impl)));
}

DockerProxy::DockerProxy(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

DockerProxy::~DockerProxy() {
  impl_->stop();
}

void DockerProxy::on_running(const std::string& container) {
  impl_->on_running(container, kRetryMin);
}

std::vector<std::string> DockerProxy::addresses() const {
  return impl_->addresses();
}

}  // namespace weft::agent
