// Looks into what a core wants done.
#pragma once

#include <stdexcept>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

namespace weft::control {

// The one action of this kind; throws if there is none.
template <class T, class Action>
const T& only(const std::vector<Action>& actions) {
  const T* found = nullptr;
  for (const Action& action : actions) {
    if (const auto* item = std::get_if<T>(&action)) {
      EXPECT_EQ(found, nullptr) << "more than one";
      found = item;
    }
  }
  if (found == nullptr) {
    throw std::runtime_error("no such action");
  }
  return *found;
}

}  // namespace weft::control
