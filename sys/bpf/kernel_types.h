// The parts of the kernel's structures that connections.bpf.c reads; libbpf finds where they are.
#pragma once

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct ns_common {
  unsigned int inum;
};
struct net {
  struct ns_common ns;
};
typedef struct {
  struct net* net;
} possible_net_t;
struct in6_addr {
  union {
    __be32 u6_addr32[4];
  } in6_u;
};
typedef struct {
  long long counter;
} atomic64_t;
struct sock_common {
  __be32 skc_daddr;
  __be32 skc_rcv_saddr;
  __be16 skc_dport;
  __u16 skc_num;
  unsigned short skc_family;
  unsigned long skc_flags;
  possible_net_t skc_net;
  struct in6_addr skc_v6_daddr;
  struct in6_addr skc_v6_rcv_saddr;
  atomic64_t skc_cookie;
};
struct sock {
  struct sock_common __sk_common;
  __u16 sk_protocol;
};
struct tcp_sock {
  __u64 bytes_received;
  __u64 bytes_sent;
  __u64 bytes_retrans;
  __u32 srtt_us;
  __u32 segs_in;
  __u32 segs_out;
  __u32 total_retrans;
};
struct pid_namespace {
  struct ns_common ns;
};
struct upid {
  int nr;
  struct pid_namespace* ns;
};
struct pid {
  unsigned int level;
  struct upid numbers[1];
};
struct nsproxy {
  struct net* net_ns;
};
struct task_struct {
  int tgid;
  struct nsproxy* nsproxy;
  struct task_struct* real_parent;
  struct task_struct* group_leader;
  struct pid* thread_pid;
};
#pragma clang attribute pop
