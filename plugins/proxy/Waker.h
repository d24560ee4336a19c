/// Waker.h: the wake stage's way to whoever starts instances, and its admission.
#pragma once

#include <matrixos/status.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace matrixos::proxy {

/// How a wake ended.
struct WakeResult {
  Status status = Status::Ok;
  std::string json;    ///< on success: {"instance", "phases"}, see abi/lifecycle.h
  std::string message; ///< on failure
};

/// Starts instances. Thread-safe.
class Waker {
public:
  using Done = std::function<void(const WakeResult &)>;

  virtual ~Waker() = default;
  /// Calls `done` exactly once, on any thread, perhaps before it returns. However many ask for one instance, it is
  /// started once. Gives a ticket for forget(), or 0. Never blocks.
  virtual std::uint64_t ensureRunning(std::string_view handle, std::string_view endpoint,
                                      std::chrono::milliseconds deadline, Done done) = 0;
  virtual void forget(std::uint64_t ticket) noexcept = 0;
};

/// Bounds how many requests wait: per instance, so that a flood for one sleeper cannot fill the house, and in all.
/// Thread-safe.
class WakeGate {
public:
  WakeGate(std::size_t perHandle, std::size_t total) : perHandle_(perHandle), total_(total) {}

  /// False: one more would be too many.
  bool enter(const std::string &handle);
  void leave(const std::string &handle) noexcept;
  std::size_t waiting() const;

private:
  const std::size_t perHandle_;
  const std::size_t total_;
  mutable std::mutex mutex_;
  std::size_t all_ = 0;
  std::unordered_map<std::string, std::size_t> byHandle_;
};

} // namespace matrixos::proxy
