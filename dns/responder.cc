#include "dns/responder.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"

namespace weft::dns {

namespace {

// Where a question's name is: right behind the header, in every message.
constexpr std::uint16_t kQuestionPointer = 0xc000 | kHeaderSize;

constexpr std::string_view kReverseV4 = std::string_view("\7in-addr\4arpa\0", 14);
constexpr std::string_view kReverseV6 = std::string_view("\3ip6\4arpa\0", 10);
// 32 digits, each a label, and the above.
constexpr std::size_t kReverseNameMax = 32 * 2 + 10;

constexpr std::size_t kFlagsAt = 2;
constexpr std::size_t kAnswersAt = 6;

constexpr std::size_t kV4Size = 4;
constexpr std::size_t kV6Size = 16;

// A folded copy of a question's name, and room to put the domain behind it.
class FoldedName {
 public:
  explicit FoldedName(std::string_view wire) : size_(wire.size()) {
    WEFT_ASSERT(wire.size() <= kNameMax);
    std::transform(wire.begin(), wire.end(), octets_.begin(), fold);
  }
  std::string_view text() const { return {octets_.data(), size_}; }
  bool is_one_label() const {
    return size_ > 1 && size_ == 2U + static_cast<std::uint8_t>(octets_[0]);
  }
  // False if that is too long to be a name.
  bool complete(std::string_view domain) {
    if (size_ - 1 + domain.size() > kNameMax) {
      return false;
    }
    std::copy(
        domain.begin(), domain.end(), octets_.begin() + static_cast<std::ptrdiff_t>(size_) - 1);
    size_ += domain.size() - 1;
    return true;
  }

 private:
  std::array<char, kNameMax> octets_;
  std::size_t size_;
};

bool is_address_type(std::uint16_t type) {
  return type == kA || type == kAaaa;
}

}  // namespace

struct Responder::Job {
  const Query& query;
  const Zone& zone;
  const Ip& client;
  Transport transport = Transport::Udp;
  std::span<std::uint8_t> out;

  bool wants(std::uint16_t type) const { return query.type == type || query.type == kAny; }
  std::uint16_t flags(Rcode rcode) const {
    const std::uint16_t kept = query.flags & (kRecursionDesired | kCheckingDisabled);
    return static_cast<std::uint16_t>(kResponse | kAuthoritative | kRecursionAvailable | kept
                                      | static_cast<std::uint16_t>(rcode));
  }
  // Header and question, with the counts yet to come.
  MessageWriter begin(Rcode rcode) const {
    const std::size_t limit = std::min(answer_max(transport, query.edns), out.size());
    MessageWriter writer(out.first(limit - (query.edns ? kOptSize : 0)));
    writer.u16(query.id).u16(flags(rcode)).u16(1).u16(0).u16(0).u16(0);
    writer.name(query.name).u16(query.type).u16(query.klass);
    return writer;
  }
};

ResponderStats& ResponderStats::operator+=(const ResponderStats& other) {
  queries += other.queries;
  forwarded += other.forwarded;
  malformed += other.malformed;
  absent += other.absent;
  truncated += other.truncated;
  return *this;
}

std::size_t answer_max(Transport transport, const std::optional<Edns>& edns) {
  if (transport == Transport::Tcp) {
    return kMessageMax;
  }
  return edns ? std::clamp<std::size_t>(edns->udp_size, kUdpSizeMin, kUdpSizeMax) : kUdpSizeMin;
}

std::size_t write_bare(ByteView message,
                       std::uint16_t flags_set,
                       Rcode rcode,
                       std::span<std::uint8_t> out) {
  if (message.size() < kHeaderSize || out.size() < kUdpSizeMin) {
    return 0;
  }
  const auto query = read_query(message);
  const std::uint16_t asked = static_cast<std::uint16_t>((message[2] << 8U) | message[3]);
  const std::uint16_t kept = asked & (kOpcodeMask | kRecursionDesired | kCheckingDisabled);
  MessageWriter writer(out);
  writer.u16(static_cast<std::uint16_t>((message[0] << 8U) | message[1]))
      .u16(static_cast<std::uint16_t>(kResponse | kRecursionAvailable | flags_set | kept
                                      | static_cast<std::uint16_t>(rcode)))
      .u16(query.ok() ? 1 : 0)
      .u16(0)
      .u16(0)
      .u16(query.ok() && query.value().edns ? 1 : 0);
  if (query.ok()) {
    writer.name(query.value().name).u16(query.value().type).u16(query.value().klass);
    if (query.value().edns) {
      writer.opt({.udp_size = kUdpSizeMax, .dnssec_ok = query.value().edns->dnssec_ok}, 0);
    }
  }
  return writer.size();
}

Responder::Outcome Responder::refuse(ByteView message, Rcode rcode, std::span<std::uint8_t> out) {
  ++stats_.malformed;
  const std::size_t size = write_bare(message, 0, rcode, out);
  return {size == 0 ? Verdict::Dropped : Verdict::Answered, size};
}

Responder::Outcome Responder::answer(ByteView message,
                                     Transport transport,
                                     const Ip& client,
                                     const Zone& zone,
                                     std::span<std::uint8_t> out) {
  ++stats_.queries;
  // An answer to an answer could go on for ever.
  if (message.size() < kHeaderSize || (message[kFlagsAt] & (kResponse >> 8U)) != 0) {
    ++stats_.malformed;
    return {};
  }
  if ((message[kFlagsAt] & (kOpcodeMask >> 8U)) != 0) {
    return refuse(message, Rcode::NotImplemented, out);
  }
  const auto read = read_query(message);
  if (!read.ok()) {
    return refuse(message, Rcode::FormatError, out);
  }
  const Query& query = read.value();
  const Job job{.query = query, .zone = zone, .client = client, .transport = transport, .out = out};
  if (query.question_count > 1) {
    return answer_nothing(job, Rcode::NameError);
  }
  if (query.edns && query.edns->version > 0) {
    ++stats_.malformed;
    return finish(job, job.begin(Rcode::NoError), {.rcode_high = kBadVersion});
  }
  if (query.klass != kInternet && query.klass != kAnyClass) {
    return answer_nothing(job, Rcode::NameError);  // Nobody knows anything of other classes.
  }
  return answer_name(job);
}

Responder::Outcome Responder::answer_name(const Job& job) {
  FoldedName name(job.query.name);
  const std::string_view domain = job.zone.domain_folded();
  if (is_folded_within(name.text(), domain)
      || (is_address_type(job.query.type) && name.is_one_label() && name.complete(domain))) {
    const auto node = job.zone.find(name.text());
    return node ? answer_node(job, *node) : answer_nothing(job, Rcode::NameError);
  }
  if (is_folded_within(name.text(), kReverseV4) || is_folded_within(name.text(), kReverseV6)) {
    const auto node = job.zone.find(name.text());
    if (node && !node->pointer.empty()) {
      return job.wants(kPtr) ? answer_pointer(job, node->pointer)
                             : answer_nothing(job, Rcode::NameError);
    }
  }
  ++stats_.forwarded;
  return {Verdict::Forward, 0};
}

Responder::Outcome Responder::answer_node(const Job& job, const Zone::Node& node) {
  MessageWriter writer = job.begin(Rcode::NoError);
  Written answers;
  if (job.wants(kA)) {
    answers += write_addresses(job, {kA, kV4Size, node.v4, node.v4_local_count}, writer);
  }
  if (job.wants(kAaaa)) {
    answers += write_addresses(job, {kAaaa, kV6Size, node.v6, node.v6_local_count}, writer);
  }
  const auto network =
      job.wants(kSrv) ? network_of_services(job, node.services) : std::optional<Cidr>();
  if (job.wants(kSrv)) {
    answers += write_services(job, node.services, network, writer);
  }
  if (answers.count == 0 && answers.is_all) {
    return answer_nothing(job, Rcode::NoError);
  }
  writer.patch_u16(kAnswersAt, static_cast<std::uint16_t>(answers.count));
  if (!answers.is_all) {
    ++stats_.truncated;
    writer.patch_u16(kFlagsAt, static_cast<std::uint16_t>(job.flags(Rcode::NoError) | kTruncated));
    return finish(job, writer, {});
  }
  const std::size_t targets =
      job.wants(kSrv) ? write_targets(job, node.services, network, writer) : 0;
  return finish(job, writer, {.additional_count = targets});
}

// Into `order`, those on the network the client asks from: what is elsewhere it may not reach. All
// if there are none there, or if nobody knows where the client is. Local ones stay first.
Responder::Chosen Responder::choose(const Job& job, const Addresses& addresses, Order& order) {
  const std::size_t count = addresses.octets.size() / addresses.size;
  Chosen chosen;
  const auto network =
      count > 1 ? job.zone.horizon().network_of(job.client) : std::optional<Cidr>();
  for (std::size_t i = 0; network && i < count; ++i) {
    const ByteView octets = addresses.octets.subspan(i * addresses.size, addresses.size);
    if (network->contains(Ip::from_bytes(octets).value_or(Ip()))) {
      order[chosen.count++] = static_cast<std::uint16_t>(i);
      chosen.local_count += i < addresses.local_count ? 1U : 0U;
    }
  }
  if (chosen.count != 0) {
    return chosen;
  }
  for (std::size_t i = 0; i < count; ++i) {
    order[i] = static_cast<std::uint16_t>(i);
  }
  return {.count = count, .local_count = addresses.local_count};
}

// In an order of its own for every answer, which spreads clients that take the first (Fisher and
// Yates' shuffle).
Responder::Written Responder::write_addresses(const Job& job,
                                              const Addresses& addresses,
                                              MessageWriter& writer) {
  Order order;  // NOLINT: filled as far as it is read.
  const auto [count, local_count] = choose(job, addresses, order);
  const std::size_t local_end = job.zone.settings().local_first ? local_count : 0;
  Written written;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t end = i < local_end ? local_end : count;
    std::swap(order[i], order[i + rng_.below(static_cast<std::uint32_t>(end - i))]);
    const std::size_t before = writer.size();
    writer.u16(kQuestionPointer)
        .u16(addresses.type)
        .u16(kInternet)
        .u32(job.zone.settings().ttl_seconds)
        .u16(static_cast<std::uint16_t>(addresses.size))
        .append(as_text(addresses.octets.subspan(order[i] * addresses.size, addresses.size)));
    if (!writer.ok()) {
      writer.rewind(before);
      return {.count = written.count, .is_all = false};
    }
    ++written.count;
  }
  return written;
}

namespace {

struct Service {
  std::uint16_t port = 0;
  std::string_view target;
};

// The next of a node's services, which leaves `octets`.
Service take_service(ByteView& octets) {
  const std::size_t target_size = octets[2];
  const Service service{.port = static_cast<std::uint16_t>((octets[0] << 8U) | octets[1]),
                        .target = as_text(octets.subspan(3, target_size))};
  octets = octets.subspan(3 + target_size);
  return service;
}

// The one address behind a service's target, which is named after it (dns/zone.cc).
Ip address_of(const Zone& zone, const Service& service) {
  const auto node = zone.find(FoldedName(service.target).text());
  if (!node) {
    return {};
  }
  const ByteView octets = node->v4.empty() ? node->v6.first(kV6Size) : node->v4.first(kV4Size);
  return Ip::from_bytes(octets).value_or(Ip());
}

bool is_told(const Zone& zone, const Service& service, const std::optional<Cidr>& network) {
  return !network || network->contains(address_of(zone, service));
}

}  // namespace

// As choose() has it: the client's network, if one of several services is on it.
std::optional<Cidr> Responder::network_of_services(const Job& job, ByteView services) {
  ByteView others = services;
  if (others.empty() || (take_service(others), others.empty())) {
    return std::nullopt;
  }
  const auto network = job.zone.horizon().network_of(job.client);
  while (network && !services.empty()) {
    if (is_told(job.zone, take_service(services), network)) {
      return network;
    }
  }
  return std::nullopt;
}

// All of one priority and weight (RFC 2782); targets are never compressed there.
Responder::Written Responder::write_services(const Job& job,
                                             ByteView services,
                                             const std::optional<Cidr>& network,
                                             MessageWriter& writer) {
  constexpr std::size_t kDataHead = 6;  // Priority, weight, port.
  Written written;
  while (!services.empty()) {
    const Service service = take_service(services);
    if (!is_told(job.zone, service, network)) {
      continue;
    }
    const std::size_t before = writer.size();
    writer.u16(kQuestionPointer)
        .u16(kSrv)
        .u16(kInternet)
        .u32(job.zone.settings().ttl_seconds)
        .u16(static_cast<std::uint16_t>(kDataHead + service.target.size()))
        .u16(0)
        .u16(0)
        .u16(service.port)
        .append(service.target);
    if (!writer.ok()) {
      writer.rewind(before);
      return {.count = written.count, .is_all = false};
    }
    ++written.count;
  }
  return written;
}

// The addresses behind the targets, as far as there is room: they save the client questions.
std::size_t Responder::write_targets(const Job& job,
                                     ByteView services,
                                     const std::optional<Cidr>& network,
                                     MessageWriter& writer) {
  std::size_t count = 0;
  while (!services.empty()) {
    const Service service = take_service(services);
    const auto node = job.zone.find(FoldedName(service.target).text());
    if (!node || !is_told(job.zone, service, network)) {
      continue;
    }
    const bool is_v4 = !node->v4.empty();
    const ByteView address = is_v4 ? node->v4.first(kV4Size) : node->v6.first(kV6Size);
    const std::size_t before = writer.size();
    writer.record(service.target, is_v4 ? kA : kAaaa, job.zone.settings().ttl_seconds)
        .u16(static_cast<std::uint16_t>(address.size()))
        .append(as_text(address));
    if (!writer.ok()) {
      writer.rewind(before);
      break;
    }
    ++count;
  }
  return count;
}

Responder::Outcome Responder::answer_pointer(const Job& job, std::string_view pointer) {
  MessageWriter writer = job.begin(Rcode::NoError);
  writer.u16(kQuestionPointer).u16(kPtr).u16(kInternet).u32(job.zone.settings().ttl_seconds);
  writer.u16(static_cast<std::uint16_t>(pointer.size())).append(pointer);
  // A reverse name is short, so that this fits into the smallest answer.
  static_assert(kHeaderSize + kReverseNameMax + 4 + 12 + kNameMax + kOptSize <= kUdpSizeMin);
  WEFT_ASSERT(writer.ok());
  writer.patch_u16(kAnswersAt, 1);
  return finish(job, writer, {});
}

Responder::Outcome Responder::answer_nothing(const Job& job, Rcode rcode) {
  stats_.absent += rcode == Rcode::NameError ? 1U : 0U;
  MessageWriter writer = job.begin(rcode);
  const std::size_t before = writer.size();
  constexpr std::size_t kAuthoritiesAt = 8;
  const std::string_view soa = job.zone.soa();
  writer.record(job.zone.settings().domain.wire(), kSoa, job.zone.settings().ttl_seconds)
      .u16(static_cast<std::uint16_t>(soa.size()))
      .append(soa);
  if (writer.ok()) {
    writer.patch_u16(job.query.type == kSoa && rcode == Rcode::NoError
                             && job.query.name.size() == job.zone.domain_folded().size()
                         ? kAnswersAt
                         : kAuthoritiesAt,
                     1);
  } else {
    writer.rewind(before);
  }
  return finish(job, writer, {});
}

Responder::Outcome Responder::finish(const Job& job,
                                     const MessageWriter& written,
                                     const Ending& ending) {
  std::size_t size = written.size();
  std::size_t additional_count = ending.additional_count;
  if (job.query.edns) {
    MessageWriter opt(job.out.subspan(size));
    opt.opt({.udp_size = kUdpSizeMax, .dnssec_ok = job.query.edns->dnssec_ok}, ending.rcode_high);
    WEFT_ASSERT(opt.ok());
    size += opt.size();
    ++additional_count;
  }
  constexpr std::size_t kAdditionalAt = 10;
  job.out[kAdditionalAt] = static_cast<std::uint8_t>(additional_count >> 8U);
  job.out[kAdditionalAt + 1] = static_cast<std::uint8_t>(additional_count);
  return {Verdict::Answered, size};
}

}  // namespace weft::dns
