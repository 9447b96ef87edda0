#include "dns/io/udp_server.h"

#include <algorithm>
#include <csignal>
#include <mutex>
#include <utility>

#include <boost/asio/post.hpp>

namespace weft::dns {

namespace {

// Questions have one name; what is larger carries things we do not read.
constexpr std::size_t kQuestionMax = 1232;
// At 100,000 questions a second, a third of a millisecond's; more are not faster to answer at once.
constexpr std::size_t kBatch = 32;
// The names of one host's containers: more threads than this would wait for the kernel.
constexpr std::size_t kWorkersMax = 16;
// As many as the forwarder lets wait.
constexpr std::size_t kWaitingMax = 4096;

// Threads start with their maker's mask: signals are for the control strand.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

}  // namespace

struct UdpServer::Worker {
  Worker(std::unique_ptr<sys::UdpBatch> own_socket,
         std::size_t own_index,
         std::shared_ptr<const Zone> first,
         Rng rng)
      : socket(std::move(own_socket)),
        index(own_index),
        zone(std::move(first)),
        responder(rng) {}

  void take_zone() {
    const std::lock_guard lock(mutex);
    if (next_zone != nullptr) {
      zone = std::move(next_zone);
    }
  }
  void show_stats() {
    const std::lock_guard lock(mutex);
    stats = responder.stats();
  }

  const std::unique_ptr<sys::UdpBatch> socket;
  const std::size_t index;
  // The thread's own.
  std::shared_ptr<const Zone> zone;
  Responder responder;

  std::mutex mutex;
  std::shared_ptr<const Zone> next_zone;  // Guarded by the mutex, as is the next.
  ResponderStats stats;

  std::thread thread;
};

UdpServer::UdpServer(boost::asio::any_io_executor executor, OnQuestion on_question)
    : executor_(std::move(executor)),
      on_question_(std::move(on_question)) {}

Result<std::unique_ptr<UdpServer>> UdpServer::start(boost::asio::any_io_executor executor,
                                                    const Endpoint& listen,
                                                    std::shared_ptr<const Zone> zone,
                                                    Rng rng,
                                                    OnQuestion on_question) {
  std::unique_ptr<UdpServer> server(new UdpServer(std::move(executor), std::move(on_question)));
  const std::size_t count =
      std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, kWorkersMax);
  Endpoint address = listen;
  for (std::size_t i = 0; i < count; ++i) {
    auto socket = WEFT_TRY(sys::open_udp_batch({.listen = address,
                                                .batch = kBatch,
                                                .datagram_max = kQuestionMax,
                                                .answer_max = kUdpSizeMax}));
    address = socket->local();  // The port the kernel chose for the first is everybody's.
    server->workers_.push_back(std::make_unique<Worker>(std::move(socket), i, zone, rng.fork()));
  }
  const SignalsBlocked signals;
  for (const auto& worker : server->workers_) {
    worker->thread = std::thread([&server = *server, &worker = *worker] { server.run(worker); });
  }
  return server;
}

UdpServer::~UdpServer() {
  for (const auto& worker : workers_) {
    worker->socket->close();
  }
  for (const auto& worker : workers_) {
    if (worker->thread.joinable()) {
      worker->thread.join();
    }
  }
}

Endpoint UdpServer::local() const {
  return workers_.front()->socket->local();
}

void UdpServer::run(Worker& worker) {
  sys::UdpBatch& socket = *worker.socket;
  while (const std::size_t count = socket.receive()) {
    worker.take_zone();
    for (std::size_t i = 0; i < count; ++i) {
      const auto outcome = worker.responder.answer(
          socket.datagram(i), Transport::Udp, socket.client(i), *worker.zone, socket.answer(i));
      switch (outcome.verdict) {
        case Responder::Verdict::Answered:
          socket.set_answer_size(i, outcome.size);
          break;
        case Responder::Verdict::Forward:
          pass_on(worker, i);
          break;
        case Responder::Verdict::Dropped:
          break;
      }
    }
    worker.show_stats();  // First, so that who has an answer is counted.
    socket.send();
  }
}

void UdpServer::pass_on(Worker& worker, std::size_t index) {
  if (waiting_.fetch_add(1) >= kWaitingMax) {
    --waiting_;
    ++dropped_;
    return;
  }
  Question question{.worker = worker.index,
                    .from = worker.socket->return_path(index),
                    .message = to_bytes(worker.socket->datagram(index))};
  boost::asio::post(executor_, lifetime_.guard([this, question = std::move(question)]() mutable {
    --waiting_;
    on_question_(std::move(question));
  }));
}

void UdpServer::publish(const std::shared_ptr<const Zone>& zone) {
  for (const auto& worker : workers_) {
    const std::lock_guard lock(worker->mutex);
    worker->next_zone = zone;
  }
}

void UdpServer::answer(const Question& question, ByteView message) {
  workers_.at(question.worker)->socket->send_to(question.from, message);
}

ResponderStats UdpServer::stats() const {
  ResponderStats sum;
  for (const auto& worker : workers_) {
    const std::lock_guard lock(worker->mutex);
    sum += worker->stats;
  }
  return sum;
}

}  // namespace weft::dns
