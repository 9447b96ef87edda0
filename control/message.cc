#include "control/message.h"

#include <utility>

#include <fmt/format.h>

#include "base/gossip.h"
#include "base/overloaded.h"
#include "proto/control.pb.h"

namespace weft::control {
namespace {

std::string cut(const std::string& text) {
  if (text.size() <= kTextMax) {
    return text;
  }
  std::size_t end = kTextMax;
  constexpr unsigned kContinuation = 0x80;
  constexpr unsigned kContinuationMask = 0xc0;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & kContinuationMask) == kContinuation) {
    --end;
  }
  return text.substr(0, end);
}

Result<std::string> text(const std::string& in) {
  if (in.size() > kTextMax) {
    return Error{Errc::Invalid, fmt::format("text of {} bytes (at most {})", in.size(), kTextMax)};
  }
  return in;
}

void put(const Ask& ask, wire::control::Message& out) {
  auto& item = *out.mutable_ask();
  item.set_call(ask.call);
  item.set_node(cut(ask.node));
  item.set_control(cut(ask.control));
  for (const auto& [key, value] : ask.arguments) {
    if (item.arguments().size() < kArgumentsMax) {
      (*item.mutable_arguments())[cut(key)] = cut(value);
    }
  }
  item.set_pipe(cut(ask.pipe));
  item.set_who(cut(ask.who));
}

void put(const Told& told, wire::control::Message& out) {
  auto& item = *out.mutable_told();
  item.set_call(told.call);
  item.set_error(cut(told.error));
  item.set_pipe(told.pipe);
  item.set_raw_tty(told.raw_tty);
  item.set_resize_control(cut(told.resize_control));
  item.set_removed(told.removed);
}

void put(const Piece& piece, wire::control::Message& out) {
  auto& item = *out.mutable_piece();
  item.set_pipe(piece.pipe);
  item.set_offset(piece.offset);
  item.set_data(std::string(as_text(piece.data)));
}

void put(const Taken& taken, wire::control::Message& out) {
  out.mutable_taken()->set_pipe(taken.pipe);
  out.mutable_taken()->set_offset(taken.offset);
}

void put(const Ended& ended, wire::control::Message& out) {
  out.mutable_ended()->set_pipe(ended.pipe);
  out.mutable_ended()->set_reason(cut(ended.reason));
}

Result<Body> ask(const wire::control::Ask& in) {
  Ask out;
  out.call = in.call();
  out.node = WEFT_TRY(text(in.node()));
  out.control = WEFT_TRY(text(in.control()));
  if (in.arguments().size() > kArgumentsMax) {
    return Error{Errc::Invalid,
                 fmt::format("{} arguments (at most {})", in.arguments().size(), kArgumentsMax)};
  }
  for (const auto& item : in.arguments()) {
    const std::string key = WEFT_TRY(text(item.first));
    out.arguments[key] = WEFT_TRY(text(item.second));
  }
  out.pipe = WEFT_TRY(text(in.pipe()));
  out.who = WEFT_TRY(text(in.who()));
  return Body(std::in_place_type<Ask>, std::move(out));
}

Result<Body> told(const wire::control::Told& in) {
  Told out;
  out.call = in.call();
  out.error = WEFT_TRY(text(in.error()));
  out.pipe = in.pipe();
  out.raw_tty = in.raw_tty();
  out.resize_control = WEFT_TRY(text(in.resize_control()));
  out.removed = in.removed();
  return Body(std::in_place_type<Told>, std::move(out));
}

Result<Body> piece(const wire::control::Piece& in) {
  Piece out;
  out.pipe = WEFT_TRY(text(in.pipe()));
  out.offset = in.offset();
  if (in.data().empty() || in.data().size() > kPieceMax) {
    return Error{Errc::Invalid,
                 fmt::format("piece of {} bytes (expected 1 to {})", in.data().size(), kPieceMax)};
  }
  out.data = to_bytes(in.data());
  return Body(std::in_place_type<Piece>, std::move(out));
}

Result<Body> taken(const wire::control::Taken& in) {
  Taken out;
  out.pipe = WEFT_TRY(text(in.pipe()));
  out.offset = in.offset();
  return Body(std::in_place_type<Taken>, std::move(out));
}

Result<Body> ended(const wire::control::Ended& in) {
  Ended out;
  out.pipe = WEFT_TRY(text(in.pipe()));
  out.reason = WEFT_TRY(text(in.reason()));
  return Body(std::in_place_type<Ended>, std::move(out));
}

Result<Body> body(const wire::control::Message& in) {
  using wire::control::Message;
  switch (in.body_case()) {
    case Message::kAsk:
      return ask(in.ask());
    case Message::kTold:
      return told(in.told());
    case Message::kPiece:
      return piece(in.piece());
    case Message::kTaken:
      return taken(in.taken());
    case Message::kEnded:
      return ended(in.ended());
    case Message::BODY_NOT_SET:
      break;
  }
  return Error{Errc::Invalid, "control message without a body"};
}

}  // namespace

Bytes encode(const Message& message) {
  wire::control::Message wire;
  wire.set_from_asker(message.from_asker);
  std::visit([&wire](const auto& item) { put(item, wire); }, message.body);
  const std::string bytes = wire.SerializeAsString();
  return to_bytes(bytes);
}

Result<Message> decode(ByteView bytes) {
  wire::control::Message wire;
  const bool is_parsed = bytes.size() <= kGossipPayloadMax
                         && wire.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  if (!is_parsed) {
    return Error{Errc::Invalid, "malformed control message"};
  }
  Body decoded = WEFT_TRY(body(wire));
  return Message{.from_asker = wire.from_asker(), .body = std::move(decoded)};
}

}  // namespace weft::control
