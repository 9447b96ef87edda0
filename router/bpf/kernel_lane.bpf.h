// Small frames of sparse flows, sealed and opened in the kernel (docs/adr/0082). Part of
// fast_path.bpf.c.
//
//   container ── veth ── weft_port ── the lane's pair of devices ── weft_seal ── underlay
//   container <── veth <─────────────────────────── weft_underlay <── underlay
//
// The pair is there because a container's stack leaves checksums to the device: what is sent out of
// one that computes none has them completed by the kernel before the other end gets it.
#pragma once

#include "router/bpf/kernel_lane.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct weft_lane_agent);
} weft_lane_agent_1 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, WEFT_PEERS_MAX);
  __type(key, __u32);
  __type(value, struct weft_sealing);
} weft_sealing_1 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, WEFT_OPENINGS_MAX);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, __u32);
  __type(value, struct weft_opening);
} weft_opening_1 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct weft_lane_text);
} weft_lane_text_1 SEC(".maps");

// Nothing if the agent has not been heard of lately.
static __always_inline const struct weft_lane_agent* lane_agent(__u64 now) {
  const __u32 only = 0;
  const struct weft_lane_agent* agent = bpf_map_lookup_elem(&weft_lane_agent_1, &only);
  return agent && now < agent->alive_until ? agent : 0;
}

// The device that frames for the peer go out of to be sealed in the kernel; 0: the agent seals this
// one. Many in short time go to the agent, which seals them in batches. So do acknowledgements of
// bulk: each at once would have a sender on the same processor take turns with us for every one.
static __always_inline __u32 lane_for(struct __sk_buff* skb, const struct weft_peer* peer) {
  if (peer->wire == 0 || skb->vlan_present || skb->gso_size != 0 || skb->len < WEFT_LANE_FRAME_MIN
      || skb->len > WEFT_EXPRESS_MAX
      || (skb->protocol != bpf_htons(WEFT_ETHERTYPE_IPV4)
          && skb->protocol != bpf_htons(WEFT_ETHERTYPE_IPV6))) {
    return 0;
  }
  if (weft_is_bare_ack(start_of(skb), end_of(skb))) {
    return 0;
  }
  const __u64 now = bpf_ktime_get_ns();
  const struct weft_lane_agent* agent = lane_agent(now);
  struct weft_sealing* sealing = bpf_map_lookup_elem(&weft_sealing_1, &peer->slot);
  if (!agent || !sealing) {
    return 0;
  }
  int is_here = 0;
  bpf_spin_lock(&sealing->lock);
  if (sealing->receiver != 0 && now < sealing->expires) {
    if (now - sealing->since >= WEFT_MS) {
      sealing->since = now;
      sealing->count = 0;
    }
    sealing->count += 1;
    if (sealing->count > WEFT_LANE_PER_MS) {
      sealing->flood_until = now + WEFT_LANE_FLOOD_MEMORY;
    }
    is_here = now >= sealing->flood_until;
  }
  bpf_spin_unlock(&sealing->lock);
  return is_here ? agent->port : 0;
}

// Key and counter belong together: the agent may replace both at any time. 0: none to be had.
static __always_inline int draw(struct weft_sealing* sealing,
                                struct weft_lane_text* t,
                                __u32 octets,
                                __u64 now,
                                __u32* receiver,
                                __u64* counter) {
  bpf_spin_lock(&sealing->lock);
  *receiver = sealing->receiver;
  *counter = sealing->counter;
  const int is_valid = *receiver != 0 && now < sealing->expires && *counter < WEFT_LANE_COUNTER_MAX;
  if (is_valid) {
    __builtin_memcpy(t->key.words, sealing->key, sizeof sealing->key);
    sealing->counter = *counter + 1;
    sealing->octets += octets;
  }
  bpf_spin_unlock(&sealing->lock);
  return is_valid;
}

// TC_ACT_UNSPEC: it is as it was.
static __always_inline int seal_small(struct __sk_buff* skb, const struct weft_peer* peer) {
  const __u32 only = 0;
  struct weft_lane_text* t = bpf_map_lookup_elem(&weft_lane_text_1, &only);
  struct weft_sealing* sealing = bpf_map_lookup_elem(&weft_sealing_1, &peer->slot);
  const __u32 length = skb->len;
  if (!t || !sealing || peer->wire == 0 || length < WEFT_LANE_FRAME_MIN
      || length > WEFT_EXPRESS_MAX) {
    return TC_ACT_UNSPEC;
  }
  struct weft_lane_outer outer = {
      .udp_source = sealing->udp_source,
      .udp_destination = sealing->udp_destination,
      .size = WEFT_LANE_OFFLOAD_SIZE + length,
      .inner_ecn = weft_parse_ecn(start_of(skb), end_of(skb)),
  };
  __builtin_memcpy(outer.source, peer->source.octets + 12, 4);
  __builtin_memcpy(outer.destination, peer->next.octets + 12, 4);
  __u8* text = (__u8*)t->text;
  __u8 ethernet[WEFT_ETH_SIZE];
  __u32 receiver = 0;
  __u64 counter = 0;
  __builtin_memset(text, 0, WEFT_LANE_OFFLOAD_SIZE);
  if (bpf_skb_load_bytes(skb, 0, ethernet, sizeof ethernet)
      || bpf_skb_load_bytes(skb, 0, text + WEFT_LANE_OFFLOAD_SIZE, length)
      || !draw(sealing, t, length, bpf_ktime_get_ns(), &receiver, &counter)) {
    return TC_ACT_UNSPEC;
  }
  weft_write_lane_header(t, receiver, counter);
  weft_lane_crypt(t, counter, outer.size);
  weft_lane_authenticate(t, counter, outer.size);
  __u8 headers[WEFT_IPV4_SIZE + WEFT_UDP_SIZE];
  weft_write_lane_outer(headers, &outer);
  if (bpf_skb_change_tail(skb, length + WEFT_LANE_TAG_SIZE, 0)) {
    return TC_ACT_UNSPEC;
  }
  // Not marked as an encapsulation, which would keep the receiver from taking the tag off on hosts
  // that are joined by veths. What an IPv6 packet loses to become IPv4 comes back as room.
  __u32 room = WEFT_LANE_ENCAP_SIZE;
  if (skb->protocol == bpf_htons(WEFT_ETHERTYPE_IPV6)) {
    const __u16 ethertype = bpf_htons(WEFT_ETHERTYPE_IPV4);
    if (bpf_skb_change_proto(skb, ethertype, 0)
        || bpf_skb_store_bytes(skb, WEFT_ETH_SIZE - 2, &ethertype, sizeof ethertype, 0)) {
      return TC_ACT_SHOT;
    }
    room += WEFT_IPV6_SIZE - WEFT_IPV4_SIZE;
  }
  if (bpf_skb_adjust_room(skb, (__s32)room, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO)
      || bpf_skb_store_bytes(skb, WEFT_ETH_SIZE, headers, sizeof headers, 0)
      || bpf_skb_store_bytes(
          skb, WEFT_LANE_TEXT_AT - WEFT_LANE_HEADER_SIZE, t->header, sizeof t->header, 0)
      || bpf_skb_store_bytes(skb, WEFT_LANE_TEXT_AT, text, outer.size, 0)
      || bpf_skb_store_bytes(skb, WEFT_LANE_TEXT_AT + outer.size, t->tag, sizeof t->tag, 0)) {
    return TC_ACT_SHOT;  // Half a frame. There was no memory for the rest.
  }
  count(WEFT_COUNTER_LANE_SEALED);
  struct bpf_redir_neigh hop = {.nh_family = WEFT_AF_INET};
  __builtin_memcpy(&hop.ipv4_nh, outer.destination, sizeof hop.ipv4_nh);
  return (peer->flags & WEFT_PEER_ON_LINK) != 0
             ? bpf_redirect_neigh(peer->wire, &hop, sizeof hop, 0)
             : bpf_redirect_neigh(peer->wire, 0, 0, 0);
}

// Where an opened frame goes. For a container of another peer, or of none that is known here: to
// the agent, which passes it on, and to the bridge.
static __always_inline int deliver(const struct weft_lane_agent* agent,
                                   struct __sk_buff* skb,
                                   const __u8* inner) {
  const struct weft_mac mac = weft_read_mac(inner);
  const struct weft_endpoint* endpoint = bpf_map_lookup_elem(&weft_endpoint_1, &mac);
  if (!endpoint) {
    return bpf_redirect(agent->device, 0);
  }
  if (endpoint->kind == WEFT_ENDPOINT_REMOTE) {
    skb->mark = WEFT_LANE_BULK;
    return bpf_redirect(agent->device, BPF_F_INGRESS);
  }
  // The long way sets the packet's protocol right, which still is the outer one.
  return weft_read16(inner + 12) == WEFT_ETHERTYPE_IPV4 ? bpf_redirect_peer(endpoint->ifindex, 0)
                                                        : bpf_redirect(endpoint->ifindex, 0);
}

// Key and end belong together: the agent wipes both at any time.
static __always_inline int load_key(struct weft_opening* opening,
                                    struct weft_lane_text* t,
                                    __u64 now) {
  bpf_spin_lock(&opening->lock);
  const int is_valid = now < opening->expires;
  __builtin_memcpy(t->key.words, opening->key, sizeof opening->key);
  bpf_spin_unlock(&opening->lock);
  return is_valid;
}

// Functions of their own, so that a size is compared in the register that it is used from:
// verifiers before 6.8 do not know of one that was spilled in between.
static __noinline int load_text(struct __sk_buff* skb, struct weft_lane_text* t, __u32 size) {
  if (size < WEFT_LANE_TEXT_MIN || size > WEFT_LANE_TEXT_MAX) {
    return -1;  // Cannot happen: for the verifier.
  }
  return bpf_skb_load_bytes(skb, WEFT_LANE_TEXT_AT, t->text, size)
         || bpf_skb_load_bytes(
             skb, WEFT_LANE_TEXT_AT + size, t->received_tag, sizeof t->received_tag);
}

static __noinline int store_frame(struct __sk_buff* skb, struct weft_lane_text* t, __u32 length) {
  if (length < WEFT_LANE_FRAME_MIN || length > WEFT_EXPRESS_MAX) {
    return -1;
  }
  return bpf_skb_store_bytes(
      skb, 0, (__u8*)t->text + WEFT_LANE_OFFLOAD_SIZE, length, BPF_F_RECOMPUTE_CSUM);
}

static __always_inline int open_small(struct __sk_buff* skb,
                                      const struct weft_lane_datagram* sealed) {
  const __u32 only = 0;
  struct weft_lane_text* t = bpf_map_lookup_elem(&weft_lane_text_1, &only);
  struct weft_opening* opening = bpf_map_lookup_elem(&weft_opening_1, &sealed->receiver);
  const __u64 now = bpf_ktime_get_ns();
  const struct weft_lane_agent* agent = lane_agent(now);
  if (!opening) {
    return TC_ACT_UNSPEC;  // The agent counts it, and tells the peer.
  }
  if (!t || !agent || !load_key(opening, t, now)) {
    return refuse();
  }
  const __u32 size = sealed->size;
  if (load_text(skb, t, size)) {
    return TC_ACT_SHOT;
  }
  weft_write_lane_header(t, sealed->receiver, sealed->counter);
  weft_lane_authenticate(t, sealed->counter, size);
  if (!weft_lane_is_authentic(t)) {
    count(WEFT_COUNTER_LANE_FORGED);
    return TC_ACT_SHOT;
  }
  bpf_spin_lock(&opening->lock);
  const int is_fresh = weft_lane_accept(&opening->window, sealed->counter);
  if (is_fresh) {
    opening->packets += 1;
    opening->octets += size - WEFT_LANE_OFFLOAD_SIZE;
  }
  bpf_spin_unlock(&opening->lock);
  if (!is_fresh) {
    count(WEFT_COUNTER_LANE_REPLAYED);
    return TC_ACT_SHOT;
  }
  weft_lane_crypt(t, sealed->counter, size);
  const __u32 length = size - WEFT_LANE_OFFLOAD_SIZE;
  __u8* inner = (__u8*)t->text + WEFT_LANE_OFFLOAD_SIZE;
  const __u16 ethertype = weft_read16(inner + 12);
  if ((ethertype != WEFT_ETHERTYPE_IPV4 && ethertype != WEFT_ETHERTYPE_IPV6)
      || bpf_skb_change_tail(skb, WEFT_LANE_TEXT_AT + size, 0)
      || bpf_skb_adjust_room(skb, -WEFT_LANE_ENCAP_SIZE, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO)
      || (sealed->is_marked && !weft_mark_congestion(inner, ethertype))
      || store_frame(skb, t, length)) {
    return TC_ACT_SHOT;
  }
  // What the device found out was of the outer packet.
  (void)bpf_csum_level(skb, BPF_CSUM_LEVEL_RESET);
  count(WEFT_COUNTER_LANE_OPENED);
  return deliver(agent, skb, inner);
}
