#pragma once

#include <matrixos/host/fetch.hpp>
#include <matrixos/text/time.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>

namespace matrixos::identity {

/// What signing in uses of the world around it. Tests put in theirs. The functions are called from any thread at once.
struct World {
  /// Blocks; throws what matrixos::Fetch throws.
  std::function<FetchAnswer(const FetchRequest &)> fetch;
  /// What operators should read about somebody's sign-in that went otherwise than usual; holds no secret.
  std::function<void(std::string_view)> note = [](std::string_view) {};
  /// For times in tokens: milliseconds since 1970.
  std::function<std::int64_t()> wallMs = wallClockMs;
  /// For ages of what is kept.
  std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
};

} // namespace matrixos::identity
