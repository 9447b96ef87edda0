// The layout of the fast path's maps, shared by the BPF programs and by the agent that fills them.
//
// Plain C. Maps outlive the agent: a newer agent adopts those it finds only if names, sizes and
// types agree. A map's name ends in the version of its layout; whoever changes the meaning of a
// field increments it, and an agent that finds another layout starts afresh.
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>

// 500 hosts of 130 containers each. The table takes memory per entry in use, not per slot.
#define WEFT_ENDPOINTS_MAX 65536
// Twice as many addresses: one of each family.
#define WEFT_NEIGHBORS_MAX (2 * WEFT_ENDPOINTS_MAX)
// As many as a mesh can have members (router::Mesh::Options::peers_max).
#define WEFT_PEERS_MAX 4096

struct weft_mac {
  __u8 octets[6];
  __u8 zero[2];
};

// Either family; IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2).
struct weft_address {
  __u8 octets[16];
};

enum weft_endpoint_kind {
  WEFT_ENDPOINT_LOCAL = 1,   // `ifindex` is the host end of the container's veth.
  WEFT_ENDPOINT_REMOTE = 2,  // `underlay` is the peer it lives on.
};

struct weft_endpoint {
  __u32 kind;
  __u32 ifindex;
  struct weft_address underlay;
};

// Its frames go to the agent, which seals them: `ifindex` is the device the agent hears them on.
// VXLAN from the peer is refused.
#define WEFT_PEER_SEALED 1
// Sealed for another reason than distrust: VXLAN from the peer is believed.
#define WEFT_PEER_TRUSTED 2
// The kernel opens what the peer has sealed (ESP), and drops other VXLAN of its before the VXLAN
// device: what that device takes in is believed. Always with WEFT_PEER_SEALED.
#define WEFT_PEER_ESP 8
// Its frames go out of the VXLAN device `ifindex`, behind which the kernel seals. Always with
// WEFT_PEER_ESP.
#define WEFT_PEER_ESP_OUT 16
// Its frames go to the bridge, which has the agent pass them on.
#define WEFT_PEER_SLOW 4
// `next` is its own next hop: no route is looked up per packet.
#define WEFT_PEER_ON_LINK 32

// How to reach a peer. `ifindex` 0: it is known, but there is no route to it now.
struct weft_peer {
  __u32 ifindex;
  __u32 flags;
  struct weft_address source;
  struct weft_address next;  // Where its VXLAN is sent: its own address, or that of a relay.
  __u32 slot;                // Its place in the table of traffic.
  __u32 frame_max;           // The largest frame its path carries; 0: not known.
  __u32 reports;             // The device that hears of larger ones, for the agent to answer.
  __u32 wire;                // The device that what BPF seals for it leaves by; 0: none does.
};

// An address as a table of prefixes has it, of which all are whole: such a table needs memory for
// what is in it alone, where one by hash is as large as its limit and has to be laid out first.
struct weft_neighbor_key {
  __u32 prefix;  // WEFT_ADDRESS_BITS
  struct weft_address address;
};
#define WEFT_ADDRESS_BITS 128

// What was exchanged with one peer's containers by the fast path. One place each for every
// processor, at processor * WEFT_PEERS_MAX + slot: a per-CPU array of so many would be allocated
// value by value, which takes milliseconds.
struct weft_traffic {
  __u64 packets_out;
  __u64 bytes_out;
  __u64 packets_in;  // By the last hop.
  __u64 bytes_in;
};

// Which queue of the agent's a frame to be sealed waits in (__sk_buff.mark).
#define WEFT_LANE_BULK 0
#define WEFT_LANE_EXPRESS 1
// Larger frames are bulk: they take the processor for long, and come in trains. Questions,
// keystrokes, acknowledgements, DNS and most of what makes a connection are smaller.
#define WEFT_EXPRESS_MAX 600
// A flow with bulk stays in its queue for so long after the last large frame: far longer than the
// queue ever is, so that its frames keep their order. Nanoseconds.
#define WEFT_BULK_MEMORY 100000000
// Flows are told apart by hash; two that share a place wait together.
#define WEFT_FLOWS 4096

// Small frames of sparse flows are sealed and opened by BPF (docs/adr/0082). The tables of it are
// the agent's of this run alone: never adopted.

// Sessions with a peer: in use, the one before, and the next.
#define WEFT_OPENINGS_MAX (3 * WEFT_PEERS_MAX)
// Of counters: 1,984 datagrams may arrive in any order.
#define WEFT_LANE_WINDOW_WORDS 32
// No key seals more.
#define WEFT_LANE_COUNTER_MAX (1ULL << 28)
// More of them in one millisecond are cheaper in batches, by the agent: for so long after that,
// since a flood comes in bursts where its sender shares a processor. Nanoseconds.
#define WEFT_LANE_PER_MS 64
#define WEFT_LANE_FLOOD_MEMORY 50000000
#define WEFT_MS 1000000

// What the agent says of itself. The only entry of an array.
struct weft_lane_agent {
  __u64 alive_until;  // CLOCK_MONOTONIC; nothing is sealed or opened afterwards. Nanoseconds.
  __u32 port;         // Out of this device frames go to be sealed: it completes their checksums.
  __u32 device;       // The agent hears frames here, and what it sends here goes to the bridge.
};

// How to seal for a peer: one place each in an array, as of traffic.
struct weft_sealing {
  struct bpf_spin_lock lock;
  __u32 receiver;  // The peer's index of the session; 0: none.
  __u32 key[8];
  __u64 counter;  // The next. Drawn under the lock, together with the key.
  __u64 expires;  // CLOCK_MONOTONIC.
  __u64 octets;   // Of frames sealed.
  __u64 since;    // The millisecond that is being counted began.
  __u64 flood_until;
  __u32 count;  // Frames in it.
  __u16 udp_source;
  __u16 udp_destination;
};

// Which counters have been seen (RFC 6479).
struct weft_lane_window {
  __u64 next;  // One above the highest accepted.
  __u64 words[WEFT_LANE_WINDOW_WORDS];
};

// How to open what names our index of a session.
struct weft_opening {
  struct bpf_spin_lock lock;
  __u32 zero;
  __u32 key[8];
  __u64 expires;
  __u64 packets;
  __u64 octets;  // Of frames opened.
  struct weft_lane_window window;
};

// A frame of the agent's own for the VXLAN device (__sk_buff.mark), with a checksum for the
// underlay device to compute: its inner IPv4 destination is the peer's underlay address
// (router/checksums/checksum_probe.h). "wefc"
#define WEFT_MARK_CHECKSUM 0x77656663

enum weft_counter {
  WEFT_COUNTER_LOCAL = 0,
  WEFT_COUNTER_ENCAPSULATED = 1,
  WEFT_COUNTER_DECAPSULATED = 2,
  WEFT_COUNTER_SLOW = 3,
  WEFT_COUNTER_REFUSED = 4,
  WEFT_COUNTER_SEALED = 5,
  WEFT_COUNTER_RELAYED = 6,
  WEFT_COUNTER_TOO_BIG = 7,
  WEFT_COUNTER_ARP = 8,
  WEFT_COUNTER_ESP = 9,
  WEFT_COUNTER_LANE_SEALED = 10,
  WEFT_COUNTER_LANE_OPENED = 11,
  WEFT_COUNTER_LANE_FORGED = 12,
  WEFT_COUNTER_LANE_REPLAYED = 13,
  WEFT_COUNTERS = 14,
};

#ifdef __cplusplus
#define WEFT_MAPS_ASSERT(condition) static_assert(condition, #condition)
#else
#define WEFT_MAPS_ASSERT(condition) _Static_assert(condition, #condition)
#endif
WEFT_MAPS_ASSERT(sizeof(struct weft_mac) == 8);
WEFT_MAPS_ASSERT(sizeof(struct weft_address) == 16);
WEFT_MAPS_ASSERT(sizeof(struct weft_endpoint) == 24);
WEFT_MAPS_ASSERT(sizeof(struct weft_peer) == 56);
WEFT_MAPS_ASSERT(sizeof(struct weft_traffic) == 32);
WEFT_MAPS_ASSERT(sizeof(struct weft_sealing) == 88);
WEFT_MAPS_ASSERT(sizeof(struct weft_opening) == 328);
WEFT_MAPS_ASSERT(sizeof(struct weft_neighbor_key) == 20);
