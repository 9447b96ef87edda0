#include "router/io/mesh_service.h"

#include <chrono>
#include <map>
#include <utility>
#include <variant>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/overloaded.h"
#include "router/io/mesh_link.h"
#include "sys/core_driver.h"
#include "sys/lifetime.h"

namespace weft::router {

namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using ErrorCode = boost::system::error_code;

// Beside twice the links of the mesh: room to tell others no. Beyond it a connection is not worth a
// file descriptor.
constexpr std::size_t kSpareLinks = 112;
// Connections that have been told why and wait for the other side to hang up. Who floods us with
// more gets no farewell.
constexpr std::size_t kFarewellsMax = 256;
// After a failed accept (no file descriptor, no memory): the cause rarely goes away sooner.
constexpr std::chrono::milliseconds kAcceptPause{500};

Result<Ok> listen_on(Tcp::acceptor& acceptor, const Tcp::endpoint& endpoint) {
  ErrorCode error;
  acceptor.close(error);
  acceptor.open(endpoint.protocol(), error);
  if (!error && endpoint.address().is_v6()) {
    acceptor.set_option(asio::ip::v6_only(!endpoint.address().is_unspecified()), error);
  }
  if (!error) {
    acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
  }
  if (!error) {
    acceptor.bind(endpoint, error);
  }
  if (!error) {
    acceptor.listen(asio::socket_base::max_listen_connections, error);
  }
  if (error) {
    return Error{Errc::Os,
                 "listen on " + from_asio(endpoint).to_string() + ": " + error.message(),
                 error.value()};
  }
  return Ok{};
}

}  // namespace

class MeshService::Impl {
 public:
  Impl(asio::any_io_executor executor,
       const sys::Clock& clock,
       Options options,
       std::unique_ptr<Mesh> mesh,
       OnAction on_action)
      : executor_(executor),
        options_(std::move(options)),
        mesh_(std::move(mesh)),
        on_action_(std::move(on_action)),
        acceptor_(executor),
        accept_timer_(executor),
        driver_(
            executor, clock, *mesh_, [this](MeshAction&& action) { perform(std::move(action)); }) {}

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  ~Impl() {
    for (const auto& [id, link] : links_) {
      link->abandon();
    }
  }

  Result<Ok> listen() {
    if (!options_.host.is_unspecified()) {
      WEFT_TRY(listen_on(acceptor_, {to_asio(options_.host), options_.port}));
      accept();
      return Ok{};
    }
    Result<Ok> both = listen_on(acceptor_, {Tcp::v6(), options_.port});
    // Without IPv6 in the kernel there is still IPv4. A port in use is in use.
    if (!both.ok() && both.error().os != asio::error::address_in_use) {
      both = listen_on(acceptor_, {Tcp::v4(), options_.port});
    }
    WEFT_TRY(std::move(both));
    accept();
    return Ok{};
  }

  template <class Input>
  void feed(Input input) {
    driver_.feed(std::move(input));
  }

  const Mesh& mesh() const { return *mesh_; }
  std::vector<ConnectionStatus> connections() const;
  const Stats& stats() const { return stats_; }

 private:
  void accept();
  void on_accepted(const ErrorCode& error, Tcp::socket socket);
  void adopt(Tcp::socket socket);
  std::shared_ptr<MeshLink> make_link(LinkId id);
  void perform(MeshAction&& action);
  void dial(const Dial& dial);
  void close(LinkId id);
  void pass_on(MeshAction&& action);
  void deliver_soon();

  asio::any_io_executor executor_;
  Options options_;
  std::unique_ptr<Mesh> mesh_;
  OnAction on_action_;
  Tcp::acceptor acceptor_;
  asio::steady_timer accept_timer_;
  sys::CoreDriver<Mesh, MeshAction, std::function<void(MeshAction&&)>> driver_;
  std::map<LinkId, std::shared_ptr<MeshLink>> links_;
  std::vector<std::weak_ptr<MeshLink>> farewells_;
  std::vector<MeshAction> outbox_;  // For on_action_, once the core has settled.
  Stats stats_;
  sys::Lifetime lifetime_;
};

// Sockets to the core -------------------------------------------------------------------------

void MeshService::Impl::accept() {
  acceptor_.async_accept(lifetime_.guard([this](const ErrorCode& error, Tcp::socket socket) {
    on_accepted(error, std::move(socket));
  }));
}

void MeshService::Impl::on_accepted(const ErrorCode& error, Tcp::socket socket) {
  if (error) {
    ++stats_.accepts_failed;
    accept_timer_.expires_after(kAcceptPause);
    accept_timer_.async_wait(lifetime_.guard([this](const ErrorCode&) { accept(); }));
    return;
  }
  if (links_.size() >= 2 * options_.links_max + kSpareLinks) {
    ++stats_.accepts_refused;
  } else {
    adopt(std::move(socket));
  }
  accept();
}

void MeshService::Impl::adopt(Tcp::socket socket) {
  ErrorCode error;
  const Tcp::endpoint local = socket.local_endpoint(error);
  const Tcp::endpoint remote = socket.remote_endpoint(error);
  if (error) {
    return;  // It left before we looked.
  }
  ++stats_.accepted;
  feed([&](Mesh& mesh, TimePoint now, MeshActions& out) {
    const LinkId id = mesh.on_accepted(now, from_asio(local), from_asio(remote), out);
    const auto& link = links_.insert_or_assign(id, make_link(id)).first->second;
    link->adopt(std::move(socket));
  });
}

std::shared_ptr<MeshLink> MeshService::Impl::make_link(LinkId id) {
  MeshLink::Handlers handlers;
  handlers.on_connected = [this, id](Endpoint local, Endpoint remote) {
    feed([&](Mesh& mesh, TimePoint now, MeshActions& out) {
      mesh.on_connected(now, id, local, remote, out);
    });
  };
  handlers.on_bytes = [this, id](ByteView bytes) {
    feed([&](Mesh& mesh, TimePoint now, MeshActions& out) { mesh.on_bytes(now, id, bytes, out); });
  };
  handlers.on_closed = [this, id](const std::string& reason) {
    links_.erase(id);
    feed([&](Mesh& mesh, TimePoint now, MeshActions& out) {
      mesh.on_link_closed(now, id, reason, out);
    });
  };
  return std::make_shared<MeshLink>(executor_, options_.send_queue_max, std::move(handlers));
}

// The core to sockets and to its owner --------------------------------------------------------

void MeshService::Impl::perform(MeshAction&& action) {
  std::visit(overloaded{
                 [this](const Dial& a) { dial(a); },
                 [this](SendBytes&& a) {
                   if (const auto found = links_.find(a.link); found != links_.end()) {
                     found->second->send(std::move(a.bytes));
                   }
                 },
                 [this](const CloseLink& a) { close(a.link); },
                 [this](NeighbourUp&& a) { pass_on(std::move(a)); },
                 [this](NeighbourDown&& a) { pass_on(std::move(a)); },
                 [this](PeerReachable&& a) { pass_on(std::move(a)); },
                 [this](PeerUnreachable&& a) { pass_on(std::move(a)); },
                 [this](RecordChanged&& a) { pass_on(std::move(a)); },
                 [this](Deliver&& a) { pass_on(std::move(a)); },
                 [this](Outrun&& a) { pass_on(a); },
                 [this](MeshEvent&& a) { pass_on(std::move(a)); },
             },
             std::move(action));
}

void MeshService::Impl::dial(const Dial& dial) {
  const auto& link = links_.insert_or_assign(dial.link, make_link(dial.link)).first->second;
  link->dial(
      {.host = dial.host, .port = dial.port, .others = dial.others, .source = options_.host});
}

void MeshService::Impl::close(LinkId id) {
  const auto found = links_.find(id);
  if (found == links_.end()) {
    return;
  }
  const std::shared_ptr<MeshLink> link = std::move(found->second);
  links_.erase(found);
  if (farewells_.size() >= kFarewellsMax) {
    std::erase_if(farewells_, [](const auto& earlier) { return earlier.expired(); });
  }
  if (farewells_.size() >= kFarewellsMax) {
    ++stats_.farewells_skipped;
    link->abandon();
    return;
  }
  link->close();  // Goes on by itself.
  farewells_.push_back(link);
}

void MeshService::Impl::pass_on(MeshAction&& action) {
  if (outbox_.empty()) {
    deliver_soon();
  }
  outbox_.push_back(std::move(action));
}

// Posted, so that the owner may call the service again from its callback.
void MeshService::Impl::deliver_soon() {
  asio::post(executor_, lifetime_.guard([this] {
    for (MeshAction& action : std::exchange(outbox_, {})) {
      on_action_(std::move(action));
    }
  }));
}

// The public face -----------------------------------------------------------------------------

Result<std::unique_ptr<MeshService>> MeshService::start(asio::any_io_executor executor,
                                                        const sys::Clock& clock,
                                                        Options options,
                                                        std::unique_ptr<Mesh> mesh,
                                                        OnAction on_action) {
  auto impl = std::make_unique<Impl>(
      std::move(executor), clock, std::move(options), std::move(mesh), std::move(on_action));
  WEFT_TRY(impl->listen());
  return std::unique_ptr<MeshService>(new MeshService(std::move(impl)));
}

MeshService::MeshService(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MeshService::~MeshService() = default;

void MeshService::connect(const std::string& target) {
  impl_->feed([&](Mesh& mesh, TimePoint now, MeshActions& out) { mesh.connect(now, target, out); });
}

void MeshService::forget(const std::string& target) {
  impl_->feed([&](Mesh& mesh, TimePoint now, MeshActions& out) { mesh.forget(now, target, out); });
}

void MeshService::dismiss(PeerName peer) {
  impl_->feed([peer](Mesh& mesh, TimePoint now, MeshActions&) { mesh.dismiss(now, peer); });
}

void MeshService::set_passwords(const Psk& psk, const std::optional<Psk>& old_psk) {
  impl_->feed([&](Mesh& mesh, TimePoint now, MeshActions& out) {
    mesh.set_passwords(now, psk, old_psk, out);
  });
}

void MeshService::publish(PublishRecord record) {
  impl_->feed([&](Mesh& mesh, TimePoint now, MeshActions& out) { mesh.publish(now, record, out); });
}

void MeshService::send(GossipAll gossip) {
  impl_->feed([&](Mesh& mesh, TimePoint now, MeshActions& out) { mesh.send(now, gossip, out); });
}

void MeshService::send(GossipTo gossip) {
  impl_->feed([&](Mesh& mesh, TimePoint now, MeshActions& out) { mesh.send(now, gossip, out); });
}

std::vector<ConnectionStatus> MeshService::Impl::connections() const {
  std::vector<ConnectionStatus> connections = mesh_->connections();
  for (ConnectionStatus& connection : connections) {
    if (const auto link = links_.find(connection.link); link != links_.end()) {
      connection.unsent_bytes = link->second->waiting_bytes();
    }
  }
  return connections;
}

std::vector<ConnectionStatus> MeshService::connections() const {
  return impl_->connections();
}

const Mesh& MeshService::mesh() const {
  return impl_->mesh();
}

MeshService::Stats MeshService::stats() const {
  return impl_->stats();
}

}  // namespace weft::router
