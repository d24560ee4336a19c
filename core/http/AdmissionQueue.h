#pragma once

#include "http/Connection.h"

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>

namespace matrixos::http {

/// Connections with an admitted request on their way from the lobby to a worker. Counts those that are waiting or being
/// answered, and refuses more than its capacity, so that overload is answered and never dropped. Any thread.
class AdmissionQueue {
public:
  explicit AdmissionQueue(std::size_t capacity) : capacity_(capacity) {}

  /// Takes the connection and true, or leaves it and false when the server is full.
  bool offer(std::unique_ptr<Connection> &connection) {
    const std::lock_guard lock(mutex_);
    if (open_ >= capacity_) return false;
    ++open_;
    waiting_.push_back(std::move(connection));
    changed_.notify_one();
    return true;
  }

  /// Waits until a connection is there; false when none came in time, or at once after close().
  bool wait(std::chrono::microseconds timeout) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, Clock::now() + timeout, [&] { return closed_ || !waiting_.empty(); });
    return !waiting_.empty();
  }

  /// Nobody offers any more: ends all waiting.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

  /// The next connection or null. Who takes it calls leave() once it is done with the request.
  std::unique_ptr<Connection> take() {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) return nullptr;
    auto connection = std::move(waiting_.front());
    waiting_.pop_front();
    return connection;
  }

  void leave() {
    const std::lock_guard lock(mutex_);
    --open_;
    left_.notify_all();
  }

  /// Requests waiting or being answered.
  std::size_t open() const {
    const std::lock_guard lock(mutex_);
    return open_;
  }

  /// Waits until no request is open; false when the deadline came first.
  bool waitEmpty(Clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    return left_.wait_until(lock, deadline, [&] { return open_ == 0; });
  }

private:
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable left_;
  std::deque<std::unique_ptr<Connection>> waiting_;
  std::size_t open_ = 0;
  bool closed_ = false;
};

} // namespace matrixos::http
