/// All parts of the orchestrator, put together.
#pragma once

#include "ContainerRoutes.h"
#include "Engine.h"
#include "EngineWatch.h"
#include "ImagePuller.h"
#include "InstanceOrchestrator.h"
#include "InstanceStore.h"
#include "InstanceTable.h"
#include "Ledger.h"
#include "OperationQueue.h"
#include "PortAllocator.h"
#include "Reconciler.h"
#include "Settings.h"
#include "Strand.h"
#include "Telemetry.h"
#include "TokenIdentity.h"
#include "TrashBin.h"
#include "TrashRoutes.h"

#include <matrixos/runtime.hpp>

#include <memory>
#include <optional>

namespace matrixos::orchestrator {

/// The orchestrator of one daemon: takes the host's database, executor and clock, and the runtime that carries the
/// instances. Constructing it does no I/O. Members are ordered so that each outlives those that use it.
class Service {
public:
  Service(const mos_host_v1 *host, RuntimeClient runtime, Settings settings);
  Service(const Service &) = delete;
  Service &operator=(const Service &) = delete;
  ~Service() { stop(); }

  /// Migrates, loads the records, registers the routes, begins to reconcile. Throws Error; the engine may be away.
  void start();
  /// Drains within drain_timeout, then cancels what still runs. What was begun is taken up at the next start.
  /// Idempotent. False when an operation would not end.
  bool stop() noexcept;
  void reconfigure(Settings settings);

  InstanceOrchestrator &orchestrator() noexcept { return orchestrator_; }
  const mos_identity_v1 *identity() const noexcept { return identity_.table(); }
  const InstanceStore &store() const noexcept { return store_; }
  /// One comparison of records and engine, now, on this thread.
  void reconcile() noexcept { reconciler_->passAfresh(); }
  /// Removes what has been in the trash for too long, now, on this thread.
  void expireTrash() noexcept { trash_.expire(); }
  /// Operations that wait or run.
  std::size_t pending() const { return queue_.size(); }

private:
  void schedule();
  void requestReconcile();
  void showState() noexcept;
  void flushActivity() noexcept;

  SettingsCell settings_;
  Telemetry telemetry_;
  Executor executor_;
  Timers timers_;
  InstanceStore store_;
  Strand strand_;
  InstanceTable table_;
  Ledger ledger_;
  PortAllocator ports_;
  Engine engine_;
  ImagePuller puller_;
  OperationQueue queue_;
  Workshop workshop_;
  std::shared_ptr<Reconciler> reconciler_; ///< shared with a pass that may still wait for a thread
  InstanceOrchestrator orchestrator_;
  TokenIdentity identity_;
  ContainerRoutes routes_;
  TrashBin trash_;
  TrashRoutes trashRoutes_;
  std::optional<EngineWatch> watch_;
  bool stopped_ = false;
};

} // namespace matrixos::orchestrator
