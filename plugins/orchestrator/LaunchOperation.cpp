#include "LaunchOperation.h"

#include "ContainerSpec.h"
#include "Containers.h"
#include "Ends.h"
#include "Engine.h"
#include "Homes.h"
#include "ImagePuller.h"
#include "InstanceStore.h"
#include "InstanceTable.h"
#include "InstanceToken.h"
#include "Ledger.h"
#include "OperationQueue.h"
#include "PortAllocator.h"
#include "Settings.h"
#include "Telemetry.h"

#include <matrixos/failpoint.hpp>
#include <matrixos/json_text.hpp>
#include <matrixos/text/time.hpp>
#include <matrixos/ulid.hpp>

#include <algorithm>

namespace matrixos::orchestrator {

namespace {

constexpr int kMaxRounds = 6;
constexpr const char *kExitedAtStart = "EXITED_AT_START"; ///< as runtimes say it, too

/// How often other host ports are tried. The first conflicts step to the next port, later ones skip one port more each
/// time, so that this many get past hundreds of ports that another program holds.
constexpr int kMaxPortMoves = 64;
constexpr int kSingleSteps = 4;

} // namespace

Operation::State LaunchOperation::advance() {
  try {
    if (!begun_ && begin()) return State::Finished;
    if (!begun_) first_ = !record_->onceRan();
    begun_ = true;
    return runSteps();
  } catch (const Error &e) {
    if (begun_) fail(e);
    throw;
  }
}

bool LaunchOperation::serves(const Operation &other) const {
  if (kind() != other.kind()) return false;
  return kind() != Kind::Provision || clerkUserId_ == static_cast<const LaunchOperation &>(other).clerkUserId_;
}

// ---- beginnings

bool LaunchOperation::begin() {
  record_ = shop_.table.find(handle());
  return kind() == Kind::Provision ? beginProvision() : beginStart();
}

bool LaunchOperation::beginProvision() {
  if (record_ && record_->clerkUserId != clerkUserId_) {
    throw Error(Status::AlreadyExists, "the handle \"" + handle() + "\" is taken", "HANDLE_TAKEN");
  }
  if (record_ && record_->phase == Phase::Deleting) {
    if (record_->step != Step::Undo) {
      throw Error(Status::Unavailable, "the previous instance of \"" + handle() + "\" is still being deleted",
                  "DELETING", 5000);
    }
    undo(record_->lastError);
  }
  if (!record_) {
    insertRecord();
    return false;
  }
  if (record_->onceRan()) {
    result.json = shop_.table.view(handle())->json();
    return true;
  }
  return false; // a half-done one goes on from its step
}

void LaunchOperation::insertRecord() {
  if (const InstancePtr other = shop_.table.findByUser(clerkUserId_)) {
    throw Error(Status::AlreadyExists, "the user already has the instance \"" + other->handle + "\"", "USER_TAKEN");
  }
  const auto stone = shop_.store.findTombstone(handle());
  if (stone && stone->clerkUserId != clerkUserId_ && stone->expiresAt > wallClockMs()) {
    throw Error(Status::AlreadyExists,
                "the handle \"" + handle() + "\" was given up lately and is kept for its last owner until " +
                    formatTime(stone->expiresAt),
                "HANDLE_RESERVED");
  }
  const auto settings = shop_.settings.get();
  Capabilities capabilities;
  try {
    capabilities = shop_.engine.capabilities();
  } catch (const Error &e) {
    throw unavailable(e);
  }
  Instance fresh;
  fresh.id = makeUlid();
  fresh.handle = handle();
  fresh.clerkUserId = clerkUserId_;
  fresh.phase = Phase::Pending;
  fresh.step = capabilities.volumes ? Step::Volume : Step::Image;
  fresh.runtime = settings->runtime;
  fresh.node = settings->node;
  fresh.image = settings->image;
  fresh.operationId = makeUlid();
  fresh.createdAt = fresh.lastActive = wallClockMs();
  if (!capabilities.publishesPorts) return commitNew(std::move(fresh));

  for (bool again = true;;) {
    const PortPair ports = shop_.ports.take();
    fresh.port = ports.gateway;
    fresh.shellPort = ports.shell;
    try {
      return commitNew(fresh);
    } catch (const Error &e) {
      shop_.ports.release(ports);
      if (e.status() != Status::AlreadyExists || !again) throw;
      // Handle, user or a port is in the database already: know its ports, and look once more.
      again = false;
      shop_.ports.markTaken(shop_.store.portsOf(settings->node));
    }
  }
}

void LaunchOperation::commitNew(Instance fresh) {
  try {
    MATRIXOS_FAILPOINT("provision.before_tx");
    record_ = shop_.ledger.insert(std::move(fresh)).record;
    MATRIXOS_FAILPOINT("provision.committed");
    result.created = true;
  } catch (const Error &e) {
    if (e.status() == Status::AlreadyExists) {
      throw Error(Status::AlreadyExists, "the handle \"" + handle() + "\" or its user already has an instance",
                  "TAKEN");
    }
    throw unavailable(e);
  }
}

bool LaunchOperation::beginStart() {
  if (!record_) throw Error(Status::NotFound, "there is no instance \"" + handle() + "\"", "NO_INSTANCE");
  if (!record_->onceRan() && record_->step == Step::Undo) {
    const std::string reason = record_->lastError;
    undo(reason);
    throw Error(Status::Unavailable, reason, "PROVISION_FAILED");
  }
  if (record_->phase == Phase::Deleting) {
    throw Error(Status::Aborted, "the instance \"" + handle() + "\" is being deleted", "DELETING");
  }
  if (!record_->onceRan()) return false; // half-way through its first provision: it goes on
  if (record_->phase == Phase::Running && isUp()) return true;

  Instance next = *record_;
  next.phase = Phase::Starting;
  next.desired = Desired::Running;
  next.operationId = makeUlid();
  // One that has no token, or not the record's, is made anew, but never while it runs.
  const bool cold = cold_ || record_->phase == Phase::Stopped || record_->phase == Phase::Failed;
  const bool anew = next.containerId.empty() || (next.tokenHash.empty() && cold);
  next.step = anew ? Step::Volume : Step::Start;
  if (anew) ++next.generation;
  next.endpoints.clear();
  if (record_->phase == Phase::Failed) next.lastEnd.times = 0; // a row of ends that was given up begins anew
  thaw_ = thaw_ || record_->phase == Phase::Sleeping;
  try {
    update(std::move(next));
  } catch (const Error &e) {
    throw unavailable(e);
  }
  return false;
}

/// Asks the engine whether what the record calls running still does, and can be reached; notes fresh endpoints. Ends
/// that the engine has made good for are left for a look of their own to count.
bool LaunchOperation::isUp() {
  std::optional<Description> container;
  try {
    container = shop_.engine.inspect(record_->containerId);
  } catch (const Error &e) {
    throw unavailable(e);
  }
  thaw_ = container && container->state == "paused";
  cold_ = container && !container->isUp();
  if (!container || (container->state != "running" && container->state != "restarting")) return false;
  if (container->state == "running" && container->endpoints.empty()) return false;
  if (container->state == "running" && container->endpoints != record_->endpoints) {
    Instance next = *record_;
    next.endpoints = container->endpoints;
    record_ = shop_.ledger.refresh(std::move(next)).record;
  }
  result.json = shop_.table.view(handle())->json();
  return true;
}

// ---- steps

Operation::State LaunchOperation::runSteps() {
  for (;;) {
    switch (record_->step) {
    case Step::Volume:
      ensureVolume();
      break;
    case Step::Image:
      if (!ensureImage()) return State::Parked;
      break;
    case Step::Create:
      createContainer();
      break;
    case Step::Start:
      if (startContainer()) return State::Finished;
      break;
    case Step::Undo:
    case Step::None:
      throw Error(Status::Internal, "the record of \"" + handle() + "\" names no step of a launch");
    }
  }
}

void LaunchOperation::ensureVolume() {
  Instance next = *record_;
  if (shop_.engine.capabilities().volumes) {
    progress("volume");
    const Engine::Volume volume = ensureHome(shop_, *record_, {}, effectId("volume"));
    MATRIXOS_FAILPOINT("provision.dir_made");
    next.volume = volume.ref;
    if (!record_->onceRan()) next.volumeCreated = record_->volumeCreated || volume.created;
  }
  next.step = Step::Image;
  if (!record_->onceRan()) next.phase = Phase::Provisioning;
  update(std::move(next));
}

bool LaunchOperation::ensureImage() {
  if (isAbandoned()) throw Error(Status::Aborted, "the instance was deleted meanwhile", "DELETED");
  if (!pulled_) {
    progress("pull");
    auto self = std::static_pointer_cast<LaunchOperation>(shared_from_this());
    shop_.puller.ensure(
        record_->image,
        [&table = shop_.table, &telemetry = shop_.telemetry, id = record_->id,
         handle = handle()](const Progress &progress) {
          table.setProgress(handle, progress);
          JsonObject event;
          event.add("handle", handle).add("id", id).add("phase", progress.phase);
          event.add("current", progress.current).add("total", progress.total);
          telemetry.publish("instance.progress", std::move(event).str());
        },
        [self](const std::string &digest, const Error *error) {
          self->pulled_ = true;
          self->digest_ = digest;
          if (error != nullptr) self->pullError_ = *error;
          self->shop_.queue.resume(self);
        });
    return false;
  }
  pulled_ = false;
  if (pullError_) throw *std::exchange(pullError_, std::nullopt);
  MATRIXOS_FAILPOINT("provision.pulled");
  Instance next = *record_;
  if (!digest_.empty()) next.imageDigest = digest_;
  next.step = Step::Create;
  update(std::move(next));
  return true;
}

void LaunchOperation::createContainer() {
  if (++rounds_ > kMaxRounds) {
    throw Error(Status::Unavailable, "no container could be kept after " + std::to_string(kMaxRounds) + " tries",
                "GAVE_UP");
  }
  progress("create");
  if (!record_->containerId.empty()) shop_.engine.remove(record_->containerId, effectId("replace"));
  std::string ref = adoptOrStop(shop_, *record_, ContainerSpec::make(*record_, *shop_.settings.get()));
  if (ref.empty()) ref = makeContainer();
  MATRIXOS_FAILPOINT("provision.created_uncommitted");
  Instance next = *record_;
  next.containerId = ref;
  next.step = Step::Start;
  if (!next.onceRan()) next.phase = Phase::Created;
  update(std::move(next));
}

/// With a token of its own, whose hash is committed first; the token itself is nowhere but in the call. A container of
/// an earlier try that turns up only now has another one, and so does not pass for this: not by its label, and not by
/// the operation, which is a new one.
std::string LaunchOperation::makeContainer() {
  const InstanceToken token = InstanceToken::make();
  Instance next = *record_;
  next.tokenHash = token.hash;
  next.containerId.clear();
  next.operationId = makeUlid();
  const ContainerSpec spec = ContainerSpec::make(next, *shop_.settings.get(), token.text);
  next.specHash = spec.hash;
  update(std::move(next));
  MATRIXOS_FAILPOINT("provision.create_before");
  try {
    return shop_.engine.create(spec.json, effectId("create"));
  } catch (const Error &e) {
    if (e.reason() != MOS_REASON_NAME_IN_USE) throw;
    replaceNamesake(shop_, *record_, effectId("namesake"));
    return shop_.engine.create(spec.json, effectId("create-again"));
  }
}

/// False: what it was to start is not there, or not so; the record says how to go on.
bool LaunchOperation::startContainer() {
  progress("start");
  if (record_->onceRan() && !record_->volume.empty()) ensureHome(shop_, *record_, record_->volume, effectId("home"));
  MATRIXOS_FAILPOINT("provision.start_before");
  std::optional<Description> container;
  try {
    if (std::exchange(thaw_, false)) {
      shop_.engine.unpause(record_->containerId, effectId("thaw"));
      container = shop_.engine.inspect(record_->containerId);
    } else {
      container = shop_.engine.start(record_->containerId, effectId("start"));
    }
  } catch (const Error &e) {
    if (e.status() == Status::NotFound)
      containerGone();
    else if (e.reason() == MOS_REASON_PORT_IN_USE && record_->port != 0)
      movePorts(e);
    else
      throw;
    return false;
  }
  MATRIXOS_FAILPOINT("provision.started_uncommitted");
  if (!container) {
    containerGone();
    return false;
  }
  if (container->state != "running") {
    throw Error(Status::FailedPrecondition, endText({container->exitCode, container->oomKilled, 1, 0}), kExitedAtStart);
  }

  Instance next = *record_;
  next.phase = Phase::Running;
  next.desired = Desired::Running;
  next.step = Step::None;
  next.observedGeneration = next.generation;
  next.retryAt = next.failures = 0;
  next.lastError.clear();
  if (!container->imageDigest.empty()) next.imageDigest = container->imageDigest;
  if (!next.onceRan()) next.provisionedAt = wallClockMs();
  noteRun(next, *container);
  MATRIXOS_FAILPOINT("provision.health_uncommitted");
  // Before it is published, so that what watchers are told is the answer, too.
  shop_.table.clearProgress(handle());
  shop_.table.recordActivity(handle(), wallClockMs(), 1); // idleness counts from here, not from before the sleep
  result.json = update(std::move(next)).json();
  announce();
  return true;
}

void LaunchOperation::announce() {
  shop_.telemetry.publish(first_ ? "instance.provisioned" : "instance.started", result.json);
  shop_.telemetry.log().info(first_ ? "instance provisioned" : "instance started",
                             {{"handle", handle()}, {"container", record_->containerId}});
}

void LaunchOperation::containerGone() {
  Instance next = *record_;
  next.containerId.clear();
  next.step = Step::Volume;
  next.operationId = makeUlid(); // a new container, so a new identity for its effects
  ++next.generation;
  update(std::move(next));
}

/// Whoever holds many ports mostly holds neighbours.
void LaunchOperation::skipPorts(int from, int conflicts) {
  const int count = std::max(1, conflicts - kSingleSteps);
  for (int port = from; port < from + count; ++port)
    shop_.ports.block(port);
}

/// Takes other host ports in place of those that a stranger listens on, and has the container made anew.
void LaunchOperation::movePorts(const Error &conflict) {
  const auto container = shop_.engine.inspect(record_->containerId);
  const std::vector<int> occupied = container ? container->occupiedPorts : std::vector<int>{};
  const bool gatewayHeld = std::count(occupied.begin(), occupied.end(), record_->port) != 0;
  const bool shellHeld = std::count(occupied.begin(), occupied.end(), record_->shellPort) != 0;
  const bool moveGateway = gatewayHeld || !shellHeld; // both, where the runtime does not tell
  const bool moveShell = shellHeld || !gatewayHeld;
  const PortPair old{moveGateway ? record_->port : 0, moveShell ? record_->shellPort : 0};
  if (++portMoves_ > kMaxPortMoves) {
    throw Error(Status::ResourceExhausted,
                "other programs listen on all host ports that were tried; set [orchestrator] gateway_base_port and "
                "shell_base_port to free ranges (" +
                    std::string(conflict.what()) + ")",
                "PORTS_IN_USE");
  }
  --rounds_; // the ports were at fault, not the container
  if (moveGateway) skipPorts(record_->port, ++gatewayMoves_);
  if (moveShell) skipPorts(record_->shellPort, ++shellMoves_);
  const PortPair taken = shop_.ports.take();
  const PortPair spare{moveGateway ? 0 : taken.gateway, moveShell ? 0 : taken.shell};

  Instance next = *record_;
  if (moveGateway) next.port = taken.gateway;
  if (moveShell) next.shellPort = taken.shell;
  next.step = Step::Create;
  next.operationId = makeUlid();
  ++next.generation;
  try {
    record_ = shop_.ledger.updatePorts(*record_, std::move(next)).record;
  } catch (...) {
    shop_.ports.release(taken);
    throw;
  }
  shop_.ports.release(spare);
  for (const int port : {old.gateway, old.shell}) {
    if (port == 0) continue;
    shop_.ports.release(port);
  }
  shop_.telemetry.log().warning("a host port is in use by somebody else; took another",
                                {{"handle", handle()}, {"error", conflict.what()}});
}

// ---- failures

void LaunchOperation::fail(const Error &error) {
  shop_.table.clearProgress(handle());
  if (shop_.engine.isCancelled()) { // the daemon stops: the record says where to go on
    throw Error(Status::Unavailable, "the platform is stopping; the operation goes on when it is back", "STOPPING");
  }
  shop_.telemetry.log().warning("launch failed", {{"handle", handle()},
                                                  {"step", std::string(wordOf(record_->step))},
                                                  {"status", statusName(error.status())},
                                                  {"error", error.what()}});
  if (!record_->onceRan()) {
    undo(error.what());
    throw unavailable(error);
  }
  Instance next = *record_;
  next.phase = Phase::Failed;
  next.lastError = error.what();
  ++next.failures;
  if (error.reason() == kExitedAtStart) noteEndAtStart(next);
  const auto settings = shop_.settings.get();
  const auto doublings = std::min<std::int64_t>(next.failures - 1, 20);
  const std::int64_t wait = std::min(settings->retryBase.count() << doublings, settings->retryMax.count());
  next.retryAt = wallClockMs() + wait;
  std::string json;
  try {
    json = update(std::move(next)).json();
  } catch (const Error &e) {
    shop_.telemetry.log().error("a failed start was not recorded", {{"handle", handle()}, {"error", e.what()}});
    json = shop_.table.view(handle())->json();
  }
  shop_.telemetry.publish("instance.failed", json);
  throw Error(Status::Unavailable, error.what(), error.reason(), wait);
}

/// It ended right after its start: the engine must not start it again and again, and how it ended is kept.
void LaunchOperation::noteEndAtStart(Instance &next) {
  try {
    const auto container = shop_.engine.inspect(next.containerId);
    if (!container || container->state == "running") return;
    next.lastEnd = endAtStart(next.lastEnd, *container);
    shop_.telemetry.ended(next.lastEnd.oomKilled, 1);
    if (container->isUp()) shop_.engine.stop(container->ref, effectId("stop"));
  } catch (const Error &e) {
    shop_.telemetry.log().warning("what ended at its start was not looked at",
                                  {{"handle", handle()}, {"error", e.what()}});
  }
}

/// Takes a first provision back: container, networks, the volume, then the row with its ports. What fails stays
/// recorded as Undo, for the reconciler. Leaves record_ null when all is gone.
void LaunchOperation::undo(const std::string &reason) {
  const bool reachedEngine = (record_->step != Step::Volume && record_->step != Step::Image) || record_->generation > 1;
  if (record_->step != Step::Undo) {
    Instance next = *record_;
    next.phase = Phase::Deleting;
    next.desired = Desired::Deleted;
    next.step = Step::Undo;
    next.lastError = reason;
    try {
      update(std::move(next));
    } catch (const Error &e) {
      // The row still names the step that failed: after a crash it is tried again, which is as good an end.
      shop_.telemetry.log().error("a failed provision was not recorded", {{"handle", handle()}, {"error", e.what()}});
    }
  }
  MATRIXOS_FAILPOINT("undo.recorded");
  try {
    if (reachedEngine) removeContainers(shop_, *record_, effectId("undo"));
    MATRIXOS_FAILPOINT("undo.container_gone");
    if (record_->volumeCreated && !shop_.engine.removeEmptyVolume(record_->volume, effectId("volume")))
      shop_.engine.trashVolume(record_->volume, record_->id, effectId("trash"));
    MATRIXOS_FAILPOINT("undo.final");
    shop_.ledger.remove(*record_, false);
  } catch (const Error &e) {
    shop_.telemetry.log().error("a failed provision is not undone yet", {{"handle", handle()}, {"error", e.what()}});
    throw Error(Status::Unavailable, reason + " (and it could not be undone yet: " + e.what() + ")", e.reason(), 5000);
  }
  shop_.ports.release({record_->port, record_->shellPort});
  record_ = nullptr;
  result.created = false;
}

Published LaunchOperation::update(Instance next) {
  try {
    Published published = shop_.ledger.update(*record_, std::move(next));
    record_ = published.record;
    return published;
  } catch (const Error &e) {
    if (e.status() == Status::Aborted) {
      if (const InstancePtr current = shop_.table.find(handle())) record_ = current;
    }
    throw;
  }
}

} // namespace matrixos::orchestrator
