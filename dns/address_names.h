// What addresses are called: the names that were asked for when other servers answered with them.
// Who shows connections to an address shows what its clients know it by.
//
// A name is kept for an hour beyond its TTL, since connections outlive the answer that led to them;
// the last one asked for counts. Bounded: what would be forgotten soonest makes room. Nobody
// vouches for a name: a container may ask a server of its own choosing. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/address.h"
#include "base/bytes.h"
#include "base/time.h"
#include "dns/message.h"

namespace weft::dns {

class AddressNames {
 public:
  struct Options {
    // Twice what a host's containers talk to in an hour; at some 150 octets each below a megabyte.
    std::size_t addresses_max = 4096;
  };

  explicit AddressNames(Options options) : options_(options) {}

  // `message` is what read_message() made of the octets, an answer to one question.
  void on_answer(TimePoint now, const Message& message, ByteView octets);
  // In lower case, without the final dot; empty if it is not known.
  std::string find(TimePoint now, const Ip& address) const;

  std::size_t size() const { return known_.size(); }
  void check_invariants() const;

 private:
  struct Known {
    std::string name;
    TimePoint until;
  };
  void note(const Ip& address, const std::string& name, TimePoint until);

  const Options options_;
  std::map<Ip, Known> known_;
  std::set<std::pair<TimePoint, Ip>> by_end_;
};

}  // namespace weft::dns
