// For threads that carry what others wait for.
#pragma once

namespace weft::sys {

enum class ThreadPriority {
  Usual,
  // Gets most of a processor that ordinary threads want as well. It can be held up itself, unlike
  // real-time threads.
  Preferred,
  // The same, but those that have wanted little of the processor go first whenever they wake.
  Yielding,
};

// Of the calling thread. False, and all as it was, without CAP_SYS_NICE.
bool set_thread_priority(ThreadPriority priority);

}  // namespace weft::sys
