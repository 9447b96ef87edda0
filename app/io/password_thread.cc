#include "app/io/password_thread.h"

#include <utility>

#include <boost/asio/post.hpp>

#include "app/password_hash.h"

namespace weft::app {

namespace asio = boost::asio;

PasswordThread::PasswordThread(asio::any_io_executor executor) : executor_(std::move(executor)) {}

PasswordThread::~PasswordThread() {
  thread_.stop();
  thread_.join();
}

bool PasswordThread::compare(const PasswordCheck& check, OnCompared on_compared) {
  if (waiting_ >= kWaitingMax) {
    return false;
  }
  ++waiting_;
  auto tell = lifetime_.guard([this, on_compared = std::move(on_compared)](bool is_right) {
    --waiting_;
    on_compared(is_right);
  });
  asio::post(thread_,
             [executor = executor_,
              hash = check.hash,
              password = check.password,
              tell = std::move(tell)]() mutable {
               const bool is_right = is_password(hash, password);
               asio::post(executor,
                          [tell = std::move(tell), is_right]() mutable { tell(is_right); });
             });
  return true;
}

}  // namespace weft::app
