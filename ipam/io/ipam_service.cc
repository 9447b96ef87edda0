#include "ipam/io/ipam_service.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>
#include <variant>
#include <vector>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "base/assert.h"
#include "base/overloaded.h"
#include "base/rng.h"
#include "sys/core_driver.h"
#include "sys/lifetime.h"

namespace weft::ipam {
namespace {

// A store that fails (a full disk) is tried again this often; until it works nothing leaves us.
constexpr auto kStoreRetry = std::chrono::seconds(1);

// Actions held back by a failing store. Beyond it requests are refused at once and gossip is
// dropped, which the mesh repairs.
constexpr std::size_t kQueueMax = 16'384;

// A request alone, which is a Persist and an Answer, is written by the strand itself where the disk
// is this quick: a switch to the store's thread and back takes as long as a sync of a good disk.
constexpr std::size_t kLoneSteps = 2;
constexpr Duration kQuickWrite = std::chrono::milliseconds(1);

Result<StoreTable> load(sys::Store& store, const Line& line, std::string_view name) {
  const std::string table = std::string(line.table_prefix) + std::string(name);
  auto loaded = store.load(table);
  if (!loaded.ok()) {
    return std::move(loaded).error().with_context("load " + table);
  }
  return loaded;
}

}  // namespace

// Actions queue up and leave in their order, each after all that was to be persisted before it is
// on disk. The disk is written by the store's thread, one transaction at a time; whatever is
// decided in the meantime shares the next one, so a sync serves as many requests as arrive while
// one lasts.
class IpamService::Impl {
 public:
  Impl(boost::asio::any_io_executor executor,
       const sys::Clock& clock,
       sys::Store& store,
       std::unique_ptr<Allocator> allocator,
       OnGossip on_gossip,
       const Line& line)
      : executor_(executor),
        clock_(clock),
        store_(store),
        allocator_(std::move(allocator)),
        on_gossip_(std::move(on_gossip)),
        line_(line),
        retry_(executor),
        driver_(executor, clock, *allocator_, Enqueue{this}) {}

  template <class Input>
  void feed(Input input) {
    if (has_room()) {
      driver_.feed(std::move(input));
    }
  }

  // Behind all that is queued.
  void then(OnReleased task) { enqueue(std::move(task)); }

  template <class Input>
  RequestId ask(OnAnswer on_answer, Input input) {
    const RequestId id(++last_id_);
    if (!has_room()) {
      answer_later(std::move(on_answer), Error{Errc::Unavailable, failure_});
      return id;
    }
    callers_.emplace(id, std::move(on_answer));
    driver_.feed(
        [&](Allocator& core, TimePoint now, AllocatorActions& out) { input(core, now, id, out); });
    return id;
  }

  template <class Input>
  void remove(OnRemoved on_removed, Input input) {
    const RequestId id(++last_id_);
    removers_.emplace(id, std::move(on_removed));
    driver_.feed(
        [&](Allocator& core, TimePoint now, AllocatorActions& out) { input(core, now, id, out); });
  }

  bool cancel(RequestId id) {
    if (is_decided(id) || !has_room() || callers_.erase(id) == 0) {
      return false;
    }
    feed(
        [id](Allocator& core, TimePoint now, AllocatorActions& out) { core.cancel(now, id, out); });
    return true;
  }

  const Allocator& allocator() const { return *allocator_; }

 private:
  // What the core decided, or what somebody wants to be told behind it.
  using Step = std::variant<AllocatorAction, OnReleased>;
  using Steps = std::vector<Step>;

  struct Enqueue {
    Impl* self;
    void operator()(AllocatorAction action) const { self->enqueue(std::move(action)); }
  };
  bool has_room() const { return queue_.size() + storing_.size() < kQueueMax; }

  bool is_decided(RequestId id) const {
    const auto answers = [id](const Step& step) {
      const auto* action = std::get_if<AllocatorAction>(&step);
      const auto* answer = action == nullptr ? nullptr : std::get_if<Answer>(action);
      return answer != nullptr && answer->request == id;
    };
    return std::any_of(queue_.begin(), queue_.end(), answers)
           || std::any_of(storing_.begin(), storing_.end(), answers)
           || std::any_of(leaving_.begin(), leaving_.end(), answers);
  }

  void enqueue(Step step) {
    queue_.push_back(std::move(step));
    // At the end of the turn, so that all requests of a burst are in one transaction. While one is
    // under way its end will see to what is queued.
    if (!batch_ && !std::exchange(turn_posted_, true)) {
      later([this] {
        turn_posted_ = false;
        if (!batch_) {
          on_turn_end();
        }
      });
    }
  }

  void on_turn_end() {
    take_queue();
    if (!batch_) {
      perform(std::exchange(storing_, {}));
    } else if (storing_.size() <= kLoneSteps && last_write_ <= kQuickWrite) {
      write_started_ = clock_.now();
      on_written(store_.apply(*batch_));
    } else {
      write_later();
    }
  }

  // What is queued is to be stored next.
  void take_queue() {
    StoreBatch batch;
    for (Step& step : queue_) {
      if (auto* const action = std::get_if<AllocatorAction>(&step)) {
        if (auto* const persist = std::get_if<Persist>(action)) {
          place_on_line(persist->batch);
          std::move(persist->batch.begin(), persist->batch.end(), std::back_inserter(batch));
        }
      }
    }
    storing_ = std::exchange(queue_, {});
    if (!batch.empty()) {
      batch_ = std::make_shared<const StoreBatch>(std::move(batch));
    }
  }

  // The core knows one line alone, that of IPv4.
  void place_on_line(StoreBatch& batch) const {
    if (line_.table_prefix != kLineV4.table_prefix) {
      for (StoreWrite& write : batch) {
        write.table.replace(0, kLineV4.table_prefix.size(), line_.table_prefix);
      }
    }
  }

  Topic place_on_line(Topic topic) const {
    return topic == Topic::Ring ? line_.ring : line_.messages;
  }

  void write_later() {
    write_started_ = clock_.now();
    store_.apply_later(batch_, executor_, lifetime_.guard([this](const Result<Ok>& applied) {
      on_written(applied);
    }));
  }

  void on_written(const Result<Ok>& applied) {
    if (!applied.ok()) {
      failure_ = fmt::format("addresses cannot be stored: {}", applied.error().what);
      retry_later();
      return;
    }
    last_write_ = clock_.now() - write_started_;
    batch_.reset();
    Steps stored = std::exchange(storing_, {});
    take_queue();
    if (batch_) {
      write_later();  // The disk goes on while we answer.
      perform(std::move(stored));
    } else {
      perform(std::move(stored));
      perform(std::exchange(storing_, {}));
    }
  }

  // Whoever is told may ask, release and cancel: what that sets off waits in the queue.
  void perform(Steps steps) {
    WEFT_ASSERT(leaving_.empty());
    leaving_ = std::move(steps);
    for (Step& step : leaving_) {
      std::visit(overloaded{
                     [this](AllocatorAction&& action) { perform(std::move(action)); },
                     [](OnReleased&& on_released) { on_released(); },
                 },
                 std::move(step));
    }
    leaving_.clear();
  }

  void perform(AllocatorAction action) {
    std::visit(overloaded{
                   [](Persist&&) {},  // In the batch already.
                   [this](Answer&& answer) {
                     auto caller = callers_.extract(answer.request);
                     if (answer.is_new && !allocator_->may_hand_out(clock_.now())) {
                       // This process was frozen, or the disk was slow. The address stays held:
                       // who asks again gets it once we may hand out again.
                       answer.result = Error{Errc::Unavailable,
                                             "the right to hand out addresses ran out while this "
                                             "one was stored; ask again"};
                     }
                     if (!caller.empty()) {
                       caller.mapped()(answer.result);
                     }
                   },
                   [this](PeerRemoved&& removed) {
                     auto caller = removers_.extract(removed.request);
                     if (!caller.empty()) {
                       later([on_removed = std::move(caller.mapped()),
                              count = std::move(removed.address_count)] { on_removed(count); });
                     }
                   },
                   [this](PeerGone&& gone) { on_gossip_(gone); },
                   [this](auto&& gossip) {
                     gossip.topic = place_on_line(gossip.topic);
                     on_gossip_(std::move(gossip));
                   },
               },
               std::move(action));
  }

  void answer_later(OnAnswer on_answer, Result<Cidr> result) {
    later([on_answer = std::move(on_answer), result = std::move(result)] { on_answer(result); });
  }

  void retry_later() {
    retry_.expires_after(kStoreRetry);
    retry_.async_wait(lifetime_.guard([this](const boost::system::error_code& error) {
      if (!error) {
        write_later();
      }
    }));
  }

  template <class Task>
  void later(Task task) {
    boost::asio::post(executor_, lifetime_.guard(std::move(task)));
  }

  boost::asio::any_io_executor executor_;
  const sys::Clock& clock_;
  sys::Store& store_;
  std::unique_ptr<Allocator> allocator_;
  OnGossip on_gossip_;
  const Line line_;
  boost::asio::steady_timer retry_;
  Steps queue_;
  Steps storing_;                            // What leaves once the batch is on disk.
  Steps leaving_;                            // What leaves now.
  std::shared_ptr<const StoreBatch> batch_;  // Null while nothing is being stored.
  bool turn_posted_ = false;
  TimePoint write_started_{};
  Duration last_write_{};
  std::string failure_;
  std::map<RequestId, OnAnswer> callers_;
  std::map<RequestId, OnRemoved> removers_;
  std::uint64_t last_id_ = 0;
  sys::CoreDriver<Allocator, AllocatorAction, Enqueue> driver_;
  sys::Lifetime lifetime_;
};

Result<std::unique_ptr<IpamService>> IpamService::start(boost::asio::any_io_executor executor,
                                                        const sys::Clock& clock,
                                                        sys::Store& store,
                                                        Allocator::Options options,
                                                        OnGossip on_gossip,
                                                        const Line& line) {
  auto ring = WEFT_TRY(load(store, line, "ring"));
  auto owned = WEFT_TRY(load(store, line, "owned"));
  auto paxos = WEFT_TRY(load(store, line, "paxos"));
  auto council = WEFT_TRY(load(store, line, "council"));
  const Allocator::Stored stored{.ring = std::move(ring),
                                 .owned = std::move(owned),
                                 .paxos = std::move(paxos),
                                 .council = std::move(council)};
  // Only spreads retries and chooses donors; two peers differ by their names, two runs by the time.
  const auto seed =
      options.self.number() ^ static_cast<std::uint64_t>(clock.now().time_since_epoch().count());
  auto allocator = WEFT_TRY(Allocator::create(std::move(options), stored, Rng(seed)));
  return std::unique_ptr<IpamService>(new IpamService(std::make_unique<Impl>(
      std::move(executor), clock, store, std::move(allocator), std::move(on_gossip), line)));
}

IpamService::IpamService(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
IpamService::~IpamService() = default;

RequestId IpamService::allocate(Allocator::AllocateRequest request, OnAnswer on_answer) {
  return impl_->ask(std::move(on_answer),
                    [&](Allocator& core, TimePoint now, RequestId id, AllocatorActions& out) {
                      request.id = id;
                      core.allocate(now, request, out);
                    });
}

RequestId IpamService::claim(const Owner& owner, const Cidr& address, OnAnswer on_answer) {
  return impl_->ask(std::move(on_answer),
                    [&](Allocator& core, TimePoint now, RequestId id, AllocatorActions& out) {
                      core.claim(now, id, owner, address, out);
                    });
}

RequestId IpamService::prime(OnAnswer on_answer) {
  return impl_->ask(std::move(on_answer),
                    [](Allocator& core, TimePoint now, RequestId id, AllocatorActions& out) {
                      core.prime(now, id, out);
                    });
}

void IpamService::remove_peer(PeerName peer, OnRemoved on_removed) {
  impl_->remove(std::move(on_removed),
                [peer](Allocator& core, TimePoint now, RequestId id, AllocatorActions& out) {
                  core.remove_peer(now, id, peer, out);
                });
}

void IpamService::leave(OnRemoved on_removed) {
  impl_->remove(std::move(on_removed),
                [](Allocator& core, TimePoint now, RequestId id, AllocatorActions& out) {
                  core.leave(now, id, out);
                });
}

bool IpamService::cancel(RequestId id) {
  return impl_->cancel(id);
}

bool IpamService::release(const Owner& owner, const Ip& address, OnReleased on_released) {
  bool held = false;
  impl_->feed([&](Allocator& core, TimePoint now, AllocatorActions& out) {
    held = core.release(now, owner, address, out);
  });
  if (held) {
    impl_->then(std::move(on_released));
  }
  return held;
}

std::size_t IpamService::release_all(const Owner& owner, OnReleased on_released) {
  std::size_t count = 0;
  impl_->feed([&](Allocator& core, TimePoint now, AllocatorActions& out) {
    count = core.release_all(now, owner, out);
  });
  if (count > 0) {
    impl_->then(std::move(on_released));
  }
  return count;
}

void IpamService::on_neighbour_up(PeerName peer) {
  impl_->feed([peer](Allocator& core, TimePoint now, AllocatorActions& out) {
    core.on_neighbour_up(now, peer, out);
  });
}

void IpamService::on_peer_reachable(PeerName peer) {
  impl_->feed([peer](Allocator& core, TimePoint now, AllocatorActions& out) {
    core.on_peer_reachable(now, peer, out);
  });
}

void IpamService::on_peer_unreachable(PeerName peer) {
  impl_->feed([peer](Allocator& core, TimePoint now, AllocatorActions& out) {
    core.on_peer_unreachable(now, peer, out);
  });
}

void IpamService::on_gossip(PeerName from, Topic topic, const Bytes& payload) {
  impl_->feed([&](Allocator& core, TimePoint now, AllocatorActions& out) {
    core.on_gossip(now, from, topic, payload, out);
  });
}

const Allocator& IpamService::allocator() const {
  return impl_->allocator();
}

}  // namespace weft::ipam
