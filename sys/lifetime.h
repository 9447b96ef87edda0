// Asio runs a handler that was queued before its owner went away, and with no error. A handler
// behind guard() does nothing then.
#pragma once

#include <functional>
#include <memory>
#include <utility>

namespace weft::sys {

// A member of what handlers call into. Guarded handlers run where the owner is destroyed (one
// strand); guard() itself may be called on any thread that ends before the owner does.
class Lifetime {
 public:
  Lifetime() = default;
  Lifetime(const Lifetime&) = delete;
  Lifetime& operator=(const Lifetime&) = delete;

  template <class Handler>
  auto guard(Handler handler) const {
    return [owner = std::weak_ptr<const Token>(token_),
            handler = std::move(handler)](auto&&... results) mutable {
      if (!owner.expired()) {
        std::invoke(handler, std::forward<decltype(results)>(results)...);
      }
    };
  }

 private:
  struct Token {};
  std::shared_ptr<const Token> token_ = std::make_shared<const Token>();
};

}  // namespace weft::sys
