/// What the tests of core's lower rooms share.
#pragma once

#include "support/Errors.h"
#include "support/TempDir.h"
#include "support/Wait.h"

#include <condition_variable>
#include <mutex>
#include <stdexcept>

namespace matrixos::test {

/// A door that stays shut until it is opened.
class Gate {
public:
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kPatience, [&] { return open_; })) throw std::runtime_error("the gate stayed shut");
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

} // namespace matrixos::test
