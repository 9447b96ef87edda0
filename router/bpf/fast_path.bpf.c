// The fast path: known unicast goes past the bridge and past the VXLAN device.
//
//   weft_port      veth's host end, ingress    container -> local container, underlay, or agent
//   weft_underlay  underlay device, ingress    VXLAN of ours -> local container, or the next peer;
//                                              as weft_underlay_lane also small sealed frames
//   weft_from_vx   VXLAN device, ingress       refuses strangers; what weft_underlay left over
//   weft_to_vx     VXLAN device, egress        gives the bridge's frames their tunnel key
//   weft_guard     underlay device, egress     refuses VXLAN that should have been sealed (ESP)
//   weft_seal      the lane's end, ingress     seals small frames (router/bpf/kernel_lane.bpf.h)
//
// Every program returns TC_ACT_UNSPEC for what is not its business, so that other filters on the
// device still see it, and so that the bridge or the stack handles it. What the bridge truth would
// do with a frame and what happens here is the same, only sooner.

// libbpf's headers need the kernel's types before them.
// clang-format off
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
// clang-format on

#include "router/bpf/maps.h"
#include "router/bpf/parse.h"

// Since Linux 6.3; missing from older headers. Older kernels refuse the flag and the frame takes
// the slow path.
#define WEFT_DECAP_L3_IPV6 (1ULL << 8)
// What kernels before 5.18 know of it; later ones take it, too. They refuse other sizes.
#define WEFT_TUNNEL_KEY_SIZE offsetof(struct bpf_tunnel_key, local_ipv4)
// AF_INET, which the kernel's own headers do not have.
#define WEFT_AF_INET 2

const volatile __u32 weft_vni = 0;
const volatile __u16 weft_port_number = 0;
const volatile __u16 weft_sealed_port = 0;  // Of the encrypted data path; 0: there is none.

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, WEFT_ENDPOINTS_MAX);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct weft_mac);
  __type(value, struct weft_endpoint);
} weft_endpoint_1 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, WEFT_PEERS_MAX);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct weft_address);
  __type(value, struct weft_peer);
} weft_peer_5 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, WEFT_COUNTERS);
  __type(key, __u32);
  __type(value, __u64);
} weft_counter_5 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, WEFT_PEERS_MAX);  // For each processor.
  __type(key, __u32);
  __type(value, struct weft_traffic);
} weft_traffic_2 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, WEFT_NEIGHBORS_MAX);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct weft_neighbor_key);
  __type(value, struct weft_mac);
} weft_neighbor_2 SEC(".maps");

// When the flows of each place had their last large frame (CLOCK_MONOTONIC).
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, WEFT_FLOWS);
  __type(key, __u32);
  __type(value, __u64);
} weft_bulk_1 SEC(".maps");

static __always_inline void count(__u32 counter) {
  __u64* value = bpf_map_lookup_elem(&weft_counter_5, &counter);
  if (value) {
    *value += 1;
  }
}

static __always_inline int leave(void) {
  count(WEFT_COUNTER_SLOW);
  return TC_ACT_UNSPEC;
}

static __always_inline int refuse(void) {
  count(WEFT_COUNTER_REFUSED);
  return TC_ACT_SHOT;
}

static __always_inline const __u8* start_of(struct __sk_buff* skb) {
  return (const __u8*)(long)skb->data;
}

static __always_inline const __u8* end_of(struct __sk_buff* skb) {
  return (const __u8*)(long)skb->data_end;
}

static __always_inline struct weft_endpoint* endpoint_of(struct __sk_buff* skb) {
  struct weft_mac mac;
  if (!weft_parse_destination(start_of(skb), end_of(skb), &mac)) {
    return 0;
  }
  return bpf_map_lookup_elem(&weft_endpoint_1, &mac);
}

static __always_inline const struct weft_peer* peer_of(const struct weft_endpoint* endpoint) {
  return bpf_map_lookup_elem(&weft_peer_5, &endpoint->underlay);
}

static __always_inline int is_sealed(const struct weft_peer* peer) {
  return peer && (peer->flags & WEFT_PEER_SEALED) != 0;
}

// Of VXLAN that came from it.
static __always_inline int is_refused(const struct weft_peer* peer) {
  return is_sealed(peer) && (peer->flags & WEFT_PEER_TRUSTED) == 0;
}

// Of VXLAN that the VXLAN device took in: what was not sealed does not get so far.
static __always_inline int is_refused_inside(const struct weft_peer* peer) {
  return is_refused(peer) && (peer->flags & WEFT_PEER_ESP) == 0;
}

static __always_inline struct weft_traffic* traffic_of(const struct weft_peer* peer) {
  const __u32 place = bpf_get_smp_processor_id() * WEFT_PEERS_MAX + peer->slot;
  return bpf_map_lookup_elem(&weft_traffic_2, &place);
}

static __always_inline void count_out(const struct weft_peer* peer, __u32 size) {
  struct weft_traffic* traffic = traffic_of(peer);
  if (traffic) {
    traffic->packets_out += 1;
    traffic->bytes_out += size;
  }
}

static __always_inline void count_in(const struct weft_peer* peer, __u32 size) {
  struct weft_traffic* traffic = traffic_of(peer);
  if (traffic) {
    traffic->packets_in += 1;
    traffic->bytes_in += size;
  }
}

// How large the frame will be on the wire: of a super-frame, its largest segment.
static __always_inline __u32 wire_size(struct __sk_buff* skb) {
  if (skb->gso_size == 0) {
    return skb->len;
  }
  __u8 first = 0;
  __u32 headers = WEFT_ETH_SIZE + WEFT_IPV6_SIZE;
  __u32 protocol_at = WEFT_ETH_SIZE + WEFT_IPV6_NEXT_HEADER;
  if (skb->protocol == bpf_htons(WEFT_ETHERTYPE_IPV4)) {
    if (bpf_skb_load_bytes(skb, WEFT_ETH_SIZE, &first, 1)) {
      return skb->len;
    }
    headers = WEFT_ETH_SIZE + (first & 0x0f) * 4;
    protocol_at = WEFT_ETH_SIZE + WEFT_IPV4_PROTOCOL;
  }
  __u8 protocol = 0;
  if (bpf_skb_load_bytes(skb, protocol_at, &protocol, 1)) {
    return skb->len;
  }
  if (protocol != WEFT_PROTOCOL_TCP) {
    return headers + WEFT_UDP_SIZE + skb->gso_size;
  }
  if (bpf_skb_load_bytes(skb, headers + WEFT_TCP_DATA_OFFSET, &first, 1)) {
    return skb->len;
  }
  return headers + (first >> 4) * 4 + skb->gso_size;
}

// The kernel resolves the next hop's MAC, which so is never stale. It also looks up the route for
// each packet, unless it is told the next hop (docs/adr/0064).
static __always_inline int send_to(const struct weft_peer* peer) {
  if ((peer->flags & WEFT_PEER_ON_LINK) == 0) {
    return bpf_redirect_neigh(peer->ifindex, 0, 0, 0);
  }
  struct bpf_redir_neigh hop = {.nh_family = WEFT_AF_INET};
  __builtin_memcpy(&hop.ipv4_nh, peer->next.octets + 12, sizeof hop.ipv4_nh);
  return bpf_redirect_neigh(peer->ifindex, &hop, sizeof hop, 0);
}

// Writes VXLAN in IPv4 around the frame and hands it to the peer's device. Super-frames (GSO) stay
// whole: the device or the kernel cuts them after the headers.
static __always_inline int encapsulate(struct __sk_buff* skb, const struct weft_peer* peer) {
  if (!peer || peer->ifindex == 0 || (peer->flags & WEFT_PEER_SLOW) != 0) {
    return leave();
  }
  // A tag in the metadata would end up on the outer frame. bpf_skb_adjust_room knows IP only.
  if (skb->vlan_present || skb->len > WEFT_INNER_MAX || !weft_is_mapped(&peer->next)
      || (skb->protocol != bpf_htons(WEFT_ETHERTYPE_IPV4)
          && skb->protocol != bpf_htons(WEFT_ETHERTYPE_IPV6))) {
    return leave();
  }
  struct weft_encap encap = {
      .vni = weft_vni,
      .udp_source = weft_entropy_port(bpf_get_hash_recalc(skb)),
      .udp_destination = weft_port_number,
      .inner_size = skb->len,
      .inner_ecn = weft_parse_ecn(start_of(skb), end_of(skb)),
  };
  __builtin_memcpy(encap.source, peer->source.octets + 12, 4);
  __builtin_memcpy(encap.destination, peer->next.octets + 12, 4);
  __u8 headers[WEFT_ENCAP_SIZE];
  weft_write_vxlan(headers, &encap);
  const __u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4
                      | BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_ENCAP_L2(WEFT_ETH_SIZE);
  // Devices that cut tunnelled segments ask for the second flag, which is refused before 5.14:
  // such kernels cut them in software.
  if (bpf_skb_load_bytes(skb, 0, headers + WEFT_ENCAP_SIZE - WEFT_ETH_SIZE, WEFT_ETH_SIZE)
      || (bpf_skb_adjust_room(
              skb, WEFT_ENCAP_SIZE, BPF_ADJ_ROOM_MAC, flags | BPF_F_ADJ_ROOM_ENCAP_L2_ETH)
          && bpf_skb_adjust_room(skb, WEFT_ENCAP_SIZE, BPF_ADJ_ROOM_MAC, flags))) {
    return leave();
  }
  // The outer Ethernet header is a copy of the inner one until the neighbour's replaces it.
  if (bpf_skb_store_bytes(skb, WEFT_ETH_SIZE, headers, sizeof headers, 0)) {
    return TC_ACT_SHOT;  // Cannot happen: the room was just made.
  }
  count(WEFT_COUNTER_ENCAPSULATED);
  count_out(peer, encap.inner_size);
  return send_to(peer);
}

#include "router/bpf/kernel_lane.bpf.h"

// Answers for containers elsewhere, so that new ones are met also while the agent stands still.
// What is not known goes on to the agent.
static __always_inline int answer_arp(struct __sk_buff* skb) {
  struct weft_arp question;
  if (skb->vlan_present || !weft_parse_arp(start_of(skb), end_of(skb), &question)) {
    return leave();
  }
  const struct weft_neighbor_key target = {WEFT_ADDRESS_BITS, weft_mapped(question.target)};
  const struct weft_mac* owner = bpf_map_lookup_elem(&weft_neighbor_2, &target);
  // Who asks for its own address checks for duplicates after a move: the others must hear it.
  if (!owner || weft_is_same_mac(owner, &question.asker)) {
    return leave();
  }
  __u8 reply[WEFT_ARP_FRAME_SIZE];
  weft_write_arp_reply(reply, &question, owner);
  if (bpf_skb_store_bytes(skb, 0, reply, sizeof reply, 0)) {
    return leave();
  }
  count(WEFT_COUNTER_ARP);
  return bpf_redirect(skb->ifindex, 0);
}

// Sparse flows need not wait behind bulk (docs/adr/0034).
static __always_inline __u32 lane_of(struct __sk_buff* skb) {
  const __u32 place = bpf_get_hash_recalc(skb) % WEFT_FLOWS;
  __u64* bulk_at = bpf_map_lookup_elem(&weft_bulk_1, &place);
  if (!bulk_at) {
    return WEFT_LANE_BULK;  // Cannot happen: the array has the place.
  }
  const __u64 now = bpf_ktime_get_ns();
  if (skb->len > WEFT_EXPRESS_MAX) {
    *bulk_at = now;
    return WEFT_LANE_BULK;
  }
  return now - *bulk_at > WEFT_BULK_MEMORY ? WEFT_LANE_EXPRESS : WEFT_LANE_BULK;
}

SEC("tc") int weft_port(struct __sk_buff* skb) {
  if (skb->protocol == bpf_htons(WEFT_ETHERTYPE_CARRIER)) {
    return refuse();  // Only agents speak to agents.
  }
  const struct weft_endpoint* endpoint = endpoint_of(skb);
  if (!endpoint) {
    if (skb->protocol == bpf_htons(WEFT_ETHERTYPE_ARP)) {
      return answer_arp(skb);
    }
    return leave();  // Broadcast, multicast, the host itself, unknown: the bridge knows.
  }
  if (endpoint->kind == WEFT_ENDPOINT_REMOTE) {
    const struct weft_peer* peer = peer_of(endpoint);
    if (peer && peer->frame_max != 0 && wire_size(skb) > peer->frame_max) {
      count(WEFT_COUNTER_TOO_BIG);
      return bpf_redirect(peer->reports, 0);
    }
    if (peer && (peer->flags & WEFT_PEER_ESP_OUT) != 0) {
      count(WEFT_COUNTER_ESP);
      return bpf_redirect(peer->ifindex, 0);  // Through weft_to_vx.
    }
    if (is_sealed(peer)) {
      // As if it had arrived on that device: the agent's packet socket hears it there.
      count(WEFT_COUNTER_SEALED);
      count_out(peer, skb->len);
      const __u32 lane = lane_of(skb);
      const __u32 way_in =
          weft_sealed_port != 0 && lane == WEFT_LANE_EXPRESS ? lane_for(skb, peer) : 0;
      if (way_in != 0) {
        return bpf_redirect(way_in, 0);
      }
      skb->mark = lane;
      return bpf_redirect(peer->ifindex, BPF_F_INGRESS);
    }
    return encapsulate(skb, peer);
  }
  if (skb->vlan_present || endpoint->ifindex == skb->ifindex) {
    return leave();  // The bridge drops what would return to its port.
  }
  count(WEFT_COUNTER_LOCAL);
  return bpf_redirect_peer(endpoint->ifindex, 0);
}

// A super-frame keeps its marks as tunnelled after bpf_skb_adjust_room. TCP never looks at them;
// UDP would cut the datagrams apart in the wrong place, so the device takes the encapsulation off.
static __always_inline int is_tunnelled_datagrams(struct __sk_buff* skb, __u16 ethertype) {
  __u8 protocol = 0;
  const __u32 field = ethertype == WEFT_ETHERTYPE_IPV6 ? WEFT_IPV6_NEXT_HEADER : WEFT_IPV4_PROTOCOL;
  return skb->gso_size != 0
         && (bpf_skb_load_bytes(skb, WEFT_ENCAP_FRAME_SIZE + field, &protocol, 1)
             || protocol != WEFT_PROTOCOL_TCP);
}

// For a container of another peer: on to there, or to the next relay. Nothing but the outer header
// changes, so super-frames stay what they are.
static __always_inline int pass_on(struct __sk_buff* skb,
                                   const struct weft_vxlan* vxlan,
                                   const struct weft_peer* peer) {
  if (!peer || peer->ifindex == 0 || (peer->flags & (WEFT_PEER_SEALED | WEFT_PEER_SLOW)) != 0
      || !weft_is_mapped(&peer->next)) {
    return leave();
  }
  __u8 ip[WEFT_IPV4_SIZE];
  if (weft_read32(peer->next.octets + 12) == weft_read32(vxlan->source)
      || bpf_skb_load_bytes(skb, WEFT_ETH_SIZE, ip, sizeof ip)
      || !weft_readdress(ip, peer->source.octets + 12, peer->next.octets + 12)) {
    return refuse();  // It would come back, or has gone in circles.
  }
  const __u16 no_checksum = 0;  // It covered the addresses (RFC 7348, 5: zero is right for VXLAN).
  if (bpf_skb_store_bytes(skb, WEFT_ETH_SIZE, ip, sizeof ip, 0)
      || bpf_skb_store_bytes(skb, WEFT_ETH_SIZE + WEFT_IPV4_SIZE + 6, &no_checksum, 2, 0)) {
    return TC_ACT_SHOT;
  }
  count(WEFT_COUNTER_RELAYED);
  return send_to(peer);
}

static __always_inline int may_be_ours(struct __sk_buff* skb) {
  if (skb->protocol != bpf_htons(WEFT_ETHERTYPE_IPV4) || skb->len < WEFT_ENCAP_FRAME_SIZE
      || skb->pkt_type != PACKET_HOST || skb->vlan_present) {
    return 0;
  }
  // Some drivers leave only part of the headers in the linear area.
  return start_of(skb) + WEFT_ENCAP_FRAME_SIZE <= end_of(skb)
         || bpf_skb_pull_data(skb, WEFT_ENCAP_FRAME_SIZE) == 0;
}

static __always_inline int take_in(struct __sk_buff* skb) {
  struct weft_vxlan vxlan;
  if (!weft_parse_vxlan(start_of(skb), end_of(skb), weft_port_number, &vxlan)
      || vxlan.vni != weft_vni) {
    return TC_ACT_UNSPEC;
  }
  // Strangers, and packets that are routed through this host to another, are not decided here: the
  // stack forwards them, or hands them to the VXLAN device, where weft_from_vx refuses strangers.
  const struct weft_address source = weft_mapped(vxlan.source);
  const struct weft_peer* peer = bpf_map_lookup_elem(&weft_peer_5, &source);
  if (is_refused(peer)) {
    return refuse();  // Forged, or of a peer that is not configured as we are.
  }
  if (!peer || weft_read32(peer->source.octets + 12) != weft_read32(vxlan.destination)) {
    return TC_ACT_UNSPEC;
  }
  const struct weft_endpoint* endpoint =
      bpf_map_lookup_elem(&weft_endpoint_1, &vxlan.inner_destination);
  if (!endpoint) {
    return leave();
  }
  if (endpoint->kind == WEFT_ENDPOINT_REMOTE) {
    return pass_on(skb, &vxlan, peer_of(endpoint));
  }
  __u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;
  if (vxlan.inner_ethertype == WEFT_ETHERTYPE_IPV6) {
    flags |= WEFT_DECAP_L3_IPV6;
  } else if (vxlan.inner_ethertype != WEFT_ETHERTYPE_IPV4) {
    return leave();  // ARP, tagged frames: the device sets the packet's protocol right.
  }
  if (is_tunnelled_datagrams(skb, vxlan.inner_ethertype)) {
    return leave();
  }
  __u8 inner[WEFT_ETH_SIZE];
  if (bpf_skb_load_bytes(skb, WEFT_ENCAP_SIZE, inner, sizeof inner)
      || bpf_skb_adjust_room(skb, -WEFT_ENCAP_SIZE, BPF_ADJ_ROOM_MAC, flags)) {
    return leave();
  }
  if (bpf_skb_store_bytes(skb, 0, inner, sizeof inner, 0)) {
    return TC_ACT_SHOT;  // Cannot happen: the frame has a header.
  }
  count(WEFT_COUNTER_DECAPSULATED);
  count_in(peer, skb->len);
  return bpf_redirect_peer(endpoint->ifindex, 0);
}

SEC("tc") int weft_underlay(struct __sk_buff* skb) {
  return may_be_ours(skb) ? take_in(skb) : TC_ACT_UNSPEC;
}

// Instead of the former where the kernel takes the cipher: a program that has but a branch to it,
// never taken, is refused by those before 5.13, whose verifier knows no pointers to memory in the
// arguments of global functions.
SEC("tc") int weft_underlay_lane(struct __sk_buff* skb) {
  if (!may_be_ours(skb)) {
    return TC_ACT_UNSPEC;
  }
  struct weft_lane_datagram sealed;
  return weft_parse_lane(start_of(skb), end_of(skb), skb->len, weft_sealed_port, &sealed)
             ? open_small(skb, &sealed)
             : take_in(skb);
}

// An external-mode device accepts every VNI from everybody: this is the gate.
SEC("tc") int weft_from_vx(struct __sk_buff* skb) {
  struct bpf_tunnel_key key;
  struct weft_address source;
  if (bpf_skb_get_tunnel_key(skb, &key, WEFT_TUNNEL_KEY_SIZE, 0) == 0) {
    const __u32 ipv4 = bpf_htonl(key.remote_ipv4);
    source = weft_mapped((const __u8*)&ipv4);
  } else if (bpf_skb_get_tunnel_key(skb, &key, WEFT_TUNNEL_KEY_SIZE, BPF_F_TUNINFO_IPV6) == 0) {
    __builtin_memcpy(&source, key.remote_ipv6, sizeof source);
  } else {
    return refuse();
  }
  const struct weft_peer* peer = bpf_map_lookup_elem(&weft_peer_5, &source);
  if (key.tunnel_id != weft_vni || !peer || is_refused_inside(peer)) {
    return refuse();
  }
  const struct weft_endpoint* endpoint = endpoint_of(skb);
  if (!endpoint || endpoint->kind != WEFT_ENDPOINT_LOCAL || skb->vlan_present) {
    return TC_ACT_UNSPEC;  // The bridge floods or delivers it.
  }
  count(WEFT_COUNTER_DECAPSULATED);
  count_in(peer, skb->len);
  return bpf_redirect_peer(endpoint->ifindex, 0);
}

// For whom the bridge's frame is. Floods are the agent's business.
static __always_inline const struct weft_peer* peer_behind_vx(struct __sk_buff* skb) {
  __u8 ipv4[4];
  if (skb->mark == WEFT_MARK_CHECKSUM) {
    if (bpf_skb_load_bytes(skb, WEFT_ETH_SIZE + WEFT_IPV4_DESTINATION, ipv4, sizeof ipv4)) {
      return 0;
    }
    const struct weft_address address = weft_mapped(ipv4);
    return bpf_map_lookup_elem(&weft_peer_5, &address);
  }
  const struct weft_endpoint* endpoint = endpoint_of(skb);
  return endpoint && endpoint->kind == WEFT_ENDPOINT_REMOTE ? peer_of(endpoint) : 0;
}

SEC("tc") int weft_to_vx(struct __sk_buff* skb) {
  const struct weft_peer* peer = peer_behind_vx(skb);
  if (!peer) {
    return TC_ACT_SHOT;
  }
  if (is_sealed(peer) && (peer->flags & WEFT_PEER_ESP_OUT) == 0) {
    return refuse();
  }
  struct bpf_tunnel_key key = {};
  key.tunnel_id = weft_vni;
  key.tunnel_ttl = WEFT_TTL;
  __u64 flags = BPF_F_ZERO_CSUM_TX | BPF_F_DONT_FRAGMENT;
  if (weft_is_mapped(&peer->next)) {
    key.remote_ipv4 = weft_read32(peer->next.octets + 12);
  } else {
    __builtin_memcpy(key.remote_ipv6, &peer->next, sizeof key.remote_ipv6);
    flags = BPF_F_TUNINFO_IPV6;  // A zero UDP checksum is the exception over IPv6 (RFC 8200, 8.1).
  }
  if (bpf_skb_set_tunnel_key(skb, &key, WEFT_TUNNEL_KEY_SIZE, flags)) {
    return TC_ACT_SHOT;
  }
  if (skb->mark != WEFT_MARK_CHECKSUM) {
    count_out(peer, skb->len);
  }
  return TC_ACT_UNSPEC;
}

// Behind the kernel's IPsec: whatever became of its policies, what a sealed peer's containers get
// never leaves as it is. Nothing of ours is fragmented on the way here.
SEC("tc") int weft_guard(struct __sk_buff* skb) {
  __u8 head[WEFT_ETH_SIZE + WEFT_IPV4_SIZE + WEFT_UDP_SIZE];
  if (skb->protocol != bpf_htons(WEFT_ETHERTYPE_IPV4)
      || bpf_skb_load_bytes(skb, 0, head, sizeof head)) {
    return TC_ACT_UNSPEC;
  }
  const __u8* ip = head + WEFT_ETH_SIZE;
  const __u8* udp = ip + WEFT_IPV4_SIZE;
  // Headers with options are never ours.
  if (ip[0] != 0x45 || ip[WEFT_IPV4_PROTOCOL] != WEFT_PROTOCOL_UDP
      || (udp[2] << 8 | udp[3]) != weft_port_number) {
    return TC_ACT_UNSPEC;
  }
  const struct weft_address destination = weft_mapped(ip + WEFT_IPV4_DESTINATION);
  if (is_refused(bpf_map_lookup_elem(&weft_peer_5, &destination))) {
    return refuse();
  }
  return TC_ACT_UNSPEC;
}

// Small frames for peers, their checksums complete. What cannot be sealed any more, the agent
// seals.
SEC("tc") int weft_seal(struct __sk_buff* skb) {
  const struct weft_endpoint* endpoint = endpoint_of(skb);
  const struct weft_peer* peer =
      endpoint && endpoint->kind == WEFT_ENDPOINT_REMOTE ? peer_of(endpoint) : 0;
  if (!is_sealed(peer)) {
    return refuse();
  }
  const int verdict = seal_small(skb, peer);
  if (verdict != TC_ACT_UNSPEC) {
    return verdict;
  }
  skb->mark = WEFT_LANE_EXPRESS;
  return bpf_redirect(peer->ifindex, BPF_F_INGRESS);
}

char _license[] SEC("license") = "GPL";
