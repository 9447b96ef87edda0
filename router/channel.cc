#include "router/channel.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"

namespace weft::router {

namespace {

constexpr std::array<std::uint8_t, 4> kMagic{'w', 'e', 'f', 't'};
constexpr std::size_t kGreetingSize = kMagic.size() + 4;
constexpr std::size_t kLengthSize = 2;       // In clear, of a handshake message or chunk.
constexpr std::size_t kFrameLengthSize = 4;  // Sealed, of a frame.
constexpr std::size_t kRefusalSize = kLengthSize + 1;
constexpr std::size_t kPlaintextMax = noise::kMessageMax - noise::kTagSize;
static_assert(kFrameLengthSize <= kPlaintextMax);
static_assert(kHelloMax + 256 <= noise::kMessageMax);

// Reasons of a refusal. Part of the wire format: never renumber.
constexpr std::uint8_t kRefusedPassword = 1;

constexpr const char* kWrongPassword = "wrong password, or not a weft peer";

std::size_t length_of(ByteView unit) {
  return static_cast<std::size_t>(unit[0]) << 8U | unit[1];
}

void append_length(std::size_t length, Bytes& out) {
  WEFT_ASSERT(length <= noise::kMessageMax);
  out.push_back(static_cast<std::uint8_t>(length >> 8U));
  out.push_back(static_cast<std::uint8_t>(length & 0xffU));
}

}  // namespace

Channel::Channel(Options options, Entropy& entropy)
    : options_(std::move(options)),
      entropy_(entropy) {
  WEFT_ASSERT(options_.hello.size() <= kHelloMax);
  WEFT_ASSERT(options_.versions.lowest <= options_.versions.highest);
}

void Channel::start(Output& out) {
  WEFT_ASSERT(stage_ == Stage::New);
  stage_ = Stage::Greeting;
  const Bytes ours = greeting();
  out.bytes.insert(out.bytes.end(), ours.begin(), ours.end());
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
  if (stage_ == Stage::Handshake) {
    const std::size_t hello_max = handshake_->message_index() == 0 ? 0 : kHelloMax;
    length_min = handshake_->overhead();
    length_max = length_min + hello_max;
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
  if (stage_ != Stage::Open && length_of(view) == 0) {
    const std::uint8_t reason = body[0];
    return Error{Errc::Denied,
                 reason == kRefusedPassword
                     ? fmt::format("the peer refused us: {}", kWrongPassword)
                     : fmt::format("the peer refused us for reason {}", reason)};
  }
  return stage_ == Stage::Handshake ? on_message(body, out) : on_chunk(body, out);
}

// Greeting ------------------------------------------------------------------------------------

Bytes Channel::greeting() const {
  return Writer()
      .append(kMagic)
      .u8(options_.versions.lowest)
      .u8(options_.versions.highest)
      .u8(options_.psk ? 1 : 0)
      .u8(0)  // For a later version to give a meaning; ignored by this one.
      .take();
}

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
    return Error{Errc::Invalid,
                 fmt::format("peer speaks protocol {}..{}, we speak {}..{}",
                             lowest,
                             highest,
                             ours.lowest,
                             ours.highest)};
  }
  if ((password == 1) != options_.psk.has_value()) {
    const char* const which = options_.psk ? "we have a password, the peer has none"
                                           : "the peer has a password, we have none";
    return Error{Errc::Denied, fmt::format("{} (start both with the same --password-file)", which)};
  }
  established_.version = std::min(highest, ours.highest);

  // With both greetings in the prologue, nobody in between can have changed either.
  const bool is_initiator = options_.role == Role::Initiator;
  const Bytes mine = greeting();
  const ByteView first = is_initiator ? ByteView(mine) : theirs;
  const ByteView second = is_initiator ? theirs : ByteView(mine);
  handshake_.emplace(
      noise::HandshakeState::Options{.role = options_.role,
                                     .key = options_.key,
                                     .psk = options_.psk,
                                     .prologue = Writer().append(first).append(second).take()},
      entropy_);
  stage_ = Stage::Handshake;
  return is_initiator ? write_message(out) : Result<Ok>(Ok{});
}

// Handshake -----------------------------------------------------------------------------------

Result<Ok> Channel::on_message(ByteView message, Output& out) {
  const bool carries_hello = handshake_->message_index() > 0;
  const bool proves_password = options_.psk && handshake_->message_index() == 2;
  Result<Bytes> payload = handshake_->read_message(message);
  if (!payload.ok()) {
    if (!proves_password) {
      return std::move(payload).error().with_context("handshake");
    }
    append_length(0, out.bytes);
    out.bytes.push_back(kRefusedPassword);
    return Error{Errc::Denied, kWrongPassword};
  }
  if (carries_hello) {
    established_.hello = std::move(payload).value();
    established_.remote_key = *handshake_->remote_static();
  }
  if (!handshake_->finished()) {
    return write_message(out);
  }
  // The responder knows that the initiator has the password, and now proves that it has, too.
  transport_ = handshake_->split();
  handshake_.reset();
  stage_ = Stage::Open;
  established_.authenticated = options_.psk.has_value();
  WEFT_TRY(seal_frame({}, out.bytes));
  out.events.emplace_back(established_);
  return Ok{};
}

Result<Ok> Channel::write_message(Output& out) {
  // The first message is readable by anybody.
  const ByteView payload = handshake_->message_index() == 0 ? ByteView() : options_.hello;
  append_length(handshake_->overhead() + payload.size(), out.bytes);
  WEFT_TRY(handshake_->write_message(payload, out.bytes));
  if (handshake_->finished()) {
    transport_ = handshake_->split();
    handshake_.reset();
    stage_ = Stage::Confirm;
  }
  return Ok{};
}

// Transport -----------------------------------------------------------------------------------

Result<Ok> Channel::on_chunk(ByteView chunk, Output& out) {
  Bytes plaintext;
  Result<Ok> opened = transport_.receive.decrypt({}, chunk, plaintext);
  if (!opened.ok()) {
    if (stage_ == Stage::Confirm && options_.psk) {
      return Error{Errc::Denied, kWrongPassword};
    }
    return std::move(opened).error().with_context("frame");
  }
  if (transport_.receive.nonce() % kRekeyChunks == 0) {
    transport_.receive.rekey();
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
  established_.authenticated = options_.psk.has_value();
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

void Channel::fail(Error error, Output& out) {
  stage_ = Stage::Dead;
  inbound_ = {};
  frame_ = {};
  handshake_.reset();
  transport_ = {};
  out.events.emplace_back(Failed{std::move(error)});
}

}  // namespace weft::router
