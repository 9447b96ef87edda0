// DNS messages (RFC 1035, section 4; EDNS of RFC 6891) to and from octets.
//
// read_query() is the short way for a server's every question: nothing is copied, nothing
// allocated. read_message() reads all of any message. MessageWriter fills a buffer of a fixed size.
// All are total: any octets give a message or an Error. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "dns/name.h"

namespace weft::dns {

inline constexpr std::size_t kHeaderSize = 12;
// What every client takes over UDP (RFC 1035, section 2.3.4), and what a length over TCP can say.
inline constexpr std::size_t kUdpSizeMin = 512;
inline constexpr std::size_t kMessageMax = 65535;
// The largest answer over UDP however much a client offers: what RFC 6891, section 6.2.5, suggests.
inline constexpr std::size_t kUdpSizeMax = 4096;

// Header flags, as bits of its second word.
inline constexpr std::uint16_t kResponse = 0x8000;
inline constexpr std::uint16_t kOpcodeMask = 0x7800;
inline constexpr std::uint16_t kAuthoritative = 0x0400;
inline constexpr std::uint16_t kTruncated = 0x0200;
inline constexpr std::uint16_t kRecursionDesired = 0x0100;
inline constexpr std::uint16_t kRecursionAvailable = 0x0080;
inline constexpr std::uint16_t kCheckingDisabled = 0x0010;
inline constexpr std::uint16_t kRcodeMask = 0x000f;

enum class Rcode : std::uint8_t {
  NoError = 0,
  FormatError = 1,
  ServerFailure = 2,
  NameError = 3,  // NXDOMAIN.
  NotImplemented = 4,
  Refused = 5,
};
// The upper bits of BADVERS (16), which travel in OPT.
inline constexpr std::uint8_t kBadVersion = 1;

// Types as numbers, because a question may be of any. Named are those that mean something here.
inline constexpr std::uint16_t kA = 1;
inline constexpr std::uint16_t kNs = 2;
inline constexpr std::uint16_t kSoa = 6;
inline constexpr std::uint16_t kPtr = 12;
inline constexpr std::uint16_t kAaaa = 28;
inline constexpr std::uint16_t kSrv = 33;
inline constexpr std::uint16_t kOpt = 41;
inline constexpr std::uint16_t kAny = 255;

inline constexpr std::uint16_t kInternet = 1;
inline constexpr std::uint16_t kAnyClass = 255;

// A DNS server listens here.
inline constexpr std::uint16_t kPort = 53;

struct Edns {
  std::uint16_t udp_size = kUdpSizeMin;
  std::uint8_t version = 0;
  bool dnssec_ok = false;

  friend bool operator==(const Edns&, const Edns&) = default;
};

// One question. The views are into the message read.
struct Query {
  std::uint16_t id = 0;
  std::uint16_t flags = 0;
  std::uint16_t question_count = 0;  // The first of them follows.
  std::string_view name;             // As asked, uncompressed.
  std::uint16_t type = 0;
  std::uint16_t klass = 0;
  std::size_t question_end = kHeaderSize;
  std::optional<Edns> edns;
};

// Fails where there is no question, or what follows it is not well formed.
Result<Query> read_query(ByteView message);

struct Question {
  Name name;
  std::uint16_t type = 0;
  std::uint16_t klass = kInternet;

  friend auto operator<=>(const Question&, const Question&) = default;
  friend bool operator==(const Question&, const Question&) = default;
};

struct Record {
  enum class Section : std::uint8_t { Answer, Authority, Additional };
  Section section = Section::Answer;
  Name name;
  std::uint16_t type = 0;
  std::uint16_t klass = kInternet;
  std::uint32_t ttl = 0;
  std::size_t ttl_at = 0;   // Where in the message the TTL is,
  std::size_t data_at = 0;  // and the data.
  std::size_t data_size = 0;

  friend bool operator==(const Record&, const Record&) = default;
};

struct Message {
  std::uint16_t id = 0;
  std::uint16_t flags = 0;
  std::vector<Question> questions;
  std::vector<Record> records;

  Rcode rcode() const { return static_cast<Rcode>(flags & kRcodeMask); }
};

Result<Message> read_message(ByteView message);

// The name at `at`, which moves behind it. Compression pointers lead strictly backwards, so this
// ends.
Result<Name> read_name(ByteView message, std::size_t& at);

// Writes into a buffer it is given. What does not fit makes it fail; it writes nothing more then.
class MessageWriter {
 public:
  explicit MessageWriter(std::span<std::uint8_t> out) : out_(out) {}

  MessageWriter& u8(std::uint8_t value);
  MessageWriter& u16(std::uint16_t value);
  MessageWriter& u32(std::uint32_t value);
  MessageWriter& append(std::string_view octets);
  // A name, pointing back at what was written with name() before where that is possible. `wire`
  // must outlive the writer.
  MessageWriter& name(std::string_view wire);
  // name(), type, class IN and TTL of a record; its data's size and data are to follow.
  MessageWriter& record(std::string_view wire, std::uint16_t type, std::uint32_t ttl);
  MessageWriter& opt(const Edns& edns, std::uint8_t rcode_high);

  // Overwrites a word that was written. Precondition: ok().
  void patch_u16(std::size_t at, std::uint16_t value);
  // Back to an earlier size, after a record did not fit.
  void rewind(std::size_t size);

  bool ok() const { return ok_; }
  std::size_t size() const { return size_; }

 private:
  struct Known {
    std::uint16_t at = 0;
    std::string_view wire;
  };
  // Names of an answer have few endings: the question's and a target's.
  static constexpr std::size_t kKnownMax = 24;

  bool take(std::size_t count);

  std::span<std::uint8_t> out_;
  std::size_t size_ = 0;
  bool ok_ = true;
  std::array<Known, kKnownMax> known_;
  std::size_t known_count_ = 0;
};

// Room for the OPT record that opt() writes.
inline constexpr std::size_t kOptSize = 11;

// A question as a client sends it.
Bytes write_query(std::uint16_t id, const Question& question, const std::optional<Edns>& edns);

}  // namespace weft::dns
