#include "SyncOperation.h"

#include "Containers.h"
#include "InstanceTable.h"
#include "Ledger.h"
#include "Settings.h"
#include "Telemetry.h"

#include <matrixos/failpoint.hpp>
#include <matrixos/json_text.hpp>
#include <matrixos/ulid.hpp>

namespace matrixos::orchestrator {

namespace {

bool isSettled(Phase phase) {
  return phase == Phase::Running || phase == Phase::Sleeping || phase == Phase::Stopped || phase == Phase::Failed;
}

/// The phase that a settled record should have.
Phase observedPhase(const Description *container) {
  if (!container) return Phase::Stopped;
  if (container->state == "running" || container->state == "restarting") return Phase::Running;
  return container->state == "paused" ? Phase::Sleeping : Phase::Stopped;
}

bool knowsRun(const Instance &record, const Description &container) {
  return record.startedAt == container.startedAt && record.restarts == container.restarts &&
         (container.state == "restarting" || record.endpoints == container.endpoints);
}

} // namespace

bool disagrees(const Instance &record, const Description *container, const std::string &installId) {
  if (!isSettled(record.phase)) return false;
  if (record.unstored) return true;
  if (container && !belongsTo(*container, record, installId)) container = nullptr;
  const Phase seen = observedPhase(container);
  const bool atRest = seen == Phase::Stopped;
  // A failed start leaves a container at rest; the record says more than the engine then.
  const bool samePhase = seen == record.phase || (atRest && record.phase == Phase::Failed);
  const bool sameRef = record.containerId == (container ? container->ref : std::string());
  if (!samePhase || !sameRef) return true;
  if (container == nullptr || seen != Phase::Running) return false;
  return !knowsRun(record, *container) || (container->state == "running" && container->endpoints.empty());
}

bool lacksEndpoints(const Instance &record, const Description &container, const std::string &installId) {
  return record.phase == Phase::Running && record.endpoints.empty() && !container.endpoints.empty() &&
         observedPhase(&container) == Phase::Running && record.containerId == container.ref &&
         belongsTo(container, record, installId);
}

SyncOperation::SyncOperation(Workshop &workshop, const Instance &asListed, Description &&listed)
    : Operation(Kind::Sync, asListed.handle), shop_(workshop), listedRev_(asListed.rev),
      listedEndpoints_(std::move(listed.endpoints)), listedStart_(listed.startedAt), listedRestarts_(listed.restarts) {}

Operation::State SyncOperation::advance() {
  const InstancePtr record = shop_.table.find(handle());
  if (!record || !isSettled(record->phase)) return State::Finished;
  if (record->rev == listedRev_) {
    Instance next = *record;
    next.endpoints = std::move(listedEndpoints_);
    next.startedAt = listedStart_;
    next.restarts = listedRestarts_;
    shop_.ledger.refresh(std::move(next));
    return State::Finished;
  }
  try {
    std::optional<Description> container = findContainer(shop_, *record);
    makeReachable(container);
    const Description *seen = container ? &*container : nullptr;
    if (disagrees(*record, seen, shop_.settings.get()->installId)) follow(*record, seen);
  } catch (const Error &e) {
    throw unavailable(e);
  }
  return State::Finished;
}

/// Somebody took its network away: a runtime's start gives back what an instance needs, also to one that runs.
void SyncOperation::makeReachable(std::optional<Description> &container) {
  if (!container || container->state != "running" || !container->endpoints.empty()) return;
  try {
    container = shop_.engine.start(container->ref, makeUlid() + "/reach");
    if (container->endpoints.empty()) return;
    shop_.telemetry.log().warning("an instance that could not be reached was connected again", {{"handle", handle()}});
  } catch (const Error &e) {
    shop_.telemetry.log().warning("an instance cannot be reached", {{"handle", handle()}, {"error", e.what()}});
  }
}

void SyncOperation::follow(const Instance &record, const Description *container) {
  const Phase seen = observedPhase(container);
  const auto view = shop_.table.view(handle());
  const auto ends =
      container && view ? endsSince(record, *container, view->endHint) : std::optional<EndsSeen>(std::nullopt);
  Instance next = record;
  // Another than the record's was made at another time: its token, if it has one, is nobody's.
  if (container && container->ref != record.containerId && !namesToken(container->label(MOS_LABEL_SPEC_HASH), record))
    next.tokenHash.clear();
  next.containerId = container ? container->ref : "";
  if (container && seen == Phase::Running)
    noteRun(next, *container);
  else
    next.endpoints.clear();
  if (record.unstored || seen != Phase::Stopped || record.phase != Phase::Failed) next.phase = seen;
  if (!ends && !record.unstored && seen == record.phase &&
      next.containerId == record.containerId) { // the run alone lives in memory
    if (!container || !knowsRun(record, *container)) shop_.ledger.refresh(std::move(next));
    return;
  }
  if (seen == Phase::Stopped) {
    next.desired = Desired::Stopped;
    if (record.unstored) next.lastError = next.lastEnd.times > 0 ? endText(next.lastEnd) : std::string();
    if (!container)
      next.lastError = "the container was removed outside of the platform; the next start makes a new one";
  } else if (seen != record.phase) {
    next.desired = Desired::Running;
    next.retryAt = next.failures = 0;
    next.lastError.clear();
  }
  if (ends) {
    next.lastEnd = ends->last;
    const bool plain = seen == Phase::Stopped && ends->last.exitCode == 0 && !ends->last.oomKilled;
    if (!plain) next.lastError = endText(ends->last);
    if (ends->last.times >= kMostEnds && container->isUp()) giveUp(next, *container);
  }
  MATRIXOS_FAILPOINT("reconcile.adopted_uncommitted");
  try {
    report(record, shop_.ledger.update(record, next), ends);
  } catch (const Error &e) {
    if (e.status() != Status::Aborted) keepUnstored(std::move(next), e);
    throw;
  }
}

/// The database takes nothing now. What runs can be reached all the same, and who asks for what does not hears why it
/// cannot be started, rather than wait for addresses that are no more.
void SyncOperation::keepUnstored(Instance next, const Error &why) {
  next.unstored = true;
  if (next.phase != Phase::Running && next.phase != Phase::Sleeping) {
    next.phase = Phase::Failed;
    next.lastError = why.what();
  }
  shop_.ledger.refresh(std::move(next));
  shop_.telemetry.log().warning("what became of an instance could not be written; it is tried again",
                                {{"handle", handle()}, {"error", why.what()}});
}

/// The engine would start it for ever. Who asks for the instance next begins anew.
void SyncOperation::giveUp(Instance &next, const Description &container) {
  shop_.engine.stop(container.ref, makeUlid() + "/give-up");
  next.phase = Phase::Failed;
  next.endpoints.clear();
  next.retryAt = 0;
}

void SyncOperation::report(const Instance &record, const Published &written, const std::optional<EndsSeen> &ends) {
  const Instance &now = *written.record;
  if (ends) {
    shop_.telemetry.ended(now.lastEnd.oomKilled, ends->count);
    shop_.telemetry.log().warning("the program of an instance ended", {{"handle", handle()},
                                                                       {"exitCode", now.lastEnd.exitCode},
                                                                       {"oomKilled", now.lastEnd.oomKilled},
                                                                       {"times", now.lastEnd.times}});
    shop_.telemetry.publish("instance.ended", written.json());
  }
  if (now.phase == record.phase && now.containerId == record.containerId) return;
  shop_.telemetry.log().info(
      now.containerId.empty() ? "a container is gone" : "an instance changed outside of the platform",
      {{"handle", handle()}, {"was", std::string(wordOf(record.phase))}, {"is", std::string(wordOf(now.phase))}});
  if (now.phase == Phase::Failed && record.phase != Phase::Failed) {
    shop_.telemetry.publish("instance.failed", written.json());
  } else if (now.phase == Phase::Stopped && record.phase == Phase::Running) {
    shop_.telemetry.publish("instance.stopped", withMember(written.json(), "reason", "engine"));
  } else if (now.phase == Phase::Running) {
    shop_.telemetry.publish("instance.started", written.json());
  }
}

} // namespace matrixos::orchestrator
