#include "sys/posix/rooted_file.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/posix/descriptor.h"

namespace weft::sys {
namespace {

// Of a file like /etc/hosts; a container must not fill our memory.
constexpr std::size_t kSizeMax = 1U << 20U;

Error failed(std::string_view what, const std::string& path) {
  return Error{Errc::Os, fmt::format("{} {}: {}", what, path, std::strerror(errno)), errno};
}

// Looked at before it is opened, since to open a device or a pipe is to do something with it.
Result<int> open_regular(const std::string& root, const std::string& path, int flags) {
  const Descriptor folder(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0) {
    return failed("open", root);
  }
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const Descriptor place(
      static_cast<int>(::syscall(SYS_openat2, folder.get(), path.c_str(), &how, sizeof how)));
  struct stat about {};
  if (place.get() < 0 || ::fstat(place.get(), &about) != 0) {
    return failed("open", root + path);
  }
  if (!S_ISREG(about.st_mode)) {
    return Error{Errc::Invalid, fmt::format("{}{} is no regular file", root, path)};
  }
  const int file = ::open(fmt::format("/proc/self/fd/{}", place.get()).c_str(), flags | O_CLOEXEC);
  return file < 0 ? Result<int>(failed("open", root + path)) : Result<int>(file);
}

}  // namespace

Result<std::string> read_in_root(const std::string& root, const std::string& path) {
  const int opened = WEFT_TRY(open_regular(root, path, O_RDONLY));
  const Descriptor file(opened);
  std::string text;
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t size = ::read(file.get(), piece.data(), piece.size());
    if (size < 0) {
      return failed("read", root + path);
    }
    if (size == 0) {
      return text;
    }
    text.append(piece.data(), static_cast<std::size_t>(size));
    if (text.size() > kSizeMax) {
      return Error{Errc::Exhausted, fmt::format("{}{} is larger than 1 MiB", root, path)};
    }
  }
}

Result<Ok> write_in_root(const std::string& root, const std::string& path, std::string_view text) {
  const int opened = WEFT_TRY(open_regular(root, path, O_WRONLY | O_TRUNC));
  const Descriptor file(opened);
  while (!text.empty()) {
    const ssize_t size = ::write(file.get(), text.data(), text.size());
    if (size < 0) {
      return failed("write", root + path);
    }
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  return Ok{};
}

}  // namespace weft::sys
