#include "sys/cgroup/group_files.h"

#include <algorithm>
#include <charconv>

namespace weft::sys {
namespace {

// Cuts off and gives what is before the first `separator`.
std::string_view take_until(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(std::min(text.size(), end + 1));
  return taken;
}

std::optional<std::uint64_t> to_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_whole = error == std::errc() && end == text.data() + text.size();
  return is_whole ? std::optional(number) : std::nullopt;
}

// proc(5): blanks, tabs, line ends and backslashes are written as three octal digits.
std::string unescape(std::string_view text) {
  constexpr std::size_t kDigits = 3;
  constexpr int kOctal = 8;
  std::string out;
  while (!text.empty()) {
    const std::string_view digits = text.substr(1, kDigits);
    unsigned value = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, kOctal);
    const bool is_escape = text.front() == '\\' && digits.size() == kDigits && error == std::errc()
                           && end == digits.data() + kDigits && value <= 0xff;
    out += is_escape ? static_cast<char>(value) : text.front();
    text.remove_prefix(is_escape ? kDigits + 1 : 1);
  }
  return out;
}

bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    if (take_until(list, ',') == word) {
      return true;
    }
  }
  return false;
}

// A group outside the reader's namespace is told by a path that leads out of it.
bool leads_out(std::string_view path) {
  while (!path.empty()) {
    if (take_until(path, '/') == "..") {
      return true;
    }
  }
  return false;
}

// Never less than the largest number: a sum that has no room for more stays there.
std::uint64_t add(std::uint64_t a, std::uint64_t b) {
  return a + std::min(b, ~a);
}

}  // namespace

std::optional<std::string> GroupMount::folder_of(std::string_view group) const {
  if (!group.starts_with('/') || leads_out(group) || leads_out(root)) {
    return std::nullopt;
  }
  if (root == "/") {
    return point + std::string(group);
  }
  const bool is_below =
      group.starts_with(root) && (group.size() == root.size() || group[root.size()] == '/');
  return is_below ? std::optional(point + std::string(group.substr(root.size()))) : std::nullopt;
}

bool GroupMount::has_controller(std::string_view name) const {
  return has_word(controllers, name);
}

// proc(5): 36 35 98:0 /root /point options optional… - type source super-options
std::vector<GroupMount> parse_group_mounts(std::string_view mountinfo) {
  constexpr int kBeforeRoot = 3;
  std::vector<GroupMount> mounts;
  while (!mountinfo.empty()) {
    std::string_view line = take_until(mountinfo, '\n');
    for (int field = 0; field < kBeforeRoot; ++field) {
      (void)take_until(line, ' ');
    }
    GroupMount mount;
    mount.root = unescape(take_until(line, ' '));
    mount.point = unescape(take_until(line, ' '));
    while (!line.empty() && take_until(line, ' ') != "-") {
    }
    const std::string_view type = take_until(line, ' ');
    (void)take_until(line, ' ');
    mount.controllers = take_until(line, ' ');
    mount.is_v2 = type == "cgroup2";
    const bool is_named = mount.root.starts_with('/') && mount.point.starts_with('/');
    if (is_named && (mount.is_v2 || type == "cgroup")) {
      mounts.push_back(std::move(mount));
    }
  }
  return mounts;
}

std::optional<std::uint64_t> parse_group_number(std::string_view content) {
  return to_number(take_until(content, '\n'));
}

std::optional<std::uint64_t> parse_group_key(std::string_view content, std::string_view key) {
  while (!content.empty()) {
    std::string_view line = take_until(content, '\n');
    if (take_until(line, ' ') == key) {
      return to_number(line);
    }
  }
  return std::nullopt;
}

GroupDisks parse_group_disks(std::string_view content) {
  constexpr std::string_view kRead = "rbytes=";
  constexpr std::string_view kWritten = "wbytes=";
  GroupDisks disks;
  while (!content.empty()) {
    std::string_view line = take_until(content, '\n');
    (void)take_until(line, ' ');  // The device.
    while (!line.empty()) {
      const std::string_view word = take_until(line, ' ');
      if (word.starts_with(kRead)) {
        disks.read_bytes = add(disks.read_bytes, to_number(word.substr(kRead.size())).value_or(0));
      } else if (word.starts_with(kWritten)) {
        disks.written_bytes =
            add(disks.written_bytes, to_number(word.substr(kWritten.size())).value_or(0));
      } else if (word == "Read") {
        disks.read_bytes = add(disks.read_bytes, to_number(take_until(line, ' ')).value_or(0));
      } else if (word == "Write") {
        disks.written_bytes =
            add(disks.written_bytes, to_number(take_until(line, ' ')).value_or(0));
      }
    }
  }
  return disks;
}

}  // namespace weft::sys
