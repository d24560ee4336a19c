/// When a statement has to end. Internal to core/storage.
#pragma once

#include "storage/Access.h"

#include <chrono>
#include <string>

namespace matrixos::storage {

/// Measures one run of the statements of one caller. One thread.
class RunLimit {
public:
  /// `used`: what earlier runs of the same statements took.
  explicit RunLimit(const Access &access, std::chrono::steady_clock::duration used = {}) noexcept;

  /// The statements have to end; from then on it stays so.
  bool reached() noexcept;
  /// It was noticed that they have to.
  bool wasReached() const noexcept { return end_ != End::None; }
  std::chrono::steady_clock::duration took() const noexcept { return std::chrono::steady_clock::now() - began_; }
  /// Throws Error for a limit that was reached: DeadlineExceeded (reason QUERY_TIMEOUT) or Cancelled. `what`: at the
  /// front of the message; `callback`: it was noticed after a row callback.
  [[noreturn]] void raise(const std::string &what, bool callback = false) const;

private:
  enum class End { None, Time, Deadline, Cancelled };

  const Access &access_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  const std::chrono::steady_clock::time_point until_;
  End end_ = End::None;
};

} // namespace matrixos::storage
