#include "dns/io/dns_service.h"

#include <fstream>
#include <iterator>
#include <map>
#include <utility>
#include <variant>

#include <boost/asio/post.hpp>

#include "base/log.h"
#include "base/overloaded.h"
#include "dns/io/tcp_server.h"
#include "dns/io/udp_server.h"
#include "dns/io/upstream.h"
#include "dns/resolv_conf.h"
#include "sys/core_driver.h"
#include "sys/file_watch.h"
#include "sys/lifetime.h"

namespace weft::dns {

namespace {

using TcpClient = std::shared_ptr<TcpServer::Connection>;
using ForwarderClient = std::variant<UdpServer::Question, TcpClient>;

bool is_loopback(const Ip& address) {
  constexpr std::uint32_t kLoopbackNet = 127;
  return address.is_v4() && address.v4().number() >> 24U == kLoopbackNet;
}

}  // namespace

class DnsService::Impl {
 public:
  Impl(boost::asio::any_io_executor executor,
       const sys::Clock& clock,
       Options options,
       OnPublish on_publish)
      : executor_(executor),
        clock_(clock),
        options_(std::move(options)),
        on_publish_(std::move(on_publish)),
        rng_(options_.seed),
        names_({.self = options_.self,
                .run = options_.run,
                .zone = options_.zone,
                .seed = rng_.next()}),
        names_driver_(executor, clock, watched_names_, PerformPublish{[this](PublishRecord record) {
                        on_publish_(std::move(record));
                      }}),
        forwarder_({.timeout = options_.upstream_timeout, .cache = {}}, rng_.fork()),
        driver_(executor, clock, forwarder_, Perform{[this](ForwarderAction action) {
                  perform(std::move(action));
                }}),
        upstream_(executor,
                  {.on_answer =
                       [this](AskId ask, ByteView message) {
                         driver_.feed([&](Forwarder& core, TimePoint now, ForwarderActions& out) {
                           core.on_answer(now, ask, message, out);
                         });
                       },
                   .on_failed =
                       [this](AskId ask) {
                         driver_.feed([&](Forwarder& core, TimePoint now, ForwarderActions& out) {
                           core.on_failed(now, ask, out);
                         });
                       }}) {}

  Result<Ok> start() {
    read_resolv_conf();
    auto watch = sys::watch_file(executor_, options_.resolv_conf, [this] { read_resolv_conf(); });
    if (watch.ok()) {
      watch_ = std::move(watch).value();
    } else {
      log::warning("changes of resolv.conf will not be noticed", {"why", watch.error()});
    }
    return Ok{};
  }

  Result<Ok> listen(const Endpoint& address) {
    published_ = names_.zone();
    auto udp = WEFT_TRY(UdpServer::start(
        executor_, address, published_, rng_.fork(), [this](UdpServer::Question question) {
          const bool is_host = is_this_host(question.from.peer().address);
          const Bytes message = question.message;
          forward(std::move(question), Transport::Udp, is_host, message);
        }));
    tcp_ = WEFT_TRY(
        TcpServer::start(executor_, udp->local(), [this](const TcpClient& from, ByteView message) {
          on_tcp(from, message);
        }));
    udp_ = std::move(udp);
    reason_.clear();
    read_resolv_conf();  // Without ourselves.
    return Ok{};
  }
  void set_reason(std::string reason) { reason_ = std::move(reason); }

  // `input` is called as input(names, now, actions).
  template <class Input>
  void feed(Input input) {
    names_driver_.feed(
        [&](WatchedNames&, TimePoint now, NamesActions& out) { input(names_, now, out); });
  }

  // A burst of changes makes one snapshot.
  void publish_soon() {
    if (std::exchange(publishing_, true)) {
      return;
    }
    boost::asio::post(executor_, lifetime_.guard([this] {
      publishing_ = false;
      const auto zone = names_.zone();
      if (udp_ != nullptr && zone != published_) {
        udp_->publish(zone);
      }
      published_ = zone;
    }));
  }

  Names& names() { return names_; }
  std::string name_of(const Ip& address) const {
    return forwarder_.names().find(clock_.now(), address);
  }
  DnsStatus status() const;

 private:
  // Named, so that CoreDriver has a type to hold.
  struct Perform {
    std::function<void(ForwarderAction action)> act;
    void operator()(ForwarderAction action) const { act(std::move(action)); }
  };

  // The names, where every step, timers' too, is followed by a look whether there is a new zone.
  struct WatchedNames {
    Impl& service;
    void on_deadline(TimePoint now, NamesActions& out) {
      service.names_.on_deadline(now, out);
      service.publish_soon();
    }
    TimePoint next_deadline() const { return service.names_.next_deadline(); }
  };
  struct PerformPublish {
    std::function<void(PublishRecord record)> act;
    void operator()(PublishRecord record) const { act(std::move(record)); }
  };

  bool is_this_host(const Ip& address) const {
    return is_loopback(address) || (udp_ != nullptr && udp_->local().address == address);
  }

  void on_tcp(const TcpClient& from, ByteView message) {
    Bytes out(kMessageMax);
    const Ip client = TcpServer::peer(*from).address;
    const auto outcome = responder_.answer(message, Transport::Tcp, client, *names_.zone(), out);
    if (outcome.verdict == Responder::Verdict::Forward) {
      forward(from, Transport::Tcp, is_this_host(client), message);
      return;
    }
    TcpServer::answer(from, ByteView(out).first(outcome.size));
  }

  void forward(ForwarderClient client, Transport transport, bool is_host, ByteView message) {
    const ClientId id(++last_client_);
    clients_.emplace(id, std::move(client));
    driver_.feed([&](Forwarder& core, TimePoint now, ForwarderActions& out) {
      core.on_query(now, {.id = id, .transport = transport, .is_this_host = is_host}, message, out);
    });
  }

  void perform(ForwarderAction action) {
    std::visit(overloaded{
                   [this](const Ask& ask) { upstream_.ask(ask); },
                   [this](const EndAsk& end) { upstream_.end(end.id); },
                   [this](const AnswerClient& answer) { answer_client(answer); },
               },
               std::move(action));
  }

  void answer_client(const AnswerClient& answer) {
    const auto node = clients_.extract(answer.client);
    WEFT_ASSERT(!node.empty());
    std::visit(overloaded{
                   [&](const UdpServer::Question& question) {
                     if (udp_ != nullptr) {
                       udp_->answer(question, answer.message);
                     }
                   },
                   [&](const TcpClient& client) { TcpServer::answer(client, answer.message); },
               },
               node.mapped());
  }

  void read_resolv_conf() {
    std::ifstream file(options_.resolv_conf, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    std::vector<Endpoint> servers = parse_resolv_conf(text);
    if (udp_ != nullptr) {
      std::erase(servers, udp_->local());  // Asking ourselves would never end.
    }
    forwarder_.set_servers(std::move(servers));
  }

  const boost::asio::any_io_executor executor_;
  const sys::Clock& clock_;
  const Options options_;
  const OnPublish on_publish_;
  Rng rng_;
  Names names_;
  WatchedNames watched_names_{*this};
  sys::CoreDriver<WatchedNames, PublishRecord, PerformPublish> names_driver_;
  Forwarder forwarder_;
  sys::CoreDriver<Forwarder, ForwarderAction, Perform> driver_;
  Upstream upstream_;
  Responder responder_{rng_.fork()};  // Of TCP.
  std::unique_ptr<sys::FileWatch> watch_;
  std::unique_ptr<UdpServer> udp_;
  std::unique_ptr<TcpServer> tcp_;
  std::map<ClientId, ForwarderClient> clients_;
  std::uint64_t last_client_ = 0;
  bool publishing_ = false;
  std::shared_ptr<const Zone> published_;
  std::string reason_;
  sys::Lifetime lifetime_;
};

DnsStatus DnsService::Impl::status() const {
  DnsStatus status{.domain = options_.zone.domain,
                   .ttl_seconds = options_.zone.ttl_seconds,
                   .address = std::nullopt,
                   .reason = reason_,
                   .upstream = forwarder_.servers(),
                   .names = names_.list(),
                   .stats = names_.stats(),
                   .queries = responder_.stats(),
                   .forwarded = forwarder_.stats()};
  if (udp_ != nullptr) {
    status.address = udp_->local();
    status.queries += udp_->stats();
    status.dropped = udp_->dropped() + tcp_->refused();
  }
  return status;
}

DnsService::DnsService(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DnsService::~DnsService() = default;

Result<std::unique_ptr<DnsService>> DnsService::start(boost::asio::any_io_executor executor,
                                                      const sys::Clock& clock,
                                                      Options options,
                                                      OnPublish on_publish) {
  auto impl =
      std::make_unique<Impl>(std::move(executor), clock, std::move(options), std::move(on_publish));
  WEFT_TRY(impl->start());
  impl->feed([](Names& names, TimePoint, NamesActions& out) { names.start(out); });
  return std::unique_ptr<DnsService>(new DnsService(std::move(impl)));
}

Result<Ok> DnsService::listen(const Endpoint& address) {
  return impl_->listen(address);
}

void DnsService::set_reason(std::string reason) {
  impl_->set_reason(std::move(reason));
}

void DnsService::set_clients(std::vector<Cidr> clients) {
  impl_->feed([&](Names& names, TimePoint, NamesActions&) {
    names.set_horizon(Horizon(std::move(clients)));
  });
}

void DnsService::on_record(const RecordChanged& change) {
  impl_->feed([&](Names& names, TimePoint, NamesActions&) { names.on_record(change); });
}

void DnsService::on_peer_reachable(PeerName peer) {
  impl_->feed(
      [&](Names& names, TimePoint now, NamesActions&) { names.on_peer_reachable(now, peer); });
}

void DnsService::on_peer_unreachable(PeerName peer) {
  impl_->feed([&](Names& names, TimePoint, NamesActions&) { names.on_peer_unreachable(peer); });
}

Result<std::optional<Name>> DnsService::qualify(std::string_view text) const {
  return impl_->names().qualify(text);
}

Result<Ok> DnsService::add(const std::string& owner, const NameEntry& entry) {
  Result<Ok> added = Ok{};
  impl_->feed(
      [&](Names& names, TimePoint, NamesActions& out) { added = names.add(owner, entry, out); });
  return added;
}

Result<Ok> DnsService::watch(const std::string& owner, const std::vector<NameEntry>& entries) {
  Result<Ok> watched = Ok{};
  impl_->feed([&](Names& names, TimePoint, NamesActions& out) {
    watched = names.watch(owner, entries, out);
  });
  return watched;
}

std::size_t DnsService::remove(const Names::Filter& filter) {
  std::size_t count = 0;
  impl_->feed(
      [&](Names& names, TimePoint, NamesActions& out) { count = names.remove(filter, out); });
  return count;
}

std::string DnsService::name_of(const Ip& address) const {
  return impl_->name_of(address);
}

DnsStatus DnsService::status() const {
  return impl_->status();
}

}  // namespace weft::dns
