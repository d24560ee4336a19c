#include "EngineWatch.h"

#include "ContainerSpec.h"
#include "InstanceTable.h"
#include "OperationQueue.h"
#include "SyncOperation.h"

#include <algorithm>
#include <memory>

namespace matrixos::orchestrator {

namespace {

constexpr std::chrono::milliseconds kFirstPause{500};
constexpr std::chrono::milliseconds kLongestPause{30'000};
constexpr std::string_view kNamePrefix = "matrixos-";

/// The echo of what this plugin did itself tells nothing new.
bool isEcho(const EngineEvent &event, Phase phase) {
  if (event.type == "died" || event.type == "stopped") {
    return phase == Phase::Stopped || phase == Phase::Stopping || phase == Phase::Deleting;
  }
  return event.type == "created" || (event.type == "started" && (phase == Phase::Running || phase == Phase::Starting));
}

} // namespace

EngineWatch::EngineWatch(Workshop &workshop, std::function<void()> reconcile)
    : shop_(workshop), reconcile_(std::move(reconcile)), thread_([this] { run(); }) {}

void EngineWatch::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void EngineWatch::run() {
  auto wait = kFirstPause;
  while (!shop_.engine.isCancelled()) {
    const auto since = std::chrono::steady_clock::now();
    if (!listen()) return;
    // A stream that held for a while has earned a quick second try.
    wait = std::chrono::steady_clock::now() - since > kLongestPause ? kFirstPause : std::min(wait * 2, kLongestPause);
    pause(wait);
  }
}

bool EngineWatch::listen() {
  reconcile_();
  mos_error failure{};
  const mos_status status = guarded(&failure, [&] {
    shop_.engine.events(installLabels(*shop_.settings.get()), [this](const EngineEvent &event) { heard(event); });
  });
  if (status == MOS_UNIMPLEMENTED) return false;
  if (status != MOS_OK && !shop_.engine.isCancelled()) {
    shop_.telemetry.log().warning("the engine's events are interrupted", {{"error", failure.message}});
  }
  return true;
}

void EngineWatch::heard(const EngineEvent &event) {
  if (event.name.compare(0, kNamePrefix.size(), kNamePrefix) != 0) return;
  const InstancePtr record = shop_.table.find(std::string_view(event.name).substr(kNamePrefix.size()));
  if (!record || isEcho(event, record->phase)) return;
  shop_.queue.submitIfIdle(std::make_shared<SyncOperation>(shop_, record->handle));
}

void EngineWatch::pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, time, [this] { return stopping_; });
}

} // namespace matrixos::orchestrator
