#include "router/sealed/session_wire.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <sodium.h>

#include "base/assert.h"
#include "router/sealed/octets.h"

namespace weft::router {
namespace {

constexpr std::size_t kProposalSize = 8 + 8 + kCiphersMax + 1;
constexpr std::size_t kChoiceSize = 2;
// Noise IKpsk2: key, sealed key and tag; key and tag.
constexpr std::size_t kInitiationNoise = 32 + 48 + 16 + kProposalSize;
constexpr std::size_t kResponseNoise = 32 + 16 + kChoiceSize;
constexpr std::size_t kHeadSize = 4;
constexpr std::size_t kInitiationSize = kHeadSize + 4 + kInitiationNoise + HandshakeCodes::kSize;
constexpr std::size_t kResponseSize = kHeadSize + 8 + kResponseNoise + HandshakeCodes::kSize;
constexpr std::size_t kCookieSize = kHeadSize + 4 + 24 + 32;
constexpr std::uint8_t kClear = 1;
constexpr std::uint8_t kEsp = 2;
constexpr std::uint8_t kLane = 4;
static_assert(std::max({kInitiationSize, kResponseSize, kCookieSize}) <= kHandshakeDatagramMax);

constexpr std::string_view kFirstLabel = "weft data code";
constexpr std::string_view kCookieLabel = "weft data cookie";

Writer head(DatagramType type) {
  Writer writer;
  writer.u8(static_cast<std::uint8_t>(type)).u8(kSessionVersion).u16(0);
  return writer;
}

Result<Reader> open_head(ByteView datagram, DatagramType type, std::size_t size) {
  Reader reader(datagram);
  const auto found = WEFT_TRY(reader.u8());
  const auto version = WEFT_TRY(reader.u8());
  WEFT_TRY(reader.u16());
  if (found != static_cast<std::uint8_t>(type) || datagram.size() != size) {
    return Error{Errc::Invalid,
                 fmt::format("datagram of type {} and {} bytes (expected type {}, {} bytes)",
                             found,
                             datagram.size(),
                             static_cast<int>(type),
                             size)};
  }
  if (version != kSessionVersion) {
    return Error{Errc::Invalid,
                 fmt::format("data session version {} (expected {})", version, kSessionVersion)};
  }
  return reader;
}

Secret derive(const Psk& psk, std::string_view label, const PublicKey& receiver) {
  Secret key;
  crypto_generichash_state state;
  crypto_generichash_init(&state, psk.bytes().data(), psk.bytes().size(), key.bytes().size());
  crypto_generichash_update(&state, as_bytes(label).data(), label.size());
  crypto_generichash_update(&state, receiver.data(), receiver.size());
  crypto_generichash_final(&state, key.bytes().data(), key.bytes().size());
  sodium_memzero(&state, sizeof state);
  return key;
}

Code code_over(ByteView key, ByteView bytes) {
  Code code{};
  crypto_generichash(code.data(), code.size(), bytes.data(), bytes.size(), key.data(), key.size());
  return code;
}

bool same(const Code& code, ByteView found) {
  return sodium_memcmp(code.data(), found.data(), code.size()) == 0;
}

}  // namespace

void write_data_header(const DataHeader& header, std::uint8_t* out) {
  out[0] = static_cast<std::uint8_t>(DatagramType::Data);
  out[1] = static_cast<std::uint8_t>(header.lane);
  out[2] = out[3] = 0;
  write32(out + 4, header.receiver);
  write32(out + 8, static_cast<std::uint32_t>(header.counter >> 32));
  write32(out + 12, static_cast<std::uint32_t>(header.counter));
}

std::optional<DataHeader> read_data_header(ByteView datagram) {
  constexpr std::uint32_t kStart = static_cast<std::uint32_t>(DatagramType::Data) << 24;
  constexpr std::uint32_t kLaneOctet = 0xffU << 16;
  if (datagram.size() < kDataHeaderSize + kAeadTagSize
      || (read32(datagram.data()) & ~kLaneOctet) != kStart
      || datagram[1] > static_cast<std::uint8_t>(Lane::Kernel)) {
    return std::nullopt;
  }
  const std::uint8_t* at = datagram.data();
  return DataHeader{.receiver = read32(at + 4),
                    .counter = (std::uint64_t{read32(at + 8)} << 32) | read32(at + 12),
                    .lane = static_cast<Lane>(at[1])};
}

Bytes encode(const Initiation& initiation) {
  WEFT_ASSERT(initiation.noise.size() == kInitiationNoise);
  Writer writer = head(DatagramType::Initiation);
  return writer.u32(initiation.sender).append(initiation.noise).take();
}

Bytes encode(const Response& response) {
  WEFT_ASSERT(response.noise.size() == kResponseNoise);
  Writer writer = head(DatagramType::Response);
  return writer.u32(response.sender).u32(response.receiver).append(response.noise).take();
}

Bytes encode(const CookieReply& reply) {
  Writer writer = head(DatagramType::Cookie);
  return writer.u32(reply.receiver).append(reply.nonce).append(reply.sealed).take();
}

Result<Initiation> decode_initiation(ByteView datagram) {
  Reader reader = WEFT_TRY(open_head(datagram, DatagramType::Initiation, kInitiationSize));
  Initiation initiation;
  initiation.sender = WEFT_TRY(reader.u32());
  initiation.noise = to_bytes(WEFT_TRY(reader.take(kInitiationNoise)));
  return initiation;
}

Result<Response> decode_response(ByteView datagram) {
  Reader reader = WEFT_TRY(open_head(datagram, DatagramType::Response, kResponseSize));
  Response response;
  response.sender = WEFT_TRY(reader.u32());
  response.receiver = WEFT_TRY(reader.u32());
  response.noise = to_bytes(WEFT_TRY(reader.take(kResponseNoise)));
  return response;
}

Result<CookieReply> decode_cookie(ByteView datagram) {
  Reader reader = WEFT_TRY(open_head(datagram, DatagramType::Cookie, kCookieSize));
  CookieReply reply;
  reply.receiver = WEFT_TRY(reader.u32());
  const ByteView nonce = WEFT_TRY(reader.take(reply.nonce.size()));
  const ByteView sealed = WEFT_TRY(reader.take(reply.sealed.size()));
  std::copy(nonce.begin(), nonce.end(), reply.nonce.begin());
  std::copy(sealed.begin(), sealed.end(), reply.sealed.begin());
  return reply;
}

namespace {

// Of a proposal or a choice.
template <class Willing>
std::uint8_t flags_of(const Willing& willing) {
  return static_cast<std::uint8_t>((willing.clear ? kClear : 0U) | (willing.esp ? kEsp : 0U)
                                   | (willing.lane ? kLane : 0U));
}

}  // namespace

Bytes encode(const Proposal& proposal) {
  WEFT_ASSERT(proposal.ciphers.size() <= kCiphersMax);
  Writer writer;
  writer.u64(proposal.incarnation).u64(proposal.serial);
  for (std::size_t i = 0; i < kCiphersMax; ++i) {
    writer.u8(i < proposal.ciphers.size() ? static_cast<std::uint8_t>(proposal.ciphers[i]) : 0);
  }
  return writer.u8(flags_of(proposal)).take();
}

Bytes encode(const Choice& choice) {
  Writer writer;
  return writer.u8(static_cast<std::uint8_t>(choice.cipher)).u8(flags_of(choice)).take();
}

namespace {

std::optional<CipherId> known_cipher(std::uint8_t number) {
  const auto cipher = static_cast<CipherId>(number);
  const bool known = cipher == CipherId::Aes256Gcm || cipher == CipherId::ChaCha20Poly1305;
  return known ? std::optional(cipher) : std::nullopt;
}

}  // namespace

Result<Proposal> decode_proposal(ByteView bytes) {
  Reader reader(bytes);
  Proposal proposal;
  proposal.incarnation = WEFT_TRY(reader.u64());
  proposal.serial = WEFT_TRY(reader.u64());
  const ByteView ciphers = WEFT_TRY(reader.take(kCiphersMax));
  for (const std::uint8_t number : ciphers) {
    if (const auto cipher = known_cipher(number)) {
      proposal.ciphers.push_back(*cipher);
    }
  }
  const std::uint8_t flags = WEFT_TRY(reader.u8());
  proposal.clear = (flags & kClear) != 0;
  proposal.esp = (flags & kEsp) != 0;
  proposal.lane = (flags & kLane) != 0;
  return proposal;
}

Result<Choice> decode_choice(ByteView bytes) {
  Reader reader(bytes);
  const std::uint8_t number = WEFT_TRY(reader.u8());
  const std::optional<CipherId> cipher = known_cipher(number);
  if (!cipher) {
    return Error{Errc::Invalid, fmt::format("cipher {} was not proposed", number)};
  }
  const std::uint8_t flags = WEFT_TRY(reader.u8());
  return Choice{.cipher = *cipher,
                .clear = (flags & kClear) != 0,
                .esp = (flags & kEsp) != 0,
                .lane = (flags & kLane) != 0};
}

std::optional<CipherId> choose_cipher(const std::vector<CipherId>& ours,
                                      const std::vector<CipherId>& theirs) {
  std::optional<CipherId> best;
  std::size_t best_rank = std::numeric_limits<std::size_t>::max();
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const auto it = std::find(theirs.begin(), theirs.end(), ours[i]);
    const std::size_t rank = i + static_cast<std::size_t>(it - theirs.begin());
    if (it != theirs.end() && rank < best_rank) {
      best = ours[i];
      best_rank = rank;
    }
  }
  return best;
}

HandshakeCodes::HandshakeCodes(const Psk& psk, const PublicKey& receiver)
    : first_key_(derive(psk, kFirstLabel, receiver)),
      cookie_key_(derive(psk, kCookieLabel, receiver)) {}

Code HandshakeCodes::append(Bytes& datagram, const std::optional<Code>& cookie) const {
  const Code first = code_over(first_key_.bytes(), datagram);
  datagram.insert(datagram.end(), first.begin(), first.end());
  const Code second = cookie ? code_over(*cookie, datagram) : Code{};
  datagram.insert(datagram.end(), second.begin(), second.end());
  return first;
}

bool HandshakeCodes::has_first(ByteView datagram) const {
  if (datagram.size() < kSize) {
    return false;
  }
  const std::size_t body = datagram.size() - kSize;
  return same(code_over(first_key_.bytes(), datagram.first(body)), datagram.subspan(body));
}

bool HandshakeCodes::has_second(ByteView datagram, const Code& cookie) {
  if (datagram.size() < kSize) {
    return false;
  }
  const std::size_t body = datagram.size() - sizeof(Code);
  return same(code_over(cookie, datagram.first(body)), datagram.subspan(body));
}

Code HandshakeCodes::first_of(ByteView datagram) {
  WEFT_ASSERT(datagram.size() >= kSize);
  Code code{};
  std::copy_n(datagram.end() - kSize, code.size(), code.begin());
  return code;
}

CookieReply HandshakeCodes::seal_cookie(const Code& cookie,
                                        ByteView datagram,
                                        std::uint32_t receiver,
                                        Entropy& entropy) const {
  static_assert(CookieReply::kNonceSize == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
  const Code first = first_of(datagram);
  CookieReply reply;
  reply.receiver = receiver;
  entropy.fill(reply.nonce);
  crypto_aead_xchacha20poly1305_ietf_encrypt(reply.sealed.data(),
                                             nullptr,
                                             cookie.data(),
                                             cookie.size(),
                                             first.data(),
                                             first.size(),
                                             nullptr,
                                             reply.nonce.data(),
                                             cookie_key_.bytes().data());
  return reply;
}

Result<Code> HandshakeCodes::open_cookie(const CookieReply& reply, const Code& first) const {
  Code cookie{};
  const int failed = crypto_aead_xchacha20poly1305_ietf_decrypt(cookie.data(),
                                                                nullptr,
                                                                nullptr,
                                                                reply.sealed.data(),
                                                                reply.sealed.size(),
                                                                first.data(),
                                                                first.size(),
                                                                reply.nonce.data(),
                                                                cookie_key_.bytes().data());
  if (failed != 0) {
    return Error{Errc::Denied, "cookie does not authenticate"};
  }
  return cookie;
}

Code cookie_for(const Secret& secret, const Endpoint& from) {
  Writer writer;
  writer.append(from.address.bytes()).u16(from.port);
  return code_over(secret.bytes(), writer.take());
}

}  // namespace weft::router
