#include "sys/bpf/connections.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <connections.skel.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sys/bpf/counters.h"
#include "sys/bpf/flow_maps.h"
#include "sys/bpf/log.h"
#include "sys/bpf/openers.h"

namespace weft::sys {
namespace {

// Entries that one system call takes out of a map.
constexpr std::uint32_t kBatch = 1024;

// A connection that has lasted so long, and two looks, will last.
constexpr std::chrono::seconds kLasting(1);

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

Error failure(std::string_view doing, int error, const BpfLog& log) {
  const int number = std::abs(error);
  return Error{number == EPERM || number == EACCES ? Errc::Denied : Errc::Unavailable,
               fmt::format("{}: {} {}", doing, std::strerror(number), log.text()),
               number};
}

// The clock of bpf_ktime_get_ns().
std::uint64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000
         + static_cast<std::uint64_t>(now.tv_nsec);
}

Ip to_ip(const __u8 (&octets)[16]) {
  Ipv6::Octets copy{};
  std::copy(std::begin(octets), std::end(octets), copy.begin());
  if (std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), copy.begin())) {
    return Ip::from_bytes(ByteView(copy).subspan(kMappedPrefix.size())).value();
  }
  return Ipv6(copy);
}

ObservedOpening opening(const weft_flow_key& key) {
  return {.opened = key.outbound != 0 ? Opened::Here : Opened::There,
          .pid = key.pid,
          .parent = key.parent};
}

ObservedConnections to_connections(const weft_flow_key& key, const weft_flow& flow) {
  return {.transport = static_cast<Transport>(key.transport),
          .opening = opening(key),
          .netns = key.netns,
          .local = to_ip(key.local),
          .remote = to_ip(key.remote),
          .port = key.port,
          .opened = flow.opened,
          .closed = flow.closed,
          .failed = flow.failed,
          .bytes_sent = flow.sent,
          .bytes_received = flow.received,
          .packets_sent = flow.packets_sent,
          .packets_received = flow.packets_received,
          .retransmits = flow.retransmits,
          .rtt_us = static_cast<std::uint32_t>(flow.rtt_us)};
}

// Our own, if that is the one we have the number in under which we are in the host's /proc; else
// that of its process 1.
std::uint32_t pid_namespace(const HostPaths& host) {
  std::error_code error;
  const bool is_own = std::filesystem::read_symlink(host.proc + "/self", error).string()
                      == std::to_string(::getpid());
  const std::string path = is_own ? "/proc/self/ns/pid" : host.of_process(1, "ns/pid");
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<std::uint32_t>(status.st_ino) : 0;
}

bool has_tracepoint(const char* name) {
  return libbpf_find_vmlinux_btf_id(name, BPF_TRACE_RAW_TP) > 0;
}

int count_news(void* news, void* /*data*/, std::size_t /*size*/) {
  ++*static_cast<std::uint64_t*>(news);
  return 0;
}

class BpfConnections final : public ConnectionSource {
 public:
  BpfConnections(DatagramOctets octets, HostPaths host) : octets_(octets), host_(std::move(host)) {}
  ~BpfConnections() override { stop(); }

  Result<Ok> start() override {
    if (skeleton_) {
      return Ok{};
    }
    auto started = start(Cookies::MadeByTracepoint);
    return started.ok() || start(Cookies::MadeByHooks).ok() ? Result<Ok>(Ok{}) : started;
  }

  void stop() override {
    ring_.reset();
    openers_.reset();
    counters_.reset();
    skeleton_.reset();
  }

  Result<std::vector<ObservedConnections>> take() override {
    std::vector<ObservedConnections> taken;
    if (!skeleton_) {
      return taken;
    }
    const std::uint64_t now = monotonic_ns();
    const std::uint64_t last = skeleton_->bss->weft_looked_at;
    ++skeleton_->bss->weft_look;
    skeleton_->bss->weft_looked_before = last;
    skeleton_->bss->weft_looked_at = now;
    openers_->settle(
        std::min<std::uint64_t>(last, now - std::chrono::nanoseconds(kLasting).count()));
    for (const Counters::Counted& counted : counters_->take(now)) {
      taken.push_back(to_connections(counted.key, counted.flow));
    }
    const int map = bpf_map__fd(skeleton_->maps.weft_flows);
    keys_.resize(kBatch);
    flows_.resize(kBatch);
    // The kernel's place in the map, as many bytes as a key has at least.
    weft_flow_key place{};
    bool is_first = true;
    int outcome = 0;
    do {
      std::uint32_t count = kBatch;
      outcome = bpf_map_lookup_and_delete_batch(
          map, is_first ? nullptr : &place, &place, keys_.data(), flows_.data(), &count, nullptr);
      if (outcome != 0 && outcome != -ENOENT) {
        return Error{Errc::Os, fmt::format("read BPF map: {}", std::strerror(-outcome)), -outcome};
      }
      is_first = false;
      for (std::uint32_t i = 0; i < count; ++i) {
        taken.push_back(to_connections(keys_[i], flows_[i]));
      }
    } while (outcome == 0);
    return taken;
  }

  std::string_view datagrams_missing() const override { return datagrams_missing_; }

  bool counts_octets_of_datagrams() const override {
    return skeleton_ && has_lengths_ && datagrams_missing_.empty();
  }

  std::uint64_t lost() const override { return skeleton_ ? skeleton_->bss->weft_flows_lost : 0; }

  std::optional<ObservedOpening> opening_of(std::uint64_t cookie) override {
    const auto key = openers_ ? openers_->find(cookie) : std::nullopt;
    return key ? std::optional(opening(*key)) : std::nullopt;
  }

  int news_descriptor() const override { return ring_ ? ring_buffer__epoll_fd(ring_.get()) : -1; }

  void clear_news() override {
    if (ring_) {
      ring_buffer__consume(ring_.get());
    }
  }

 private:
  struct Close {
    void operator()(connections* skeleton) const { connections__destroy(skeleton); }
    void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
  };
  using Skeleton = std::unique_ptr<connections, Close>;
  using Ring = std::unique_ptr<ring_buffer, Close>;

  // Of sockets. Before Linux 5.12 the hooks of cgroups have to see a socket first.
  enum class Cookies : std::uint8_t { MadeByTracepoint, MadeByHooks };

  Result<Ok> start(Cookies cookies) {
    const BpfLog log;
    Skeleton skeleton(connections__open());
    if (!skeleton) {
      return failure("open BPF object", errno, log);
    }
    skeleton->bss->weft_looked_at = monotonic_ns();
    skeleton->rodata->weft_pid_namespace = pid_namespace(host_);
    has_lengths_ = octets_ == DatagramOctets::IfPossible && has_tracepoint("sock_send_length")
                   && has_tracepoint("sock_recv_length");
    skeleton->rodata->weft_has_lengths = has_lengths_ ? 1 : 0;
    for (bpf_program* const program : {skeleton->progs.weft_sent, skeleton->progs.weft_received}) {
      bpf_program__set_autoload(program, has_lengths_);
    }
    for (bpf_map* const map : {skeleton->maps.weft_datagrams, skeleton->maps.weft_peers}) {
      bpf_map__set_autocreate(map, has_lengths_);  // Linux before 5.11 has no storage of tasks.
    }
    const bool is_hooked = cookies == Cookies::MadeByHooks;
    skeleton->rodata->weft_makes_cookies = is_hooked ? 0 : 1;
    bpf_program__set_autoload(skeleton->progs.weft_accepted, is_hooked);
    bpf_program__set_autoload(skeleton->progs.weft_state_hooked, is_hooked);
    bpf_program__set_autoload(skeleton->progs.weft_state, !is_hooked);
    if (const int error = connections__load(skeleton.get()); error != 0) {
      return failure("load BPF programs", error, log);
    }
    Ring ring(ring_buffer__new(bpf_map__fd(skeleton->maps.weft_news), count_news, &news_, nullptr));
    if (!ring) {
      return failure("open BPF ring buffer", errno, log);
    }
    if (const int error = connections__attach(skeleton.get()); error != 0) {
      return failure("attach BPF programs", error, log);
    }
    datagrams_missing_ = attach_hooks(*skeleton, host_, cookies);
    if (is_hooked && !datagrams_missing_.empty()) {
      return Error{Errc::Unavailable, "before Linux 5.12: " + datagrams_missing_};
    }
    auto openers = Openers::open(bpf_map__fd(skeleton->maps.weft_rows),
                                 bpf_map__fd(skeleton->maps.weft_openers));
    if (!openers.ok()) {
      return openers.error();
    }
    auto counters = Counters::open(bpf_map__fd(skeleton->maps.weft_counters));
    if (!counters.ok()) {
      return counters.error();
    }
    openers_.emplace(std::move(openers).value());
    counters_.emplace(std::move(counters).value());
    skeleton_ = std::move(skeleton);
    ring_ = std::move(ring);
    return Ok{};
  }

  // Below the root all processes are, whichever hierarchy limits them. Says why not.
  static std::string attach_hooks(connections& skeleton, const HostPaths& host, Cookies cookies) {
    const int root = open_cgroup_root(host);
    if (root < 0) {
      return "no cgroup2 is mounted";
    }
    const BpfLog log;
    std::string missing;
    const auto attach = [&](bpf_program* program, bpf_link*& link) {
      bpf_link* const made = bpf_program__attach_cgroup(program, root);
      if (made == nullptr) {
        missing = fmt::format("attach to cgroups: {} {}", std::strerror(errno), log.text());
      }
      link = made;  // Goes with the skeleton.
    };
    attach(skeleton.progs.weft_send4, skeleton.links.weft_send4);
    attach(skeleton.progs.weft_receive4, skeleton.links.weft_receive4);
    attach(skeleton.progs.weft_connect4, skeleton.links.weft_connect4);
    attach(skeleton.progs.weft_connect6, skeleton.links.weft_connect6);
    attach(skeleton.progs.weft_send6, skeleton.links.weft_send6);
    attach(skeleton.progs.weft_receive6, skeleton.links.weft_receive6);
    if (cookies == Cookies::MadeByHooks) {
      attach(skeleton.progs.weft_accepted, skeleton.links.weft_accepted);
    }
    ::close(root);
    return missing;
  }

  // Where systemd has the second version, alone or beside the first; -1 if it has it nowhere.
  static int open_cgroup_root(const HostPaths& host) {
    for (const char* const place : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
      const std::string path = host.here(place);
      struct statfs about {};
      if (::statfs(path.c_str(), &about) == 0 && about.f_type == CGROUP2_SUPER_MAGIC) {
        return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      }
    }
    return -1;
  }

  const DatagramOctets octets_;
  const HostPaths host_;
  std::uint64_t news_ = 0;
  bool has_lengths_ = false;
  std::string datagrams_missing_;
  Skeleton skeleton_;
  std::optional<Openers> openers_;
  std::optional<Counters> counters_;
  Ring ring_;
  std::vector<weft_flow_key> keys_;
  std::vector<weft_flow> flows_;
};

}  // namespace

std::unique_ptr<ConnectionSource> open_bpf_connections(DatagramOctets octets,
                                                       const HostPaths& host) {
  return std::make_unique<BpfConnections>(octets, host);
}

}  // namespace weft::sys
