// Asks other servers: one socket per question, whose port the kernel picks at random.
//
// Lives on the control strand. Destroying it ends every question.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include <boost/asio/any_io_executor.hpp>

#include "base/bytes.h"
#include "dns/forwarder.h"

namespace weft::dns {

class Upstream {
 public:
  class Question;
  struct Handlers {
    std::function<void(AskId ask, ByteView message)> on_answer;
    std::function<void(AskId ask)> on_failed;
  };

  Upstream(boost::asio::any_io_executor executor, Handlers handlers);
  Upstream(const Upstream&) = delete;
  Upstream& operator=(const Upstream&) = delete;
  ~Upstream();

  // Handlers are never called from within.
  void ask(const Ask& ask);
  void end(AskId ask);

 private:
  boost::asio::any_io_executor executor_;
  Handlers handlers_;
  std::map<AskId, std::shared_ptr<Question>> questions_;
};

}  // namespace weft::dns
