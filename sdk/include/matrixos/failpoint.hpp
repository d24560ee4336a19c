/// matrixos/failpoint.hpp: places where a test lets the process die, to see what a crash there leaves behind.
#pragma once

#ifdef MATRIXOS_FAILPOINTS

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string_view>

namespace matrixos {
inline namespace v1 {
namespace detail {

/// Kills the process, as `kill -9` does, when MATRIXOS_FAILPOINT is "<name>:<n>" and this is the n-th time that this
/// place is reached (without ":<n>": the first).
inline void failpoint(std::string_view name, std::atomic<unsigned long> &reached) noexcept {
  const char *const set = std::getenv("MATRIXOS_FAILPOINT");
  if (set == nullptr) return;
  const std::string_view text(set);
  const auto colon = text.find(':');
  if (text.substr(0, colon) != name) return;
  const unsigned long nth = colon == std::string_view::npos ? 1 : std::strtoul(set + colon + 1, nullptr, 10);
  if (reached.fetch_add(1) + 1 == nth) ::kill(::getpid(), SIGKILL);
}

} // namespace detail
} // namespace v1
} // namespace matrixos

/// Marks a place: MATRIXOS_FAILPOINT("db.backup_mid"). Nothing at all unless the source is compiled with
/// MATRIXOS_FAILPOINTS, as builds with the option MATRIXOS_TEST_HOOKS do and releases do not.
#define MATRIXOS_FAILPOINT(name)                                                                                       \
  do {                                                                                                                 \
    static std::atomic<unsigned long> matrixosReached{0};                                                              \
    ::matrixos::detail::failpoint(name, matrixosReached);                                                              \
  } while (false)

#else
#define MATRIXOS_FAILPOINT(name) static_cast<void>(0)
#endif
