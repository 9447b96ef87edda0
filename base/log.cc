#include "base/log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <ctime>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weft::log {

namespace {

std::atomic<Level> level_min{Level::Info};

struct LevelText {
  std::string_view name;
  char journal_priority;  // syslog(3).
};

constexpr std::array<LevelText, 4> kLevels{
    {{"debug", '7'}, {"info", '6'}, {"warning", '4'}, {"error", '3'}}};

const LevelText& text_of(Level level) {
  return kLevels.at(static_cast<std::size_t>(level));
}

// systemd.exec(5): JOURNAL_STREAM holds device:inode of the stream; it counts only while our
// stderr is that stream.
bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &status) != 0) {
    return false;
  }
  return fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

std::string timestamp() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  std::tm utc{};
  ::gmtime_r(&now.tv_sec, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  return fmt::format("{}.{:06}Z", text.data(), now.tv_nsec / 1000);
}

void write_line(Level level, std::string_view message, std::initializer_list<const Field*> fields) {
  if (!is_enabled(level)) {
    return;
  }
  static const bool journal = stderr_is_journal();
  const LevelText& text = text_of(level);
  std::string line = journal ? fmt::format("<{}>{}", text.journal_priority, message)
                             : fmt::format("{} {:<7} {}", timestamp(), text.name, message);
  for (const Field* field : fields) {
    if (field->key() != nullptr) {
      line += to_logfmt(*field);
    }
  }
  line += '\n';
  // A log that cannot be written has nowhere to complain.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

void set_level(Level level) {
  level_min.store(level, std::memory_order_relaxed);
}

bool is_enabled(Level level) {
  return level >= level_min.load(std::memory_order_relaxed);
}

Result<Level> parse_level(std::string_view text) {
  for (std::size_t i = 0; i < kLevels.size(); ++i) {
    if (kLevels[i].name == text) {
      return static_cast<Level>(i);
    }
  }
  return Error{Errc::Invalid,
               fmt::format("log level \"{}\" (expected debug, info, warning or error)", text)};
}

void debug(std::string_view message,
           const Field& a,
           const Field& b,
           const Field& c,
           const Field& d,
           const Field& e) {
  write_line(Level::Debug, message, {&a, &b, &c, &d, &e});
}

void info(std::string_view message,
          const Field& a,
          const Field& b,
          const Field& c,
          const Field& d,
          const Field& e) {
  write_line(Level::Info, message, {&a, &b, &c, &d, &e});
}

void warning(std::string_view message,
             const Field& a,
             const Field& b,
             const Field& c,
             const Field& d,
             const Field& e) {
  write_line(Level::Warning, message, {&a, &b, &c, &d, &e});
}

void error(std::string_view message,
           const Field& a,
           const Field& b,
           const Field& c,
           const Field& d,
           const Field& e) {
  write_line(Level::Error, message, {&a, &b, &c, &d, &e});
}

std::string to_logfmt(const Field& field) {
  const std::string& text = field.text();
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
  });
  if (plain) {
    return fmt::format(" {}={}", field.key(), text);
  }
  std::string quoted;
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (octet < 0x20 || octet == 0x7f) {
      quoted += fmt::format("\\x{:02x}", octet);
    } else {
      quoted += c;  // UTF-8 passes as it is.
    }
  }
  return fmt::format(" {}=\"{}\"", field.key(), quoted);
}

}  // namespace weft::log
