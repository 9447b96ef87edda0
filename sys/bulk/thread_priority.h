// For threads that carry what others wait for.
#pragma once

namespace weft::sys {

enum class ThreadPriority {
  Usual,
  // Gets most of a processor that ordinary threads want as well, but lets those that have wanted
  // little of it go first. It can be held up itself, unlike real-time threads.
  Preferred,
};

// Of the calling thread. False, and all as it was, without CAP_SYS_NICE.
bool set_thread_priority(ThreadPriority priority);

}  // namespace weft::sys
