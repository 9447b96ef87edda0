// What it costs to show a cluster: reports of many hosts go into app::App as they come over the
// mesh, a client watches one view after the other, and one host at a time tells of changes.
//
//   views_load HOSTS CONTAINERS PROCESSES CONNECTIONS ROUNDS
//
// All but the first are per host; connections are those that it opens.
//
// Prints "MEASURE VALUE" lines: milliseconds of CPU, bytes of frames, and megabytes that were used
// beside the reports themselves, at most.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "app/app.h"
#include "app/topology.h"
#include "probe/report/codec.h"
#include "probe/report/report.h"

namespace weft {
namespace {

struct Size {
  std::uint32_t hosts = 0;
  std::uint32_t containers = 0;
  std::uint32_t processes = 0;
  std::uint32_t connections = 0;
};

constexpr std::uint32_t kFirstPid = 100;
constexpr std::uint16_t kPort = 5432;

PeerName host_name(std::uint32_t host) {
  return PeerName(0x7a0000000000U + host + 1);
}

Ip host_address(std::uint32_t host) {
  return Ip::parse(fmt::format("198.18.{}.{}", host / 250, host % 250 + 1)).value();
}

// As an engine makes them: ids of two containers differ from the first digits on.
std::string container_id(std::uint32_t host, std::uint32_t container) {
  constexpr std::uint64_t kMix = 0x9e3779b97f4a7c15U;  // 2^64 by the golden ratio: spreads numbers.
  constexpr unsigned kHalf = 32;
  const std::uint64_t number = (std::uint64_t(host + 1) << kHalf | (container + 1)) * kMix;
  return fmt::format("{:016x}{:048x}", number, container + 1);
}

Ip container_address(const Size& size, std::uint32_t host, std::uint32_t container) {
  const std::uint32_t number = host * size.containers + container + 1;
  return Ip::parse(
             fmt::format("10.{}.{}.{}", 32 + number / 65536, number / 256 % 256, number % 256))
      .value();
}

// Processes are in containers by turns; who connects is the first in its container.
std::uint32_t process_id(std::uint32_t container) {
  return kFirstPid + container;
}

probe::FlowKey flow_key(const Size& size,
                        probe::Direction direction,
                        std::uint32_t host,
                        std::uint32_t container,
                        std::uint32_t other_host,
                        std::uint32_t other_container) {
  return {.transport = Transport::Tcp,
          .direction = direction,
          .netns = container + 2,
          .container = container_id(host, container),
          .pid = process_id(container),
          .local = container_address(size, host, container),
          .remote = container_address(size, other_host, other_container),
          .port = kPort};
}

// Whom the connections of a host lead to: the first to a container that all hosts ask, the others
// spread over all hosts and containers, the same each time.
struct Target {
  std::uint32_t host = 0;
  std::uint32_t container = 0;
};
Target target_of(const Size& size, std::uint32_t host, std::uint32_t connection) {
  if (connection == 0) {
    return {};
  }
  return {.host = (host + 1 + connection * 7) % size.hosts,
          .container = (connection * 13 + connection / size.containers) % size.containers};
}

std::vector<probe::HostReport> cluster(const Size& size) {
  std::vector<probe::HostReport> reports(size.hosts);
  for (std::uint32_t host = 0; host < size.hosts; ++host) {
    probe::HostReport& report = reports[host];
    report.origin = host_name(host);
    report.sequence = 1;
    report.interval = std::chrono::seconds(1);
    report.host.name = fmt::format("h{}", host);
    report.host.cpu_count = 16;
    report.host.networks = {Cidr::parse(host_address(host).to_string() + "/16").value()};
    report.overlay.nickname = report.host.name;
    for (std::uint32_t i = 0; i < size.containers; ++i) {
      probe::ContainerFacts container;
      container.id = container_id(host, i);
      container.name = fmt::format("service-{}-{}", i, host);
      container.hostname = container.name;
      container.image = fmt::format("registry.example.org/shop/service-{}:2", i % 20);
      container.status = "Up 2 minutes";
      container.addresses = {container_address(size, host, i)};
      container.networks = {"weft-net"};
      container.labels = {{"tier", "shop"}, {"version", "2"}};
      report.containers.push_back(container);
      report.overlay.endpoints.push_back({.mac = Mac(), .addresses = container.addresses});
    }
    std::sort(report.containers.begin(), report.containers.end(), [](const auto& a, const auto& b) {
      return a.id < b.id;
    });
    for (std::uint32_t i = 0; i < size.processes; ++i) {
      report.processes.push_back(
          {.pid = kFirstPid + i,
           .parent = 1,
           .name = fmt::format("worker-{}", i % 30),
           .command = fmt::format("/usr/bin/worker-{} --number {}", i % 30, i),
           .container = container_id(host, i % size.containers),
           .thread_count = 4});
    }
  }
  for (std::uint32_t host = 0; host < size.hosts; ++host) {
    for (std::uint32_t i = 0; i < size.connections; ++i) {
      const std::uint32_t container = i % size.containers;
      const Target to = target_of(size, host, i);
      using enum probe::Direction;
      const auto out = flow_key(size, Outbound, host, container, to.host, to.container);
      const auto in = flow_key(size, Inbound, to.host, to.container, host, container);
      reports[host].flows[out] = {.count = 1, .sent_per_second = 100 + i};
      reports[to.host].flows[in] = {.count = 1, .received_per_second = 100 + i};
    }
  }
  return reports;
}

// What a look a second later finds: all have used some CPU, a tenth of the connections another
// rate.
void change(probe::HostReport& report) {
  ++report.sequence;
  const auto turn = static_cast<double>(report.sequence % 50);
  for (probe::ContainerFacts& container : report.containers) {
    container.usage = {.cpu_percent = turn, .memory_bytes = 50U << 20U};
  }
  for (probe::ProcessFacts& process : report.processes) {
    process.usage = {.cpu_percent = turn / 4, .memory_bytes = 10U << 20U};
  }
  std::uint64_t index = 0;
  for (auto& [key, facts] : report.flows) {
    if (++index % 10 == 0) {
      facts.sent_per_second += report.sequence;
    }
  }
}

double cpu_milliseconds() {
  timespec now{};
  (void)::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);  // Cannot fail on Linux.
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

template <class Act>
double spent(Act act) {
  const double before = cpu_milliseconds();
  act();
  return cpu_milliseconds() - before;
}

// "VmRSS:" is what is used, "VmHWM:" what was used at most.
double megabytes(std::string_view kind) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(kind)) {
      return std::atof(line.c_str() + kind.size()) / 1024;
    }
  }
  return 0;
}

std::size_t frame_bytes(const app::AppActions& actions) {
  for (const app::AppAction& action : actions) {
    if (const auto* send = std::get_if<app::SendFrame>(&action)) {
      return send->frame->size();
    }
  }
  return 0;
}

// The last frame tells no more that it is only a part.
bool is_whole(const app::AppActions& actions) {
  const app::SendFrame* last = nullptr;
  for (const app::AppAction& action : actions) {
    const auto* const send = std::get_if<app::SendFrame>(&action);
    last = send != nullptr ? send : last;
  }
  return last != nullptr
         && last->frame->find("\"loading\":{",
                              last->frame->size() - std::min<std::size_t>(last->frame->size(), 64))
                == std::string::npos;
}

// An agent with one client. All hosts answer at once, sooner than a first frame is due; then it is
// only called when it wants to be, as its loop does.
class Watched {
 public:
  Watched(std::string_view view, std::vector<probe::HostReport>& reports)
      : view_(view),
        reports_(reports),
        app_({.self = reports_.front().origin, .version = "", .hostname = ""}) {}

  void first_frame() {
    const std::string target = fmt::format("/api/topology/{}/ws?t=5s", view_);
    app::AppActions out;
    if (!app_.on_client(now_, app::ClientId(1), target, out).ok()) {
      fmt::print(stderr, "views_load: no view {}\n", view_);
      std::exit(1);
    }
    std::vector<app::PeerFacts> peers;
    for (const probe::HostReport& report : reports_) {
      peers.push_back({.name = report.origin, .nickname = report.host.name, .reachable = true});
    }
    app_.on_peers(now_, peers, out);
    double collected = 0;
    double spent_by_now = 0;
    double longest = 0;
    const auto note = [&](double cost) {
      spent_by_now += cost;
      now_ += Duration(static_cast<Duration::rep>(cost * 1e6));  // A clock goes on meanwhile.
      longest = std::max(longest, cost);
    };
    for (const probe::HostReport& report : reports_) {
      const Bytes message = probe::encode_report(report);
      const bool is_last = &report == &reports_.back();
      const double cost = spent([&] { app_.on_report(now_, report.origin, message, out); });
      is_last ? note(cost) : void(collected += cost);
    }
    check();
    const auto work_until = [&](auto is_over) {
      while (!is_over()) {
        now_ = std::max(now_, app_.next_deadline());
        note(spent([&] { app_.on_deadline(now_, out); }));
      }
    };
    work_until([&] { return frame_bytes(out) > 0; });
    fmt::print("{}.first_frame {:.3f}\n", view_, spent_by_now);
    fmt::print("{}.first_bytes {}\n", view_, frame_bytes(out));
    work_until([&] { return is_whole(out); });
    fmt::print("{}.whole {:.3f}\n", view_, spent_by_now);
    fmt::print("{}.slice {:.3f}\n", view_, longest);
    fmt::print("collected {:.3f}\n", collected);
  }

  // Somebody asks for something, while the client watches.
  void ask(std::string_view name, const std::string& target) {
    app::AppActions out;
    double cost = spent([&] { app_.on_request(now_, RequestId(1), target, out); });
    double longest = cost;
    const auto answer = [&] {
      return std::find_if(out.begin(), out.end(), [](const app::AppAction& action) {
        return std::holds_alternative<app::Respond>(action);
      });
    };
    while (answer() == out.end()) {
      now_ = std::max(now_, app_.next_deadline());
      const double part = spent([&] { app_.on_deadline(now_, out); });
      cost += part;
      longest = std::max(longest, part);
    }
    fmt::print("{} {:.3f}\n", name, cost);
    fmt::print("{}.slice {:.3f}\n", name, longest);
    fmt::print("{}.bytes {}\n", name, std::get<app::Respond>(*answer()).body.size());
  }

  // One host tells of changes, and the client hears of them.
  void next_frame() {
    probe::HostReport& report = reports_[turn_++ % reports_.size()];
    change(report);
    const Bytes message = probe::encode_report(report);
    // Each tells once a second: nobody is late.
    now_ += Duration(std::chrono::seconds(1)) / static_cast<std::int64_t>(reports_.size());
    app::AppActions out;
    fmt::print("merge {:.3f}\n", spent([&] { app_.on_report(now_, report.origin, message, out); }));
    // Other deadlines than that of the frame may be due before it.
    double rendered = 0;
    while (frame_bytes(out) == 0) {
      now_ = std::max(now_, app_.next_deadline());
      rendered += spent([&] { app_.on_deadline(now_, out); });
    }
    fmt::print("{}.change {:.3f}\n", view_, rendered);
    check();
    fmt::print("{}.change_bytes {}\n", view_, frame_bytes(out));
  }

 private:
  void check() const {
    if (app_.stats().reports_refused > 0) {
      fmt::print(stderr, "views_load: a report was refused\n");
      std::exit(1);
    }
  }

  std::string view_;
  std::vector<probe::HostReport>& reports_;
  app::App app_;
  TimePoint now_{std::chrono::hours(1)};
  std::size_t turn_ = 0;
};

// The node of a view that has most connections and children; with most hosts the one that all ask.
std::string largest_of(std::string_view view) {
  const std::string host = host_name(0).to_string();
  const std::map<std::string_view, std::string> ids{
      {"processes", fmt::format("{};{}", host, process_id(0))},
      {"processes-by-name", "worker-0"},
      {"containers", container_id(0, 0) + ";%3Ccontainer%3E"},
      {"containers-by-image", "shop%2Fservice-0;%3Ccontainer_image%3E"},
      {"hosts", host + ";%3Chost%3E"},
      {"weave", "%23" + host}};
  return ids.at(view);
}

int run(int argc, char** argv) {
  if (argc != 6) {
    fmt::print(stderr, "views_load HOSTS CONTAINERS PROCESSES CONNECTIONS ROUNDS\n");
    return 2;
  }
  const auto number = [&](int index) { return static_cast<std::uint32_t>(std::atoi(argv[index])); };
  const Size size{.hosts = number(1),
                  .containers = number(2),
                  .processes = number(3),
                  .connections = number(4)};
  std::vector<probe::HostReport> reports = cluster(size);
  const double before = megabytes("VmRSS:");
  for (const std::string_view view :
       {"processes", "processes-by-name", "containers", "containers-by-image", "hosts", "weave"}) {
    Watched watched(view, reports);
    watched.first_frame();
    for (std::uint32_t round = 0; round < number(5); ++round) {
      watched.next_frame();
    }
    if (view == "containers") {
      watched.ask("menu", "/api/topology?t=5s");  // It has counts of all views.
    }
    watched.ask(fmt::format("{}.details", view),
                fmt::format("/api/topology/{}/{}", view, largest_of(view)));
  }
  fmt::print("megabytes {:.1f}\n", megabytes("VmHWM:") - before);
  return 0;
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  return weft::run(argc, argv);
}
