#include "sys/bpf/openers.h"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <sys/mman.h>

namespace weft::sys {
namespace {

constexpr std::size_t kRows = std::size_t{1} << WEFT_ROWS_LOG2;
constexpr std::size_t kRowsBytes = kRows * sizeof(weft_opener_row);

// A slot's owner may be changed by programs at any time.
std::atomic_ref<__u64> owner_of(weft_opener& slot) {
  return std::atomic_ref<__u64>(slot.cookie);
}

}  // namespace

Result<Openers> Openers::open(int rows, int table) {
  void* const memory = ::mmap(nullptr, kRowsBytes, PROT_READ | PROT_WRITE, MAP_SHARED, rows, 0);
  if (memory == MAP_FAILED) {
    const int error = errno;
    return Error{Errc::Os, fmt::format("map a BPF array: {}", std::strerror(error)), error};
  }
  return Openers(static_cast<weft_opener_row*>(memory), table);
}

Openers::Openers(Openers&& other) noexcept
    : rows_(std::exchange(other.rows_, nullptr)),
      table_(other.table_) {}

Openers& Openers::operator=(Openers&& other) noexcept {
  std::swap(rows_, other.rows_);
  std::swap(table_, other.table_);
  return *this;
}

Openers::~Openers() {
  if (rows_ != nullptr) {
    ::munmap(rows_, kRowsBytes);
  }
}

std::optional<weft_flow_key> Openers::find(std::uint64_t cookie) const {
  for (weft_opener& slot : rows_[weft_row_of(cookie)].slots) {
    if (owner_of(slot).load() == cookie) {
      const weft_flow_key key = slot.key;
      std::atomic_thread_fence(std::memory_order_acquire);  // All of it has been read by now.
      if (owner_of(slot).load() == cookie) {
        return key;
      }
    }
  }
  weft_opener opener{};
  if (bpf_map_lookup_elem(table_, &cookie, &opener) != 0) {
    return std::nullopt;
  }
  return opener.key;
}

void Openers::settle(std::uint64_t before) {
  for (std::size_t at = 0; at < kRows; ++at) {
    for (weft_opener& slot : rows_[at].slots) {
      const __u64 owner = owner_of(slot).load();
      const weft_opener opener = slot;
      if (owner == WEFT_SLOT_FREE || owner == WEFT_SLOT_BUSY || opener.since >= before) {
        continue;
      }
      if (bpf_map_update_elem(table_, &owner, &opener, BPF_NOEXIST) != 0) {
        continue;  // Its memory is short.
      }
      __u64 expected = owner;
      if (!owner_of(slot).compare_exchange_strong(expected, WEFT_SLOT_FREE)) {
        bpf_map_delete_elem(table_, &owner);  // It has ended, and somebody else may have the slot.
      }
    }
  }
}

}  // namespace weft::sys
