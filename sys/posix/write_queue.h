// What is written to a stream piece by piece, in order and one write at a time.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/error_code.hpp>

namespace weft::sys {

// Part of its owner, a class held by shared_ptr, which lives until the write under way has ended.
// Unbounded: the owner says how much it takes. Owner's strand only.
class WriteQueue {
 public:
  void push(std::string_view data) { pieces_.emplace_back(data); }

  // Writes what there is, and what is pushed meanwhile. After each piece the owner's
  // `bool on_written(std::size_t octets)` says whether to go on; after an error, which reading
  // finds out too, it is not asked.
  template <typename Stream, typename Owner>
  void run(Stream& stream, std::shared_ptr<Owner> owner) {
    if (is_writing_ || pieces_.empty()) {
      return;
    }
    is_writing_ = true;
    boost::asio::async_write(stream,
                             boost::asio::buffer(pieces_.front()),
                             [this, &stream, owner = std::move(owner)](
                                 const boost::system::error_code& error, std::size_t size) mutable {
                               is_writing_ = false;
                               pieces_.pop_front();
                               if (!error && owner->on_written(size)) {
                                 run(stream, std::move(owner));
                               }
                             });
  }

 private:
  std::deque<std::string> pieces_;  // The first is being written.
  bool is_writing_ = false;
};

}  // namespace weft::sys
