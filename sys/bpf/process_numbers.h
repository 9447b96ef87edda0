// Processes by the numbers that the agent knows them by, for connections.bpf.c: in the namespace of
// its /proc, which need not be that of the host.
#pragma once

// libbpf's headers need the kernel's types before them.
// clang-format off
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
// clang-format on

#include "sys/bpf/kernel_types.h"

// Namespaces of processes are nested this deep at most (MAX_PID_NS_LEVEL).
#define PID_LEVELS 33

// Inode of the process namespace that processes are told in.
const volatile __u32 weft_pid_namespace = 0;

// include/linux/proc_ns.h: that of the host, in which every process has the number of its own.
#define PROC_PID_INIT_INO 0xeffffffcU

// Where the agent's namespace was found: how deep, and its address.
unsigned int weft_depth = 0;
__u64 weft_namespace = 0;

static __always_inline const struct upid* entry_at(const struct pid* pid, unsigned int depth) {
  const __u64 size = bpf_core_type_size(struct upid);
  return (const void*)pid + bpf_core_field_offset(pid->numbers) + depth * size;
}

static __noinline __u32 search_number(const struct pid* pid, unsigned int level) {
  for (unsigned int i = 0; i < PID_LEVELS; ++i) {
    if (i > level) {
      break;
    }
    const struct upid* const id = entry_at(pid, i);
    if (BPF_CORE_READ(id, ns, ns.inum) == weft_pid_namespace) {
      weft_namespace = (__u64)BPF_CORE_READ(id, ns);
      weft_depth = i;
      return BPF_CORE_READ(id, nr);
    }
  }
  return 0;
}

// The number of a process in the agent's namespace; 0 if it is not in there.
static __always_inline __u32 number_in(const struct pid* pid, unsigned int level) {
  const unsigned int depth = weft_depth;
  const struct upid* const id = entry_at(pid, depth);
  return depth <= level && (__u64)BPF_CORE_READ(id, ns) == weft_namespace
             ? BPF_CORE_READ(id, nr)
             : search_number(pid, level);
}

static __always_inline __u32 number_of(const struct pid* pid) {
  return number_in(pid, BPF_CORE_READ(pid, level));
}

static __always_inline __u32 own_pid(void) {
  if (weft_pid_namespace == PROC_PID_INIT_INO) {
    return bpf_get_current_pid_tgid() >> 32;
  }
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  return number_of(BPF_CORE_READ(task, group_leader, thread_pid));
}

static __always_inline __u32 parent_pid(void) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  if (weft_pid_namespace == PROC_PID_INIT_INO) {
    return BPF_CORE_READ(task, group_leader, real_parent, tgid);
  }
  return number_of(BPF_CORE_READ(task, group_leader, real_parent, group_leader, thread_pid));
}

// The same of a task whose fields are loaded as they are, as Linux lets since 5.11.
static __always_inline __u32 pid_of(const struct task_struct* task) {
  if (weft_pid_namespace == PROC_PID_INIT_INO) {
    return task->tgid;
  }
  const struct pid* const pid = task->group_leader->thread_pid;
  return number_in(pid, pid->level);
}

static __always_inline __u32 parent_of(const struct task_struct* task) {
  return pid_of(task->group_leader->real_parent);
}
