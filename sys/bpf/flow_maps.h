/* What the programs that watch connections (connections.bpf.c) and sys/bpf/connections.cc share. */
#pragma once

#include <linux/types.h>

/* Between two looks, a second apart: 16 times what a busy host talks to at once. */
#define WEFT_FLOWS_MAX 16384
/* Kinds of connections of the last seconds that are counted in an array, each in one of so many
   places; those beyond are counted in a hash table. */
#define WEFT_COUNTERS_LOG2 10
#define WEFT_COUNTER_PLACES 4
/* Connections open at once that are followed; those beyond, the oldest, are seen as without BPF. */
#define WEFT_OPENERS_MAX 65536
/* Those that have just begun are in slots of rows, 16 kB that stay in a processor's cache: most end
   there. Where its row is full, a connection is in the table of those that last. */
#define WEFT_ROWS_LOG2 6
#define WEFT_ROW_SLOTS 4
/* Kinds of connections of the last seconds. One that is forgotten is news once more. */
#define WEFT_SEEN_MAX 4096

/* Conversations by datagrams that are followed, the longest silent give way. A server of names has
   thousands within a second; those beyond are one more of their kind each time. */
#define WEFT_TALKS_MAX 16384

/* All connections of a kind: without the port of the client. IPv4 is written as IPv6-mapped. Read
   in words of 8 octets, too. */
struct weft_flow_key {
  __u8 local[16];
  __u8 remote[16];
  __u32 netns; /* Inode. */
  __u32 pid;   /* Who connected, as the agent's /proc has it; 0 at the server's end. */
  __u16 port;  /* The server's. */
  __u8 transport;
  __u8 outbound;
  __u32 parent; /* Of pid: it is there longer than a process of one request. */
} __attribute__((aligned(8)));

/* Datagrams between a socket and one peer. */
struct weft_talk_key {
  __u64 netns_cookie;
  __u8 remote[16];
  __u16 local_port;
  __u16 remote_port;
  __u32 padding;
};

struct weft_talk {
  __u64 look; /* When it was last heard of, in the agent's looks. */
  struct weft_flow_key
      key; /* Its pid is 0 if nobody has the socket that the agent's /proc shows. */
};

/* What a task is about to send or has received, until its length is known. */
struct weft_datagram {
  __u64 socket; /* The kernel's address of it, to tell it from others; 0: nothing. */
  struct weft_flow_key key;
};

/* A connection that is followed: a cache line. */
struct weft_opener {
  __u64 cookie; /* Of its socket; or WEFT_SLOT_FREE, WEFT_SLOT_BUSY. */
  __u64 since;  /* The agent's last look before it began, ns of CLOCK_MONOTONIC. */
  struct weft_flow_key key;
};

/* Who has a slot: nobody; a program that fills or empties it; else the connection of that cookie.
   Owners change by atomic operations alone. The kernel counts cookies up from 1 and down from 2^64
   - 1 (include/linux/cookie.h). */
#define WEFT_SLOT_FREE 0
#define WEFT_SLOT_BUSY (1ULL << 63)

struct weft_opener_row {
  struct weft_opener slots[WEFT_ROW_SLOTS];
};

/* Multiplicative hashing (Knuth, The Art of Computer Programming, 6.4): the cookies of one
   processor's sockets follow one another. */
static inline __u32 weft_row_of(__u64 cookie) {
  return (__u32)((cookie * 0x9E3779B97F4A7C15ULL) >> (64 - WEFT_ROWS_LOG2));
}

/* A kind of connection without its process, of late. A hint: what is evicted is counted anew. */
struct weft_kind {
  __u64 seen;  /* When one last opened, to a look: ns of bpf_ktime_get_ns(). */
  __u64 ended; /* When the end of one was last told. */
};

/* Since the agent last took them. */
struct weft_flow {
  __u64 opened;
  __u64 closed; /* Of UDP, which has no end: those in which something was said. */
  __u64 failed; /* Never answered, or refused. */
  __u64 sent;   /* Bytes, of those that closed; of UDP as they are said. */
  __u64 received;
  __u64 packets_sent; /* Segments of TCP, datagrams of UDP; counted as octets are. */
  __u64 packets_received;
  __u64 retransmits;
  __u64 rtt_us; /* Of the last that closed. */
};

/* What is counted of one kind: two cache lines. */
struct weft_counter {
  __u64 state; /* WEFT_COUNTER_FREE …, changed by atomic operations alone. */
  struct weft_flow_key key;
  struct weft_flow flow; /* All 0 while the counter is free. */
};

/* Programs claim it (free to busy), write its key and use it; the agent retires it and, seconds
   later, when no program can still be about to count in it, frees it. */
#define WEFT_COUNTER_FREE 0
#define WEFT_COUNTER_BUSY 1
#define WEFT_COUNTER_USED 2
#define WEFT_COUNTER_RETIRED 3
