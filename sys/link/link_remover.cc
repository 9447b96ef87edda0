#include "sys/link/link_remover.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/post.hpp>

#include "sys/netdev.h"

namespace weft::sys {

class LinkRemover::Impl {
 public:
  Impl(boost::asio::any_io_executor executor, OnFailure on_failure, std::unique_ptr<Netdev> netdev)
      : executor_(std::move(executor)),
        on_failure_(std::make_shared<OnFailure>(std::move(on_failure))),
        netdev_(std::move(netdev)),
        thread_([this] { run(); }) {}

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      is_ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void remove(const std::string& link) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(link);
    }
    changed_.notify_all();
  }

  bool is_pending(const std::string& link) const {
    const std::lock_guard lock(mutex_);
    return contains(link);
  }

  void wait_for(const std::string& link) const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !contains(link); });
  }

 private:
  bool contains(const std::string& link) const {
    const auto is_in = [&link](const std::vector<std::string>& links) {
      return std::find(links.begin(), links.end(), link) != links.end();
    };
    return is_in(waiting_) || is_in(working_);
  }

  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return is_ending_ || !waiting_.empty(); });
      if (waiting_.empty()) {
        return;
      }
      working_ = std::exchange(waiting_, {});
      lock.unlock();
      const Result<Ok> removed = netdev_->remove_links(working_);
      lock.lock();
      working_.clear();
      changed_.notify_all();
      if (!removed.ok()) {
        report(removed.error());
      }
    }
  }

  void report(const Error& error) {
    boost::asio::post(executor_, [weak = std::weak_ptr<OnFailure>(on_failure_), error] {
      if (const auto on_failure = weak.lock()) {
        (*on_failure)(error);
      }
    });
  }

  boost::asio::any_io_executor executor_;
  std::shared_ptr<OnFailure> on_failure_;
  std::unique_ptr<Netdev> netdev_;  // The thread's alone.

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<std::string> waiting_;
  std::vector<std::string> working_;  // Written under the lock, read by the thread without it.
  bool is_ending_ = false;
  std::thread thread_;  // Last: it uses the rest.
};

Result<std::unique_ptr<LinkRemover>> LinkRemover::start(boost::asio::any_io_executor executor,
                                                        OnFailure on_failure) {
  auto netdev = WEFT_TRY(open_netdev());
  return std::unique_ptr<LinkRemover>(new LinkRemover(
      std::make_unique<Impl>(std::move(executor), std::move(on_failure), std::move(netdev))));
}

LinkRemover::LinkRemover(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LinkRemover::~LinkRemover() = default;

void LinkRemover::remove(const std::string& link) {
  impl_->remove(link);
}

bool LinkRemover::is_pending(const std::string& link) const {
  return impl_->is_pending(link);
}

void LinkRemover::wait_for(const std::string& link) const {
  impl_->wait_for(link);
}

}  // namespace weft::sys
