#include "Containers.h"

#include "InstanceTable.h"
#include "Settings.h"
#include "Telemetry.h"

#include <matrixos/abi/runtime.h>
#include <matrixos/json_text.hpp>

#include <algorithm>

namespace matrixos::orchestrator {

namespace {

std::vector<Description> containersOf(const Workshop &shop, const Instance &record) {
  const std::string installId = shop.settings.get()->installId;
  JsonObject labels;
  labels.add(MOS_LABEL_INSTALL, installId).add(MOS_LABEL_INSTANCE, record.id);
  std::vector<Description> all;
  shop.engine.list(std::move(labels).str(), [&](Description container) {
    if (belongsTo(container, record, installId)) all.push_back(std::move(container));
  });
  return all;
}

} // namespace

bool belongsTo(const Description &container, const Instance &record, const std::string &installId) {
  return container.label(MOS_LABEL_INSTALL) == installId && container.label(MOS_LABEL_INSTANCE) == record.id;
}

const Description *ownOf(const std::vector<Description> &all, const Instance &record) {
  const auto rank = [&](const Description &container) {
    if (container.ref == record.containerId) return 3;
    if (container.name == record.containerName()) return 2;
    return container.isUp() ? 1 : 0;
  };
  const auto best = std::max_element(all.begin(), all.end(),
                                     [&](const Description &a, const Description &b) { return rank(a) < rank(b); });
  return best == all.end() ? nullptr : &*best;
}

void noteRun(Instance &record, const Description &container) {
  // While the engine is about to start it again, where it was is the best guess of where it will be.
  if (container.state != "restarting") record.endpoints = container.endpoints;
  record.startedAt = container.startedAt;
  record.restarts = container.restarts;
}

std::optional<Description> findContainer(const Workshop &shop, const Instance &record) {
  const std::string installId = shop.settings.get()->installId;
  for (const std::string &ref : {record.containerId, record.containerName()}) {
    if (ref.empty()) continue;
    auto container = shop.engine.inspect(ref);
    if (container && belongsTo(*container, record, installId)) return container;
  }
  const std::vector<Description> all = containersOf(shop, record);
  const Description *own = ownOf(all, record);
  return own == nullptr ? std::nullopt : std::optional(*own);
}

void removeContainers(const Workshop &shop, const Instance &record, const std::string &operationId) {
  const std::vector<Description> all = containersOf(shop, record);
  for (const Description &container : all) {
    if (container.isUp()) shop.engine.stop(container.ref, operationId + "/stop");
    shop.engine.remove(container.ref, operationId + "/remove");
  }
  // No container is called so; the networks that were made for one may be there yet.
  if (all.empty()) shop.engine.remove(record.id, operationId + "/remove");
}

std::string adoptOrStop(const Workshop &shop, const Instance &record, const ContainerSpec &spec) {
  std::string adopted;
  for (const Description &container : containersOf(shop, record)) {
    if (adopted.empty() && !record.tokenHash.empty() && container.label(MOS_LABEL_SPEC_HASH) == spec.label) {
      adopted = container.ref;
    } else if (container.isUp()) {
      shop.telemetry.log().warning("a second container of an instance is stopped and kept",
                                   {{"handle", record.handle}, {"container", container.ref}, {"name", container.name}});
      shop.engine.stop(container.ref, record.operationId + "/second");
    }
  }
  return adopted;
}

void replaceNamesake(const Workshop &shop, const Instance &record, const std::string &operationId) {
  const auto other = shop.engine.inspect(record.containerName());
  if (!other) return;
  const InstancePtr owner = shop.table.findById(other->label(MOS_LABEL_INSTANCE));
  const bool ours = other->label(MOS_LABEL_INSTALL) == shop.settings.get()->installId;
  if (!ours || (owner && owner->id != record.id)) {
    throw Error(Status::Unavailable,
                "the engine already has a container named " + record.containerName() + " that is " +
                    (ours ? "the one of \"" + owner->handle + "\"" : "not of this platform") + "; rename or remove it",
                MOS_REASON_NAME_IN_USE);
  }
  shop.telemetry.log().warning("an older container gives way to a new one",
                               {{"handle", record.handle}, {"container", other->ref}});
  shop.engine.remove(other->ref, operationId);
}

} // namespace matrixos::orchestrator
