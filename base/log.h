// Structured logs: one event, one line, on stderr.
//
//   log::info("link established", {"peer", peer}, {"addr", address});
//   2026-11-21T05:10:00.123456Z info  link established peer=7a:0c:… addr=10.0.0.2:6783
//
// The message is fixed text and the values are fields in logfmt, so that logs can be searched by
// either. Under systemd the time and level are left to the journal ("<6>link established …").
// For shells (io/, sys/, agent/); pure code returns errors and events instead. Thread safe: a line
// is one write(2).
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/result.h"

namespace weft::log {

enum class Level : std::uint8_t { Debug, Info, Warning, Error };

void set_level(Level level);  // Events below it are not written. Info until set.
bool is_enabled(Level level);
// "debug", "info", "warning" or "error".
Result<Level> parse_level(std::string_view text);

// One value with its name: text, a bool, a number, an Error (its `what`), an id (its value()), or
// anything with to_string().
class Field {
 public:
  Field() = default;  // Writes nothing; the default of the functions below.
  template <class T>
  Field(const char* key, const T& value) : key_(key),
                                           text_(text_of(value)) {}

  const char* key() const { return key_; }  // Null if there is nothing to write.
  const std::string& text() const { return text_; }

 private:
  template <class T>
  static std::string text_of(const T& value) {
    if constexpr (std::convertible_to<const T&, std::string_view>) {
      return std::string(std::string_view(value));
    } else if constexpr (std::same_as<T, bool>) {
      return value ? "true" : "false";
    } else if constexpr (std::is_arithmetic_v<T>) {
      return std::to_string(value);
    } else if constexpr (std::same_as<T, weft::Error>) {
      return value.what;
    } else if constexpr (requires { std::to_string(value.value()); }) {
      return std::to_string(value.value());
    } else {
      return value.to_string();
    }
  }

  const char* key_ = nullptr;
  std::string text_;
};

// Five fields are what a line can hold and still be read.
void debug(std::string_view message,
           const Field& a = {},
           const Field& b = {},
           const Field& c = {},
           const Field& d = {},
           const Field& e = {});
void info(std::string_view message,
          const Field& a = {},
          const Field& b = {},
          const Field& c = {},
          const Field& d = {},
          const Field& e = {});
void warning(std::string_view message,
             const Field& a = {},
             const Field& b = {},
             const Field& c = {},
             const Field& d = {},
             const Field& e = {});
void error(std::string_view message,
           const Field& a = {},
           const Field& b = {},
           const Field& c = {},
           const Field& d = {},
           const Field& e = {});

// " key=value", quoted and escaped where needed, so that a line stays one line whatever a peer
// calls itself.
std::string to_logfmt(const Field& field);

}  // namespace weft::log
