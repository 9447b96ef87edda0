// The addresses that attach, detach, expose and hide take on the command line, and how they are got
// from the agent (/ip, agent/ipam/call.h).
//
//   [ip:]10.2.1.1/24   exactly this one
//   net:10.2.1.0/24    one of this subnet
//   net:default        one of the default subnet, as does no word at all
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cli/options.h"
#include "base/address.h"
#include "base/result.h"

namespace weft::agent {

struct AddressWord {
  enum class Kind { Exact, Subnet, Default };
  Kind kind = Kind::Default;
  Cidr cidr{};  // Of Default: nothing.

  friend bool operator==(const AddressWord&, const AddressWord&) = default;
};

// Nothing if the word is no address at all; an Error if it is a wrong one.
Result<std::optional<AddressWord>> parse_address_word(std::string_view word);

// The words that are addresses, and what is left. No address: {Default}.
struct AddressWords {
  std::vector<AddressWord> addresses;
  std::vector<std::string> rest;
};
Result<AddressWords> parse_address_words(const std::vector<std::string>& words);

// Without space, or without the founding peers, there is no address. An operator who has waited for
// a day is elsewhere.
inline constexpr int kTakeTimeoutSeconds = 24 * 60 * 60;

// Takes (or takes again) all of them for the owner, in this order. Waits for each while there are
// none.
Result<std::vector<Cidr>> take_addresses(const Settings& settings,
                                         const std::string& owner,
                                         const std::vector<AddressWord>& words,
                                         int timeout_seconds = kTakeTimeoutSeconds);
// Which of the owner's addresses are meant; asks, and takes none.
Result<std::vector<Cidr>> look_up_addresses(const Settings& settings,
                                            const std::string& owner,
                                            const std::vector<AddressWord>& words);
Result<Ok> give_back_address(const Settings& settings,
                             const std::string& owner,
                             const Cidr& address);
// Gives back those that were taken from a subnet.
Result<Ok> give_back_addresses(const Settings& settings,
                               const std::string& owner,
                               const std::vector<AddressWord>& words);

// "10.32.0.1 10.2.1.1", as scripts of Weave's users read it.
void print_addresses(const std::vector<Cidr>& addresses);

// The body of a 2xx answer of the agent; else an Error with the agent's words.
Result<std::string> ask_agent(const Settings& settings,
                              const std::string& method,
                              const std::string& target,
                              int timeout_seconds);

}  // namespace weft::agent
