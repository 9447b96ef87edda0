#include "sys/file_watch.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <sys/inotify.h>

#include "sys/lifetime.h"

namespace weft::sys {

namespace {

namespace fs = std::filesystem;
using ErrorCode = boost::system::error_code;

constexpr std::uint32_t kEvents =
    IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR;

// Who replaces a file writes, renames and removes: that is one change.
constexpr std::chrono::milliseconds kTogether{50};

class InotifyWatch final : public FileWatch {
 public:
  InotifyWatch(const boost::asio::any_io_executor& executor,
               int inotify,
               std::string path,
               OnChange on_change)
      : descriptor_(executor, inotify),
        timer_(executor),
        path_(std::move(path)),
        on_change_(std::move(on_change)) {}

  Result<Ok> start() {
    WEFT_TRY(watch_folders());
    read();
    return Ok{};
  }

 private:
  // Again after each change, as the link may lead elsewhere by then.
  Result<Ok> watch_folders() {
    std::set<fs::path> files{fs::path(path_)};
    std::error_code unreadable;
    if (const fs::path real = fs::canonical(path_, unreadable); !unreadable) {
      files.insert(real);
    }
    std::map<int, std::set<std::string>> names;
    for (const fs::path& file : files) {
      const int watch =
          ::inotify_add_watch(descriptor_.native_handle(), file.parent_path().c_str(), kEvents);
      if (watch < 0) {
        const int failure = errno;
        return Error{
            Errc::Os,
            fmt::format("watch {}: {}", file.parent_path().string(), std::strerror(failure)),
            failure};
      }
      names[watch].insert(file.filename().string());
    }
    for (const auto& [watch, old] : names_) {
      if (!names.contains(watch)) {
        (void)::inotify_rm_watch(descriptor_.native_handle(), watch);  // Gone with its folder.
      }
    }
    names_ = std::move(names);
    return Ok{};
  }

  void read() {
    descriptor_.async_read_some(boost::asio::buffer(buffer_),
                                lifetime_.guard([this](const ErrorCode& error, std::size_t size) {
                                  if (error) {
                                    return;
                                  }
                                  if (concerns_us(size)) {
                                    tell_soon();
                                  }
                                  read();
                                }));
  }

  bool concerns_us(std::size_t size) const {
    for (std::size_t at = 0; at + sizeof(inotify_event) <= size;) {
      inotify_event event{};
      std::memcpy(&event, buffer_.data() + at, sizeof(event));
      const auto watch = names_.find(event.wd);
      const char* name = buffer_.data() + at + sizeof(event);
      if ((event.mask & IN_Q_OVERFLOW) != 0
          || (watch != names_.end() && event.len > 0 && watch->second.contains(name))) {
        return true;
      }
      at += sizeof(event) + event.len;
    }
    return false;
  }

  void tell_soon() {
    timer_.expires_after(kTogether);
    timer_.async_wait(lifetime_.guard([this](const ErrorCode& error) {
      if (!error) {
        (void)watch_folders();  // What cannot be watched for now was watched before.
        on_change_();
      }
    }));
  }

  boost::asio::posix::stream_descriptor descriptor_;
  boost::asio::steady_timer timer_;
  const std::string path_;
  const OnChange on_change_;
  std::map<int, std::set<std::string>> names_;  // Of files, by watch.
  std::array<char, 4096> buffer_{};
  Lifetime lifetime_;
};

}  // namespace

Result<std::unique_ptr<FileWatch>> watch_file(const boost::asio::any_io_executor& executor,
                                              const std::string& path,
                                              FileWatch::OnChange on_change) {
  const int inotify = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (inotify < 0) {
    const int error = errno;
    return Error{Errc::Os, fmt::format("inotify: {}", std::strerror(error)), error};
  }
  auto watch = std::make_unique<InotifyWatch>(executor, inotify, path, std::move(on_change));
  WEFT_TRY(watch->start());
  return std::unique_ptr<FileWatch>(std::move(watch));
}

}  // namespace weft::sys
