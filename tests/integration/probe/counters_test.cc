// Kinds of connections that are counted in an array of the kernel's (sys/bpf/counters.h). The
// kernel's programs are played here: what they do to a place.
#include "sys/bpf/counters.h"

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace weft::sys {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint32_t kCount = 1U << WEFT_COUNTERS_LOG2;

class CountersTest : public testing::Test {
 protected:
  void SetUp() override {
    bpf_map_create_opts options{};
    options.sz = sizeof options;
    options.map_flags = BPF_F_MMAPABLE;
    map_ = bpf_map_create(
        BPF_MAP_TYPE_ARRAY, nullptr, sizeof(__u32), sizeof(weft_counter), kCount, &options);
    ASSERT_GE(map_, 0);
    void* const memory =
        ::mmap(nullptr, kCount * sizeof(weft_counter), PROT_READ | PROT_WRITE, MAP_SHARED, map_, 0);
    ASSERT_NE(memory, MAP_FAILED);
    places_ = static_cast<weft_counter*>(memory);
    auto counters = Counters::open(map_);
    ASSERT_TRUE(counters.ok()) << counters.error().what;
    counters_.emplace(std::move(counters).value());
  }

  void TearDown() override {
    counters_.reset();
    ::munmap(places_, kCount * sizeof(weft_counter));
    ::close(map_);
  }

  void claim(std::uint32_t place, std::uint16_t port) {
    ASSERT_EQ(places_[place].state, WEFT_COUNTER_FREE);
    places_[place].key = weft_flow_key{};
    places_[place].key.port = port;
    places_[place].state = WEFT_COUNTER_USED;
  }

  int map_ = -1;
  weft_counter* places_ = nullptr;
  std::optional<Counters> counters_;
};

TEST_F(CountersTest, AreTakenOnce) {
  claim(7, 80);
  places_[7].flow.opened = 2;
  places_[7].flow.sent = 100;
  claim(8, 443);

  const auto first = counters_->take(kSecond);
  const auto second = counters_->take(2 * kSecond);

  ASSERT_EQ(first.size(), 1U);  // Of the other, nothing was counted.
  EXPECT_EQ(first[0].key.port, 80);
  EXPECT_EQ(first[0].flow.opened, 2U);
  EXPECT_EQ(first[0].flow.sent, 100U);
  EXPECT_TRUE(second.empty());
}

TEST_F(CountersTest, OfASilentKindMakeRoomOnceNobodyCanStillCountThere) {
  claim(7, 80);
  places_[7].flow.opened = 1;
  (void)counters_->take(1 * kSecond);
  EXPECT_TRUE(counters_->take(3 * kSecond).empty());
  EXPECT_EQ(places_[7].state, WEFT_COUNTER_USED);

  EXPECT_TRUE(counters_->take(7 * kSecond).empty());
  EXPECT_EQ(places_[7].state, WEFT_COUNTER_RETIRED);
  places_[7].flow.closed = 1;  // Of a program that had found it before.
  const auto late = counters_->take(9 * kSecond);
  EXPECT_TRUE(counters_->take(12 * kSecond).empty());
  EXPECT_EQ(places_[7].state, WEFT_COUNTER_RETIRED);
  EXPECT_TRUE(counters_->take(15 * kSecond).empty());

  ASSERT_EQ(late.size(), 1U);
  EXPECT_EQ(late[0].key.port, 80);
  EXPECT_EQ(late[0].flow.closed, 1U);
  EXPECT_EQ(places_[7].state, WEFT_COUNTER_FREE);
  claim(7, 443);
  places_[7].flow.opened = 1;
  const auto other = counters_->take(16 * kSecond);
  ASSERT_EQ(other.size(), 1U);
  EXPECT_EQ(other[0].key.port, 443);
}

}  // namespace
}  // namespace weft::sys
