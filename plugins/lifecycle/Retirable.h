#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

namespace matrixos::lifecycle {

/// Owns a part that answers of others hold on to while they are inside it, by weak_from_this(). One thread makes it and
/// lets it go; others may be inside.
template <typename Part>
class Retirable {
public:
  template <typename... Arguments>
  void make(Arguments &&...arguments) {
    end_ = std::make_shared<End>();
    part_ = std::shared_ptr<Part>(new Part(std::forward<Arguments>(arguments)...), [end = end_](Part *part) {
      delete part;
      const std::lock_guard lock(end->mutex);
      end->come = true;
      end->changed.notify_all();
    });
  }

  explicit operator bool() const noexcept { return part_ != nullptr; }
  Part *operator->() const noexcept { return part_.get(); }

  /// Lets go of the part, so that later answers find nobody, and waits for those that are inside it. False: one is
  /// still inside after `limit`. True for one that was never made.
  bool retire(std::chrono::milliseconds limit) noexcept {
    part_.reset();
    if (!end_) return true;
    std::unique_lock lock(end_->mutex);
    return end_->changed.wait_for(lock, limit, [this] { return end_->come; });
  }

private:
  /// Outlives whoever waits for it.
  struct End {
    std::mutex mutex;
    std::condition_variable changed;
    bool come = false;
  };

  std::shared_ptr<End> end_;
  std::shared_ptr<Part> part_;
};

} // namespace matrixos::lifecycle
