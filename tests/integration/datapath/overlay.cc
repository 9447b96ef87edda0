#include "tests/integration/datapath/overlay.h"

#include <chrono>

#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace weft::test {

using router::DatapathService;

Underlay::Underlay(std::uint32_t mtu) : mtu_(mtu) {
  switch_.must(fmt::format("ip link add sw mtu {} type bridge && ip link set sw up", mtu_));
}

void Underlay::join(Namespace& member, std::uint32_t number) {
  switch_.must(fmt::format(
      "ip link add p{0} mtu {1} type veth peer name u0 mtu {1} && ip link set u0 netns {2} && "
      "ip link set p{0} master sw up",
      number,
      mtu_,
      member.path()));
  member.must(fmt::format(
      "ip addr add 192.0.2.{0}/24 dev u0 && ip addr add 2001:db8::{0}/64 dev u0 nodad && "
      "ip link set u0 up && ip route add default via 192.0.2.254",
      number));
}

void Underlay::set_port_mtu(std::uint32_t number, std::uint32_t mtu) {
  switch_.must(fmt::format("ip link set p{} mtu {}", number, mtu));
}

bool Container::reaches(const std::string& address) {
  return net.shell(fmt::format("ping -q -c 3 -i 0.1 -W 2 {} >/dev/null", address)) == 0;
}

Host::Host(Cluster& cluster, std::uint32_t number)
    : name(number),
      underlay(Ipv4(0xc0000200 + number)),
      cluster_(cluster) {
  cluster.underlay.join(net, number);
  netdev_ = net.run([] { return sys::open_netdev(); }).value();
}

Host::~Host() {
  stop();
}

Result<std::unique_ptr<DatapathService>> Host::try_start(DatapathService::Options options) {
  return net.run([&] {
    return DatapathService::start(
        net.context().get_executor(),
        clock_,
        *netdev_,
        std::move(options),
        [this](PublishRecord record) { cluster_.tell_others(name, std::move(record)); });
  });
}

void Host::start(DatapathService::Options options) {
  auto started = try_start(std::move(options));
  ASSERT_TRUE(started.ok()) << started.error().what;
  net.run([&] {
    service_ = std::move(started).value();
    return true;
  });
}

std::string Host::start_error(DatapathService::Options options) {
  const auto started = try_start(std::move(options));
  return started.ok() ? "" : started.error().what;
}

Result<Ok> Host::plug(const DatapathService::PortRequest& port) {
  return net.run([&] { return service_->plug(port); });
}

void Host::unplug(const DatapathService::PortRequest& port) {
  net.run([&] { service_->unplug(port); });
}

bool Host::has_port(const std::string& host) {
  return net.run([&] { return service_->has_port(host); });
}

void Host::sweep(const std::set<std::string>& owned) {
  net.run([&] { service_->sweep("vethh", owned); });
}

Result<Ok> Host::reset() {
  return net.run([this] { return DatapathService::reset(*netdev_, "weft"); });
}

void Host::stop() {
  const std::lock_guard lock(Namespace::starting());
  net.run([this] {
    service_.reset();
    return true;
  });
}

std::unique_ptr<Container> Host::run_container(std::uint8_t number) {
  auto container = std::make_unique<Container>();
  container->mac = Mac({0x02, 0, 0, 0, 1, number});
  container->ipv4 = fmt::format("10.32.0.{}", number);
  container->ipv6 = fmt::format("fd00::{}", number);
  container->port = {
      .host = fmt::format("vethh{}", number),
      .guest = fmt::format("vethg{}", number),
      .mac = container->mac,
      .addresses = {Ip::parse(container->ipv4).value(), Ip::parse(container->ipv6).value()}};
  const Result<Ok> plugged = plug(container->port);
  EXPECT_TRUE(plugged.ok()) << plugged.error().what;
  net.must(fmt::format("ip link set {} netns {}", container->port.guest, container->net.path()));
  container->net.must(
      fmt::format("ip link set {0} name eth0 && ip addr add {1}/12 dev eth0 && "
                  "ip addr add {2}/64 dev eth0 nodad && ip link set eth0 up",
                  container->port.guest,
                  container->ipv4,
                  container->ipv6));
  return container;
}

router::DatapathStatus Host::status() {
  return net.run([this] { return service_->status(); });
}

void Host::learn(const RecordChanged& change) {
  boost::asio::post(net.context(), [this, change] {
    if (service_) {
      service_->on_record(change);
    }
  });
}

void Host::learn_peer(PeerName peer, const Ip& at) {
  net.run([&] {
    service_->set_underlay(peer, at);
    return true;
  });
}

Cluster::Cluster(std::size_t hosts, std::uint32_t mtu) : underlay(mtu) {
  for (std::uint32_t number = 1; number <= hosts; ++number) {
    hosts_.push_back(std::make_unique<Host>(*this, number));
  }
}

void Cluster::start(bool bpf) {
  for (const auto& host : hosts_) {
    host->start({.self = host->name, .bpf = bpf, .find_relays = relays_});
  }
  for (const auto& host : hosts_) {
    introduce(*host);
  }
}

void Cluster::start_one(std::size_t index, bool bpf) {
  Host& host = *hosts_.at(index);
  host.start({.self = host.name, .bpf = bpf, .find_relays = relays_});
  introduce(host);
  for (const auto& other : hosts_) {
    if (other.get() != &host && other->is_running()) {
      other->learn_peer(host.name, host.underlay);
    }
  }
}

void Cluster::introduce(Host& host) {
  for (const auto& other : hosts_) {
    if (other.get() != &host) {
      host.learn_peer(other->name, other->underlay);
    }
  }
  const std::lock_guard lock(told_mutex_);
  for (const RecordChanged& change : told_) {
    host.learn(change);
  }
}

// The other's packets go to a station that is not there.
void Cluster::cut(std::size_t one, std::size_t other) {
  for (const auto& [from, to] : {std::pair(one, other), std::pair(other, one)}) {
    hosts_.at(from)->net.must(
        fmt::format("ip neigh replace {} dev u0 lladdr 02:de:ad:00:00:01 nud permanent",
                    hosts_.at(to)->underlay.to_string()));
  }
}

void Cluster::heal(std::size_t one, std::size_t other) {
  for (const auto& [from, to] : {std::pair(one, other), std::pair(other, one)}) {
    hosts_.at(from)->net.must(
        fmt::format("ip neigh del {} dev u0", hosts_.at(to)->underlay.to_string()));
  }
}

void Cluster::tell_others(PeerName origin, PublishRecord record) {
  const RecordChanged change{
      .origin = origin, .key = std::move(record.key), .value = std::move(record.value)};
  const std::lock_guard lock(told_mutex_);
  told_.push_back(change);
  for (const auto& host : hosts_) {
    host->learn(change);
  }
}

bool know_each_other(Cluster& cluster) {
  return eventually([&] {
    return cluster[0].status().remote_count == 1 && cluster[1].status().remote_count == 1;
  });
}

bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  boost::asio::io_context context;
  boost::asio::steady_timer timer(context);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) {
      return false;
    }
    timer.expires_after(std::chrono::milliseconds(5));
    timer.wait();
  }
  return true;
}

}  // namespace weft::test
