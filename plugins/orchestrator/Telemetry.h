/// What operators see of the orchestrator: log, metrics, and the events other plugins hear.
#pragma once

#include "Instance.h"

#include <matrixos/host.hpp>

#include <array>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace matrixos::orchestrator {

/// Reports; never throws, never blocks for long. Any thread.
class Telemetry {
public:
  explicit Telemetry(const mos_host_v1 *host);

  const Log &log() const noexcept { return log_; }

  void operationEnded(std::string_view kind, std::string_view outcome, std::chrono::nanoseconds took) noexcept;
  void engineFailed(std::string_view call) noexcept;
  void instances(const std::array<std::size_t, kStatusCount> &counts) noexcept;
  void queued(std::size_t operations) noexcept { queued_.set(static_cast<double>(operations)); }
  void orphans(std::size_t count) noexcept { orphans_.set(static_cast<double>(count)); }
  void reconciled(bool ok, std::chrono::nanoseconds took) noexcept;
  /// So many programs of instances ended of themselves.
  void ended(bool outOfMemory, std::int64_t count) noexcept {
    (outOfMemory ? endedOom_ : endedExit_).add(static_cast<double>(count));
  }
  void usersDirFree(std::uint64_t bytes) noexcept { usersDirFree_.set(static_cast<double>(bytes)); }
  void degraded(std::string_view reason) noexcept { platform_.setDegraded(reason); }

  /// topic: "instance.started". Events are hints; a failure to publish is logged alone.
  void publish(std::string_view topic, std::string_view json) noexcept;

private:
  Series engineFailures(std::string_view call) const;

  Log log_;
  Metrics metrics_;
  Events events_;
  Platform platform_;
  std::array<Series, kStatusCount> instances_;
  Series queued_;
  Series orphans_;
  Series usersDirFree_;
  Series endedExit_;
  Series endedOom_;
  Series reconcileOk_;
  Series reconcileFailed_;
  Series reconcileSeconds_;
  std::mutex mutex_;
  std::map<std::string, Series, std::less<>> operations_;
  std::map<std::string, Series, std::less<>> failures_;
};

} // namespace matrixos::orchestrator
