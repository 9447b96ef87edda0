#include "router/channel.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"

namespace weft::router {

namespace {

constexpr std::array<std::uint8_t, 4> kMagic{'w', 'e', 'f', 't'};
constexpr std::size_t kGreetingRandomSize = 16;
constexpr std::size_t kGreetingSize = kMagic.size() + 4 + kGreetingRandomSize;
constexpr std::size_t kLengthSize = 2;       // In clear, of a handshake message or chunk.
constexpr std::size_t kFrameLengthSize = 4;  // Sealed, of a frame.
constexpr std::size_t kRefusalSize = kLengthSize + 1;
constexpr std::size_t kPlaintextMax = noise::kMessageMax - noise::kTagSize;
static_assert(kFrameLengthSize <= kPlaintextMax);
static_assert(kHelloMax + 256 <= noise::kMessageMax);

// Instead of the length of a frame. Part of the wire format.
constexpr std::uint32_t kRekeyMark = 0xffffffff;
static_assert(kFrameMax < kRekeyMark);

// Reasons of a refusal. Part of the wire format: never renumber.
constexpr std::uint8_t kRefusedPassword = 1;
constexpr std::uint8_t kRefusedBusy = 2;

constexpr const char* kWrongPassword = "wrong password, or not a weft peer";

std::size_t length_of(ByteView unit) {
  return static_cast<std::size_t>(unit[0]) << 8U | unit[1];
}

void append_length(std::size_t length, Bytes& out) {
  WEFT_ASSERT(length <= noise::kMessageMax);
  out.push_back(static_cast<std::uint8_t>(length >> 8U));
  out.push_back(static_cast<std::uint8_t>(length & 0xffU));
}

bool is_rekey_mark(ByteView plaintext) {
  const Result<std::uint32_t> length = Reader(plaintext).u32();
  return plaintext.size() == kFrameLengthSize && length.ok() && length.value() == kRekeyMark;
}

Bytes make_greeting(const VersionRange& versions, bool has_password, ByteView random) {
  WEFT_ASSERT(random.size() == kGreetingRandomSize);
  return Writer()
      .append(kMagic)
      .u8(versions.lowest)
      .u8(versions.highest)
      .u8(has_password ? 1 : 0)
      .u8(0)  // For a later version to give a meaning; ignored by this one.
      .append(random)
      .take();
}

}  // namespace

Channel::Channel(Options options, Entropy& entropy)
    : options_(std::move(options)),
      entropy_(entropy) {
  WEFT_ASSERT(options_.hello.size() <= kHelloMax);
  WEFT_ASSERT(options_.versions.lowest <= options_.versions.highest);
  WEFT_ASSERT(options_.passwords.size() <= kPasswordsMax);
}

void Channel::start(Output& out) {
  WEFT_ASSERT(stage_ == Stage::New);
  stage_ = Stage::Greeting;
  std::array<std::uint8_t, kGreetingRandomSize> random{};
  entropy_.fill(random);
  greeting_ = make_greeting(options_.versions, !options_.passwords.empty(), random);
  out.bytes.insert(out.bytes.end(), greeting_.begin(), greeting_.end());
}

void Channel::on_bytes(ByteView bytes, Output& out) {
  WEFT_ASSERT(stage_ != Stage::New);
  while (!bytes.empty() && stage_ != Stage::Dead) {
    Result<Ok> taken = take(bytes, out);
    if (!taken.ok()) {
      fail(std::move(taken).error(), out);
    }
  }
}

void Channel::send(ByteView frame, Output& out) {
  WEFT_ASSERT(established());
  WEFT_ASSERT(frame.size() <= kFrameMax);
  Result<Ok> sealed = seal_frame(frame, out.bytes);
  if (!sealed.ok()) {
    fail(std::move(sealed).error(), out);
  }
}

void Channel::rekey(Output& out) {
  WEFT_ASSERT(established());
  Result<Ok> sealed = seal_chunk(Writer().u32(kRekeyMark).take(), out.bytes);
  if (!sealed.ok()) {
    fail(std::move(sealed).error(), out);
    return;
  }
  transport_.send.rekey();
}

Bytes Channel::busy(const VersionRange& versions, bool has_password) {
  const std::array<std::uint8_t, kGreetingRandomSize> random{};  // No handshake will stand on it.
  Bytes bytes = make_greeting(versions, has_password, random);
  append_length(0, bytes);
  bytes.push_back(kRefusedBusy);
  return bytes;
}

std::size_t Channel::dh_count() const {
  std::size_t count = dh_count_;
  for (const noise::HandshakeState& handshake : handshakes_) {
    count += handshake.dh_count();
  }
  return count;
}

std::string_view Channel::waiting_for() const {
  switch (stage_) {
    case Stage::Greeting:
      return "its greeting";
    case Stage::Handshake:
      return "its handshake message";
    case Stage::Confirm:
      return "its confirmation";
    case Stage::New:
    case Stage::Open:
    case Stage::Dead:
      break;
  }
  return "nothing";
}

// Moves bytes into the unit being received, never beyond it, and handles the unit once whole.
Result<Ok> Channel::take(ByteView& bytes, Output& out) {
  const std::size_t count = std::min(wanted() - inbound_.size(), bytes.size());
  inbound_.insert(
      inbound_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
  bytes = bytes.subspan(count);
  if (stage_ == Stage::Greeting) {
    const std::size_t known = std::min(inbound_.size(), kMagic.size());
    if (!std::equal(kMagic.begin(), kMagic.begin() + known, inbound_.begin())) {
      return Error{Errc::Invalid, "the peer does not speak weft"};
    }
  } else if (inbound_.size() == kLengthSize) {
    return check_length(length_of(inbound_));
  }
  if (inbound_.size() < wanted()) {
    return Ok{};
  }
  return on_unit(out);
}

// How large the unit being received is, as far as is known.
std::size_t Channel::wanted() const {
  if (stage_ == Stage::Greeting) {
    return kGreetingSize;
  }
  if (inbound_.size() < kLengthSize) {
    return kLengthSize;
  }
  return is_refusal() ? kRefusalSize : kLengthSize + length_of(inbound_);
}

bool Channel::is_refusal() const {
  return stage_ != Stage::Greeting && stage_ != Stage::Open && length_of(inbound_) == 0;
}

// Refuses a length before anything of that length is kept.
Result<Ok> Channel::check_length(std::size_t length) const {
  if (is_refusal()) {
    return Ok{};
  }
  std::size_t length_min = noise::kTagSize;
  std::size_t length_max = noise::kMessageMax;
  if (stage_ == Stage::Handshake && handshake().message_index() == 0) {
    length_min = handshake().overhead();
    length_max = length_min * (options_.passwords.empty() ? 1 : kPasswordsMax);
  } else if (stage_ == Stage::Handshake) {
    length_min = handshake().overhead();
    length_max = length_min + kHelloMax;
  } else if (stage_ == Stage::Confirm) {
    length_min = length_max = kFrameLengthSize + noise::kTagSize;
  }
  if (length < length_min || length > length_max) {
    return Error{
        Errc::Invalid,
        fmt::format("message of {} bytes (expected {} to {})", length, length_min, length_max)};
  }
  return Ok{};
}

Result<Ok> Channel::on_unit(Output& out) {
  const Bytes unit = std::exchange(inbound_, {});
  const ByteView view(unit);
  if (stage_ == Stage::Greeting) {
    return on_greeting(view, out);
  }
  const ByteView body = view.subspan(kLengthSize);
  if (stage_ == Stage::Open || length_of(view) > 0) {
    return stage_ == Stage::Handshake ? on_message(body, out) : on_chunk(body, out);
  }
  switch (body[0]) {
    case kRefusedPassword:
      cause_ = Cause::Password;
      return Error{Errc::Denied, fmt::format("the peer refused us: {}", kWrongPassword)};
    case kRefusedBusy:
      cause_ = Cause::Busy;
      return Error{Errc::Unavailable, "the peer is busy with other handshakes"};
    default:
      return Error{Errc::Denied, fmt::format("the peer refused us for reason {}", body[0])};
  }
}

// Greeting ------------------------------------------------------------------------------------

Result<Ok> Channel::on_greeting(ByteView theirs, Output& out) {
  Reader reader(theirs.subspan(kMagic.size()));
  const std::uint8_t lowest = WEFT_TRY(reader.u8());
  const std::uint8_t highest = WEFT_TRY(reader.u8());
  const std::uint8_t password = WEFT_TRY(reader.u8());
  const VersionRange& ours = options_.versions;
  if (lowest > highest || password > 1) {
    return Error{Errc::Invalid, "malformed greeting"};
  }
  if (highest < ours.lowest || lowest > ours.highest) {
    cause_ = Cause::Version;
    return Error{Errc::Invalid,
                 fmt::format("peer speaks protocol {}..{}, we speak {}..{}",
                             lowest,
                             highest,
                             ours.lowest,
                             ours.highest)};
  }
  const bool has_password = !options_.passwords.empty();
  if ((password == 1) != has_password) {
    cause_ = Cause::Password;
    const char* const which = has_password ? "we have a password, the peer has none"
                                           : "the peer has a password, we have none";
    return Error{Errc::Denied, fmt::format("{} (start both with the same --password-file)", which)};
  }
  established_.version = std::min(highest, ours.highest);

  // With both greetings in the prologue, nobody in between can have changed either, and no message
  // of another conversation fits this one.
  const bool is_initiator = options_.role == Role::Initiator;
  prologue_ = is_initiator ? Writer().append(greeting_).append(theirs).take()
                           : Writer().append(theirs).append(greeting_).take();
  stage_ = Stage::Handshake;
  if (is_initiator) {
    return send_first_message(out);
  }
  handshakes_.push_back(
      make_handshake(has_password ? std::optional(options_.passwords.front()) : std::nullopt));
  return Ok{};
}

// Handshake -----------------------------------------------------------------------------------

// The modifier psk0 is the proof that costs no multiplication; psk3 is what keeps the pattern one
// with published test vectors.
noise::HandshakeState Channel::make_handshake(const std::optional<Psk>& password) {
  return noise::HandshakeState({.role = options_.role,
                                .key = options_.key,
                                .psk0 = password,
                                .psk3 = password,
                                .prologue = prologue_},
                               entropy_);
}

// Readable by anybody, or by anybody who knows the password: it says nothing.
Result<Ok> Channel::send_first_message(Output& out) {
  if (options_.passwords.empty()) {
    handshakes_.push_back(make_handshake(std::nullopt));
  }
  for (const Psk& password : options_.passwords) {
    handshakes_.push_back(make_handshake(password));
  }
  append_length(handshake().overhead() * handshakes_.size(), out.bytes);
  for (noise::HandshakeState& attempt : handshakes_) {
    WEFT_TRY(attempt.write_message({}, out.bytes));
  }
  return Ok{};
}

Result<Ok> Channel::on_message(ByteView message, Output& out) {
  if (handshake().message_index() == 0) {
    return on_first_message(message, out);
  }
  const bool is_second = handshake().message_index() == 1;
  Result<Bytes> payload =
      is_second ? read_second_message(message) : handshake().read_message(message);
  if (!payload.ok()) {
    return std::move(payload).error().with_context("handshake");
  }
  established_.hello = std::move(payload).value();
  established_.remote_key = *handshake().remote_static();
  if (!handshake().finished()) {
    return write_message(out);
  }
  finish_handshake();
  stage_ = Stage::Open;
  WEFT_TRY(seal_frame({}, out.bytes));
  out.events.emplace_back(established_);
  return Ok{};
}

// Of the responder. Finds out which password the initiator knows, by hashing alone.
Result<Ok> Channel::on_first_message(ByteView messages, Output& out) {
  if (options_.passwords.empty()) {
    WEFT_TRY(handshake().read_message(messages));
    return write_message(out);
  }
  const std::size_t size = handshake().overhead();
  if (messages.size() % size != 0) {
    return Error{Errc::Invalid, fmt::format("first message of {} bytes", messages.size())};
  }
  for (; !messages.empty(); messages = messages.subspan(size)) {
    for (const Psk& password : options_.passwords) {
      noise::HandshakeState attempt = make_handshake(password);
      if (attempt.read_message(messages.first(size)).ok()) {
        choose(std::move(attempt));
        password_ = password;
        return write_message(out);
      }
    }
  }
  append_length(0, out.bytes);
  out.bytes.push_back(kRefusedPassword);
  cause_ = Cause::Password;
  return Error{Errc::Denied, kWrongPassword};
}

// Of the initiator. Only who knows a password can have made it.
Result<Bytes> Channel::read_second_message(ByteView message) {
  Error failure{Errc::Denied, kWrongPassword};
  for (std::size_t i = 0; i < handshakes_.size(); ++i) {
    Result<Bytes> payload = handshakes_[i].read_message(message);
    if (payload.ok()) {
      if (handshakes_.size() > 1) {
        choose(noise::HandshakeState(handshakes_[i]));
      }
      if (!options_.passwords.empty()) {
        password_ = options_.passwords[i];
      }
      return payload;
    }
    if (options_.passwords.empty()) {
      failure = std::move(payload).error();
    }
  }
  cause_ = options_.passwords.empty() ? Cause::Broken : Cause::Password;
  return failure;
}

// Of several attempts at a handshake, this one goes on: a copy of one of handshakes_, or one that
// has not multiplied yet.
void Channel::choose(noise::HandshakeState handshake) {
  forget_handshake();
  WEFT_ASSERT(dh_count_ >= handshake.dh_count());
  dh_count_ -= handshake.dh_count();  // Counted with it from here on.
  handshakes_.push_back(std::move(handshake));
}

Result<Ok> Channel::write_message(Output& out) {
  append_length(handshake().overhead() + options_.hello.size(), out.bytes);
  WEFT_TRY(handshake().write_message(options_.hello, out.bytes));
  if (handshake().finished()) {
    finish_handshake();
    stage_ = Stage::Confirm;
  }
  return Ok{};
}

void Channel::finish_handshake() {
  transport_ = handshake().split();
  established_.authenticated = password_.has_value();
  forget_handshake();
}

// Transport -----------------------------------------------------------------------------------

Result<Ok> Channel::on_chunk(ByteView chunk, Output& out) {
  Bytes plaintext;
  Result<Ok> opened = transport_.receive.decrypt({}, chunk, plaintext);
  if (!opened.ok()) {
    return std::move(opened).error().with_context("frame");
  }
  if (transport_.receive.nonce() % kRekeyChunks == 0) {
    transport_.receive.rekey();
  }
  if (stage_ == Stage::Open && !length_ && is_rekey_mark(plaintext)) {
    transport_.receive.rekey();
    return Ok{};
  }
  return on_plaintext(plaintext, out);
}

Result<Ok> Channel::on_plaintext(ByteView plaintext, Output& out) {
  Reader reader(plaintext);
  std::size_t header_size = 0;
  if (!length_) {
    const std::uint32_t length = WEFT_TRY(reader.u32());
    if (length > kFrameMax) {
      return Error{Errc::Invalid, fmt::format("frame of {} bytes exceeds {}", length, kFrameMax)};
    }
    length_ = length;
    header_size = kFrameLengthSize;
  }
  // Exactly one way to cut a frame: no peer can keep us busy with chunks of nothing.
  const std::size_t left = header_size + *length_ - frame_.size();
  const std::size_t expected = std::min(left, kPlaintextMax);
  if (plaintext.size() != expected) {
    return Error{Errc::Invalid,
                 fmt::format("chunk of {} bytes (expected {})", plaintext.size(), expected)};
  }
  const ByteView rest = reader.rest();
  frame_.insert(frame_.end(), rest.begin(), rest.end());
  return frame_.size() == *length_ ? on_whole_frame(out) : Result<Ok>(Ok{});
}

Result<Ok> Channel::on_whole_frame(Output& out) {
  length_.reset();
  Bytes frame = std::exchange(frame_, {});
  if (stage_ == Stage::Open) {
    out.events.emplace_back(Frame{std::move(frame)});
    return Ok{};
  }
  WEFT_ASSERT(stage_ == Stage::Confirm);
  if (!frame.empty()) {
    return Error{Errc::Invalid, "the peer's confirmation is not empty"};
  }
  stage_ = Stage::Open;
  out.events.emplace_back(established_);
  return Ok{};
}

Result<Ok> Channel::seal_frame(ByteView frame, Bytes& out) {
  const std::size_t first = std::min(frame.size(), kPlaintextMax - kFrameLengthSize);
  const Bytes head =
      Writer().u32(static_cast<std::uint32_t>(frame.size())).append(frame.first(first)).take();
  WEFT_TRY(seal_chunk(head, out));
  for (ByteView rest = frame.subspan(first); !rest.empty();) {
    const std::size_t size = std::min(rest.size(), kPlaintextMax);
    WEFT_TRY(seal_chunk(rest.first(size), out));
    rest = rest.subspan(size);
  }
  return Ok{};
}

Result<Ok> Channel::seal_chunk(ByteView plaintext, Bytes& out) {
  append_length(plaintext.size() + noise::kTagSize, out);
  WEFT_TRY(transport_.send.encrypt({}, plaintext, out));
  if (transport_.send.nonce() % kRekeyChunks == 0) {
    transport_.send.rekey();
  }
  return Ok{};
}

void Channel::forget_handshake() {
  dh_count_ = dh_count();
  handshakes_.clear();
}

void Channel::fail(Error error, Output& out) {
  stage_ = Stage::Dead;
  inbound_ = {};
  frame_ = {};
  forget_handshake();
  transport_ = {};
  out.events.emplace_back(Failed{std::move(error), cause_});
}

}  // namespace weft::router
