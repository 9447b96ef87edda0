// Answers questions over UDP: one thread and one socket per core, each with a Responder of its own
// and the latest snapshot of the zone. What is not ours goes to the control strand, up to a limit.
//
// Made, used and destroyed on the control strand; the threads are an inside matter.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "base/bytes.h"
#include "base/result.h"
#include "base/rng.h"
#include "dns/responder.h"
#include "dns/zone.h"
#include "sys/lifetime.h"
#include "sys/udp/udp_batch.h"

namespace weft::dns {

class UdpServer {
 public:
  // A question for somebody else's servers, to be answered with answer().
  struct Question {
    std::size_t worker = 0;
    sys::UdpReturnPath from;
    Bytes message;
  };
  using OnQuestion = std::function<void(Question question)>;

  static Result<std::unique_ptr<UdpServer>> start(boost::asio::any_io_executor executor,
                                                  const Endpoint& listen,
                                                  std::shared_ptr<const Zone> zone,
                                                  Rng rng,
                                                  OnQuestion on_question);
  UdpServer(const UdpServer&) = delete;
  UdpServer& operator=(const UdpServer&) = delete;
  ~UdpServer();

  Endpoint local() const;
  // Questions from now on are answered from it.
  void publish(const std::shared_ptr<const Zone>& zone);
  void answer(const Question& question, ByteView message);

  ResponderStats stats() const;
  // Questions for other servers that found too many of them waiting.
  std::uint64_t dropped() const { return dropped_; }

 private:
  struct Worker;
  UdpServer(boost::asio::any_io_executor executor, OnQuestion on_question);
  void run(Worker& worker);
  void pass_on(Worker& worker, std::size_t index);

  boost::asio::any_io_executor executor_;
  OnQuestion on_question_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::atomic<std::size_t> waiting_ = 0;
  std::atomic<std::uint64_t> dropped_ = 0;
  sys::Lifetime lifetime_;
};

}  // namespace weft::dns
