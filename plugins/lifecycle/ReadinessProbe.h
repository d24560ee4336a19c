#pragma once

#include "ProbeAttempt.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace matrixos::lifecycle {

/// Probes all endpoints that are waited for on one thread, with epoll. The targets of a probe are tried in turn; after
/// a fruitless turn it pauses, from 5 ms growing to 100 ms, so that readiness is seen at once and a slow boot costs
/// little. A silent peer gets a second, then twice as long each time up to a limit: it may be at work on its first
/// page.
class ReadinessProbe final : public Prober {
public:
  struct Settings {
    std::chrono::milliseconds minPause{5};
    std::chrono::milliseconds maxPause{100};
    std::chrono::milliseconds minTimeout{std::chrono::seconds(1)}; ///< for an answer; a quarter of it to connect
    std::chrono::milliseconds maxTimeout{std::chrono::seconds(10)};
  };
  /// Called on the thread before each wait; gives the time on CLOCK_MONOTONIC, in nanoseconds, to call it again.
  using Tick = std::function<std::int64_t()>;

  /// Throws std::system_error without descriptors.
  explicit ReadinessProbe(Settings settings);
  ~ReadinessProbe() override;

  /// Starts the thread.
  void run(Tick tick);
  /// Ends and joins it; probes under way are dropped. Idempotent.
  void stop() noexcept;

  void begin(std::uint64_t id, std::vector<Target> targets, Ready ready) override;
  void cancel(std::uint64_t id) override {
    post([this, id] { remove(id); });
  }
  void nudge() override;

  /// Connections tried so far.
  std::uint64_t attempts() const noexcept { return attempts_.load(std::memory_order_relaxed); }

private:
  struct Probe {
    std::vector<Target> targets;
    Ready ready;
    std::size_t next = 0; ///< the target to try
    std::chrono::milliseconds pause;
    std::chrono::milliseconds timeout;
    bool sawSilence = false;
    std::int64_t dueNanos = 0; ///< to try again, or to give up the attempt
    std::int64_t attemptEndNanos = 0;
    ProbeAttempt attempt;
  };
  using Command = std::function<void()>;

  void loop();
  void post(Command command);
  void runCommands();
  void runDue(std::int64_t now);
  int waitMillis(std::int64_t tickNanos) const;

  void add(std::uint64_t id, std::unique_ptr<Probe> probe);
  void remove(std::uint64_t id);
  void setDue(std::uint64_t id, Probe &probe, std::int64_t at);
  void tryNext(std::uint64_t id, Probe &probe);
  void attemptFailed(std::uint64_t id, Probe &probe);
  void onSocket(std::uint64_t id);
  void watchSocket(std::uint64_t id, const Probe &probe, int operation);
  void finish(std::uint64_t id, Probe &probe);

  const Settings settings_;
  int epoll_ = -1;
  int wake_ = -1;
  Tick tick_;
  std::thread thread_;
  std::atomic<std::uint64_t> attempts_{0};

  std::mutex mutex_; ///< guards the next two
  std::vector<Command> commands_;
  bool stopping_ = false;

  // The thread's own.
  std::map<std::uint64_t, std::unique_ptr<Probe>> probes_;
  std::set<std::pair<std::int64_t, std::uint64_t>> due_; ///< (time, probe)
};

} // namespace matrixos::lifecycle
