// Compares passwords with their hashes on a thread of its own: each takes a tenth of a second
// (app/password_hash.h), in which the control strand would forward nothing and answer nobody.
// Limit: kWaitingMax comparisons, of which one is under way. Used from one executor.
#pragma once

#include <cstddef>
#include <functional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/thread_pool.hpp>

#include "app/login.h"
#include "sys/lifetime.h"

namespace weft::app {

class PasswordThread {
 public:
  // Two seconds of work: who waits longer has left.
  static constexpr std::size_t kWaitingMax = 20;
  using OnCompared = std::function<void(bool is_right)>;

  explicit PasswordThread(boost::asio::any_io_executor executor);
  PasswordThread(const PasswordThread&) = delete;
  PasswordThread& operator=(const PasswordThread&) = delete;
  ~PasswordThread();  // Waits for the one that is under way; nobody is told any more.

  // False: too many are waiting. Else on_compared is called later, on the executor.
  bool compare(const PasswordCheck& check, OnCompared on_compared);

 private:
  boost::asio::any_io_executor executor_;
  std::size_t waiting_ = 0;
  sys::Lifetime lifetime_;
  boost::asio::thread_pool thread_{1};
};

}  // namespace weft::app
