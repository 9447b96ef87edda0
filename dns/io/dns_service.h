// DNS on a real host: the names (dns/names.h), the sockets that answer from them, and the way to
// other servers.
//
// Lives on the control strand; the answering threads are udp_server.h's matter.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "base/records.h"
#include "base/result.h"
#include "dns/forwarder.h"
#include "dns/names.h"
#include "dns/responder.h"
#include "sys/clock.h"

namespace weft::dns {

struct DnsStatus {
  Name domain{};
  std::uint32_t ttl_seconds = 0;
  std::optional<Endpoint> address{};  // Nothing until it listens;
  std::string reason{};               // then why not.
  std::vector<Endpoint> upstream{};
  std::vector<Names::Listed> names{};
  Names::Stats stats{};
  ResponderStats queries{};
  Forwarder::Stats forwarded{};
  std::uint64_t dropped = 0;  // Questions for other servers, and connections, over a limit.
};

class DnsService {
 public:
  struct Options {
    PeerName self;
    std::uint64_t run = 0;  // Rises with each start of the agent.
    Zone::Settings zone;
    std::string resolv_conf = "/etc/resolv.conf";
    Duration upstream_timeout = std::chrono::seconds(5);
    std::uint64_t seed = 0;
  };
  using OnPublish = std::function<void(PublishRecord record)>;

  static Result<std::unique_ptr<DnsService>> start(boost::asio::any_io_executor executor,
                                                   const sys::Clock& clock,
                                                   Options options,
                                                   OnPublish on_publish);
  ~DnsService();

  // Opens the sockets. Until it succeeded nobody is answered; may be tried again.
  Result<Ok> listen(const Endpoint& address);
  // Shown as long as it does not listen.
  void set_reason(std::string reason);

  void on_record(const RecordChanged& change);
  void on_peer_reachable(PeerName peer);
  void on_peer_unreachable(PeerName peer);

  // As Names does; a name is text, "" for none.
  Result<std::optional<Name>> qualify(std::string_view text) const;
  Result<Ok> add(const std::string& owner, const NameEntry& entry);
  Result<Ok> watch(const std::string& owner, const std::vector<NameEntry>& entries);
  std::size_t remove(const Names::Filter& filter);

  // Addresses of this host's containers, each with the prefix of its network (dns/horizon.h).
  void set_clients(std::vector<Cidr> clients);

  // What an address is called, as other servers' answers have it; empty if they do not.
  std::string name_of(const Ip& address) const;

  DnsStatus status() const;

 private:
  class Impl;
  explicit DnsService(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::dns
