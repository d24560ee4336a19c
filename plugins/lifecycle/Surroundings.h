#pragma once

#include <matrixos/call.hpp>
#include <matrixos/instance_record.hpp>

#include <cstdint>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

/// What the parts of the lifecycle ask of the world around them. Tests bring their own.
namespace matrixos::lifecycle {

/// The clocks that decisions are made on. Thread-safe.
class Clock {
public:
  virtual ~Clock() = default;
  /// CLOCK_BOOTTIME in milliseconds: goes on while the machine is suspended, unmoved by changes of the date. Idleness.
  virtual std::int64_t bootMs() const noexcept = 0;
  /// CLOCK_MONOTONIC in nanoseconds, the clock of deadlines.
  virtual std::int64_t monotonicNanos() const noexcept = 0;
};

/// The kernel's clocks.
class SystemClock final : public Clock {
public:
  std::int64_t bootMs() const noexcept override { return nanos(CLOCK_BOOTTIME) / 1'000'000; }
  std::int64_t monotonicNanos() const noexcept override { return nanos(CLOCK_MONOTONIC); }

private:
  static std::int64_t nanos(clockid_t id) noexcept {
    timespec now{};
    ::clock_gettime(id, &now);
    return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
  }
};

/// Uses of one instance that the orchestrator has not been told of yet.
struct PendingUse {
  std::string handle;
  std::int64_t atMs = 0; ///< wall clock, the latest
  std::uint64_t count = 0;
};

/// The orchestrator. Nothing here blocks. `then` is called exactly once, on any thread, perhaps before the command
/// returns.
class Platform {
public:
  using Then = std::function<void(const Outcome &)>;

  virtual ~Platform() = default;
  /// The JSON of the record as it is now. Throws matrixos::Error(NotFound).
  virtual std::string fetch(std::string_view handle) = 0;
  /// What it runs as comes with the watch, not with the answer.
  virtual void start(std::string_view handle, Then then) = 0;
  /// Stops it while its activity sequence still equals `ifActivitySeq`; else Aborted.
  virtual void stop(std::string_view handle, std::uint64_t ifActivitySeq, Then then) = 0;
  /// Passes uses on. Throws matrixos::Error.
  virtual void record(const std::vector<PendingUse> &uses) = 0;
};

/// An address to probe.
using Target = InstanceEndpoint;

/// Finds out when an endpoint answers HTTP. Thread-safe; neither function blocks nor calls `ready` itself.
class Prober {
public:
  /// The target that answered. Called at most once, on a thread of the prober.
  using Ready = std::function<void(const Target &answered)>;

  virtual ~Prober() = default;
  /// Tries the targets in turn until one answers or cancel(id). The caller chooses ids, each used once.
  virtual void begin(std::uint64_t id, std::vector<Target> targets, Ready ready) = 0;
  /// `ready` may still arrive when it was on its way.
  virtual void cancel(std::uint64_t id) = 0;
  /// A deadline that lies before all known ones was added.
  virtual void nudge() = 0;
};

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
};

/// Hash map by handle that is searched without making a std::string.
template <typename Value>
using StringMap = std::unordered_map<std::string, Value, StringHash, std::equal_to<>>;

} // namespace matrixos::lifecycle
