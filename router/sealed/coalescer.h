// Puts packets that were cut from one super-frame together again, so that the receiving kernel
// handles one frame where the wire carried forty (what GRO does for a network card).
//
// Packets are opened in place: the caller decrypts each to where begin() says, so that its payload
// lands right behind the payload before it, and no payload is copied. Two packets are merged if
// they follow each other directly and one kernel would have cut them from one super-frame: same
// flow, same headers, next sequence number, equal payload sizes but for a shorter last one, nothing
// behind a PSH; their checksums partial, so that nothing needs to be summed. Everything else passes
// unchanged and in order. Pure; no allocation after construction. Inputs are total.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "router/sealed/super_frame.h"

namespace weft::router {

class Coalescer {
 public:
  // A VnetHeader with its frame, in the arena.
  using Finished = std::span<const std::uint8_t>;

  // As many frames as one sendmmsg() is given; the bytes hold two super-frames and small ones.
  static constexpr std::size_t kFramesMax = 64;
  static constexpr std::size_t kArenaSize = 3U << 16U;
  // The largest offload header with frame that begin() takes: what fits a UDP datagram.
  static constexpr std::size_t kPlaintextMax = 65507;

  Coalescer();

  // Where to write the next packet's offload header and frame, `size` octets. Nothing if there is
  // no room: take what is finished, then clear(). Precondition: kOffloadSize + kFrameSizeMin <=
  // size
  // <= kPlaintextMax. Each begin() is followed by accept() or reject().
  std::uint8_t* begin(std::size_t size);
  void accept();
  void reject();

  // Closes the frame being put together.
  void finish();
  // Complete frames, in order of arrival.
  std::span<const Finished> finished() const { return {finished_.data(), count_}; }
  // Precondition: finish() was called since the last accept().
  void clear();

 private:
  struct Open {
    std::size_t start = 0;  // Of its VnetHeader in the arena.
    std::size_t size = 0;   // Of the frame so far.
    std::size_t count = 0;  // Packets in it.
    std::array<std::uint8_t, kOffloadSize> offload{};
    std::optional<TransportLayout> layout;  // Nothing: takes no further packet.
    std::size_t gso_size = 0;
    std::uint32_t next_sequence = 0;
  };

  std::uint8_t* frame() { return arena_.data() + open_->start + sizeof(VnetHeader); }
  bool continues(std::span<const std::uint8_t> headers, std::size_t frame_size) const;
  void merge(std::size_t payload_size, std::uint8_t tcp_flags);
  void start_frame(std::size_t start, std::size_t frame_size);
  void write_length_and_sums(VnetHeader& vnet);

  std::vector<std::uint8_t> arena_;
  std::size_t used_ = 0;
  std::optional<Open> open_;
  std::array<Finished, kFramesMax> finished_{};
  std::size_t count_ = 0;

  // Of the packet between begin() and its end.
  std::size_t pending_size_ = 0;
  std::size_t pending_at_ = 0;    // Where it was opened to.
  std::size_t pending_over_ = 0;  // How much of the open frame's tail it overwrote.
  std::array<std::uint8_t, kOffloadSize + kHeadersMax> saved_{};
};

}  // namespace weft::router
