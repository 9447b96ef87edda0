// Result<T>: a value, or the reason there is none.
//
// The shape follows std::expected so that a later standard can replace it. It exists because
// GCC 12 offers <expected> only in C++23 mode, Clang 14 not at all, and neither tl::expected nor
// boost::system::result warns when a caller drops one on the floor. This one does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/assert.h"

namespace weft {

enum class Errc : std::uint8_t {
  Invalid,      // Malformed input: a frame, a flag, a file.
  NotFound,     //
  Conflict,     // Two views of the same state disagree.
  Exhausted,    // No address, buffer or budget left.
  Denied,       // Wrong key, wrong trust domain, missing privilege.
  Unavailable,  // Not now; the caller may retry.
  Os,           // A system call failed; Error::os holds errno.
};

// One failure. `what` is a fragment without capital or full stop, so that contexts chain:
// "load ring: token 10.32.0.0 repeated".
struct Error {
  Errc code = Errc::Invalid;
  std::string what;
  int os = 0;

  Error with_context(std::string_view context) && {
    what.insert(0, ": ").insert(0, context);
    return std::move(*this);
  }

  friend bool operator==(const Error&, const Error&) = default;
};

// The value of an operation that has nothing to say beyond having worked.
struct Ok {
  friend bool operator==(Ok, Ok) = default;
};

template <class T = Ok>
class [[nodiscard]] Result {
 public:
  // Implicit on purpose: `return value;` and `return Error{...};` are the whole vocabulary.
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  bool ok() const { return state_.index() == 0; }

  const T& value() const& { return checked(std::get_if<0>(&state_)); }
  T& value() & { return checked(std::get_if<0>(&state_)); }
  // By value, so that `for (x : f().value())` outlives the Result it came from.
  T value() && { return std::move(checked(std::get_if<0>(&state_))); }

  const Error& error() const& { return checked(std::get_if<1>(&state_)); }
  Error error() && { return std::move(checked(std::get_if<1>(&state_))); }

  T value_or(T fallback) && { return ok() ? std::move(*this).value() : std::move(fallback); }

 private:
  template <class U>
  static U& checked(U* alternative) {
    WEFT_ASSERT(alternative != nullptr);
    return *alternative;
  }

  std::variant<T, Error> state_;
};

}  // namespace weft

// Unwraps a Result or returns its Error from the enclosing function.
#define WEFT_TRY(expression)                     \
  __extension__({                                \
    auto weft_try_result = (expression);         \
    if (!weft_try_result.ok())                   \
      return std::move(weft_try_result).error(); \
    std::move(weft_try_result).value();          \
  })
