// What the kernel of one host shows of its processes, control groups and sockets, as plain values:
// read by sys (procfs.h, cgroup/groups.h, sock_diag.h), understood by probe. Nothing here is
// interpreted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/time.h"

namespace weft {

struct ObservedHost {
  std::string name;
  std::string kernel;  // Release, as uname(2) has it.
  std::string os;
  Duration uptime{};
  double load1 = 0;
  std::uint32_t cpu_count = 0;
  Duration cpu_busy{};      // Since boot, of all CPUs.
  std::uint64_t forks = 0;  // Processes and threads begun since boot; 0 if unknown.
  std::uint64_t memory_total_bytes = 0;
  std::uint64_t memory_available_bytes = 0;
  std::vector<Cidr> addresses;  // Of all interfaces, with their masks.

  friend bool operator==(const ObservedHost&, const ObservedHost&) = default;
};

struct ObservedProcess {
  std::uint32_t pid = 0;
  std::uint32_t parent = 0;
  std::uint64_t started_ticks = 0;  // Since boot; tells a reused pid from its predecessor.
  std::string name;
  std::string command;  // Arguments separated by blanks; empty for kernel threads.
  std::string cgroup;   // Path in the first hierarchy that tells a container.
  std::uint32_t uid = 0;
  std::uint32_t thread_count = 0;
  // As it was at an earlier look: processes at rest are read in turns (sys/procfs.h).
  bool remembered = false;
  Duration cpu{};  // User and system, since its start.
  std::uint64_t rss_bytes = 0;
  std::uint32_t descriptor_count = 0;
  std::uint32_t descriptor_max = 0;  // That it may have; 0 if unknown.
  std::uint64_t netns = 0;           // Inode of its network namespace; 0 if it may not be known.
  // Device and inode of its root directory, if that is its own, in a mount namespace of its own.
  std::string root{};

  friend bool operator==(const ObservedProcess&, const ObservedProcess&) = default;
};

// What a control group and those below it have used since it was made. Nothing: it is not counted
// here.
struct ObservedGroup {
  std::optional<Duration> cpu{};  // User and system, of processes that have ended, too.
  std::optional<std::uint64_t> memory_bytes{};  // Without pages of files that nobody uses.
  std::uint64_t memory_limit_bytes = 0;         // 0 if there is none.
  Duration throttled{};  // That it had to wait for its next share of the CPUs.
  std::uint64_t disk_read_bytes = 0;
  std::uint64_t disk_written_bytes = 0;
  // All but the CPU time is as it was at an earlier look (sys/cgroup/groups.h).
  bool remembered = false;

  friend bool operator==(const ObservedGroup&, const ObservedGroup&) = default;
};

// IANA protocol numbers. Part of the wire format of reports.
enum class Transport : std::uint8_t { Tcp = 6, Udp = 17 };

// Who opened a connection: its client, or nobody can tell.
enum class Opened : std::uint8_t { Unknown, Here, There };

struct ObservedSocket {
  Transport transport = Transport::Tcp;
  bool listening = false;  // TCP: LISTEN. UDP: bound without a peer.
  Endpoint local{};
  Endpoint remote{};         // Unspecified while listening.
  std::uint64_t inode = 0;   // 0 once no process holds it: a connection in TIME_WAIT.
  std::uint64_t cookie = 0;  // Never given to another socket.
  Opened opened = Opened::Unknown;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint32_t packets_sent =
      0;  // Segments of TCP, those without data and those sent anew included.
  std::uint32_t packets_received = 0;
  std::uint32_t rtt_us = 0;
  std::uint32_t retransmits = 0;

  friend bool operator==(const ObservedSocket&, const ObservedSocket&) = default;
};

// What connection tracking knows of one conversation, whose ever it is.
struct ObservedTrack {
  Transport transport = Transport::Udp;
  Endpoint client{};
  Endpoint asked{};              // Whom the client asked.
  Endpoint server{};             // Who answers: another where the address is translated.
  std::uint64_t bytes_sent = 0;  // By the client; 0 unless the kernel accounts, as are packets.
  std::uint64_t bytes_received = 0;
  std::uint64_t packets_sent = 0;
  std::uint64_t packets_received = 0;

  friend bool operator==(const ObservedTrack&, const ObservedTrack&) = default;
};

struct ObservedOpening {
  Opened opened = Opened::Unknown;
  std::uint32_t pid = 0;     // Who connected; 0 at the server's end of TCP.
  std::uint32_t parent = 0;  // Its parent.

  friend bool operator==(const ObservedOpening&, const ObservedOpening&) = default;
};

// What became of all connections of a kind (whatever their client's port) within some time. Bytes,
// retransmits and round trips are of those that closed in it. Of UDP, `closed` are conversations in
// which something was said, bytes what was said, and `local` is unspecified if the socket is bound
// to no address.
struct ObservedConnections {
  Transport transport = Transport::Tcp;
  ObservedOpening opening{};
  std::uint64_t netns = 0;
  Ip local{};
  Ip remote{};
  std::uint16_t port = 0;  // The server's.
  std::uint64_t opened = 0;
  std::uint64_t closed = 0;
  std::uint64_t failed = 0;  // Refused, or never answered.
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t packets_sent =
      0;  // Of TCP as a socket's; of UDP datagrams, where bytes are counted.
  std::uint64_t packets_received = 0;
  std::uint64_t retransmits = 0;
  std::uint32_t rtt_us = 0;  // Of the last.

  friend bool operator==(const ObservedConnections&, const ObservedConnections&) = default;
};

}  // namespace weft
