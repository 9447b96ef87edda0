// Whether the kernels are to seal on this host: what the operator wants, and what the machine can.
// Asked once, beside the start: a kernel may have to load modules for its answer, which takes a
// slow machine seconds.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <boost/asio/any_io_executor.hpp>

#include "base/aead.h"
#include "router/io/esp/esp_wish.h"
#include "sys/clock.h"
#include "sys/lifetime.h"
#include "sys/xfrm/esp_speed.h"
#include "sys/xfrm/xfrm.h"

namespace weft::router {

struct EspChoice {
  std::shared_ptr<sys::Xfrm> xfrm;  // Nothing: agents seal.
  std::string why;                  // For people.
};

// How the machine is asked; tests answer themselves.
struct EspTrials {
  std::function<Result<std::unique_ptr<sys::Xfrm>>()> open;
  std::function<Result<sys::EspCost>()> measure;

  // `key` is measured against the kernel, and used for nothing else.
  static EspTrials of_this_machine(std::shared_ptr<AeadKey> key, const sys::Clock& clock);
};

// With Auto the kernel has to be cheaper; otherwise it need only be able to. Takes its time.
EspChoice choose_esp(EspWish wish, const EspTrials& trials);

// By more than measurements of the same thing differ.
bool is_kernel_cheaper(const sys::EspCost& cost);

// The same on a thread of its own. Made and destroyed on the executor's strand; its end waits for
// what is being tried.
class EspChooser {
 public:
  using OnChosen = std::function<void(EspChoice choice)>;

  EspChooser(boost::asio::any_io_executor executor,
             EspWish wish,
             EspTrials trials,
             OnChosen on_chosen);
  EspChooser(const EspChooser&) = delete;
  EspChooser& operator=(const EspChooser&) = delete;
  ~EspChooser();

 private:
  sys::Lifetime lifetime_;
  std::thread thread_;
};

}  // namespace weft::router
