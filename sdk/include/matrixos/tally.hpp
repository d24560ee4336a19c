/// matrixos/tally.hpp: counts what a daemon does, for tests that say how often.
#pragma once

#ifdef MATRIXOS_TALLIES

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace matrixos {
inline namespace v1 {
namespace detail {

/// Appends "<file> <what>" to the file that MATRIXOS_TALLY names: which shared object did what, a line for each time.
inline void tally(const char *what) noexcept {
  static const int fd = [] {
    const char *const path = std::getenv("MATRIXOS_TALLY");
    return path == nullptr ? -1 : ::open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  }();
  if (fd < 0) return;
  Dl_info own{};
  if (::dladdr(reinterpret_cast<const void *>(&fd), &own) == 0) return;
  try {
    const std::string path = own.dli_fname;
    const std::string line = path.substr(path.rfind('/') + 1) + " " + what + "\n";
    [[maybe_unused]] const auto written = ::write(fd, line.data(), line.size());
  } catch (...) { // a test that misses a line says so
  }
}

} // namespace detail
} // namespace v1
} // namespace matrixos

/// Counts: MATRIXOS_TALLY("record read"). Nothing at all unless the source is compiled with MATRIXOS_TALLIES, which
/// builds with tests do and releases do not.
#define MATRIXOS_TALLY(what) ::matrixos::detail::tally(what)

#else
#define MATRIXOS_TALLY(what) static_cast<void>(0)
#endif
