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
/// Between two streams that an engine ends which answers otherwise.
constexpr std::chrono::milliseconds kLongestPause{30'000};
/// Between two questions whether an engine that was away is back.
constexpr std::chrono::milliseconds kLongestAway{2'000};
constexpr std::string_view kNamePrefix = "matrixos-";

/// The echo of what this plugin did itself tells nothing new. A start always may: whether the record knows that run is
/// for the engine's description to say.
bool isEcho(const EngineEvent &event, Phase phase) {
  if (event.type == "died" || event.type == "stopped") {
    return phase == Phase::Stopped || phase == Phase::Stopping || phase == Phase::Deleting;
  }
  return event.type == "created";
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
  auto away = kFirstPause;
  while (!shop_.engine.isCancelled()) {
    if (!answers()) {
      wait = kFirstPause; // it will be another engine, or the same anew
      pause(away);
      away = std::min(away * 2, kLongestAway);
      continue;
    }
    away = kFirstPause;
    const auto since = std::chrono::steady_clock::now();
    if (!listen()) return;
    // A stream that held for a while has earned a quick second try.
    wait = std::chrono::steady_clock::now() - since > kLongestPause ? kFirstPause : std::min(wait * 2, kLongestPause);
    pause(wait);
  }
}

bool EngineWatch::answers() {
  shop_.engine.forgetCapabilities(); // it may come back as another version
  return guarded(nullptr, [&] { shop_.engine.ping(); }) == MOS_OK;
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
  const InstancePtr record = recordOf(event);
  if (!record) return;
  const bool outOfMemory = event.type == "oom";
  if ((outOfMemory || event.type == "died") && event.ref == record->containerId) {
    shop_.table.noteEnd(record->handle, {outOfMemory ? -1 : event.exitCode, outOfMemory, event.time});
  }
  if (!isEcho(event, record->phase)) {
    shop_.queue.submitAfter(std::make_shared<SyncOperation>(shop_, record->handle));
  }
}

/// A container goes by its name, until somebody gives it another.
InstancePtr EngineWatch::recordOf(const EngineEvent &event) const {
  InstancePtr record;
  if (event.name.compare(0, kNamePrefix.size(), kNamePrefix) == 0)
    record = shop_.table.find(std::string_view(event.name).substr(kNamePrefix.size()));
  const bool own = record && (record->containerId.empty() || record->containerId == event.ref);
  const bool renamed = !event.ref.empty() && !own;
  const InstancePtr other = renamed ? shop_.table.findByRef(event.ref) : nullptr;
  return other ? other : record;
}

void EngineWatch::pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, time, [this] { return stopping_; });
}

} // namespace matrixos::orchestrator
