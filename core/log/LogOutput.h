/// Writes finished lines to a descriptor. Internal to core/log.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string_view>

namespace matrixos::log {

/// Never waits long for a reader: after one stall lines are dropped, without waiting, until it reads again, and then a
/// line says how many. All functions are thread-safe and never throw.
class LogOutput {
public:
  void setFd(int fd) noexcept;
  void write(std::string_view line) noexcept;
  std::uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }

private:
  bool writeAll(std::string_view bytes, int timeoutMs) noexcept;
  bool resume() noexcept;

  std::mutex mutex_;
  int fd_ = 2;
  bool isSocket_ = false;
  bool known_ = false; ///< isSocket_ was found out
  bool stalled_ = false;
  bool midLine_ = false; ///< the stall cut a line in two
  std::uint64_t droppedInStall_ = 0;
  std::atomic<std::uint64_t> dropped_{0};
};

} // namespace matrixos::log
