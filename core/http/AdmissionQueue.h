#pragma once

#include "http/Connection.h"

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>

namespace matrixos::api {

/// Connections with an admitted request on their way from the lobby to a worker. Counts those that are waiting or being
/// answered, and refuses more than its capacity, so that overload is answered and never dropped. Any thread.
///
/// There are two ways out. Poco's acceptor takes connections and hands each to a worker thread, for which Poco starts
/// and ends a thread nearly every time. A worker that has answered lingers here for the next connection instead, which
/// costs one wake-up; the acceptor gets what exceeds the lingering workers.
class AdmissionQueue {
public:
  explicit AdmissionQueue(std::size_t capacity) : capacity_(capacity) {}

  /// Takes the connection and true, or leaves it and false when the server is full.
  bool offer(std::unique_ptr<Connection> &connection) {
    std::unique_lock lock(mutex_);
    if (open_ >= capacity_) return false;
    ++open_;
    waiting_.push_back(std::move(connection));
    const bool exceeds = forAcceptor();
    lock.unlock();
    (exceeds ? changed_ : next_).notify_one();
    return true;
  }

  /// For the acceptor: waits until there is a connection for it; false when none came in time, or at once after
  /// close().
  bool wait(std::chrono::microseconds timeout) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, Clock::now() + timeout, [&] { return closed_ || forAcceptor(); });
    return forAcceptor();
  }

  /// Nobody offers any more: ends all waiting.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
    next_.notify_all();
  }

  /// For the acceptor: the next connection or null. It is on its way to a worker until begun().
  std::unique_ptr<Connection> take() {
    const std::lock_guard lock(mutex_);
    if (!forAcceptor()) return nullptr;
    ++onTheirWay_;
    return takeFront();
  }

  /// A worker, or nobody any more, has the connection that the acceptor took.
  void begun() {
    const std::lock_guard lock(mutex_);
    --onTheirWay_;
  }

  /// For a worker without work: the next connection; null when none came in time, after close(), or when a connection
  /// that the acceptor took may be waiting for this very thread.
  std::unique_ptr<Connection> takeNext(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    if (onTheirWay_ != 0) return nullptr;
    ++lingering_;
    next_.wait_until(lock, Clock::now() + patience, [&] { return closed_ || !waiting_.empty(); });
    --lingering_;
    return waiting_.empty() ? nullptr : takeFront();
  }

  /// Whoever took a connection is done with its request.
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
  bool forAcceptor() const { return waiting_.size() > lingering_; }

  std::unique_ptr<Connection> takeFront() {
    auto connection = std::move(waiting_.front());
    waiting_.pop_front();
    return connection;
  }

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable changed_; ///< the acceptor waits
  std::condition_variable next_;    ///< lingering workers wait
  std::condition_variable left_;
  std::deque<std::unique_ptr<Connection>> waiting_;
  std::size_t open_ = 0;
  std::size_t lingering_ = 0;
  std::size_t onTheirWay_ = 0; ///< taken by the acceptor, not begun by a worker
  bool closed_ = false;
};

} // namespace matrixos::api
