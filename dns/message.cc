#include "dns/message.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/assert.h"

namespace weft::dns {

namespace {

// RFC 1035, section 4.1.4: the two upper bits of a size say that it is a pointer.
constexpr std::uint8_t kPointerBits = 0xc0;
constexpr std::size_t kPointerMax = 0x3fff;

constexpr std::uint32_t kDnssecOk = 0x8000;

Error invalid(std::string what) {
  return Error{Errc::Invalid, std::move(what)};
}

Error cut_short(std::string_view what) {
  return invalid(fmt::format("message ends inside {}", what));
}

std::uint16_t word_at(ByteView message, std::size_t at) {
  return static_cast<std::uint16_t>((message[at] << 8U) | message[at + 1]);
}

std::uint32_t long_at(ByteView message, std::size_t at) {
  return (static_cast<std::uint32_t>(word_at(message, at)) << 16U) | word_at(message, at + 2);
}

// Behind the name at `at`, without following pointers.
Result<std::size_t> skip_name(ByteView message, std::size_t at) {
  const std::size_t begin = at;
  while (at < message.size()) {
    const std::uint8_t size = message[at];
    if ((size & kPointerBits) == kPointerBits) {
      return at + 2 <= message.size() ? Result<std::size_t>(at + 2) : cut_short("a pointer");
    }
    if ((size & kPointerBits) != 0) {
      return invalid(fmt::format("label of type {:#x}", size & kPointerBits));
    }
    at += 1U + size;
    if (at - begin > kNameMax) {
      return invalid("name too long");
    }
    if (size == 0) {
      return at;
    }
  }
  return cut_short("a name");
}

constexpr std::size_t kRecordHead = 10;  // Type, class, TTL, size of the data.

Result<Ok> read_opt(ByteView message, std::size_t name_at, std::size_t at, Query& query) {
  if (query.edns) {
    return invalid("a second OPT record");
  }
  if (message[name_at] != 0) {
    return invalid("OPT record with a name");
  }
  const std::uint32_t ttl = long_at(message, at + 4);
  query.edns = Edns{.udp_size = std::max<std::uint16_t>(word_at(message, at + 2), kUdpSizeMin),
                    .version = static_cast<std::uint8_t>(ttl >> 16U),
                    .dnssec_ok = (ttl & kDnssecOk) != 0};
  return Ok{};
}

// The records behind the questions, of which only OPT says anything to a server.
Result<Ok> read_rest(ByteView message, std::size_t at, std::uint32_t count, Query& query) {
  for (; count > 0; --count) {
    const std::size_t name_at = at;
    at = WEFT_TRY(skip_name(message, at));
    if (message.size() - at < kRecordHead) {
      return cut_short("a record");
    }
    const std::size_t data_size = word_at(message, at + 8);
    if (word_at(message, at) == kOpt) {
      WEFT_TRY(read_opt(message, name_at, at, query));
    }
    at += kRecordHead;
    if (message.size() - at < data_size) {
      return cut_short("a record's data");
    }
    at += data_size;
  }
  return Ok{};
}

}  // namespace

Result<Query> read_query(ByteView message) {
  if (message.size() < kHeaderSize) {
    return cut_short("the header");
  }
  Query query{.id = word_at(message, 0),
              .flags = word_at(message, 2),
              .question_count = word_at(message, 4),
              .name = {},
              .edns = {}};
  if (query.question_count == 0) {
    return invalid("message without a question");
  }
  std::size_t end = WEFT_TRY(skip_name(message, kHeaderSize));
  if (message[end - 1] != 0) {
    return invalid("question with a compressed name");  // There is nothing before it to point at.
  }
  query.name = as_text(message.subspan(kHeaderSize, end - kHeaderSize));
  if (message.size() - end < 4) {
    return cut_short("the question");
  }
  query.type = word_at(message, end);
  query.klass = word_at(message, end + 2);
  query.question_end = end + 4;
  if (query.question_count > 1) {
    return query;  // Refused for that, whatever follows.
  }
  const std::uint32_t rest =
      static_cast<std::uint32_t>(word_at(message, 6)) + word_at(message, 8) + word_at(message, 10);
  if (rest > 0) {
    WEFT_TRY(read_rest(message, query.question_end, rest, query));
  }
  return query;
}

Result<Name> read_name(ByteView message, std::size_t& at) {
  std::string wire;
  std::size_t from = at;
  // A pointer must lead before where the piece that holds it begins.
  std::size_t limit = at;
  bool jumped = false;
  while (true) {
    if (from >= message.size()) {
      return cut_short("a name");
    }
    const std::uint8_t size = message[from];
    if ((size & kPointerBits) == kPointerBits) {
      if (from + 2 > message.size()) {
        return cut_short("a pointer");
      }
      const std::size_t target = word_at(message, from) & kPointerMax;
      if (target >= limit) {
        return invalid(fmt::format("pointer from {} to {} (expected backwards)", from, target));
      }
      if (!jumped) {
        at = from + 2;
        jumped = true;
      }
      from = limit = target;
      continue;
    }
    if ((size & kPointerBits) != 0) {
      return invalid(fmt::format("label of type {:#x}", size & kPointerBits));
    }
    if (message.size() - from < 1U + size) {
      return cut_short("a label");
    }
    wire += as_text(message.subspan(from, 1U + size));
    if (wire.size() > kNameMax) {
      return invalid("name too long");
    }
    from += 1U + size;
    if (size == 0) {
      break;
    }
  }
  if (!jumped) {
    at = from;
  }
  return Name::from_wire(wire);
}

Result<Message> read_message(ByteView message) {
  if (message.size() < kHeaderSize) {
    return cut_short("the header");
  }
  Message out{
      .id = word_at(message, 0), .flags = word_at(message, 2), .questions = {}, .records = {}};
  std::size_t at = kHeaderSize;
  for (std::uint16_t count = word_at(message, 4); count > 0; --count) {
    Question question;
    question.name = WEFT_TRY(read_name(message, at));
    if (message.size() - at < 4) {
      return cut_short("a question");
    }
    question.type = word_at(message, at);
    question.klass = word_at(message, at + 2);
    at += 4;
    out.questions.push_back(std::move(question));
  }
  for (std::uint8_t section = 0; section < 3; ++section) {
    for (std::uint16_t count = word_at(message, 6U + 2U * section); count > 0; --count) {
      Record record{.section = static_cast<Record::Section>(section), .name = {}};
      record.name = WEFT_TRY(read_name(message, at));
      if (message.size() - at < kRecordHead) {
        return cut_short("a record");
      }
      record.type = word_at(message, at);
      record.klass = word_at(message, at + 2);
      record.ttl = long_at(message, at + 4);
      record.ttl_at = at + 4;
      record.data_size = word_at(message, at + 8);
      record.data_at = at + kRecordHead;
      if (message.size() - record.data_at < record.data_size) {
        return cut_short("a record's data");
      }
      at = record.data_at + record.data_size;
      out.records.push_back(std::move(record));
    }
  }
  return out;
}

// MessageWriter -------------------------------------------------------------------------------

bool MessageWriter::take(std::size_t count) {
  ok_ = ok_ && out_.size() - size_ >= count;
  return ok_;
}

MessageWriter& MessageWriter::u8(std::uint8_t value) {
  if (take(1)) {
    out_[size_++] = value;
  }
  return *this;
}

MessageWriter& MessageWriter::u16(std::uint16_t value) {
  if (take(2)) {
    out_[size_++] = static_cast<std::uint8_t>(value >> 8U);
    out_[size_++] = static_cast<std::uint8_t>(value);
  }
  return *this;
}

MessageWriter& MessageWriter::u32(std::uint32_t value) {
  return u16(static_cast<std::uint16_t>(value >> 16U)).u16(static_cast<std::uint16_t>(value));
}

MessageWriter& MessageWriter::append(std::string_view octets) {
  if (take(octets.size())) {
    std::copy(octets.begin(), octets.end(), out_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += octets.size();
  }
  return *this;
}

MessageWriter& MessageWriter::name(std::string_view wire) {
  while (ok_ && wire.size() > 1) {
    const auto end = known_.begin() + static_cast<std::ptrdiff_t>(known_count_);
    const auto known = std::find_if(
        known_.begin(), end, [wire](const Known& earlier) { return earlier.wire == wire; });
    if (known != end) {
      return u16(static_cast<std::uint16_t>(kPointerBits << 8U | known->at));
    }
    if (known_count_ < kKnownMax && size_ <= kPointerMax) {
      known_[known_count_++] = {.at = static_cast<std::uint16_t>(size_), .wire = wire};
    }
    const std::size_t label = 1U + static_cast<std::uint8_t>(wire.front());
    append(wire.substr(0, label));
    wire.remove_prefix(label);
  }
  return u8(0);
}

MessageWriter& MessageWriter::record(std::string_view wire, std::uint16_t type, std::uint32_t ttl) {
  return name(wire).u16(type).u16(kInternet).u32(ttl);
}

MessageWriter& MessageWriter::opt(const Edns& edns, std::uint8_t rcode_high) {
  const std::uint32_t flags = (static_cast<std::uint32_t>(rcode_high) << 24U)
                              | (static_cast<std::uint32_t>(edns.version) << 16U)
                              | (edns.dnssec_ok ? kDnssecOk : 0U);
  return u8(0).u16(kOpt).u16(edns.udp_size).u32(flags).u16(0);
}

void MessageWriter::patch_u16(std::size_t at, std::uint16_t value) {
  WEFT_ASSERT(ok_);
  WEFT_ASSERT(at + 2 <= size_);
  out_[at] = static_cast<std::uint8_t>(value >> 8U);
  out_[at + 1] = static_cast<std::uint8_t>(value);
}

void MessageWriter::rewind(std::size_t size) {
  WEFT_ASSERT(size <= size_);
  size_ = size;
  ok_ = true;
  while (known_count_ > 0 && known_[known_count_ - 1].at >= size) {
    --known_count_;
  }
}

Bytes write_query(std::uint16_t id, const Question& question, const std::optional<Edns>& edns) {
  Bytes out(kHeaderSize + kNameMax + 4 + kOptSize);
  MessageWriter writer(out);
  writer.u16(id).u16(kRecursionDesired).u16(1).u16(0).u16(0).u16(edns ? 1 : 0);
  writer.name(question.name.wire()).u16(question.type).u16(question.klass);
  if (edns) {
    writer.opt(*edns, 0);
  }
  WEFT_ASSERT(writer.ok());
  out.resize(writer.size());
  return out;
}

}  // namespace weft::dns
