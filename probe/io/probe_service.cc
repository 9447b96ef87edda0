#include "probe/io/probe_service.h"

#include <optional>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "base/log.h"
#include "base/overloaded.h"
#include "sys/clock.h"
#include "sys/core_driver.h"
#include "sys/lifetime.h"

namespace weft::probe {

namespace asio = boost::asio;

class ProbeService::Impl {
 public:
  Impl(asio::any_io_executor executor,
       const sys::Clock& clock,
       Probe::Options options,
       Sampler::Sources sources,
       Hooks hooks)
      : executor_(executor),
        hooks_(std::move(hooks)),
        probe_(std::move(options)),
        sampler_(clock, std::move(sources)),
        driver_(std::move(executor), clock, probe_, Perform{this}) {}

  ~Impl() {
    if (thread_) {
      thread_->stop();
      thread_->join();
      forget_news();
    }
  }

  template <class Input>
  void feed(Input input) {
    driver_.feed(std::move(input));
  }

  const Probe& probe() const { return probe_; }

 private:
  struct Perform {
    Impl* impl;
    void operator()(ProbeAction action) const {
      std::visit(overloaded{
                     [this](TakeSample) { impl->take_sample(); },
                     [this](Rest) { impl->rest(); },
                     [this](Tell&& tell) {
                       asio::post(impl->executor_,
                                  [tell_it = impl->hooks_.tell, tell = std::move(tell)]() mutable {
                                    tell_it(std::move(tell));
                                  });
                     },
                 },
                 std::move(action));
    }
  };

  void take_sample() {
    if (!thread_) {
      thread_.emplace(1);
    }
    asio::post(*thread_, [this] {
      auto sample = std::make_shared<Result<Sample>>(sampler_.take());
      wait_for_news();
      asio::post(executor_, lifetime_.guard([this, sample] { on_sample(*sample); }));
    });
  }

  void rest() {
    if (thread_) {
      asio::post(*thread_, [this] {
        forget_news();
        sampler_.rest();
      });
    }
  }

  // On the thread, as all that touches the sampler.
  void wait_for_news() {
    if (news_ || sampler_.news_descriptor() < 0) {
      return;
    }
    news_.emplace(thread_->get_executor(), sampler_.news_descriptor());
    hear_news();
  }

  void hear_news() {
    news_->async_wait(
        asio::posix::descriptor_base::wait_read, [this](const boost::system::error_code& error) {
          if (error) {
            return;
          }
          sampler_.clear_news();
          asio::post(executor_, lifetime_.guard([this] {
            feed([](Probe& probe, TimePoint now, ProbeActions&) { probe.on_change(now); });
          }));
          hear_news();
        });
  }

  // The descriptor is the source's.
  void forget_news() {
    if (news_) {
      news_->release();
      news_.reset();
    }
  }

  void on_sample(Result<Sample>& sample) {
    if (!sample.ok()) {
      log::warning("host not sampled", {"why", sample.error()});
      feed([](Probe& probe, TimePoint now, ProbeActions&) { probe.on_sample_failed(now); });
      return;
    }
    // Understanding it is part of what looking costs; how much is known of the look before.
    sample.value().cost += digest_cost_;
    OverlayFacts overlay = hooks_.overlay();
    const Duration before = sys::thread_cpu_time();
    feed([&](Probe& probe, TimePoint now, ProbeActions& out) {
      probe.on_sample(now, sample.value(), std::move(overlay), out);
    });
    digest_cost_ = sys::thread_cpu_time() - before;
  }

  asio::any_io_executor executor_;
  Hooks hooks_;
  Probe probe_;
  Sampler sampler_;  // Used on the thread only.
  sys::CoreDriver<Probe, ProbeAction, Perform> driver_;
  sys::Lifetime lifetime_;
  Duration digest_cost_{};
  std::optional<asio::thread_pool> thread_;  // From the first sample on.
  std::optional<asio::posix::stream_descriptor> news_;
};

ProbeService::ProbeService(asio::any_io_executor executor,
                           const sys::Clock& clock,
                           Probe::Options options,
                           Sampler::Sources sources,
                           Hooks hooks)
    : impl_(std::make_unique<Impl>(
        std::move(executor), clock, std::move(options), std::move(sources), std::move(hooks))) {}

ProbeService::~ProbeService() = default;

void ProbeService::on_watch(PeerName watcher, const Watch& watch) {
  impl_->feed([&](Probe& probe, TimePoint now, ProbeActions& out) {
    probe.on_watch(now, watcher, watch, out);
  });
}

void ProbeService::on_change() {
  impl_->feed([](Probe& probe, TimePoint now, ProbeActions&) { probe.on_change(now); });
}

const Probe& ProbeService::probe() const {
  return impl_->probe();
}

}  // namespace weft::probe
