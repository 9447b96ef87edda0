// Small sealed frames, as BPF writes and reads them: the pure part of docs/adr/0082.
//
// The datagram is one of the encrypted data path's (router/sealed/session_wire.h) whose lane says
// "kernel". Its cipher is always ChaCha20-Poly1305, its key one of its own
// (router/sealed/kernel_keys.h), and so are its counters. Plain C without helpers or maps, compiled
// for BPF and for the host, where it is tested and fuzzed.
#pragma once

#include "router/bpf/chacha20_poly1305.h"
#include "router/bpf/parse.h"

#define WEFT_LANE_HEADER_SIZE 16
#define WEFT_LANE_OFFLOAD_SIZE 4  // Always zero here: checksums are whole.
#define WEFT_LANE_TAG_SIZE 16
#define WEFT_LANE_FIRST 0x04020000  // Type: data; lane: kernel; two zero octets.
// What stands between the outer Ethernet header and the inner packet, once sealed.
#define WEFT_LANE_ENCAP_SIZE \
  (WEFT_IPV4_SIZE + WEFT_UDP_SIZE + WEFT_LANE_HEADER_SIZE + WEFT_LANE_OFFLOAD_SIZE + WEFT_ETH_SIZE)
// From the start of the frame to the sealed text.
#define WEFT_LANE_TEXT_AT (WEFT_ETH_SIZE + WEFT_IPV4_SIZE + WEFT_UDP_SIZE + WEFT_LANE_HEADER_SIZE)
#define WEFT_TCP_SIZE 20
#define WEFT_TCP_FLAGS 13
#define WEFT_TCP_ACK 0x10
#define WEFT_LANE_BLOCK 64
#define WEFT_LANE_BLOCKS 10
#define WEFT_LANE_WORDS (WEFT_LANE_BLOCKS * WEFT_LANE_BLOCK / 8)
#define WEFT_LANE_FRAME_MIN (WEFT_ETH_SIZE + WEFT_IPV4_SIZE)
// Offload header and frame.
#define WEFT_LANE_TEXT_MIN (WEFT_LANE_OFFLOAD_SIZE + WEFT_LANE_FRAME_MIN)
#define WEFT_LANE_TEXT_MAX (WEFT_LANE_OFFLOAD_SIZE + WEFT_EXPRESS_MAX)

// Where one text is worked on. Words of the cipher, least octet first.
struct weft_lane_text {
  __u64 header[WEFT_LANE_HEADER_SIZE / 8];
  __u64 text[WEFT_LANE_WORDS];  // Octets after `size` are anything, before weft_lane_authenticate.
  __u64 tag[2];
  __u64 received_tag[2];
  struct weft_chacha_key key;
  struct weft_chacha_block stream;
};

struct weft_lane_datagram {
  __u8 source[4];
  __u8 destination[4];
  __u32 receiver;
  __u64 counter;
  __u32 size;       // Of the sealed text, without its tag.
  __u32 is_marked;  // It met congestion, of which the frame inside has to tell (RFC 6040).
};

// 1 only if the frame is just one such datagram to the UDP port: unfragmented, without IP options.
// `length` is the frame's.
WEFT_INLINE int weft_parse_lane(
    const __u8* data, const __u8* end, __u32 length, __u16 port, struct weft_lane_datagram* out) {
  if (data + WEFT_LANE_TEXT_AT > end) {
    return 0;
  }
  const __u8* ip = data + WEFT_ETH_SIZE;
  const __u8* udp = ip + WEFT_IPV4_SIZE;
  const __u8* header = udp + WEFT_UDP_SIZE;
  if (weft_read16(data + 12) != WEFT_ETHERTYPE_IPV4 || ip[0] != 0x45
      || ip[WEFT_IPV4_PROTOCOL] != WEFT_PROTOCOL_UDP || (weft_read16(ip + 6) & 0x3fff) != 0) {
    return 0;
  }
  if (weft_read16(udp + 2) != port || weft_read32(header) != WEFT_LANE_FIRST) {
    return 0;
  }
  const __u32 around = WEFT_UDP_SIZE + WEFT_LANE_HEADER_SIZE + WEFT_LANE_TAG_SIZE;
  const __u32 udp_size = weft_read16(udp + 4);
  if (weft_read16(ip + 2) != WEFT_IPV4_SIZE + udp_size
      || length != WEFT_ETH_SIZE + WEFT_IPV4_SIZE + udp_size
      || udp_size < around + WEFT_LANE_TEXT_MIN || udp_size > around + WEFT_LANE_TEXT_MAX) {
    return 0;
  }
  __builtin_memcpy(out->source, ip + 12, 4);
  __builtin_memcpy(out->destination, ip + WEFT_IPV4_DESTINATION, 4);
  out->receiver = weft_read32(header + 4);
  out->counter = (__u64)weft_read32(header + 8) << 32 | weft_read32(header + 12);
  out->size = udp_size - around;
  out->is_marked = (ip[1] & WEFT_ECN_MASK) == WEFT_ECN_CE;
  return 1;
}

// Marks the IP packet in an Ethernet frame of WEFT_LANE_FRAME_MIN octets at least as one that met
// congestion. 0: its sender takes no marks, so that it has to be dropped (RFC 6040, 4.2).
WEFT_INLINE int weft_mark_congestion(__u8* frame, __u16 ethertype) {
  __u8* ip = frame + WEFT_ETH_SIZE;
  if (ethertype == WEFT_ETHERTYPE_IPV6) {
    if ((ip[1] & WEFT_ECN_MASK << 4) == 0) {
      return 0;
    }
    ip[1] |= WEFT_ECN_CE << 4;
    return 1;
  }
  const __u32 before = ip[1] & WEFT_ECN_MASK;
  if (before == 0) {
    return 0;
  }
  // RFC 1624, equation 3, for the word that the field is the end of.
  __u32 sum = (~(__u32)weft_read16(ip + 10) & 0xffff) + (WEFT_ECN_CE - before);
  sum = (sum & 0xffff) + (sum >> 16);
  weft_write16(ip + 10, ~sum);
  ip[1] |= WEFT_ECN_CE;
  return 1;
}

// 1 if an Ethernet frame is a TCP segment that says nothing but how much has arrived (RFC 9293).
// Segments behind IP options or IPv6 extension headers are not looked for.
WEFT_INLINE int weft_is_bare_ack(const __u8* data, const __u8* end) {
  if (data + WEFT_ETH_SIZE + WEFT_IPV6_SIZE > end) {
    return 0;
  }
  const __u8* ip = data + WEFT_ETH_SIZE;
  const __u8* tcp = ip + WEFT_IPV4_SIZE;
  __u32 size = 0;
  if (ip[0] == 0x45 && ip[WEFT_IPV4_PROTOCOL] == WEFT_PROTOCOL_TCP) {
    size = weft_read16(ip + 2) - WEFT_IPV4_SIZE;
  } else if (ip[0] >> 4 == 6 && ip[WEFT_IPV6_NEXT_HEADER] == WEFT_PROTOCOL_TCP) {
    size = weft_read16(ip + 4);
    tcp = ip + WEFT_IPV6_SIZE;
  } else {
    return 0;
  }
  if (tcp + WEFT_TCP_SIZE > end) {
    return 0;
  }
  return tcp[WEFT_TCP_FLAGS] == WEFT_TCP_ACK && size == (__u32)(tcp[WEFT_TCP_DATA_OFFSET] >> 4) * 4;
}

struct weft_lane_outer {
  __u8 source[4];
  __u8 destination[4];
  __u16 udp_source;
  __u16 udp_destination;
  __u32 size;  // Of the sealed text, without its tag.
  __u8 inner_ecn;
};

// Outer IPv4 and UDP headers. Don't Fragment is set, as the frame is smaller than any path's MTU.
// The UDP checksum is zero, which IPv4 allows (RFC 768) and the tag makes superfluous; it also
// keeps receive offloads from gluing these datagrams to others.
WEFT_INLINE void weft_write_lane_outer(__u8* ip, const struct weft_lane_outer* outer) {
  const __u32 udp_size = WEFT_UDP_SIZE + WEFT_LANE_HEADER_SIZE + outer->size + WEFT_LANE_TAG_SIZE;
  __builtin_memset(ip, 0, WEFT_IPV4_SIZE + WEFT_UDP_SIZE);
  ip[0] = 0x45;
  ip[1] = outer->inner_ecn == WEFT_ECN_CE ? WEFT_ECN_ECT0 : outer->inner_ecn;
  weft_write16(ip + 2, WEFT_IPV4_SIZE + udp_size);
  ip[6] = WEFT_DONT_FRAGMENT;
  ip[8] = WEFT_TTL;
  ip[WEFT_IPV4_PROTOCOL] = WEFT_PROTOCOL_UDP;
  __builtin_memcpy(ip + 12, outer->source, 4);
  __builtin_memcpy(ip + WEFT_IPV4_DESTINATION, outer->destination, 4);
  weft_write16(ip + 10, weft_ipv4_checksum(ip));
  __u8* udp = ip + WEFT_IPV4_SIZE;
  weft_write16(udp, outer->udp_source);
  weft_write16(udp + 2, outer->udp_destination);
  weft_write16(udp + 4, udp_size);
}

// The data header: authenticated, not sealed.
WEFT_INLINE void weft_write_lane_header(struct weft_lane_text* t, __u32 receiver, __u64 counter) {
  t->header[0] = (__u64)__builtin_bswap32(receiver) << 32 | __builtin_bswap32(WEFT_LANE_FIRST);
  t->header[1] = __builtin_bswap64(counter);
}

// Seals what is plain, or the reverse (RFC 8439, 2.4). 0: more than WEFT_LANE_TEXT_MAX octets.
WEFT_CIPHER_FUNCTION int weft_lane_crypt(struct weft_lane_text* t, __u64 counter, __u32 size) {
  if (!t || size > WEFT_LANE_TEXT_MAX) {
    return 0;
  }
  for (__u32 i = 0; i < WEFT_LANE_BLOCKS && i * WEFT_LANE_BLOCK < size; ++i) {
    weft_chacha20_block(&t->key, i + 1, counter, &t->stream);
    for (__u32 word = 0; word < WEFT_LANE_BLOCK / 8; ++word) {
      const __u64 low = t->stream.words[2 * word];
      t->text[i * (WEFT_LANE_BLOCK / 8) + word] ^= (__u64)t->stream.words[2 * word + 1] << 32 | low;
    }
  }
  return 1;
}

// Computes the tag of header and sealed text (2.8), and pads the text. 0: more than
// WEFT_LANE_TEXT_MAX octets.
WEFT_CIPHER_FUNCTION int weft_lane_authenticate(struct weft_lane_text* t,
                                                __u64 counter,
                                                __u32 size) {
  if (!t || size > WEFT_LANE_TEXT_MAX) {
    return 0;
  }
  const __u32 last = size / 8;
  t->text[last] &= (1ULL << (size % 8 * 8)) - 1;
  t->text[last + 1] = 0;
  weft_chacha20_block(&t->key, 0, counter, &t->stream);
  struct weft_poly1305 state;
  weft_poly1305_begin(&state, t->stream.words);
  weft_poly1305_block(&state, t->header[0], t->header[1]);
  for (__u32 i = 0; i < WEFT_LANE_WORDS / 2 && i * 16 < size; ++i) {
    weft_poly1305_block(&state, t->text[2 * i], t->text[2 * i + 1]);
  }
  weft_poly1305_block(&state, WEFT_LANE_HEADER_SIZE, size);
  weft_poly1305_finish(&state, t->stream.words + 4, t->tag);
  return 1;
}

WEFT_INLINE int weft_lane_is_authentic(const struct weft_lane_text* t) {
  return ((t->tag[0] ^ t->received_tag[0]) | (t->tag[1] ^ t->received_tag[1])) == 0;
}

// Accepts each counter once, unless it is too old to know, by a ring of words as RFC 6479 has it
// (router/sealed/replay_window.h). 1: accepted.
WEFT_INLINE int weft_lane_accept(struct weft_lane_window* window, __u64 counter) {
  const __u64 word = counter / 64;
  const __u64 bit = 1ULL << (counter % 64);
  if (counter >= window->next) {
    // Words that the window enters have not been written in this turn of the ring.
    const __u64 last = window->next == 0 ? 0 : (window->next - 1) / 64;
    const __u64 entered = word - last;
#pragma GCC unroll 32
    for (__u64 i = 1; i <= WEFT_LANE_WINDOW_WORDS; ++i) {
      if (i <= entered) {
        window->words[(last + i) % WEFT_LANE_WINDOW_WORDS] = 0;
      }
    }
    window->next = counter + 1;
  } else if (window->next - counter > (WEFT_LANE_WINDOW_WORDS - 1) * 64) {
    return 0;
  }
  if ((window->words[word % WEFT_LANE_WINDOW_WORDS] & bit) != 0) {
    return 0;
  }
  window->words[word % WEFT_LANE_WINDOW_WORDS] |= bit;
  return 1;
}
