#include "Router.h"

#include <algorithm>

namespace matrixos::gateway {

namespace {

/// Segments of letters, digits and -._~:@ that are no dot segments.
bool isPlain(std::string_view path) noexcept {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._~:@/").find(c) != std::string_view::npos;
  };
  return std::all_of(path.begin(), path.end(), plain) && path.find("//") == std::string_view::npos &&
         path.find("/.") == std::string_view::npos;
}

bool isBelow(std::string_view path, std::string_view base) noexcept {
  return path.substr(0, base.size()) == base && (path.size() == base.size() || path[base.size()] == '/');
}

RouteMatch only(std::string_view wanted, std::string_view method, RouteMatch match) noexcept {
  const bool reads = wanted == "GET";
  if (method == wanted || (reads && method == "HEAD")) return match;
  return {Route::OtherMethod, {}, reads ? "GET, HEAD" : wanted};
}

/// The one segment behind `base`; empty when it is none.
std::string_view segmentBehind(std::string_view path, std::string_view base) noexcept {
  if (path.substr(0, base.size()) != base) return {};
  const std::string_view rest = path.substr(base.size());
  return rest.find('/') == std::string_view::npos ? rest : std::string_view();
}

RouteMatch findUsage(std::string_view method, std::string_view path) noexcept {
  if (path == "/usage/me") return only("GET", method, {Route::UsageMe});
  if (path == "/usage/summary") return only("GET", method, {Route::UsageSummary});
  if (const auto handle = segmentBehind(path, "/usage/"); !handle.empty())
    return only("GET", method, {Route::UsageOf, handle});
  constexpr std::string_view kDaily = "/daily";
  if (path.size() <= kDaily.size() || path.substr(path.size() - kDaily.size()) != kDaily) return {};
  const auto handle = segmentBehind(path.substr(0, path.size() - kDaily.size()), "/usage/");
  return handle.empty() ? RouteMatch{} : only("GET", method, {Route::UsageDaily, handle});
}

} // namespace

RouteMatch findRoute(std::string_view method, std::string_view path, const std::vector<std::string> &passed) noexcept {
  if (!isPlain(path)) return {};
  if (path == "/health") return only("GET", method, {Route::Health});
  if (path == "/v1/messages") return only("POST", method, {Route::Messages});
  if (path == "/v1/messages/count_tokens") return only("POST", method, {Route::CountTokens});
  if (path == "/v1/models" || !segmentBehind(path, "/v1/models/").empty()) return only("GET", method, {Route::Models});
  if (isBelow(path, "/v1")) {
    const bool named =
        std::any_of(passed.begin(), passed.end(), [&](const std::string &base) { return isBelow(path, base); });
    return {named ? Route::Passed : Route::None};
  }
  if (isBelow(path, "/usage")) return findUsage(method, path);
  if (const auto handle = segmentBehind(path, "/quotas/"); !handle.empty())
    return only("POST", method, {Route::Quota, handle});
  if (path == "/instances/register") return only("POST", method, {Route::Register});
  if (path == "/instances") return only("GET", method, {Route::Registered});
  if (const auto handle = segmentBehind(path, "/instances/"); !handle.empty())
    return only("DELETE", method, {Route::Forget, handle});
  if (const auto handle = segmentBehind(path, "/send/"); !handle.empty())
    return only("POST", method, {Route::Send, handle});
  return {};
}

} // namespace matrixos::gateway
