#include "Service.h"

#include <matrixos/disk_space.hpp>

namespace matrixos::orchestrator {

namespace {
constexpr std::chrono::milliseconds kAfterCancel{5'000};
constexpr std::chrono::milliseconds kAfterConnect{300};
constexpr std::chrono::hours kTrashLook{1};
} // namespace

Service::Service(const mos_host_v1 *host, RuntimeClient runtime, Settings settings)
    : settings_(std::move(settings)), telemetry_(host), executor_(host), timers_(host), store_(Sql(host)),
      table_(strand_), ledger_(store_, table_, telemetry_.log()),
      ports_(settings_.get()->gatewayBasePort, settings_.get()->shellBasePort, settings_.get()->portsPerRange,
             settings_.get()->listenerPorts),
      engine_(runtime, settings_, telemetry_), puller_(executor_, engine_, settings_),
      queue_(executor_, strand_, settings_, telemetry_), workshop_{settings_, store_,  table_, ledger_,   ports_,
                                                                   engine_,   puller_, queue_, telemetry_},
      reconciler_(std::make_shared<Reconciler>(workshop_)), orchestrator_(host, workshop_), identity_(orchestrator_),
      routes_(host, orchestrator_), trash_(workshop_), trashRoutes_(host, workshop_, trash_) {}

void Service::start() {
  store_.migrate();
  table_.load(store_);
  ports_.markTaken(store_.portsOf(settings_.get()->node));
  showState();
  routes_.publish();
  trashRoutes_.publish();
  schedule();
  watch_.emplace(workshop_, [this] { requestReconcile(); });
}

void Service::schedule() {
  const auto settings = settings_.get();
  timers_.every(settings->reconcileInterval, [this] { reconciler_->pass(); });
  timers_.every(settings->activityFlushInterval, [this] { flushActivity(); });
  timers_.every(kTrashLook, [this] { trash_.expire(); });
}

void Service::requestReconcile() {
  // A moment later, so that the stream of events has begun when the list is made.
  strand_.postAt(Strand::Clock::now() + kAfterConnect, [this] {
    try {
      executor_.submit([weak = std::weak_ptr(reconciler_)] {
        if (const auto reconciler = weak.lock()) reconciler->passAfresh();
      });
    } catch (const Error &) { // the periodic pass comes anyway
    }
  });
}

/// What operators see of the state of things.
void Service::showState() noexcept {
  telemetry_.instances(table_.counts());
  if (const auto bytes = freeDiskBytes(settings_.get()->usersDir)) telemetry_.usersDirFree(*bytes);
}

void Service::flushActivity() noexcept {
  mos_error failure{};
  if (guarded(&failure, [&] { orchestrator_.flushActivity(); }) != MOS_OK) {
    telemetry_.log().warning("last activity was not written; it is tried again", {{"error", failure.message}});
  }
  showState();
}

void Service::reconfigure(Settings settings) {
  const auto current = settings_.get();
  settings.runtime = current->runtime; // the records' containers, ports and folders are where they are
  settings.usersDir = current->usersDir;
  settings_.set(std::move(settings));
  timers_.cancelAll();
  schedule();
}

bool Service::stop() noexcept {
  if (stopped_) return true;
  stopped_ = true;
  queue_.close();
  bool drained = queue_.waitIdle(settings_.get()->drainTimeout);
  engine_.cancelAll();
  if (!drained) drained = queue_.waitIdle(kAfterCancel);
  drained = puller_.waitIdle(kAfterCancel) && drained;
  reconciler_->close();
  timers_.cancelAll();
  if (watch_) watch_->stop();
  flushActivity();
  strand_.stop();
  return drained;
}

} // namespace matrixos::orchestrator
