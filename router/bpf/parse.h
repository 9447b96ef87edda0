// Reading and writing VXLAN in IPv4 (RFC 7348): the pure part of the fast path.
//
// Plain C without helpers or maps, compiled for BPF and for the host, where it is unit-tested and
// fuzzed. Bounds are checked where the pointer is advanced; anything that is not exactly the common
// case is reported as such and left to the kernel's own VXLAN device.
#pragma once

#include "router/bpf/maps.h"

#define WEFT_ETH_SIZE 14
#define WEFT_IPV4_SIZE 20
#define WEFT_IPV6_SIZE 40
#define WEFT_UDP_SIZE 8
#define WEFT_VXLAN_SIZE 8
// What stands between the outer Ethernet header and the inner packet.
#define WEFT_ENCAP_SIZE (WEFT_IPV4_SIZE + WEFT_UDP_SIZE + WEFT_VXLAN_SIZE + WEFT_ETH_SIZE)
#define WEFT_ENCAP_FRAME_SIZE (WEFT_ETH_SIZE + WEFT_ENCAP_SIZE)

#define WEFT_ARP_SIZE 28
#define WEFT_ARP_FRAME_SIZE (WEFT_ETH_SIZE + WEFT_ARP_SIZE)
#define WEFT_ETHERTYPE_IPV4 0x0800
#define WEFT_ETHERTYPE_ARP 0x0806
#define WEFT_ETHERTYPE_IPV6 0x86dd
#define WEFT_IPV4_PROTOCOL 9  // Offsets of the next protocol in either header.
#define WEFT_IPV6_NEXT_HEADER 6
#define WEFT_IPV4_DESTINATION 16
#define WEFT_TCP_DATA_OFFSET 12
#define WEFT_PROTOCOL_TCP 6
#define WEFT_PROTOCOL_UDP 17
#define WEFT_TTL 64  // Linux's default, and what its VXLAN device uses.
// Less is not passed on by a relay. As each halves it, a loop of relays that disagree ends after
// five turns, and the paths between them may still have 15 routers.
#define WEFT_RELAY_TTL_MIN 4
#define WEFT_ETHERTYPE_CARRIER 0x88b6  // Between agents (router/datapath/carrier.h).
#define WEFT_ECN_MASK 0x03
#define WEFT_ECN_ECT0 0x02
#define WEFT_ECN_CE 0x03
#define WEFT_VXLAN_FLAG_VNI 0x08
#define WEFT_DONT_FRAGMENT 0x40

#define WEFT_INLINE static inline __attribute__((always_inline))

// Values are in host order except addresses, which are octets.
struct weft_vxlan {
  __u8 source[4];
  __u8 destination[4];
  __u32 vni;
  struct weft_mac inner_destination;
  __u16 inner_ethertype;
};

struct weft_encap {
  __u8 source[4];
  __u8 destination[4];
  __u32 vni;
  __u16 udp_source;
  __u16 udp_destination;
  __u32 inner_size;  // Of the inner frame, with its Ethernet header.
  __u8 inner_ecn;
};

WEFT_INLINE __u16 weft_read16(const __u8* at) {
  return (__u16)(((__u32)at[0] << 8) | at[1]);
}

WEFT_INLINE __u32 weft_read32(const __u8* at) {
  return ((__u32)at[0] << 24) | ((__u32)at[1] << 16) | ((__u32)at[2] << 8) | at[3];
}

WEFT_INLINE void weft_write16(__u8* at, __u32 value) {
  at[0] = (__u8)(value >> 8);
  at[1] = (__u8)value;
}

WEFT_INLINE struct weft_mac weft_read_mac(const __u8* at) {
  struct weft_mac mac = {{0, 0, 0, 0, 0, 0}, {0, 0}};
  __builtin_memcpy(mac.octets, at, sizeof mac.octets);
  return mac;
}

WEFT_INLINE int weft_is_same_mac(const struct weft_mac* one, const struct weft_mac* other) {
  return weft_read32(one->octets) == weft_read32(other->octets)
         && weft_read16(one->octets + 4) == weft_read16(other->octets + 4);
}

WEFT_INLINE struct weft_address weft_mapped(const __u8* ipv4) {
  struct weft_address address = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}};
  __builtin_memcpy(address.octets + 12, ipv4, 4);
  return address;
}

WEFT_INLINE int weft_is_mapped(const struct weft_address* address) {
  const __u8* octets = address->octets;
  return weft_read32(octets) == 0 && weft_read32(octets + 4) == 0
         && weft_read32(octets + 8) == 0xffff;
}

// Reads the destination of an Ethernet frame. 0 if the frame is too short for one.
WEFT_INLINE int weft_parse_destination(const __u8* data, const __u8* end, struct weft_mac* out) {
  if (data + WEFT_ETH_SIZE > end) {
    return 0;
  }
  *out = weft_read_mac(data);
  return 1;
}

// A question for an IPv4 address (RFC 826).
struct weft_arp {
  struct weft_mac asker;
  __u8 asker_address[4];
  __u8 target[4];
};

// 1 if the frame is one, and not an announcement, which everybody must hear and nobody answer.
WEFT_INLINE int weft_parse_arp(const __u8* data, const __u8* end, struct weft_arp* out) {
  if (data + WEFT_ARP_FRAME_SIZE > end) {
    return 0;
  }
  const __u8* arp = data + WEFT_ETH_SIZE;
  // Ethernet and IPv4; addresses of 6 and 4 octets, a request.
  if (weft_read16(data + 12) != WEFT_ETHERTYPE_ARP || weft_read32(arp) != 0x00010800
      || weft_read32(arp + 4) != 0x06040001) {
    return 0;
  }
  out->asker = weft_read_mac(data + 6);
  __builtin_memcpy(out->asker_address, arp + 14, 4);
  __builtin_memcpy(out->target, arp + 24, 4);
  return weft_read32(out->asker_address) != weft_read32(out->target);
}

// The whole frame that says that `owner` has the target: WEFT_ARP_FRAME_SIZE octets.
WEFT_INLINE void weft_write_arp_reply(__u8* out,
                                      const struct weft_arp* question,
                                      const struct weft_mac* owner) {
  __builtin_memcpy(out, question->asker.octets, 6);
  __builtin_memcpy(out + 6, owner->octets, 6);
  weft_write16(out + 12, WEFT_ETHERTYPE_ARP);
  __u8* arp = out + WEFT_ETH_SIZE;
  weft_write16(arp, 1);
  weft_write16(arp + 2, WEFT_ETHERTYPE_IPV4);
  weft_write16(arp + 4, 0x0604);
  weft_write16(arp + 6, 2);
  __builtin_memcpy(arp + 8, owner->octets, 6);
  __builtin_memcpy(arp + 14, question->target, 4);
  __builtin_memcpy(arp + 18, question->asker.octets, 6);
  __builtin_memcpy(arp + 24, question->asker_address, 4);
}

// The ECN bits of an Ethernet frame's IP packet; 0 (not ECN-capable) for anything else.
WEFT_INLINE __u8 weft_parse_ecn(const __u8* data, const __u8* end) {
  if (data + WEFT_ETH_SIZE + 2 > end) {
    return 0;
  }
  const __u16 ethertype = weft_read16(data + 12);
  if (ethertype == WEFT_ETHERTYPE_IPV4) {
    return data[WEFT_ETH_SIZE + 1] & WEFT_ECN_MASK;
  }
  if (ethertype == WEFT_ETHERTYPE_IPV6) {  // Bits 10 and 11: version, DSCP, then ECN.
    return (data[WEFT_ETH_SIZE + 1] >> 4) & WEFT_ECN_MASK;
  }
  return 0;
}

// Reads Ethernet, IPv4, UDP, VXLAN and the inner Ethernet header. 1 only if the frame is whole,
// unfragmented, without IP options, to UDP `port`, with the VNI flag and no other, and carries no
// congestion mark, which would have to be passed on (RFC 6040).
WEFT_INLINE int weft_parse_vxlan(const __u8* data,
                                 const __u8* end,
                                 __u16 port,
                                 struct weft_vxlan* out) {
  if (data + WEFT_ENCAP_FRAME_SIZE > end) {
    return 0;
  }
  const __u8* ip = data + WEFT_ETH_SIZE;
  const __u8* udp = ip + WEFT_IPV4_SIZE;
  const __u8* vxlan = udp + WEFT_UDP_SIZE;
  const __u8* inner = vxlan + WEFT_VXLAN_SIZE;
  if (weft_read16(data + 12) != WEFT_ETHERTYPE_IPV4 || ip[0] != 0x45
      || ip[9] != WEFT_PROTOCOL_UDP) {
    return 0;
  }
  if (weft_read16(udp + 2) != port || (weft_read16(ip + 6) & 0x3fff) != 0
      || (ip[1] & WEFT_ECN_MASK) == WEFT_ECN_CE) {
    return 0;
  }
  if (weft_read32(vxlan) != (__u32)WEFT_VXLAN_FLAG_VNI << 24) {
    return 0;
  }
  __builtin_memcpy(out->source, ip + 12, 4);
  __builtin_memcpy(out->destination, ip + 16, 4);
  out->vni = weft_read32(vxlan + 4) >> 8;
  out->inner_destination = weft_read_mac(inner);
  out->inner_ethertype = weft_read16(inner + 12);
  return 1;
}

// The ones' complement checksum of an IPv4 header without options (RFC 1071).
WEFT_INLINE __u16 weft_ipv4_checksum(const __u8* ip) {
  __u32 sum = 0;
#pragma GCC unroll 10
  for (int i = 0; i < WEFT_IPV4_SIZE; i += 2) {
    sum += weft_read16(ip + i);
  }
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (__u16)~sum;
}

// The largest inner frame whose outer IPv4 length field does not overflow.
#define WEFT_INNER_MAX (65535 - WEFT_IPV4_SIZE - WEFT_UDP_SIZE - WEFT_VXLAN_SIZE)

// Writes outer IPv4, UDP and VXLAN headers: all of the encapsulation but the inner Ethernet header.
// Don't Fragment is set, as the overlay's MTU leaves room; the UDP checksum is zero, as RFC 7348
// recommends; of ECN the "capable" state is passed on, a mark is not (RFC 6040, 4.1 compatibility).
// Precondition: inner_size <= WEFT_INNER_MAX.
WEFT_INLINE void weft_write_vxlan(__u8* out, const struct weft_encap* encap) {
  __builtin_memset(out, 0, WEFT_ENCAP_SIZE - WEFT_ETH_SIZE);
  __u8* ip = out;
  ip[0] = 0x45;
  ip[1] = encap->inner_ecn == WEFT_ECN_CE ? WEFT_ECN_ECT0 : encap->inner_ecn;
  weft_write16(ip + 2, encap->inner_size + WEFT_IPV4_SIZE + WEFT_UDP_SIZE + WEFT_VXLAN_SIZE);
  ip[6] = WEFT_DONT_FRAGMENT;
  ip[8] = WEFT_TTL;
  ip[9] = WEFT_PROTOCOL_UDP;
  __builtin_memcpy(ip + 12, encap->source, 4);
  __builtin_memcpy(ip + 16, encap->destination, 4);
  weft_write16(ip + 10, weft_ipv4_checksum(ip));
  __u8* udp = ip + WEFT_IPV4_SIZE;
  weft_write16(udp, encap->udp_source);
  weft_write16(udp + 2, encap->udp_destination);
  weft_write16(udp + 4, encap->inner_size + WEFT_UDP_SIZE + WEFT_VXLAN_SIZE);
  __u8* vxlan = udp + WEFT_UDP_SIZE;
  vxlan[0] = WEFT_VXLAN_FLAG_VNI;
  vxlan[4] = (__u8)(encap->vni >> 16);
  vxlan[5] = (__u8)(encap->vni >> 8);
  vxlan[6] = (__u8)encap->vni;
}

// Readdresses an outer IPv4 header without options for the next hop of a relay. 0: it has been
// relayed too often.
WEFT_INLINE int weft_readdress(__u8* ip, const __u8* source, const __u8* destination) {
  if (ip[8] < WEFT_RELAY_TTL_MIN) {
    return 0;
  }
  ip[8] = (__u8)(ip[8] / 2);
  __builtin_memcpy(ip + 12, source, 4);
  __builtin_memcpy(ip + 16, destination, 4);
  weft_write16(ip + 10, 0);
  weft_write16(ip + 10, weft_ipv4_checksum(ip));
  return 1;
}

// A UDP source port from the flow's hash, so that the underlay spreads flows over its paths. From
// the dynamic range 49152–65535, as RFC 7348 recommends.
WEFT_INLINE __u16 weft_entropy_port(__u32 hash) {
  return (__u16)(0xc000 | ((hash ^ (hash >> 16)) & 0x3fff));
}
