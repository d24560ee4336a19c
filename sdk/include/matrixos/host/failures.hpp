/// matrixos/host/failures.hpp: what callbacks of the plugin throw is logged, since it may not reach the host.
#pragma once

#include <matrixos/host/log.hpp>
#include <matrixos/status.hpp>

#include <atomic>
#include <cstdint>
#include <string>

namespace matrixos {
inline namespace v1 {
namespace detail {

/// Runs callbacks of one kind. Of their failures the first is logged, the second, the fourth, the eighth and so on: a
/// timer of five milliseconds must not fill the disk. Any thread.
class CallbackFailures {
public:
  /// `what`: static text such as "a timer".
  CallbackFailures(const mos_host_v1 *host, const char *what) : log_(host), what_(what) {}

  template <typename Body>
  void run(Body &&body) noexcept {
    mos_error error{};
    if (guarded(&error, body) == MOS_OK) return;
    const std::uint64_t count = failures_.fetch_add(1) + 1;
    if ((count & (count - 1)) != 0) return;
    guarded(nullptr, [&] {
      log_.error(std::string(what_) + " threw an exception: " + error.message, {{"timesSoFar", count}});
    });
  }

private:
  const Log log_;
  const char *const what_;
  std::atomic<std::uint64_t> failures_{0};
};

} // namespace detail
} // namespace v1
} // namespace matrixos
