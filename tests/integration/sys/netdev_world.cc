#include "tests/integration/sys/netdev_world.h"

#include <csignal>

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/fake/fake_netdev.h"
#include "sys/netns.h"
#include "tests/integration/sys/command.h"

namespace weft::sys {
namespace {

class FakeWorld final : public NetdevWorld {
 public:
  Netdev& netdev() override { return netdev_; }
  void add_device(const std::string& name, std::uint32_t mtu) override {
    netdev_.add_device(name, "veth", mtu);
    netdev_.set_up(name, true);
  }
  void take_down(const std::string& link) override { netdev_.set_up(link, false); }
  void clear_alias(const std::string& link) override { netdev_.set_alias(link, ""); }
  void reset_port_flags(const std::string& link) override {
    PortSpec defaults;
    defaults.link = link;
    defaults.bridge = netdev_.find_port(link).value()->bridge;
    netdev_.set_port(defaults);
  }
  void add_address(const std::string& link, const std::string& cidr) override {
    netdev_.add_address(link, Cidr::parse(cidr).value());
  }
  void add_gateway_route(const std::string& cidr,
                         const std::string& gateway,
                         const std::string& link) override {
    netdev_.add_route({.destination = Cidr::parse(cidr).value(),
                       .link = link,
                       .gateway = Ip::parse(gateway).value()});
  }
  void move_away(const std::string& link) override { netdev_.move_away(link); }

 private:
  FakeNetdev netdev_;
};

// A child that holds a second namespace for links to be moved to.
class OtherNamespace {
 public:
  OtherNamespace() {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    child_ = ::fork();
    if (child_ == 0) {
      const char done = ::unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
      (void)!::write(ready[1], &done, 1);
      ::close(ready[1]);
      ::pause();
      ::_exit(0);
    }
    ::close(ready[1]);
    char done = 'n';
    EXPECT_EQ(::read(ready[0], &done, 1), 1);
    EXPECT_EQ(done, 'y');
    ::close(ready[0]);
  }
  OtherNamespace(const OtherNamespace&) = delete;
  OtherNamespace& operator=(const OtherNamespace&) = delete;
  ~OtherNamespace() {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  std::string pid() const { return std::to_string(child_); }

 private:
  pid_t child_ = 0;
};

class RealWorld final : public NetdevWorld {
 public:
  RealWorld() {
    const auto entered = enter_new_namespace();
    EXPECT_TRUE(entered.ok()) << entered.error().what;
    auto opened = open_netdev();
    EXPECT_TRUE(opened.ok()) << opened.error().what;
    netdev_ = std::move(opened).value();
  }
  Netdev& netdev() override { return *netdev_; }
  void add_device(const std::string& name, std::uint32_t mtu) override {
    const std::string size = " mtu " + std::to_string(mtu);
    run("ip link add name " + name + size + " type veth peer name " + name + "-far" + size);
    run("ip link set dev " + name + " up");
    run("ip link set dev " + name + "-far up");
  }
  void take_down(const std::string& link) override { run("ip link set dev " + link + " down"); }
  void clear_alias(const std::string& link) override {
    run("ip link set dev " + link + " alias ''");
  }
  void reset_port_flags(const std::string& link) override {
    run("bridge link set dev " + link
        + " learning on flood on mcast_flood on bcast_flood on isolated off hairpin off");
  }
  void add_address(const std::string& link, const std::string& cidr) override {
    const bool is_v6 = cidr.find(':') != cidr.npos;
    run("ip address add " + cidr + " dev " + link + (is_v6 ? " nodad" : ""));
  }
  void add_gateway_route(const std::string& cidr,
                         const std::string& gateway,
                         const std::string& link) override {
    run("ip route add " + cidr + " via " + gateway + " dev " + link);
  }
  void move_away(const std::string& link) override {
    run("ip link set dev " + link + " netns " + other_.pid());
  }

 private:
  OtherNamespace other_;
  std::unique_ptr<Netdev> netdev_;
};

}  // namespace

std::unique_ptr<NetdevWorld> make_fake_world() {
  return std::make_unique<FakeWorld>();
}

std::unique_ptr<NetdevWorld> make_real_world() {
  return std::make_unique<RealWorld>();
}

}  // namespace weft::sys
