// A network namespace with one thread living in it. Work is handed to the thread; the namespace and
// everything in it vanish with the object.
#pragma once

#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

namespace weft::test {

class Namespace {
 public:
  Namespace();
  Namespace(const Namespace&) = delete;
  Namespace& operator=(const Namespace&) = delete;
  ~Namespace();

  // Runs `work` on the namespace's thread and returns what it returns.
  template <class Work>
  auto run(Work work) {
    using Value = decltype(work());
    auto task = std::make_shared<std::packaged_task<Value()>>(std::move(work));
    auto result = task->get_future();
    boost::asio::post(context_, [task] { (*task)(); });
    return result.get();
  }

  // A shell command inside: its exit status, or a failed expectation when it is must().
  int shell(const std::string& command);
  void must(const std::string& command);

  boost::asio::io_context& context() { return context_; }
  const std::string& path() const { return path_; }

  // Held while a command starts: until its exec the child holds copies of all our descriptors, so
  // that what we close meanwhile stays open.
  static std::mutex& starting();

 private:
  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::string path_;
  std::thread thread_;
};

}  // namespace weft::test
