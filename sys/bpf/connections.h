// TCP connections as they open and close, told by the kernel (sys/bpf/connections.bpf.c): what a
// look at the sockets now and then (sock_diag.h) does not see, however short. And datagrams of
// sockets without a peer, which no look at sockets shows.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/observed.h"
#include "base/result.h"
#include "sys/posix/host_paths.h"

namespace weft::sys {

class ConnectionSource {
 public:
  ConnectionSource() = default;
  ConnectionSource(const ConnectionSource&) = delete;
  ConnectionSource& operator=(const ConnectionSource&) = delete;
  virtual ~ConnectionSource() = default;

  // Begins to count. Fails if the kernel has not what is needed (BTF, tracing programs) or refuses;
  // then nothing has changed. Harmless if it counts already.
  virtual Result<Ok> start() = 0;
  // Counts no longer and forgets; costs nothing from here on.
  virtual void stop() = 0;

  // Why datagrams are not among what it counts, since start(); empty: they are.
  virtual std::string_view datagrams_missing() const = 0;
  // Whether of datagrams the octets are told, too, since start().
  virtual bool counts_octets_of_datagrams() const = 0;

  // What happened since start() or the last take(), of all network namespaces. Sockets of UDP that
  // got a peer are an entry of their namespace in which nothing is counted.
  virtual Result<std::vector<ObservedConnections>> take() = 0;

  // Kinds of connections for which there was no room, since start().
  virtual std::uint64_t lost() const = 0;

  // How a connection came about, by its socket's cookie. Nothing if it is older than start().
  virtual std::optional<ObservedOpening> opening_of(std::uint64_t cookie) = 0;

  // Readable when a kind of connection opens that was not there in the last seconds, and when the
  // last of a kind ends that was there longer; -1 if stopped.
  virtual int news_descriptor() const = 0;
  // Makes it unreadable until there is more.
  virtual void clear_news() = 0;
};

// Octets of datagrams need tracepoints that Linux has since 6.3, and cost each send and receive of
// any socket a fraction of a microsecond.
enum class DatagramOctets : std::uint8_t { No, IfPossible };

// Processes are told by their numbers in the PID namespace that the host's /proc is of.
std::unique_ptr<ConnectionSource> open_bpf_connections(DatagramOctets octets,
                                                       const HostPaths& host = {});

}  // namespace weft::sys
