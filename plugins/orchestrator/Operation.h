/// A unit of work on one instance.
#pragma once

#include <matrixos/status.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace matrixos::orchestrator {

class Engine;
class ImagePuller;
class InstanceStore;
class InstanceTable;
class Ledger;
class OperationQueue;
class PortAllocator;
class SettingsCell;
class Telemetry;

/// What operations work with. Everything outlives them.
struct Workshop {
  const SettingsCell &settings;
  const InstanceStore &store;
  InstanceTable &table;
  Ledger &ledger;
  PortAllocator &ports;
  Engine &engine;
  ImagePuller &puller;
  OperationQueue &queue;
  Telemetry &telemetry;
};

/// How an operation ended.
struct Result {
  std::optional<Error> error;
  std::string json;     ///< the instance afterwards
  bool created = false; ///< it came into being by this very request
};

/// Called once, on any thread; must not block or throw.
using Done = std::function<void(const Result &)>;

/// Work that OperationQueue runs, one at a time per handle. A subclass does its work in advance(), which may block
/// and may be called again after it parked.
class Operation : public std::enable_shared_from_this<Operation> {
public:
  enum class Kind { Provision, Start, Stop, Destroy, Sync };
  enum class State { Finished, Parked };

  Operation(Kind kind, std::string handle) : kind_(kind), handle_(std::move(handle)) {}
  virtual ~Operation() = default;

  Kind kind() const noexcept { return kind_; }
  const std::string &handle() const noexcept { return handle_; }
  const char *kindName() const noexcept;

  /// Parked: waits without a thread until OperationQueue::resume(). Throws Error when the work failed.
  virtual State advance() = 0;
  /// True when a caller who wants `other` is served by this one.
  virtual bool serves(const Operation &other) const { return kind_ == other.kind_; }

  /// Somebody wants the opposite: a parked operation gives up when it is resumed. Any thread.
  void abandon() noexcept { abandoned_ = true; }

  Result result;

protected:
  bool isAbandoned() const noexcept { return abandoned_; }

private:
  std::atomic<bool> abandoned_{false};
  Kind kind_;
  std::string handle_;
};

using OperationPtr = std::shared_ptr<Operation>;

/// A failure of engine or database as callers get it: MOS_UNAVAILABLE, in the words of what failed.
inline Error unavailable(const Error &e) {
  return Error(Status::Unavailable, e.what(), e.reason(), e.retryAfterMs());
}

inline const char *Operation::kindName() const noexcept {
  switch (kind_) {
  case Kind::Provision:
    return "provision";
  case Kind::Start:
    return "start";
  case Kind::Stop:
    return "stop";
  case Kind::Destroy:
    return "destroy";
  case Kind::Sync:
    return "sync";
  }
  return "unknown";
}

} // namespace matrixos::orchestrator
