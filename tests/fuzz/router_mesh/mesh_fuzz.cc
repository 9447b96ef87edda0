// A mesh at the hands of peers that know the password and mean no good: any order of connections,
// closes, raw bytes, well-formed and malformed messages, inputs of our own and jumps in time leaves
// it valid, within its limits, and consistent in what it tells its modules.
//
// The input is a list of steps: one byte of what, one of to whom, then what the step needs.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/assert.h"
#include "base/entropy.h"
#include "base/overloaded.h"
#include "router/channel.h"
#include "router/mesh.h"
#include "router/mesh_wire.h"

namespace weft::router {
namespace {

constexpr std::size_t kStepsMax = 200;
constexpr std::size_t kConversationsMax = 6;

// The other end of a connection to the mesh.
struct Conversation {
  LinkId link;
  std::unique_ptr<Channel> channel;
  bool open = true;
};

class Attack {
 public:
  explicit Attack(ByteView input)
      : input_(input),
        entropy_(Rng(1)),
        key_(KeyPair::generate(entropy_)),
        mesh_(mesh_options(), Rng(2), entropy_) {}

  void run() {
    for (std::size_t step = 0; step < kStepsMax && !input_.empty(); ++step) {
      act(next());
      settle();
      mesh_.check_invariants();
      (void)mesh_.peers();
      (void)mesh_.connections();
    }
  }

 private:
  Mesh::Options mesh_options() {
    Mesh::Options options;
    options.name = PeerName(1);
    options.incarnation = Incarnation(5);
    options.key = KeyPair::generate(entropy_);
    options.full_mesh_max = 2;
    options.degree = 1;
    options.links_max = 3;
    options.peers_max = 4;
    return options;
  }

  std::uint8_t next() {
    const auto byte = input_.u8();
    return byte.ok() ? byte.value() : std::uint8_t{0};
  }

  Conversation* pick() {
    if (conversations_.empty()) {
      return nullptr;
    }
    return &conversations_[next() % conversations_.size()];
  }

  void act(std::uint8_t what) {
    switch (what % 9) {
      case 0:
        dial_in();
        break;
      case 1:
        if (Conversation* peer = pick()) {
          const std::size_t size = std::min<std::size_t>(next(), input_.remaining());
          const auto raw = input_.take(size);
          mesh_.on_bytes(now_, peer->link, raw.value(), out_);
        }
        break;
      case 2:
      case 3:
        speak();
        break;
      case 4:
        if (Conversation* peer = pick()) {
          peer->open = false;
          mesh_.on_link_closed(now_, peer->link, "fuzz", out_);
        }
        break;
      case 5:
        now_ += std::chrono::milliseconds(20) * next() * (next() % 4 == 0 ? 1000 : 1);
        mesh_.on_deadline(now_, out_);
        break;
      case 6:
        mesh_.connect(now_, std::string(1 + next() % 3, 'a'), out_);
        break;
      case 7:
        publish();
        break;
      default:
        mesh_.send(now_, GossipTo{Topic::Ring, PeerName(1 + next() % 5), Bytes(next())}, out_);
        mesh_.send(now_, GossipAll{Topic::Ipam, std::nullopt, Bytes(next())}, out_);
    }
  }

  void publish() {
    const Bytes key(1 + next() % 3, next());
    std::optional<Bytes> value;
    if (next() % 2 == 0) {
      value = Bytes(next());
    }
    mesh_.publish(now_, {RecordKey{RecordKind::Endpoint, key}, value}, out_);
  }

  Bytes hello() {
    return encode(Hello{.name = PeerName(1 + next() % 6),
                        .incarnation = Incarnation(next() % 8),
                        .session = next() % 4U,
                        .nickname = "fuzz",
                        .version = "1",
                        .port = 1,
                        .dial_serial = next()});
  }

  void dial_in() {
    if (conversations_.size() < kConversationsMax) {
      converse(mesh_.on_accepted(now_, {}, {Ipv4(9), next()}, out_), noise::Role::Initiator);
    }
  }

  void converse(LinkId link, noise::Role role) {
    Channel::Options options;
    options.role = role;
    options.key = key_;
    options.hello = hello();
    conversations_.push_back({link, std::make_unique<Channel>(std::move(options), entropy_), true});
    Channel::Output output;
    conversations_.back().channel->start(output);
    mesh_.on_bytes(now_, link, output.bytes, out_);
  }

  // A frame on an established channel: an accepting verdict, or what the input says.
  void speak() {
    Conversation* peer = pick();
    if (peer == nullptr || !peer->open || !peer->channel->established()) {
      return;
    }
    const std::size_t size = next();
    const auto frame = input_.take(std::min(size, input_.remaining()));
    Channel::Output output;
    peer->channel->send(size == 0 ? ByteView(accept_) : frame.value(), output);
    mesh_.on_bytes(now_, peer->link, output.bytes, out_);
  }

  void settle() {
    mesh_.on_deadline(now_, out_);
    while (!out_.empty()) {
      for (MeshAction& action : std::exchange(out_, {})) {
        perform(std::move(action));
      }
    }
  }

  void perform(MeshAction action) {
    std::visit(overloaded{
                   [this](Dial&& a) {
                     if (conversations_.size() >= kConversationsMax) {
                       mesh_.on_link_closed(now_, a.link, "refused", out_);
                       return;
                     }
                     mesh_.on_connected(now_, a.link, {}, {Ipv4(9), a.port}, out_);
                     converse(a.link, noise::Role::Responder);
                   },
                   [this](SendBytes&& a) { hear(a); },
                   [this](CloseLink&& a) {
                     std::erase_if(conversations_,
                                   [&a](const Conversation& c) { return c.link == a.link; });
                   },
                   [this](NeighbourUp&& a) { up_.insert(a.peer); },
                   [this](NeighbourDown&& a) { WEFT_ASSERT(up_.erase(a.peer) == 1); },
                   [this](PeerReachable&& a) { WEFT_ASSERT(reachable_.insert(a.peer).second); },
                   [this](PeerUnreachable&& a) { WEFT_ASSERT(reachable_.erase(a.peer) == 1); },
                   [this](RecordChanged&& a) {
                     const std::pair key(a.origin, a.key);
                     if (a.value) {
                       records_.insert(key);
                     } else {
                       WEFT_ASSERT(records_.erase(key) == 1);
                     }
                   },
                   [](Deliver&& a) { WEFT_ASSERT(a.payload.size() <= kGossipPayloadMax); },
                   [](Outrun&&) { WEFT_ASSERT(false); },  // This mesh is not fresh.
                   [](MeshEvent&&) {},
               },
               std::move(action));
  }

  void hear(const SendBytes& sent) {
    for (Conversation& peer : conversations_) {
      if (peer.link == sent.link && peer.open && !peer.channel->failed()) {
        Channel::Output output;
        peer.channel->on_bytes(sent.bytes, output);
        mesh_.on_bytes(now_, peer.link, output.bytes, out_);
        return;
      }
    }
  }

  Reader input_;
  SeededEntropy entropy_;
  KeyPair key_;
  Mesh mesh_;
  TimePoint now_;
  MeshActions out_;
  std::vector<Conversation> conversations_;
  std::set<PeerName> up_;
  std::set<PeerName> reachable_;
  std::set<std::pair<PeerName, RecordKey>> records_;
  const Bytes accept_ = encode(Verdict{});
};

}  // namespace

}  // namespace weft::router

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weft::router::Attack({data, size}).run();
  return 0;
}
