#include "StopOperation.h"

#include "Engine.h"
#include "InstanceTable.h"
#include "Ledger.h"
#include "OperationQueue.h"
#include "Telemetry.h"

#include <matrixos/failpoint.hpp>
#include <matrixos/json_text.hpp>
#include <matrixos/ulid.hpp>

namespace matrixos::orchestrator {

Operation::State StopOperation::advance() {
  record_ = shop_.table.find(handle());
  if (!record_) throw Error(Status::NotFound, "there is no instance \"" + handle() + "\"", "NO_INSTANCE");
  if (record_->phase == Phase::Deleting || !record_->onceRan()) {
    throw Error(Status::Aborted,
                "the instance \"" + handle() + "\" is " + std::string(wordOf(record_->status)) +
                    " and cannot be stopped",
                "NOT_RUNNING");
  }
  if (record_->phase == Phase::Stopped && record_->desired == Desired::Stopped) {
    result.json = shop_.table.view(handle())->json();
    return State::Finished;
  }
  if (usedSince()) refuse();
  try {
    const InstancePtr before = record_;
    commit(Phase::Stopping);
    MATRIXOS_FAILPOINT("stop.cas_done");
    if (usedSince()) { // between the decision and its commit
      Instance again = *before;
      again.rowRev = record_->rowRev;
      record_ = shop_.ledger.update(*record_, std::move(again)).record;
      refuse();
    }
    if (!record_->containerId.empty()) shop_.engine.stop(record_->containerId, record_->operationId + "/stop");
    MATRIXOS_FAILPOINT("stop.stopped_uncommitted");
    result.json = commit(Phase::Stopped).json();
  } catch (const Error &e) {
    if (e.status() == Status::Aborted && e.reason() == "ACTIVE") throw;
    // The intent stands in the record; the reconciler asks the engine again.
    shop_.telemetry.log().warning("stop failed", {{"handle", handle()}, {"error", e.what()}});
    throw unavailable(e);
  }
  shop_.telemetry.publish("instance.stopped", withMember(result.json, "reason", reason_));
  shop_.telemetry.log().info("instance stopped", {{"handle", handle()}, {"reason", reason_}});
  return State::Finished;
}

bool StopOperation::serves(const Operation &other) const {
  return kind() == other.kind() && ifActivitySeq_ == static_cast<const StopOperation &>(other).ifActivitySeq_;
}

bool StopOperation::usedSince() const {
  if (ifActivitySeq_ == kAlways) return false;
  const auto view = shop_.table.view(handle());
  return !view || view->activitySeq != ifActivitySeq_ || shop_.queue.isQueued(handle(), Kind::Start);
}

void StopOperation::refuse() const {
  throw Error(Status::Aborted, "the instance \"" + handle() + "\" has been used since the decision to stop it",
              "ACTIVE");
}

Published StopOperation::commit(Phase phase) {
  Instance next = *record_;
  if (phase == Phase::Stopping) next.operationId = makeUlid();
  next.endpoints.clear();
  next.phase = phase;
  next.desired = Desired::Stopped;
  next.step = Step::None;
  next.retryAt = next.failures = 0;
  next.lastEnd.times = 0;
  Published published = shop_.ledger.update(*record_, std::move(next));
  record_ = published.record;
  return published;
}

} // namespace matrixos::orchestrator
