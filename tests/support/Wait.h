#pragma once

#include <chrono>
#include <thread>

namespace matrixos::test {

/// When a test that waits is called failed.
inline constexpr std::chrono::seconds kPatience{30};

/// Asks `condition` again and again until it is true; false when `limit` passed first. The limit only says when to call
/// a test failed; it is no part of what is tested.
template <typename Condition>
bool eventually(Condition &&condition, std::chrono::milliseconds limit = kPatience) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  return true;
}

} // namespace matrixos::test
