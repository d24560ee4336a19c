#include "DestroyOperation.h"

#include "Containers.h"
#include "Engine.h"
#include "Homes.h"
#include "InstanceTable.h"
#include "Ledger.h"
#include "PortAllocator.h"
#include "Telemetry.h"

#include <matrixos/failpoint.hpp>
#include <matrixos/ulid.hpp>

namespace matrixos::orchestrator {

Operation::State DestroyOperation::advance() {
  InstancePtr record = shop_.table.find(handle());
  if (!record && seen_) {
    result.json = deletedJson(seen_->handle, seen_->id, seen_->rev);
    return State::Finished;
  }
  if (!record) throw Error(Status::NotFound, "there is no instance \"" + handle() + "\"", "NO_INSTANCE");
  try {
    if (record->phase != Phase::Deleting || record->step == Step::Undo) {
      Instance next = *record;
      next.phase = Phase::Deleting;
      next.desired = Desired::Deleted;
      next.step = Step::None;
      next.endpoints.clear();
      next.operationId = makeUlid();
      record = shop_.ledger.update(*record, std::move(next)).record;
    }
    MATRIXOS_FAILPOINT("delete.recorded");
    removeContainers(shop_, *record, record->operationId);
    MATRIXOS_FAILPOINT("delete.container_gone");
    // Who finds no home where nothing is mounted would leave it to the handle's next owner.
    if (homeIsThere(shop_, *record, record->operationId + "/home")) {
      shop_.engine.trashVolume(record->volume, record->id, record->operationId + "/trash");
    }
    MATRIXOS_FAILPOINT("delete.volume_renamed");
    const std::uint64_t rev = shop_.ledger.remove(*record, true);
    MATRIXOS_FAILPOINT("delete.final");
    shop_.ports.release({record->port, record->shellPort});
    result.json = deletedJson(record->handle, record->id, rev);
  } catch (const Error &e) {
    shop_.telemetry.log().warning("destroy failed", {{"handle", handle()}, {"error", e.what()}});
    throw unavailable(e);
  }
  shop_.telemetry.publish("instance.destroyed", result.json);
  shop_.telemetry.log().info("instance destroyed", {{"handle", handle()}, {"id", record->id}});
  return State::Finished;
}

} // namespace matrixos::orchestrator
