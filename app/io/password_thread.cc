#include "app/io/password_thread.h"

#include <utility>

#include <boost/asio/post.hpp>

#include "app/password_hash.h"

namespace weft::app {

namespace asio = boost::asio;

PasswordThread::PasswordThread(asio::any_io_executor executor)
    : executor_(std::move(executor)),
      waiting_(std::make_shared<std::size_t>(0)) {}

PasswordThread::~PasswordThread() {
  thread_.stop();
  thread_.join();
}

bool PasswordThread::compare(const PasswordCheck& check, OnCompared on_compared) {
  if (*waiting_ >= kWaitingMax) {
    return false;
  }
  ++*waiting_;
  asio::post(thread_,
             [executor = executor_,
              alive = std::weak_ptr<std::size_t>(waiting_),
              hash = check.hash,
              password = check.password,
              on_compared = std::move(on_compared)]() mutable {
               const bool is_right = is_password(hash, password);
               asio::post(
                   executor,
                   [alive = std::move(alive), on_compared = std::move(on_compared), is_right] {
                     if (const auto waiting = alive.lock()) {
                       --*waiting;
                       on_compared(is_right);
                     }
                   });
             });
  return true;
}

}  // namespace weft::app
