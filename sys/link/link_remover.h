// Removes links without keeping the control strand waiting: the kernel takes some 20 ms to take a
// veth pair down, most of them RCU grace periods.
//
// One thread with a netlink socket of its own, in the network namespace start() was called in. What
// comes while it is busy it removes together, which takes hardly longer than one. The functions are
// for the control strand.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "base/result.h"

namespace weft::sys {

class LinkRemover {
 public:
  // Runs on the executor. The links named by the error may still be there.
  using OnFailure = std::function<void(const Error& error)>;

  static Result<std::unique_ptr<LinkRemover>> start(boost::asio::any_io_executor executor,
                                                    OnFailure on_failure);
  // Returns when everything is removed.
  ~LinkRemover();

  // Ok if there is no such link.
  void remove(const std::string& link);
  bool is_pending(const std::string& link) const;
  // Until it is gone, or could not be removed.
  void wait_for(const std::string& link) const;

 private:
  class Impl;
  explicit LinkRemover(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::sys
