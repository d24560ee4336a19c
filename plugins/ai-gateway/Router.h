/// What a request asks for, by its method and path.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::gateway {

enum class Route : std::uint8_t {
  None,
  OtherMethod, ///< the path is served, with another method
  Health,
  Messages,
  CountTokens,
  Models,
  Passed, ///< named by `routes`
  UsageMe,
  UsageSummary,
  UsageOf,
  UsageDaily,
  Quota,
  Register,
  Registered,
  Forget,
  Send,
};
/// For logs and metrics.
inline constexpr std::array<const char *, 16> kRouteNames{
    "none",  "none",  "health", "messages", "count_tokens", "models",    "passed",    "usage",
    "usage", "usage", "usage",  "quotas",   "instances",    "instances", "instances", "send"};

/// It goes to an upstream.
constexpr bool isCall(Route route) noexcept {
  return route == Route::Messages || route == Route::CountTokens || route == Route::Models || route == Route::Passed;
}
/// It takes the platform's secret.
constexpr bool isAdmins(Route route) noexcept {
  return route >= Route::UsageSummary && route <= Route::Forget;
}

struct RouteMatch {
  Route route = Route::None;
  std::string_view handle{}; ///< the variable part of the path
  std::string_view allow{};  ///< of OtherMethod: the methods that are served; static text
};

/// `passed`: further paths below /v1/ that are passed on, each with what is below it. Nothing is decoded or put in
/// order: a path with "%", "//" or dot segments is no route.
RouteMatch findRoute(std::string_view method, std::string_view path, const std::vector<std::string> &passed) noexcept;

} // namespace matrixos::gateway
