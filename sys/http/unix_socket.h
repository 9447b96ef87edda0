// The file of a listening Unix socket: made, given its owner, told from a stale one, removed.
// Internal to sys.
#pragma once

#include <string>

#include <boost/asio/local/stream_protocol.hpp>
#include <sys/types.h>

#include "base/result.h"

namespace weft::sys {

class UnixSocketFile {
 public:
  // Binds and listens. Missing folders of `path` are made; a socket file nobody serves is replaced,
  // one that is served is a Conflict. Owner root:`group` 0660 if the group exists, else 0600.
  static Result<Ok> listen(boost::asio::local::stream_protocol::acceptor& acceptor,
                           const std::string& path,
                           const std::string& group,
                           UnixSocketFile& out);

  UnixSocketFile() = default;
  UnixSocketFile(const UnixSocketFile&) = delete;
  UnixSocketFile& operator=(const UnixSocketFile&) = delete;
  // Removes the file, unless another process has put its own there.
  ~UnixSocketFile();

 private:
  std::string path_;  // Empty: nothing to remove.
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace weft::sys
