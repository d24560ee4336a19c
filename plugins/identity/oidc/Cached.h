#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace matrixos::identity {

/// A value that somebody else may change, kept for a while. One thread at a time loads it, and those that have none yet
/// wait for that; while it cannot be loaded the old one stays. Any thread.
template <typename T>
class Cached {
public:
  using Value = std::shared_ptr<const T>;
  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  /// After a load that failed while there is an old value, and between two loads for newerThan().
  static constexpr std::chrono::seconds kPause{60};
  /// After a load that failed while there is none.
  static constexpr std::chrono::seconds kFirstPause{5};

  /// `load` blocks, and throws when it cannot.
  Cached(std::function<T()> load, std::chrono::seconds lifetime, Clock now)
      : load_(std::move(load)), lifetime_(lifetime), now_(std::move(now)) {}

  /// The value. Throws what `load` threw when there is none, at once where that was just now: whoever asks must not
  /// hold up a thread each time.
  Value get() {
    std::unique_lock lock(mutex_);
    if (value_ && (loading_ || now_() - loadedAt_ < lifetime_ || isRecent(failedAt_))) return value_;
    if (!value_ && !loading_ && isRecent(failedAt_, kFirstPause)) std::rethrow_exception(failure_);
    return load(lock);
  }

  /// For who misses something in `known`: one that is newer, if there is one or may be by now.
  Value newerThan(const Value &known) {
    std::unique_lock lock(mutex_);
    if (value_ != known || (!loading_ && isRecent(missedAt_))) return value_;
    if (!loading_) missedAt_ = now_();
    return load(lock);
  }

private:
  using Moment = std::chrono::steady_clock::time_point;

  bool isRecent(const std::optional<Moment> &moment, std::chrono::seconds pause = kPause) const {
    return moment && now_() - *moment < pause;
  }

  Value load(std::unique_lock<std::mutex> &lock) {
    if (loading_) {
      const auto flight = flight_;
      landed_.wait(lock, [&] { return flight_ != flight; });
      if (!value_) std::rethrow_exception(failure_);
      return value_;
    }
    loading_ = true;
    lock.unlock();
    Value loaded;
    std::exception_ptr failure;
    try {
      loaded = std::make_shared<const T>(load_());
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    loading_ = false;
    ++flight_;
    failure_ = failure;
    if (loaded) {
      value_ = std::move(loaded);
      loadedAt_ = now_();
      failedAt_.reset();
    } else {
      failedAt_ = now_();
    }
    landed_.notify_all();
    if (!value_) std::rethrow_exception(failure);
    return value_;
  }

  const std::function<T()> load_;
  const std::chrono::seconds lifetime_;
  const Clock now_;
  std::mutex mutex_;
  std::condition_variable landed_;
  Value value_;
  Moment loadedAt_{};
  std::optional<Moment> failedAt_, missedAt_;
  std::exception_ptr failure_;
  std::uint64_t flight_ = 0;
  bool loading_ = false;
};

} // namespace matrixos::identity
