// Tells when a file may have changed: written, replaced, made or removed (inotify(7)).
//
// Watches the folder, not the file, because configuration is replaced by renaming; where the file
// is a symbolic link, the folder of what it leads to as well. A folder that is replaced as a whole
// is not noticed.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "base/result.h"

namespace weft::sys {

class FileWatch {
 public:
  using OnChange = std::function<void()>;

  FileWatch() = default;
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;
  virtual ~FileWatch() = default;
};

// `on_change` runs on the executor, once for changes that come together.
Result<std::unique_ptr<FileWatch>> watch_file(const boost::asio::any_io_executor& executor,
                                              const std::string& path,
                                              FileWatch::OnChange on_change);

}  // namespace weft::sys
