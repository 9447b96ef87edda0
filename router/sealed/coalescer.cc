#include "router/sealed/coalescer.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "router/sealed/octets.h"

namespace weft::router {
namespace {

constexpr std::size_t kNetwork = 14;  // plain_transport() takes no VLAN tags.
constexpr std::uint8_t kTcpPsh = 0x08;
// What one IP packet can say of its own length.
constexpr std::size_t kFrameMax = kNetwork + 65535;
// The kernel refuses UDP super-frames of more segments (UDP_MAX_SEGMENTS of Linux 4.18 … 6.8).
constexpr std::size_t kDatagramsMax = 64;
// So that payloads, which are copied by the kernel, begin on a cache line.
constexpr std::size_t kAlignment = 64;

std::size_t align(std::size_t offset) {
  return (offset + kAlignment - 1) / kAlignment * kAlignment;
}

bool equal(const std::uint8_t* a, const std::uint8_t* b, std::size_t from, std::size_t to) {
  return std::memcmp(a + from, b + from, to - from) == 0;
}

// All that packets of one super-frame have in common. Lengths, IPv4 identification, checksums and
// TCP's sequence number and flags differ, or are written anew.
bool same_flow(const std::uint8_t* a, const std::uint8_t* b, const TransportLayout& layout) {
  const std::size_t ip = kNetwork;
  const bool network = layout.is_v6 ? equal(a, b, 0, ip + 4) && equal(a, b, ip + 6, layout.l4)
                                    : equal(a, b, 0, ip + 2) && equal(a, b, ip + 6, ip + 10)
                                          && equal(a, b, ip + 12, layout.l4);
  if (!network || !equal(a, b, layout.l4, layout.l4 + 4)) {
    return false;
  }
  // Acknowledgement and header size; window; urgent pointer and options.
  const std::size_t tcp = layout.l4;
  return !layout.is_tcp
         || (equal(a, b, tcp + 8, tcp + 13) && equal(a, b, tcp + 14, tcp + 16)
             && equal(a, b, tcp + 18, layout.headers_size));
}

}  // namespace

Coalescer::Coalescer() : arena_(kArenaSize) {}

std::uint8_t* Coalescer::begin(std::size_t size) {
  WEFT_ASSERT(size >= kOffloadSize + kFrameSizeMin);
  WEFT_ASSERT(size <= kPlaintextMax);
  // The worst case: the packet ends up as a frame of its own behind the open one.
  const std::size_t worst = align(used_) + sizeof(VnetHeader) + size;
  if (count_ + 2 > kFramesMax || worst > arena_.size()) {
    return nullptr;
  }
  pending_size_ = size;
  pending_over_ = 0;
  pending_at_ = align(used_) + sizeof(VnetHeader) - kOffloadSize;
  if (open_ && open_->layout) {
    const std::size_t prefix = kOffloadSize + open_->layout->headers_size;
    const bool fits = size > prefix && open_->size + size - prefix <= kFrameMax
                      && size - prefix <= open_->gso_size;
    if (fits) {
      pending_over_ = prefix;
      pending_at_ = used_ - prefix;
      std::copy_n(arena_.data() + pending_at_, prefix, saved_.data());
    }
  }
  return arena_.data() + pending_at_;
}

void Coalescer::reject() {
  std::copy_n(saved_.data(), pending_over_, arena_.data() + pending_at_);
}

void Coalescer::accept() {
  if (pending_over_ == 0) {
    finish();
    start_frame(pending_at_ + kOffloadSize - sizeof(VnetHeader), pending_size_ - kOffloadSize);
    return;
  }
  std::uint8_t* at = arena_.data() + pending_at_;
  std::array<std::uint8_t, kOffloadSize + kHeadersMax> prefix{};
  std::copy_n(at, pending_over_, prefix.data());
  std::copy_n(saved_.data(), pending_over_, at);
  const std::size_t payload_size = pending_size_ - pending_over_;
  if (continues({prefix.data(), pending_over_}, pending_size_ - kOffloadSize)) {
    merge(payload_size, prefix[kOffloadSize + open_->layout->l4 + 13]);
    return;
  }
  // It stands where a continuation would; give it a place of its own.
  const std::size_t payload = used_;
  finish();
  const std::size_t start = align(payload);
  std::uint8_t* own = arena_.data() + start + sizeof(VnetHeader) - kOffloadSize;
  std::memmove(own + pending_over_, arena_.data() + payload, payload_size);
  std::copy_n(prefix.data(), pending_over_, own);
  start_frame(start, pending_size_ - kOffloadSize);
}

bool Coalescer::continues(std::span<const std::uint8_t> prefix, std::size_t frame_size) const {
  const Open& open = *open_;
  const TransportLayout& layout = *open.layout;
  const std::uint8_t* theirs = prefix.data() + kOffloadSize;
  const std::uint8_t* ours = arena_.data() + open.start + sizeof(VnetHeader);
  if (!std::equal(open.offload.begin(), open.offload.end(), prefix.begin())
      || !same_flow(ours, theirs, layout)) {
    return false;
  }
  if (!layout.is_tcp) {
    // The same ports and addresses, so it is UDP too; its length says whether the packet is whole.
    return open.count < kDatagramsMax && read16(theirs + layout.l4 + 4) == frame_size - layout.l4;
  }
  const std::uint8_t flags = theirs[layout.l4 + 13];
  const std::uint8_t opening = ours[layout.l4 + 13];
  const std::size_t total = layout.is_v6 ? read16(theirs + kNetwork + 4) + std::size_t{40}
                                         : read16(theirs + kNetwork + 2);
  return (flags & ~kTcpPsh) == (opening & ~kTcpPsh) && total == frame_size - kNetwork
         && read32(theirs + layout.l4 + 4) == open.next_sequence;
}

void Coalescer::merge(std::size_t payload_size, std::uint8_t tcp_flags) {
  Open& open = *open_;
  bool is_last = payload_size < open.gso_size;
  if (open.layout->is_tcp && (tcp_flags & kTcpPsh) != 0) {
    frame()[open.layout->l4 + 13] |= kTcpPsh;
    is_last = true;
  }
  open.size += payload_size;
  open.next_sequence += static_cast<std::uint32_t>(payload_size);
  ++open.count;
  used_ += payload_size;
  if (is_last) {
    finish();
  }
}

void Coalescer::start_frame(std::size_t start, std::size_t frame_size) {
  WEFT_ASSERT(!open_);
  open_ = Open{};
  open_->start = start;
  open_->size = frame_size;
  open_->count = 1;
  used_ = start + sizeof(VnetHeader) + frame_size;
  const std::uint8_t* at = frame();
  std::copy_n(at - kOffloadSize, kOffloadSize, open_->offload.begin());
  if ((open_->offload[0] & kOffloadPartialChecksum) == 0) {
    return;
  }
  const std::optional<TransportLayout> layout = plain_transport({at, frame_size});
  const bool is_pushed = layout && layout->is_tcp && (at[layout->l4 + 13] & kTcpPsh) != 0;
  const bool sums_transport = layout && read16(&open_->offload[2]) == layout->l4
                              && open_->offload[1] == (layout->is_tcp ? 16 : 6);
  if (!sums_transport || is_pushed) {
    return;
  }
  open_->layout = layout;
  open_->gso_size = frame_size - layout->headers_size;
  if (layout->is_tcp) {
    open_->next_sequence =
        read32(at + layout->l4 + 4) + static_cast<std::uint32_t>(open_->gso_size);
  }
}

void Coalescer::finish() {
  if (!open_) {
    return;
  }
  VnetHeader vnet;
  const auto& offload = open_->offload;
  vnet.flags = offload[0] & kOffloadHopsMask;
  const std::size_t sum_start = read16(&offload[2]);
  if ((offload[0] & kOffloadPartialChecksum) != 0 && sum_start + offload[1] + 2U <= open_->size) {
    vnet.flags |= VnetHeader::kNeedsChecksum;
    vnet.checksum_start = static_cast<std::uint16_t>(sum_start);
    vnet.checksum_offset = offload[1];
  }
  if (open_->count > 1) {
    write_length_and_sums(vnet);
  }
  std::uint8_t* at = arena_.data() + open_->start;
  std::memcpy(at, &vnet, sizeof vnet);
  finished_.at(count_++) = {at, sizeof vnet + open_->size};
  open_.reset();
}

void Coalescer::write_length_and_sums(VnetHeader& vnet) {
  const TransportLayout& layout = *open_->layout;
  std::uint8_t* at = frame();
  std::uint8_t* ip = at + kNetwork;
  const std::size_t transport_size = open_->size - layout.l4;
  std::uint32_t pseudo = static_cast<std::uint32_t>(transport_size) + (layout.is_tcp ? 6U : 17U);
  if (layout.is_v6) {
    write16(ip + 4, transport_size);
    pseudo += sum_words(ip + 8, 32);
  } else {
    write16(ip + 2, open_->size - kNetwork);
    write16(ip + 10, 0);
    write16(ip + 10, checksum_of(sum_words(ip, layout.l4 - kNetwork)));
    pseudo += sum_words(ip + 12, 8);
  }
  if (!layout.is_tcp) {
    write16(at + layout.l4 + 4, transport_size);
  }
  write16(at + layout.l4 + (layout.is_tcp ? 16 : 6), fold(pseudo));
  const std::uint8_t tcp = layout.is_v6 ? VnetHeader::kGsoTcp6 : VnetHeader::kGsoTcp4;
  vnet.gso_type = layout.is_tcp ? tcp : VnetHeader::kGsoUdp;
  vnet.gso_size = static_cast<std::uint16_t>(open_->gso_size);
  vnet.header_size = static_cast<std::uint16_t>(layout.headers_size);
}

void Coalescer::clear() {
  WEFT_ASSERT(!open_);
  used_ = 0;
  count_ = 0;
}

}  // namespace weft::router
