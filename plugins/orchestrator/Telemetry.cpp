#include "Telemetry.h"

namespace matrixos::orchestrator {

namespace {

const std::vector<double> kSeconds{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300};

double seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

} // namespace

Telemetry::Telemetry(const mos_host_v1 *host) : log_(host), metrics_(host), events_(host), platform_(host) {
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    instances_[i] = metrics_.gauge("matrixos_instances", "Instances by status.", {{"status", wordOf(statusAt(i))}});
  }
  queued_ = metrics_.gauge("matrixos_orchestrator_queued_operations", "Operations that wait or run.");
  orphans_ = metrics_.gauge("matrixos_orchestrator_orphans", "Containers of this installation that no record means.");
  usersDirFree_ = metrics_.gauge("matrixos_users_dir_free_bytes", "Space that is left on the disk of the homes.");
  // What appears with its first event is a rise that nobody sees.
  for (const char *call : {"capabilities", "pull", "create", "start", "unpause", "stop", "remove", "inspect", "list",
                           "events", "volume_ensure", "volume_remove_if_empty", "volume_trash"})
    failures_.emplace(call, engineFailures(call));
  constexpr std::string_view kEnds = "matrixos_orchestrator_ends_total";
  constexpr std::string_view kEndsHelp = "Programs of instances that ended of themselves, by cause.";
  endedExit_ = metrics_.counter(kEnds, kEndsHelp, {{"cause", "exit"}});
  endedOom_ = metrics_.counter(kEnds, kEndsHelp, {{"cause", "oom"}});
  constexpr std::string_view kPasses = "matrixos_orchestrator_reconciles_total";
  constexpr std::string_view kPassesHelp = "Comparisons of records and engine by outcome.";
  reconcileOk_ = metrics_.counter(kPasses, kPassesHelp, {{"outcome", "ok"}});
  reconcileFailed_ = metrics_.counter(kPasses, kPassesHelp, {{"outcome", "failed"}});
  reconcileSeconds_ =
      metrics_.histogram("matrixos_orchestrator_reconcile_seconds", "Duration of a comparison.", kSeconds);
}

Series Telemetry::engineFailures(std::string_view call) const {
  return metrics_.counter("matrixos_orchestrator_engine_failures_total", "Failed calls to the runtime, by call.",
                          {{"call", call}});
}

void Telemetry::operationEnded(std::string_view kind, std::string_view outcome,
                               std::chrono::nanoseconds took) noexcept {
  static_cast<void>(guarded(nullptr, [&] {
    const std::string key = std::string(kind) + '/' + std::string(outcome);
    const std::lock_guard lock(mutex_);
    auto found = operations_.find(key);
    if (found == operations_.end()) {
      found = operations_
                  .emplace(key, metrics_.histogram("matrixos_orchestrator_operation_seconds",
                                                   "Duration of operations on instances, by kind and outcome.",
                                                   kSeconds, {{"kind", kind}, {"outcome", outcome}}))
                  .first;
    }
    found->second.observe(seconds(took));
  }));
}

void Telemetry::engineFailed(std::string_view call) noexcept {
  static_cast<void>(guarded(nullptr, [&] {
    const std::lock_guard lock(mutex_);
    auto found = failures_.find(call);
    if (found == failures_.end()) {
      found = failures_.emplace(std::string(call), engineFailures(call)).first;
    }
    found->second.add();
  }));
}

void Telemetry::instances(const std::array<std::size_t, 6> &counts) noexcept {
  for (std::size_t i = 0; i < counts.size(); ++i)
    instances_[i].set(static_cast<double>(counts[i]));
}

void Telemetry::reconciled(bool ok, std::chrono::nanoseconds took) noexcept {
  (ok ? reconcileOk_ : reconcileFailed_).add();
  reconcileSeconds_.observe(seconds(took));
}

void Telemetry::publish(std::string_view topic, std::string_view json) noexcept {
  mos_error error{};
  if (guarded(&error, [&] { events_.publish(topic, json); }) != MOS_OK) {
    log_.debug("an event was not published", {{"topic", std::string(topic)}, {"error", error.message}});
  }
}

} // namespace matrixos::orchestrator
