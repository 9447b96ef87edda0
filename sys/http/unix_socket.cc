#include "sys/http/unix_socket.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace weft::sys {
namespace {

using Acceptor = boost::asio::local::stream_protocol::acceptor;

// Connections that wait to be accepted; beyond that connect() blocks or fails.
constexpr int kBacklog = 128;

// Room for one group entry; Debian's largest members lists stay far below.
constexpr std::size_t kGroupEntryMax = 64 * 1024;

Error failure(std::string_view doing, const std::string& path, int error) {
  return Error{error == EACCES || error == EPERM ? Errc::Denied : Errc::Os,
               fmt::format("{} {}: {}", doing, path, std::strerror(error)),
               error};
}

std::optional<gid_t> find_group(const std::string& name) {
  group entry{};
  group* found = nullptr;
  std::vector<char> room(kGroupEntryMax);
  if (name.empty() || ::getgrnam_r(name.c_str(), &entry, room.data(), room.size(), &found) != 0
      || found == nullptr) {
    return std::nullopt;
  }
  return found->gr_gid;
}

Result<Ok> make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) {
    return failure("make the folder of", path, error.value());
  }
  return Ok{};
}

Result<Ok> clear_stale(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) < 0) {
    const int error = errno;
    return error == ENOENT ? Result<Ok>(Ok{}) : Result<Ok>(failure("examine", path, error));
  }
  if (!S_ISSOCK(status.st_mode)) {
    return Error{Errc::Conflict, fmt::format("{} exists and is not a socket", path), EEXIST};
  }
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const int connected =
      ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::close(probe);
  // EAGAIN: its backlog is full, so somebody serves it.
  if (connected == 0 || error == EAGAIN) {
    return Error{
        Errc::Conflict, fmt::format("socket {} is served by another process", path), EADDRINUSE};
  }
  if (error != ECONNREFUSED) {
    return failure("connect to", path, error);
  }
  if (::unlink(path.c_str()) < 0 && errno != ENOENT) {
    return failure("remove stale", path, errno);
  }
  return Ok{};
}

Result<Ok> give_to_group(const std::string& path, const std::string& group) {
  const std::optional<gid_t> id = find_group(group);
  if (!id) {
    return Ok{};
  }
  if (::chown(path.c_str(), static_cast<uid_t>(-1), *id) < 0) {
    return failure("give to group " + group, path, errno);
  }
  if (::chmod(path.c_str(), 0660) < 0) {
    return failure("set the mode of", path, errno);
  }
  return Ok{};
}

}  // namespace

Result<Ok> UnixSocketFile::listen(Acceptor& acceptor,
                                  const std::string& path,
                                  const std::string& group,
                                  UnixSocketFile& out) {
  if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path)) {
    return Error{Errc::Invalid,
                 fmt::format("socket path '{}' of {} bytes (expected 1 to {})",
                             path,
                             path.size(),
                             sizeof(sockaddr_un::sun_path) - 1)};
  }
  WEFT_TRY(make_folder(path));
  WEFT_TRY(clear_stale(path));
  boost::system::error_code error;
  if (acceptor.open(boost::asio::local::stream_protocol(), error)) {
    return failure("open socket", path, error.value());
  }
  // The mode of the descriptor becomes that of the file, so that it is never open to all.
  if (::fchmod(acceptor.native_handle(), 0600) < 0) {
    return failure("set the mode of", path, errno);
  }
  if (acceptor.bind(boost::asio::local::stream_protocol::endpoint(path), error)) {
    return failure("bind", path, error.value());
  }
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) {
    out.path_ = path;
    out.device_ = status.st_dev;
    out.inode_ = status.st_ino;
  }
  WEFT_TRY(give_to_group(path, group));
  if (acceptor.listen(kBacklog, error)) {
    return failure("listen on", path, error.value());
  }
  return Ok{};
}

UnixSocketFile::~UnixSocketFile() {
  struct stat status {};
  if (!path_.empty() && ::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_
      && status.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
}

}  // namespace weft::sys
