// Says when somebody else has changed what a policy controller put into nftables: the tables of
// policies, or the chains in `filter` (sys/nftables/policy_table.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <boost/asio/any_io_executor.hpp>

#include "base/result.h"

namespace weft::sys {

struct PolicyDamage {
  bool tables = false;  // Replace them.
  bool chains = false;  // Of `filter`, or one of them: look at ours there.
  bool missed = false;  // There was more news than fits the socket.
};

class PolicyWatch {
 public:
  // A moment after the first of changes that come close together; on the executor.
  using OnDamage = std::function<void(const PolicyDamage& damage)>;

  // `own` is the netlink port of who changes them rightly.
  static Result<std::unique_ptr<PolicyWatch>> watch(boost::asio::any_io_executor executor,
                                                    std::uint32_t own,
                                                    OnDamage on_damage);
  PolicyWatch(const PolicyWatch&) = delete;
  PolicyWatch& operator=(const PolicyWatch&) = delete;
  ~PolicyWatch();

 private:
  class Impl;
  explicit PolicyWatch(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::sys
