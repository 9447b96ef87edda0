// Counts TCP connections as they open and close, in all network namespaces: weft_state runs when a
// socket changes its state (connect, established, closed), and reads what it has carried.
//
// Datagrams of sockets without a peer are seen where their processes send and receive them, by
// cgroups' hooks (weft_send4 …), which know with whom. How much was said is told as the same system
// call ends (weft_sent, weft_received), which know the socket: of one with a peer that is enough.
//
// Whose the client's end is, is known: connect() runs in its process, and it is counted if the
// agent's own /proc shows it. The server's packets arrive in nobody's name; who listens tells.
//
// Aggregated here: however many connections a client makes to one port, they are one entry, and the
// agent is woken only by a kind of connection that it has not seen for a while. Fields are found by
// BTF (CO-RE), so nothing depends on one kernel's layout.

// libbpf's headers need the kernel's types before them.
// clang-format off
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
// clang-format on

#include "sys/bpf/flow_maps.h"
#include "sys/bpf/kernel_types.h"
#include "sys/bpf/process_numbers.h"

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17

#define MSG_PEEK 2

// include/net/tcp_states.h
#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_CLOSE 7

// include/net/sock.h, a bit of skc_flags: the other end has sent its FIN.
#define SOCK_DONE 1

// A kind of connection is news if it was not seen for so long (ns).
#define NEWS_AFTER (3ULL * 1000 * 1000 * 1000)

// The end of a connection is news if it lasted so long (ns): what comes and goes is told with the
// next look. So is what ends so soon after another one of its kind.
#define END_NEWS_AFTER (1ULL * 1000 * 1000 * 1000)
#define END_NEWS_SPACING (100ULL * 1000 * 1000)

// Linux's default net.ipv4.ip_local_port_range begins here.
#define EPHEMERAL_MIN 32768

// Tracepoints may have a socket's cookie made, as Linux lets them since 5.12. Before,
// weft_connect4, weft_connect6 and weft_accepted do, which run just before.
const volatile __u32 weft_makes_cookies = 1;

// weft_sent and weft_received are attached.
const volatile __u32 weft_has_lengths = 0;

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, WEFT_FLOWS_MAX);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct weft_flow_key);
  __type(value, struct weft_flow);
} weft_flows SEC(".maps");

// Kinds of TCP connections: a place that is found costs a tenth of what an entry of weft_flows does
// (sys/bpf/counters.h).
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1 << WEFT_COUNTERS_LOG2);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct weft_counter);
} weft_counters SEC(".maps");

// Connections by the cookies of their sockets, which sock_diag shows, too. Each puts in one entry
// at each of its ends and takes it out again, most of them soon, which costs a third in slots of
// what it costs in a hash table. The agent moves those that last into the table
// (sys/bpf/openers.h).
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1 << WEFT_ROWS_LOG2);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct weft_opener_row);
} weft_rows SEC(".maps");

// Those of which nobody has heard for longest give way: an end is not seen if its packet interrupts
// these programs (recursion_misses, one of a million), and would be waited for in vain.
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, WEFT_OPENERS_MAX);
  __type(key, __u64);
  __type(value, struct weft_opener);
} weft_openers SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, WEFT_SEEN_MAX);
  __type(key, struct weft_flow_key);
  __type(value, struct weft_kind);
} weft_seen SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} weft_news SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, WEFT_TALKS_MAX);
  __type(key, struct weft_talk_key);
  __type(value, struct weft_talk);
} weft_talks SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct weft_datagram);
} weft_datagrams SEC(".maps");

// With whom a socket for datagrams that has a peer talks; a transport of 0: not yet found out.
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct weft_flow_key);
} weft_peers SEC(".maps");

// Counted up by the agent whenever it takes what was counted.
__u64 weft_look = 0;

// When it last did, and the time before (ns of CLOCK_MONOTONIC).
__u64 weft_looked_at = 0;
__u64 weft_looked_before = 0;

// Kinds of connections that found no room in weft_flows.
__u64 weft_flows_lost = 0;

static __always_inline void map_v4(__u8* out, __be32 address) {
  out[10] = 0xff;
  out[11] = 0xff;
  __builtin_memcpy(out + 12, &address, sizeof address);
}

static __always_inline void copy_v6(__u8* out, const struct in6_addr* address) {
  for (int i = 0; i < 4; ++i) {
    const __be32 part = address->in6_u.u6_addr32[i];
    __builtin_memcpy(out + i * sizeof part, &part, sizeof part);
  }
}

// The socket is one that a tracepoint gave, whose fields are loaded as they are.
static __always_inline void describe(
    const struct sock* sk, __u32 pid, __u8 outbound, __u8 transport, struct weft_flow_key* key) {
  const struct sock_common* common = &sk->__sk_common;
  if (common->skc_family == AF_INET) {
    map_v4(key->local, common->skc_rcv_saddr);
    map_v4(key->remote, common->skc_daddr);
  } else {
    copy_v6(key->local, &common->skc_v6_rcv_saddr);
    copy_v6(key->remote, &common->skc_v6_daddr);
  }
  key->netns = common->skc_net.net->ns.inum;
  key->pid = pid;
  key->port = outbound ? bpf_ntohs(common->skc_dport) : common->skc_num;
  key->transport = transport;
  key->outbound = outbound;
}

// It may have been chosen late.
static __always_inline int has_no_local_address(const struct weft_flow_key* key) {
  __u32 last;
  __builtin_memcpy(&last, key->local + sizeof key->local - sizeof last, sizeof last);
  return last == 0;
}

static __noinline struct weft_flow* flow_of(const struct weft_flow_key* key) {
  struct weft_flow* flow = bpf_map_lookup_elem(&weft_flows, key);
  if (flow) {
    return flow;
  }
  const struct weft_flow fresh = {};
  if (bpf_map_update_elem(&weft_flows, key, &fresh, BPF_NOEXIST) == -7 /* E2BIG */) {
    __sync_fetch_and_add(&weft_flows_lost, 1);
  }
  return bpf_map_lookup_elem(&weft_flows, key);
}

static __noinline struct weft_kind* kind_of(const struct weft_flow_key* key) {
  struct weft_flow_key of = *key;
  of.pid = 0;
  of.parent = 0;
  struct weft_kind* kind = bpf_map_lookup_elem(&weft_seen, &of);
  if (kind) {
    return kind;
  }
  const struct weft_kind fresh = {};
  bpf_map_update_elem(&weft_seen, &of, &fresh, BPF_NOEXIST);
  return bpf_map_lookup_elem(&weft_seen, &of);
}

static __always_inline void tell(__u64 now) {
  bpf_ringbuf_output(&weft_news, (void*)&now, sizeof now, 0);
}

static __noinline int tell_begin(const struct weft_flow_key* key) {
  const __u64 now = bpf_ktime_get_ns();
  struct weft_kind* kind = kind_of(key);
  if (!kind) {
    return 0;
  }
  const int is_news = now - kind->seen > NEWS_AFTER;
  kind->seen = now;
  if (is_news) {
    tell(now);
  }
  return 0;
}

static __noinline int tell_end(const struct weft_opener* opener) {
  const __u64 now = bpf_ktime_get_ns();
  if (now - opener->since < END_NEWS_AFTER) {
    return 0;
  }
  struct weft_kind* kind = kind_of(&opener->key);
  if (kind && now - kind->ended > END_NEWS_SPACING) {
    kind->ended = now;
    tell(now);
  }
  return 0;
}

// The first of the places that a kind may be counted in, by multiplication and addition (Thorup,
// High Speed Hashing for Integers and Strings, 3).
static __always_inline __u32 first_place_of(const struct weft_flow_key* key) {
  const __u64* const words = (const __u64*)key;
  const __u64 sum = words[0] * 0x9E3779B97F4A7C15ULL + words[1] * 0xC2B2AE3D27D4EB4FULL
                    + words[2] * 0x165667B19E3779F9ULL + words[3] * 0x27D4EB2F165667C5ULL
                    + words[4] * 0x85EBCA77C2B2AE63ULL + words[5] * 0xD6E8FEB86659FD93ULL;
  return (__u32)(sum >> (64 - WEFT_COUNTERS_LOG2));
}

static __always_inline int has_key(const struct weft_counter* counter,
                                   const struct weft_flow_key* key) {
  const __u64* const one = (const __u64*)&counter->key;
  const __u64* const other = (const __u64*)key;
  __u64 difference = 0;
  for (unsigned int i = 0; i < sizeof *key / sizeof *one; ++i) {
    difference |= one[i] ^ other[i];
  }
  return difference == 0;
}

static __always_inline struct weft_counter* place_of(__u32 hash, __u32 step) {
  const __u32 at = (hash + step) & ((1 << WEFT_COUNTERS_LOG2) - 1);
  return bpf_map_lookup_elem(&weft_counters, &at);
}

static __always_inline __u64 state_of(struct weft_counter* counter) {
  return *(volatile __u64*)&counter->state;
}

// Where the kind is not in the first of its places.
static __noinline struct weft_flow* find_or_claim(const struct weft_flow_key* key, __u32 hash) {
  for (__u32 i = 0; i < WEFT_COUNTER_PLACES; ++i) {
    struct weft_counter* counter = place_of(hash, i);
    if (counter && state_of(counter) == WEFT_COUNTER_USED && has_key(counter, key)) {
      return &counter->flow;
    }
  }
  for (__u32 i = 0; i < WEFT_COUNTER_PLACES; ++i) {
    struct weft_counter* counter = place_of(hash, i);
    if (counter && state_of(counter) == WEFT_COUNTER_FREE
        && __sync_val_compare_and_swap(&counter->state, WEFT_COUNTER_FREE, WEFT_COUNTER_BUSY)
               == WEFT_COUNTER_FREE) {
      counter->key = *key;
      __sync_lock_test_and_set(&counter->state, WEFT_COUNTER_USED);
      return &counter->flow;
    }
  }
  return flow_of(key);
}

// Where a kind of TCP connections is counted. Two programs at once may claim a place each: the
// agent adds up what it finds.
static __always_inline struct weft_flow* counts_of(const struct weft_flow_key* key, int has_rows) {
  if (!has_rows) {
    return flow_of(key);
  }
  const __u32 hash = first_place_of(key);
  struct weft_counter* counter = place_of(hash, 0);
  if (counter && state_of(counter) == WEFT_COUNTER_USED && has_key(counter, key)) {
    return &counter->flow;
  }
  return find_or_claim(key, hash);
}

static __always_inline void note_opened(const struct weft_flow_key* key, int has_rows) {
  struct weft_flow* flow = counts_of(key, has_rows);
  const int is_known = flow && flow->opened != 0;  // Its kind was heard of since the last look.
  if (flow) {
    __sync_fetch_and_add(&flow->opened, 1);
  }
  if (!is_known) {
    tell_begin(key);
  }
}

static __always_inline void add(__u64* to, __u64 number) {
  if (number != 0) {
    __sync_fetch_and_add(to, number);
  }
}

// That it has ended is counted last: the agent, which reads that first, has all that it carried.
static __always_inline void note_closed(const struct sock* sk,
                                        const struct weft_flow_key* key,
                                        int failed,
                                        int has_rows) {
  struct weft_flow* flow = counts_of(key, has_rows);
  if (!flow) {
    return;
  }
  if (failed) {
    __sync_fetch_and_add(&flow->failed, 1);
    return;
  }
  struct tcp_sock* tcp = bpf_skc_to_tcp_sock((void*)sk);
  if (tcp) {
    add(&flow->sent, tcp->bytes_sent - tcp->bytes_retrans);
    // The kernel counts a FIN, which takes a sequence number, as an octet.
    const __u64 fin = (sk->__sk_common.skc_flags >> SOCK_DONE) & 1;
    add(&flow->received, tcp->bytes_received - fin);
    add(&flow->packets_sent, tcp->segs_out);
    add(&flow->packets_received, tcp->segs_in);
    add(&flow->retransmits, tcp->total_retrans);
    flow->rtt_us = tcp->srtt_us >> 3;  // The kernel keeps it eightfold (net/ipv4/tcp_input.c).
  }
  __sync_fetch_and_add(&flow->closed, 1);
}

static __always_inline int has_owner(struct weft_opener* slot, __u64 owner) {
  return *(volatile __u64*)&slot->cookie == owner;
}

static __always_inline int change_owner(struct weft_opener* slot, __u64 from, __u64 to) {
  return has_owner(slot, from) && __sync_val_compare_and_swap(&slot->cookie, from, to) == from;
}

static __always_inline struct weft_opener_row* row_of(__u64 cookie) {
  const __u32 at = weft_row_of(cookie);
  return bpf_map_lookup_elem(&weft_rows, &at);
}

// Before Linux 5.12 there is no compare-and-exchange: has_rows is a constant of each program.
static __always_inline void follow(const struct weft_opener* opener, int has_rows) {
  struct weft_opener_row* row = has_rows ? row_of(opener->cookie) : 0;
  for (int i = 0; row && i < WEFT_ROW_SLOTS; ++i) {
    struct weft_opener* slot = &row->slots[i];
    if (change_owner(slot, WEFT_SLOT_FREE, WEFT_SLOT_BUSY)) {
      slot->since = opener->since;
      slot->key = opener->key;
      __sync_lock_test_and_set(&slot->cookie, opener->cookie);
      return;
    }
  }
  bpf_map_update_elem(&weft_openers, &opener->cookie, opener, BPF_ANY);
}

// A slot's key is whole if its owner is the same before and after it is read.
static __always_inline int read_slot(struct weft_opener* slot,
                                     __u64 cookie,
                                     struct weft_opener* out) {
  if (!has_owner(slot, cookie)) {
    return 0;
  }
  out->since = slot->since;
  out->key = slot->key;
  asm volatile("" ::: "memory");
  return has_owner(slot, cookie);
}

static __always_inline int find_opener(__u64 cookie, struct weft_opener* out, int has_rows) {
  struct weft_opener_row* row = has_rows ? row_of(cookie) : 0;
  for (int i = 0; row && i < WEFT_ROW_SLOTS; ++i) {
    if (read_slot(&row->slots[i], cookie, out)) {
      return 1;
    }
  }
  const struct weft_opener* opener = bpf_map_lookup_elem(&weft_openers, &cookie);
  if (opener) {
    *out = *opener;
  }
  return opener != 0;
}

// What is known of a connection is taken out, once.
static __always_inline int take_opener(__u64 cookie, struct weft_opener* out, int has_rows) {
  struct weft_opener_row* row = has_rows ? row_of(cookie) : 0;
  for (int i = 0; row && i < WEFT_ROW_SLOTS; ++i) {
    struct weft_opener* slot = &row->slots[i];
    if (read_slot(slot, cookie, out) && change_owner(slot, cookie, WEFT_SLOT_FREE)) {
      return 1;
    }
  }
  const struct weft_opener* opener = bpf_map_lookup_elem(&weft_openers, &cookie);
  if (!opener) {
    return 0;  // Older than these programs, or of a process elsewhere.
  }
  *out = *opener;
  bpf_map_delete_elem(&weft_openers, &cookie);
  return 1;
}

static __always_inline void on_connect(const struct sock* sk, __u64 cookie, int has_rows) {
  const struct task_struct* task = has_rows ? (void*)bpf_get_current_task_btf() : 0;
  const __u32 pid = has_rows ? pid_of(task) : own_pid();
  if (pid == 0) {
    return;
  }
  struct weft_opener opener = {.cookie = cookie, .since = weft_looked_at};
  describe(sk, pid, 1, IPPROTO_TCP, &opener.key);
  opener.key.parent = has_rows ? parent_of(task) : parent_pid();
  follow(&opener, has_rows);
}

static __always_inline void on_connected(const struct sock* sk,
                                         struct weft_opener* opener,
                                         int has_rows) {
  if (has_no_local_address(&opener->key) && take_opener(opener->cookie, opener, has_rows)) {
    describe(sk, opener->key.pid, 1, IPPROTO_TCP, &opener->key);
    follow(opener, has_rows);
  }
  note_opened(&opener->key, has_rows);
}

static __always_inline void on_accepted(const struct sock* sk, __u64 cookie, int has_rows) {
  struct weft_opener opener = {.cookie = cookie, .since = weft_looked_at};
  describe(sk, 0, 0, IPPROTO_TCP, &opener.key);
  follow(&opener, has_rows);
  note_opened(&opener.key, has_rows);
}

static __always_inline void on_close(const struct sock* sk,
                                     int before,
                                     __u64 cookie,
                                     int has_rows) {
  struct weft_opener opener = {};
  if (!take_opener(cookie, &opener, has_rows)) {
    return;
  }
  note_closed(sk, &opener.key, before == TCP_SYN_SENT, has_rows);
  // What has been there for less than two looks, as most, needs no clock.
  if (before != TCP_SYN_SENT && opener.since < weft_looked_before) {
    tell_end(&opener);
  }
}

static __always_inline int on_state(const __u64* ctx, int has_rows) {
  const struct sock* sk = (const struct sock*)ctx[0];
  const int before = (int)ctx[1];
  const int after = (int)ctx[2];
  if (after != TCP_SYN_SENT && after != TCP_ESTABLISHED && after != TCP_CLOSE) {
    return 0;
  }
  const unsigned short family = sk->__sk_common.skc_family;
  if (sk->sk_protocol != IPPROTO_TCP || (family != AF_INET && family != AF_INET6)) {
    return 0;
  }
  const __u64 had = sk->__sk_common.skc_cookie.counter;
  const __u64 cookie =
      had == 0 && has_rows && after != TCP_CLOSE ? bpf_get_socket_cookie((void*)sk) : had;
  if (cookie == 0) {
    return 0;  // Nobody has made one: it began before these programs were there.
  }
  if (after == TCP_SYN_SENT) {
    on_connect(sk, cookie, has_rows);
    return 0;
  }
  if (after == TCP_CLOSE) {
    on_close(sk, before, cookie, has_rows);
    return 0;
  }
  // One that was accepted has no cookie yet, where nobody else makes them. Two that connect to each
  // other at once come from SYN_RECV, too, and are known.
  struct weft_opener opener = {.cookie = cookie};
  if (!(has_rows && had == 0) && find_opener(cookie, &opener, has_rows)) {
    on_connected(sk, &opener, has_rows);
  } else if (before == TCP_SYN_RECV) {
    on_accepted(sk, cookie, has_rows);
  }
  return 0;
}

SEC("tp_btf/inet_sock_set_state")
int weft_state(__u64* ctx) {
  return on_state(ctx, 1);
}

// Before Linux 5.12.
SEC("tp_btf/inet_sock_set_state")
int weft_state_hooked(__u64* ctx) {
  return on_state(ctx, 0);
}

// Who spoke first is the client, unless the ports say otherwise: what was said before these
// programs were there is not known.
static __always_inline int is_outbound(__u16 local_port, __u16 remote_port, int sends) {
  const int is_local_high = local_port >= EPHEMERAL_MIN;
  const int is_remote_high = remote_port >= EPHEMERAL_MIN;
  return is_local_high == is_remote_high ? sends : is_local_high;
}

static __always_inline void note_said(const struct weft_flow_key* key, int is_new) {
  struct weft_flow* flow = flow_of(key);
  if (flow) {
    __sync_fetch_and_add(&flow->opened, is_new);
    __sync_fetch_and_add(&flow->closed, 1);
  }
  if (is_new) {
    tell_begin(key);
  }
}

// How long the datagram is that this task sends or has received is told as its system call ends.
static __always_inline void expect_length(const struct bpf_sock* sk,
                                          const struct weft_flow_key* key) {
  if (!weft_has_lengths) {
    return;
  }
  struct weft_datagram* datagram = bpf_task_storage_get(
      &weft_datagrams, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (datagram) {
    datagram->socket = (__u64)sk;
    datagram->key = *key;
  }
}

static __always_inline void begin_talk(const struct weft_talk_key* of,
                                       const __u8* local,
                                       int sends) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  struct weft_talk talk = {.look = weft_look};
  __builtin_memcpy(talk.key.local, local, sizeof talk.key.local);
  __builtin_memcpy(talk.key.remote, of->remote, sizeof talk.key.remote);
  talk.key.netns = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
  talk.key.pid = own_pid();
  talk.key.parent = parent_pid();
  talk.key.outbound = is_outbound(of->local_port, of->remote_port, sends);
  talk.key.port = talk.key.outbound ? of->remote_port : of->local_port;
  talk.key.transport = IPPROTO_UDP;
  bpf_map_update_elem(&weft_talks, of, &talk, BPF_ANY);
}

static __always_inline void on_datagram(const struct bpf_sock* sk,
                                        const struct weft_talk_key* of,
                                        const __u8* local,
                                        int sends) {
  struct weft_talk* talk = bpf_map_lookup_elem(&weft_talks, of);
  const int is_new = !talk;
  if (is_new) {
    begin_talk(of, local, sends);
    talk = bpf_map_lookup_elem(&weft_talks, of);
  }
  if (!talk || talk->key.pid == 0) {
    return;
  }
  expect_length(sk, &talk->key);
  if (is_new || talk->look != weft_look) {
    talk->look = weft_look;
    const struct weft_flow_key key = talk->key;
    note_said(&key, is_new);
  }
}

// Sockets with a peer are seen as they send and receive, where that is told.
static __always_inline int is_hooked(const struct bpf_sock* sk, __u32 protocol) {
  return sk && protocol == IPPROTO_UDP && !(weft_has_lengths && sk->dst_port);
}

static __always_inline int on_datagram4(struct bpf_sock_addr* ctx, int sends) {
  struct bpf_sock* sk = ctx->sk;
  if (is_hooked(sk, ctx->protocol)) {
    struct weft_talk_key of = {.netns_cookie = bpf_get_netns_cookie(ctx),
                               .local_port = sk->src_port,
                               .remote_port = bpf_ntohs(ctx->user_port)};
    __u8 local[16] = {};
    map_v4(of.remote, ctx->user_ip4);
    map_v4(local, sk->src_ip4);
    on_datagram(sk, &of, local, sends);
  }
  return 1;  // Let it pass.
}

static __always_inline int on_datagram6(struct bpf_sock_addr* ctx, int sends) {
  struct bpf_sock* sk = ctx->sk;
  if (is_hooked(sk, ctx->protocol)) {
    struct weft_talk_key of = {.netns_cookie = bpf_get_netns_cookie(ctx),
                               .local_port = sk->src_port,
                               .remote_port = bpf_ntohs(ctx->user_port)};
    const __u32 remote[4] = {
        ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};
    const __u32 local[4] = {sk->src_ip6[0], sk->src_ip6[1], sk->src_ip6[2], sk->src_ip6[3]};
    __builtin_memcpy(of.remote, remote, sizeof of.remote);
    on_datagram(sk, &of, (const __u8*)local, sends);
  }
  return 1;
}

// A socket for datagrams that gets a peer is shown by sock_diag, and not seen again here: that
// there is something to be looked for in its namespace is an entry in which nothing is counted.
static __always_inline int on_peer(struct bpf_sock_addr* ctx) {
  if (!weft_makes_cookies) {
    bpf_get_socket_cookie(ctx);
  }
  if (ctx->protocol == IPPROTO_UDP) {
    if (weft_has_lengths && ctx->sk) {
      bpf_sk_storage_delete(&weft_peers, ctx->sk);
    }
    struct task_struct* task = (struct task_struct*)bpf_get_current_task();
    struct weft_flow_key key = {.netns = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum),
                                .transport = IPPROTO_UDP};
    flow_of(&key);
  }
  return 1;
}

SEC("sockops")
int weft_accepted(struct bpf_sock_ops* ctx) {
  if (ctx->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB) {
    bpf_get_socket_cookie(ctx);
  }
  return 1;
}

SEC("cgroup/connect4")
int weft_connect4(struct bpf_sock_addr* ctx) {
  return on_peer(ctx);
}

SEC("cgroup/connect6")
int weft_connect6(struct bpf_sock_addr* ctx) {
  return on_peer(ctx);
}

SEC("cgroup/sendmsg4")
int weft_send4(struct bpf_sock_addr* ctx) {
  return on_datagram4(ctx, 1);
}

SEC("cgroup/recvmsg4")
int weft_receive4(struct bpf_sock_addr* ctx) {
  return on_datagram4(ctx, 0);
}

SEC("cgroup/sendmsg6")
int weft_send6(struct bpf_sock_addr* ctx) {
  return on_datagram6(ctx, 1);
}

SEC("cgroup/recvmsg6")
int weft_receive6(struct bpf_sock_addr* ctx) {
  return on_datagram6(ctx, 0);
}

static __always_inline void note_octets(const struct weft_flow_key* key, int octets, int sends) {
  struct weft_flow* flow = flow_of(key);
  if (flow) {
    __sync_fetch_and_add(sends ? &flow->sent : &flow->received, octets);
    __sync_fetch_and_add(sends ? &flow->packets_sent : &flow->packets_received, 1);
  }
}

// The first datagram of a socket with a peer begins a conversation.
static __always_inline void on_peers_datagram(const struct sock* sk, int octets, int sends) {
  struct weft_flow_key* peer =
      bpf_sk_storage_get(&weft_peers, (void*)sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  if (!peer) {
    return;
  }
  if (peer->transport == 0) {
    const struct sock_common* common = &sk->__sk_common;
    const __u8 outbound = is_outbound(common->skc_num, bpf_ntohs(common->skc_dport), sends);
    describe(sk, own_pid(), outbound, IPPROTO_UDP, peer);
    peer->parent = parent_pid();
    if (peer->pid != 0) {
      const struct weft_flow_key key = *peer;
      note_said(&key, 1);
    }
  }
  if (peer->pid != 0) {
    note_octets(peer, octets, sends);
  }
}

static __always_inline void on_length(const struct sock* sk, int octets, int sends) {
  const unsigned short family = sk->__sk_common.skc_family;
  if (sk->sk_protocol != IPPROTO_UDP || (family != AF_INET && family != AF_INET6) || octets < 0) {
    return;
  }
  if (sk->__sk_common.skc_dport != 0) {
    on_peers_datagram(sk, octets, sends);
    return;
  }
  struct weft_datagram* datagram =
      bpf_task_storage_get(&weft_datagrams, bpf_get_current_task_btf(), 0, 0);
  if (datagram && datagram->socket == (__u64)sk) {
    datagram->socket = 0;
    note_octets(&datagram->key, octets, sends);
  }
}

SEC("tp_btf/sock_send_length")
int weft_sent(__u64* ctx) {
  on_length((const struct sock*)ctx[0], (int)ctx[1], 1);
  return 0;
}

SEC("tp_btf/sock_recv_length")
int weft_received(__u64* ctx) {
  if (!((int)ctx[2] & MSG_PEEK)) {
    on_length((const struct sock*)ctx[0], (int)ctx[1], 0);
  }
  return 0;
}

char _license[] SEC("license") = "GPL";
