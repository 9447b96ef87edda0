// What scenarios of a cluster have in common.
#pragma once

#include <chrono>
#include <cstdint>
#include <iostream>

#include <gtest/gtest.h>

#include "tests/sim/mesh/cluster.h"

namespace weft::sim {

inline RecordKey endpoint(std::uint8_t number) {
  return {RecordKind::Endpoint, Bytes(6, number)};
}

class MeshScenario : public ::testing::Test {
 protected:
  explicit MeshScenario(std::uint64_t seed) : seed_(seed_or(seed)) {
    std::cout << "WEFT_SEED=" << seed_ << '\n';
  }

  // All start, and have come to rest.
  static void form(Cluster& cluster) {
    cluster.start_all(std::chrono::milliseconds(20));
    ASSERT_TRUE(cluster.converges_within(std::chrono::seconds(60)));
    cluster.world().run_for(std::chrono::seconds(10));
    ASSERT_TRUE(cluster.converged());
  }

  const std::uint64_t seed_;
};

}  // namespace weft::sim
