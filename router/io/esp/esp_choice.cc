#include "router/io/esp/esp_choice.h"

#include <chrono>
#include <utility>

#include <boost/asio/post.hpp>
#include <fmt/format.h>

namespace weft::router {
namespace {

double microseconds(std::chrono::nanoseconds span) {
  return std::chrono::duration<double, std::micro>(span).count();
}

}  // namespace

EspTrials EspTrials::of_this_machine(std::shared_ptr<AeadKey> key, const sys::Clock& clock) {
  return {.open = [] { return sys::open_xfrm(); },
          .measure = [key = std::move(key), &clock] { return sys::measure_esp(*key, clock); }};
}

bool is_kernel_cheaper(const sys::EspCost& cost) {
  return cost.kernel.count() * 10 < cost.ours.count() * 9;
}

EspChoice choose_esp(EspWish wish, const EspTrials& trials) {
  if (wish == EspWish::Off) {
    return {.xfrm = nullptr, .why = "switched off"};
  }
  Result<std::unique_ptr<sys::Xfrm>> opened = trials.open();
  if (!opened.ok()) {
    return {.xfrm = nullptr, .why = opened.error().what};
  }
  if (wish == EspWish::On) {
    return {.xfrm = std::move(opened).value(), .why = "switched on"};
  }
  const Result<sys::EspCost> cost = trials.measure();
  if (!cost.ok()) {
    return {.xfrm = nullptr, .why = cost.error().what};
  }
  const bool is_cheaper = is_kernel_cheaper(cost.value());
  return {.xfrm = is_cheaper ? std::move(opened).value() : nullptr,
          .why = fmt::format("measured: {:.2f} µs a datagram where the kernel seals, {:.2f} where "
                             "agents do",
                             microseconds(cost.value().kernel),
                             microseconds(cost.value().ours))};
}

EspChooser::EspChooser(boost::asio::any_io_executor executor,
                       EspWish wish,
                       EspTrials trials,
                       OnChosen on_chosen)
    : thread_([executor = std::move(executor),
               wish,
               trials = std::move(trials),
               tell = lifetime_.guard(std::move(on_chosen))]() mutable {
        boost::asio::post(executor,
                          [tell = std::move(tell), choice = choose_esp(wish, trials)]() mutable {
                            tell(std::move(choice));
                          });
      }) {}

EspChooser::~EspChooser() {
  thread_.join();
}

}  // namespace weft::router
