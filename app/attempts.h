// How often each client has tried a wrong secret of late. Pure.
//
// A client is an IPv4 address or an IPv6 network of 64 bits, which is what one customer has.
// Limits: kAttemptsMax tries in kAttemptsIn from each; kClientsMax clients, of which the one that
// began longest ago gives way: who has thousands of addresses can try oftener, as fast as one
// thread hashes passwords.
#pragma once

#include <cstddef>
#include <map>

#include "base/address.h"
#include "base/time.h"

namespace weft::app {

inline constexpr int kAttemptsMax = 10;
inline constexpr Duration kAttemptsIn = std::chrono::minutes(1);
inline constexpr std::size_t kClientsMax = 1024;

class Attempts {
 public:
  bool may_try(TimePoint now, const Ip& client) const;
  void count(TimePoint now, const Ip& client);
  // One of those counted turned out to be right. The others stay: an account is no way to guess
  // another's password.
  void forgive(const Ip& client);

  std::size_t clients() const { return clients_.size(); }

 private:
  struct Window {
    TimePoint since{};
    int count = 0;
  };

  std::map<Cidr, Window> clients_;
};

}  // namespace weft::app
