/// Writes finished lines to a descriptor. Internal to core/log.
#pragma once

#include "log/Log.h"

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
  /// What a line of this level begins with: where the descriptor leads to the journal its priority, "<4>", see
  /// sd-daemon(3); else nothing.
  std::string_view prefix(Level level) noexcept;
  void write(std::string_view line) noexcept;
  std::uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }

private:
  void lookAtFd() noexcept;
  bool writeAll(std::string_view bytes, int timeoutMs) noexcept;
  bool resume() noexcept;

  std::mutex mutex_;
  int fd_ = 2;
  bool isSocket_ = false;
  bool isJournal_ = false;
  bool known_ = false; ///< both were found out
  bool stalled_ = false;
  bool midLine_ = false; ///< the stall cut a line in two
  std::uint64_t droppedInStall_ = 0;
  std::atomic<std::uint64_t> dropped_{0};
};

} // namespace matrixos::log
