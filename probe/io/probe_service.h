// The probe on a real host: runs the core's timer on the control strand and the sampling on a
// thread of its own, which sleeps while nobody watches.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "base/bytes.h"
#include "base/peer_name.h"
#include "probe/io/sampler.h"
#include "probe/probe.h"
#include "sys/clock.h"

namespace weft::probe {

class ProbeService {
 public:
  struct Hooks {
    // What weft itself knows of this host; asked for with each report.
    std::function<OverlayFacts()> overlay;
    // A report for a watcher (maybe ourselves). May call the service again.
    std::function<void(Tell)> tell;
  };

  ProbeService(boost::asio::any_io_executor executor,
               const sys::Clock& clock,
               Probe::Options options,
               Sampler::Sources sources,
               Hooks hooks);
  ~ProbeService();  // Waits for a sample that is being taken.

  void on_watch(PeerName watcher, const Watch& watch);
  void on_change();
  const Probe& probe() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::probe
