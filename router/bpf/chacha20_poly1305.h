// ChaCha20 and Poly1305 (RFC 8439) for short texts, without a branch or an index that depends on
// what is secret.
//
// Plain C without helpers or maps, compiled for BPF and for the host, where it is tested against
// the RFC's vectors and against libsodium. BPF has ten registers and no rotation: 0.3 µs per block
// of 64 octets and 4 ns per octet of text (docs/PERFORMANCE.md).
#pragma once

#include <linux/types.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "words are read as the cipher has them: least octet first"
#endif

#define WEFT_CIPHER_INLINE static inline __attribute__((always_inline))

// The kernel checks a function that others could call once, instead of at each call.
#ifdef __bpf__
#define WEFT_CIPHER_FUNCTION __attribute__((noinline))
#else
#define WEFT_CIPHER_FUNCTION static __attribute__((noinline, unused))
#endif

struct weft_chacha_key {
  __u32 words[8];
};
struct weft_chacha_block {
  __u32 words[16];
};

#define WEFT_ROTATE(x, bits) (((x) << (bits)) | ((x) >> (32 - (bits))))
// RFC 8439, 2.1.
#define WEFT_QUARTER_ROUND(a, b, c, d) \
  do {                                 \
    (a) += (b);                        \
    (d) = WEFT_ROTATE((d) ^ (a), 16);  \
    (c) += (d);                        \
    (b) = WEFT_ROTATE((b) ^ (c), 12);  \
    (a) += (b);                        \
    (d) = WEFT_ROTATE((d) ^ (a), 8);   \
    (c) += (d);                        \
    (b) = WEFT_ROTATE((b) ^ (c), 7);   \
  } while (0)

// One block of key stream (2.3). The nonce is four zero octets and then `nonce`, least octet first,
// as Noise counts (section 12). 0 always, but where there is no key or no place.
WEFT_CIPHER_FUNCTION int weft_chacha20_block(const struct weft_chacha_key* from,
                                             __u32 block,
                                             __u64 nonce,
                                             struct weft_chacha_block* to) {
  if (!from || !to) {
    return 1;  // Cannot happen: for the verifier.
  }
  const __u32* key = from->words;
  __u32* out = to->words;
  const __u32 low = (__u32)nonce;
  const __u32 high = (__u32)(nonce >> 32);
  __u32 x0 = 0x61707865, x1 = 0x3320646e, x2 = 0x79622d32, x3 = 0x6b206574;
  __u32 x4 = key[0], x5 = key[1], x6 = key[2], x7 = key[3];
  __u32 x8 = key[4], x9 = key[5], x10 = key[6], x11 = key[7];
  __u32 x12 = block, x13 = 0, x14 = low, x15 = high;
#ifdef __clang__
#pragma clang loop unroll(disable)
#endif
  for (int i = 0; i < 10; ++i) {
    WEFT_QUARTER_ROUND(x0, x4, x8, x12);
    WEFT_QUARTER_ROUND(x1, x5, x9, x13);
    WEFT_QUARTER_ROUND(x2, x6, x10, x14);
    WEFT_QUARTER_ROUND(x3, x7, x11, x15);
    WEFT_QUARTER_ROUND(x0, x5, x10, x15);
    WEFT_QUARTER_ROUND(x1, x6, x11, x12);
    WEFT_QUARTER_ROUND(x2, x7, x8, x13);
    WEFT_QUARTER_ROUND(x3, x4, x9, x14);
  }
  out[0] = x0 + 0x61707865, out[1] = x1 + 0x3320646e;
  out[2] = x2 + 0x79622d32, out[3] = x3 + 0x6b206574;
  out[4] = x4 + key[0], out[5] = x5 + key[1], out[6] = x6 + key[2], out[7] = x7 + key[3];
  out[8] = x8 + key[4], out[9] = x9 + key[5], out[10] = x10 + key[6], out[11] = x11 + key[7];
  out[12] = x12 + block, out[13] = x13, out[14] = x14 + low, out[15] = x15 + high;
  return 0;
}

// The authenticator (2.5), in five limbs of 26 bits: products and their sums fit into 64 bits.
struct weft_poly1305 {
  __u64 r[5];
  __u64 s[5];  // Five times r: what overflows 2^130 comes back times five.
  __u64 h[5];
};

// `key` has 4 words: r, clamped here.
WEFT_CIPHER_INLINE void weft_poly1305_begin(struct weft_poly1305* p, const __u32* key) {
  p->r[0] = key[0] & 0x3ffffff;
  p->r[1] = (((__u64)key[1] << 32 | key[0]) >> 26) & 0x3ffff03;
  p->r[2] = (((__u64)key[2] << 32 | key[1]) >> 20) & 0x3ffc0ff;
  p->r[3] = (((__u64)key[3] << 32 | key[2]) >> 14) & 0x3f03fff;
  p->r[4] = (key[3] >> 8) & 0x00fffff;
  for (int i = 0; i < 5; ++i) {
    p->s[i] = p->r[i] * 5;
    p->h[i] = 0;
  }
}

// 16 octets as two words, least octet first. Whole blocks only: the construction pads (2.8).
WEFT_CIPHER_INLINE void weft_poly1305_block(struct weft_poly1305* p, __u64 low, __u64 high) {
  const __u64 h0 = p->h[0] + (low & 0x3ffffff);
  const __u64 h1 = p->h[1] + ((low >> 26) & 0x3ffffff);
  const __u64 h2 = p->h[2] + (((low >> 52) | (high << 12)) & 0x3ffffff);
  const __u64 h3 = p->h[3] + ((high >> 14) & 0x3ffffff);
  const __u64 h4 = p->h[4] + ((high >> 40) | (1U << 24));
  const __u64* r = p->r;
  const __u64* s = p->s;
  __u64 d0 = h0 * r[0] + h1 * s[4] + h2 * s[3] + h3 * s[2] + h4 * s[1];
  __u64 d1 = h0 * r[1] + h1 * r[0] + h2 * s[4] + h3 * s[3] + h4 * s[2];
  __u64 d2 = h0 * r[2] + h1 * r[1] + h2 * r[0] + h3 * s[4] + h4 * s[3];
  __u64 d3 = h0 * r[3] + h1 * r[2] + h2 * r[1] + h3 * r[0] + h4 * s[4];
  __u64 d4 = h0 * r[4] + h1 * r[3] + h2 * r[2] + h3 * r[1] + h4 * r[0];
  d1 += d0 >> 26;
  d2 += d1 >> 26;
  d3 += d2 >> 26;
  d4 += d3 >> 26;
  d0 = (d0 & 0x3ffffff) + (d4 >> 26) * 5;
  p->h[0] = d0 & 0x3ffffff;
  p->h[1] = (d1 & 0x3ffffff) + (d0 >> 26);
  p->h[2] = d2 & 0x3ffffff;
  p->h[3] = d3 & 0x3ffffff;
  p->h[4] = d4 & 0x3ffffff;
}

// `pad` has 4 words: s of the one-time key. Two words of tag.
WEFT_CIPHER_INLINE void weft_poly1305_finish(struct weft_poly1305* p,
                                             const __u32* pad,
                                             __u64* tag) {
  const __u64 mask = 0x3ffffff;
  __u64 h[5];
  for (int i = 0; i < 5; ++i) {
    h[i] = p->h[i];
  }
  for (int i = 1; i < 4; ++i) {
    h[i + 1] += h[i] >> 26;
    h[i] &= mask;
  }
  h[0] += (h[4] >> 26) * 5;
  h[4] &= mask;
  h[1] += h[0] >> 26;
  h[0] &= mask;
  // h - p, if that is not negative.
  __u64 g[5];
  __u64 carry = 5;
  for (int i = 0; i < 5; ++i) {
    carry += h[i];
    g[i] = carry & mask;
    carry >>= 26;
  }
  const __u64 is_reduced = 0 - carry;  // All ones or none.
  for (int i = 0; i < 5; ++i) {
    h[i] = (h[i] & ~is_reduced) | (g[i] & is_reduced);
  }
  const __u64 low = h[0] | h[1] << 26 | h[2] << 52;
  const __u64 high = h[2] >> 12 | h[3] << 14 | h[4] << 40;
  tag[0] = low + ((__u64)pad[1] << 32 | pad[0]);
  tag[1] = high + ((__u64)pad[3] << 32 | pad[2]) + (tag[0] < low);
}
