#include "SyncOperation.h"

#include "InstanceTable.h"
#include "Ledger.h"
#include "Settings.h"
#include "Telemetry.h"

#include <matrixos/abi/runtime.h>
#include <matrixos/failpoint.hpp>
#include <matrixos/json_text.hpp>

namespace matrixos::orchestrator {

namespace {

bool isSettled(Phase phase) {
  return phase == Phase::Running || phase == Phase::Sleeping || phase == Phase::Stopped || phase == Phase::Failed;
}

bool belongsTo(const Description &container, const Instance &record, const std::string &installId) {
  return container.label(MOS_LABEL_INSTALL) == installId && container.label(MOS_LABEL_INSTANCE) == record.id;
}

} // namespace

Phase observedPhase(const Description *container) {
  if (!container) return Phase::Stopped;
  if (container->state == "running" || container->state == "restarting") return Phase::Running;
  return container->state == "paused" ? Phase::Sleeping : Phase::Stopped;
}

bool disagrees(const Instance &record, const Description *container, const std::string &installId) {
  if (!isSettled(record.phase)) return false;
  if (container && !belongsTo(*container, record, installId)) container = nullptr;
  const Phase seen = observedPhase(container);
  const bool atRest = seen == Phase::Stopped;
  // A failed start leaves a container at rest; the record says more than the engine then.
  const bool samePhase = seen == record.phase || (atRest && record.phase == Phase::Failed);
  const bool sameRef = record.containerId == (container ? container->ref : std::string());
  return !samePhase || !sameRef ||
         (container != nullptr && seen == Phase::Running && container->endpoints != record.endpoints);
}

bool lacksEndpoints(const Instance &record, const Description &container, const std::string &installId) {
  return record.phase == Phase::Running && record.endpoints.empty() && !container.endpoints.empty() &&
         observedPhase(&container) == Phase::Running && record.containerId == container.ref &&
         belongsTo(container, record, installId);
}

Operation::State SyncOperation::advance() {
  const InstancePtr record = shop_.table.find(handle());
  if (!record || !isSettled(record->phase)) return State::Finished;
  if (record->rev == listedRev_) {
    Instance next = *record;
    next.endpoints = std::move(listedEndpoints_);
    shop_.ledger.refresh(std::move(next));
    return State::Finished;
  }
  std::optional<Description> container;
  try {
    container = shop_.engine.inspect(record->containerName());
    const std::string installId = shop_.settings.get()->installId;
    if (container && !belongsTo(*container, *record, installId)) container.reset();
    const Description *seen = container ? &*container : nullptr;
    if (disagrees(*record, seen, installId)) follow(*record, seen);
  } catch (const Error &e) {
    throw unavailable(e);
  }
  return State::Finished;
}

void SyncOperation::follow(const Instance &record, const Description *container) {
  const Phase seen = observedPhase(container);
  Instance next = record;
  next.containerId = container ? container->ref : "";
  next.endpoints = container && seen == Phase::Running ? container->endpoints : std::vector<Endpoint>{};
  if (!(seen == Phase::Stopped && record.phase == Phase::Failed)) next.phase = seen;
  if (seen == record.phase && next.containerId == record.containerId) { // endpoints alone live in memory
    shop_.ledger.refresh(std::move(next));
    return;
  }
  if (seen == Phase::Stopped) {
    next.desired = Desired::Stopped;
    if (!container)
      next.lastError = "the container was removed outside of the platform; the next start makes a new one";
    else if (container->exitCode != 0 || container->oomKilled)
      next.lastError = "the container ended with exit code " + std::to_string(container->exitCode) +
                       (container->oomKilled ? ": out of memory" : "");
  } else {
    next.desired = Desired::Running;
    next.retryAt = next.failures = 0;
    next.lastError.clear();
  }
  MATRIXOS_FAILPOINT("reconcile.adopted_uncommitted");
  const Published written = shop_.ledger.update(record, std::move(next));
  shop_.telemetry.log().info(container != nullptr ? "an instance changed outside of the platform"
                                                  : "a container is gone",
                             {{"handle", handle()},
                              {"was", std::string(wordOf(record.phase))},
                              {"is", std::string(wordOf(written.record->phase))}});
  if (seen == Phase::Stopped && record.phase == Phase::Running) {
    shop_.telemetry.publish("instance.stopped", withMember(written.json(), "reason", "engine"));
  } else if (seen == Phase::Running) {
    shop_.telemetry.publish("instance.started", written.json());
  }
}

} // namespace matrixos::orchestrator
