#include "Reconciler.h"

#include "ContainerSpec.h"
#include "Containers.h"
#include "DestroyOperation.h"
#include "InstanceTable.h"
#include "LaunchOperation.h"
#include "OperationQueue.h"
#include "StopOperation.h"
#include "SyncOperation.h"

#include <matrixos/disk_space.hpp>
#include <matrixos/failpoint.hpp>
#include <matrixos/text/time.hpp>

#include <algorithm>
#include <memory>

namespace matrixos::orchestrator {

namespace {

constexpr std::chrono::minutes kOrphanAge{5};
constexpr int kOrphanPasses = 2;
constexpr std::size_t kOrphansAtLeast = 3;

/// No wait is longer than retry_max: a time further away was written before the clock was set back.
bool isRetryDue(const Instance &record, const Settings &settings) {
  if (record.retryAt == 0 || record.failures > settings.retryLimit) return false;
  const std::int64_t wait = record.retryAt - wallClockMs();
  return wait <= 0 || wait > settings.retryMax.count();
}

} // namespace

void Reconciler::pass() noexcept {
  if (const std::unique_lock alone(running_, std::try_to_lock); alone) passAlone();
  if (isAsked_) passAfresh(); // while this one ran
}

void Reconciler::passAfresh() noexcept {
  isAsked_ = true;
  // Who finds the lock taken leaves it to its holder, who looks again once it is free.
  while (isAsked_) {
    const std::unique_lock alone(running_, std::try_to_lock);
    if (!alone) return;
    isAsked_ = false;
    passAlone();
  }
}

void Reconciler::passAlone() noexcept {
  if (closed_) return;
  const auto since = std::chrono::steady_clock::now();
  mos_error failure{};
  const bool ok = guarded(&failure, [&] { compare(); }) == MOS_OK;
  shop_.telemetry.reconciled(ok, std::chrono::steady_clock::now() - since);
  shop_.telemetry.instances(shop_.table.counts());
  if (shop_.engine.isCancelled()) return;
  if (ok) return shop_.telemetry.degraded(fullDisk(shop_.settings.get()->usersDir));
  shop_.engine.forgetCapabilities(); // it may come back as another version
  shop_.telemetry.degraded(failure.message);
  shop_.telemetry.log().warning("records and engine were not compared", {{"error", failure.message}});
}

void Reconciler::close() noexcept {
  const std::lock_guard alone(running_);
  closed_ = true;
}

void Reconciler::compare() {
  const auto settings = shop_.settings.get();
  Listing listing;
  listing.beganAt = shop_.table.reachedRev();
  shop_.engine.list(installLabels(*settings),
                    [&](Description container) { listed(std::move(container), settings->installId, listing); });
  MATRIXOS_FAILPOINT("reconcile.listed");
  for (const InstancePtr &record : shop_.table.all()) {
    // What has changed since was not compared with the list, and its container may be missing in it.
    if (record->rev > listing.beganAt) continue;
    if (listing.agreeing.count(record->rev) != 0 || !shop_.queue.isIdle(record->handle)) continue;
    check(*record, listing.notable, settings->installId);
  }
  lookForOrphans(listing);
}

void Reconciler::listed(Description container, const std::string &installId, Listing &listing) {
  ++listing.size;
  const InstancePtr record = shop_.table.find(container.label(MOS_LABEL_HANDLE));
  const bool runs = record && record->phase == Phase::Running && record->onceRan() &&
                    container.ref == record->containerId && shop_.queue.isIdle(record->handle);
  if (runs && record->rev <= listing.beganAt && lacksEndpoints(*record, container, installId)) {
    const auto sync = std::make_shared<SyncOperation>(shop_, *record, std::move(container));
    shop_.queue.submitIfIdle(sync);
    listing.agreeing.insert(record->rev);
  } else if (runs && !disagrees(*record, &container, installId)) {
    listing.agreeing.insert(record->rev);
  } else {
    listing.notable[container.label(MOS_LABEL_INSTANCE)].push_back(std::move(container));
  }
}

void Reconciler::check(const Instance &record, const Containers &containers, const std::string &installId) {
  const auto queue = [&](OperationPtr operation) { shop_.queue.submitIfIdle(operation); };
  // A deletion that was asked for goes on, also of an instance that never ran; Undo is the launch's own way back.
  const bool undoing = record.phase == Phase::Deleting && record.step == Step::Undo;
  if (!record.onceRan() && (record.phase != Phase::Deleting || undoing)) {
    return queue(std::make_shared<LaunchOperation>(shop_, record.handle));
  }
  switch (record.phase) {
  case Phase::Deleting:
    return queue(std::make_shared<DestroyOperation>(shop_, record.handle, nullptr));
  case Phase::Stopping:
    return queue(std::make_shared<StopOperation>(shop_, record.handle, StopOperation::kAlways, "resumed"));
  case Phase::Pending:
  case Phase::Provisioning:
  case Phase::Created:
  case Phase::Starting:
    return queue(std::make_shared<LaunchOperation>(shop_, record.handle));
  case Phase::Failed:
    if (record.desired == Desired::Running && isRetryDue(record, *shop_.settings.get())) {
      return queue(std::make_shared<LaunchOperation>(shop_, record.handle));
    }
    [[fallthrough]];
  case Phase::Running:
  case Phase::Sleeping:
  case Phase::Stopped:
  case Phase::Unknown:
    break;
  }
  const auto found = containers.find(record.id);
  const Description *container = found == containers.end() ? nullptr : ownOf(found->second, record);
  if (disagrees(record, container, installId)) queue(std::make_shared<SyncOperation>(shop_, record.handle));
}

std::vector<const Description *> Reconciler::strayOf(const std::string &instanceId, const std::vector<Description> &all,
                                                     const Listing &listing) const {
  const InstancePtr record = shop_.table.findById(instanceId);
  std::vector<const Description *> stray;
  for (const Description &container : all)
    stray.push_back(&container);
  if (!record) return stray;
  const Description *own = ownOf(all, *record);
  // The one that the record means may be as it should be, and so not among these.
  if (own->ref != record->containerId && listing.agreeing.count(record->rev) != 0) return stray;
  std::erase(stray, own);
  return stray;
}

void Reconciler::lookForOrphans(const Listing &listing) {
  std::map<std::string, Orphan> seen;
  std::size_t quarantined = 0;
  const std::size_t most = std::max(kOrphansAtLeast, listing.size / 20);
  for (const auto &[id, all] : listing.notable) {
    for (const Description *container : strayOf(id, all, listing)) {
      // A provision on its way has no record for a moment; its handle is busy then.
      if (!shop_.queue.isIdle(container->label(MOS_LABEL_HANDLE))) continue;
      const auto known = orphans_.find(container->ref);
      Orphan orphan = known == orphans_.end() ? Orphan{std::chrono::steady_clock::now()} : known->second;
      ++orphan.passes;
      orphan.second = shop_.table.findById(id) != nullptr;
      if (orphan.passes == kOrphanPasses) {
        shop_.telemetry.log().warning(orphan.second ? "an instance has a second container"
                                                    : "a container of this installation has no record",
                                      {{"container", container->ref}, {"name", container->name}, {"instance", id}});
      }
      // A restored, older database must not put everybody to rest at once.
      if (quarantined < most && quarantine(*container, orphan)) ++quarantined;
      seen.emplace(container->ref, orphan);
    }
  }
  orphans_ = std::move(seen);
  shop_.telemetry.orphans(orphans_.size());
}

/// Stops an orphan and keeps it, with its data, for people to look at. A second program on a home does harm meanwhile.
bool Reconciler::quarantine(const Description &container, Orphan &orphan) {
  const bool old = orphan.second || std::chrono::steady_clock::now() - orphan.firstSeen >= kOrphanAge;
  if (orphan.passes < kOrphanPasses || !old || !container.isUp()) return false;
  if (orphan.quarantined && !orphan.second) return false;
  try {
    shop_.engine.stop(container.ref, {});
    orphan.quarantined = true;
    shop_.telemetry.log().warning("an orphaned container was stopped and kept", {{"container", container.ref}});
    return true;
  } catch (const Error &e) {
    shop_.telemetry.log().warning("an orphaned container was not stopped",
                                  {{"container", container.ref}, {"error", e.what()}});
    return false;
  }
}

} // namespace matrixos::orchestrator
