#include "SimulatedEngine.h"

#include "Glob.h"
#include "Random.h"

#include <matrixos/abi/runtime.h>
#include <matrixos/json_text.hpp>
#include <matrixos/names.hpp>
#include <matrixos/text/hex.hpp>

#include <algorithm>

namespace matrixos::simulated {

namespace {

constexpr std::int32_t kKilled = 137; // 128 + SIGKILL
/// A journal with no more than this beside what counts is not worth writing anew.
constexpr std::size_t kSpareRecords = 1000;

std::uint64_t hashOf(std::string_view operationId) {
  return operationId.empty() ? 0 : stableHash(operationId);
}

Error noContainer(std::string_view ref) {
  return Error(Status::NotFound, "the engine has no container " + std::string(ref), "CONTAINER_NOT_FOUND");
}

Error notRunning(const Container &container) {
  return Error(Status::FailedPrecondition,
               container.name + " does not run (" +
                   std::string(kStateNames[static_cast<std::size_t>(container.life.state)]) + "); start it first",
               "NOT_RUNNING");
}

} // namespace

SimulatedEngine::SimulatedEngine(EngineOptions options, EngineClock &clock)
    : options_(std::move(options)), clock_(clock), state_(options_.seed), addresses_(options_.addresses) {
  if (!options_.stateDir.empty()) load();
  for (const std::string &image : options_.images) {
    if (!findImage(image)) addImage(image, digestOf(image));
  }
}

void SimulatedEngine::load() {
  std::size_t records = 0;
  journal_.open(options_.stateDir, [&](std::string_view record) {
    ++records;
    state_.replay(record);
  });
  for (const auto &[serial, container] : state_.containers.all()) {
    if (!container.life.isUp()) continue;
    addresses_.mark(container.life.address);
    for (const std::uint16_t port : container.hostPorts)
      boundPorts_[port] = serial;
  }
  clock_.raise(state_.latestMs);
  // A new file gets its seed this way; one that is mostly history gets short.
  if (records == 0 || records > 2 * state_.recordCount() + kSpareRecords) {
    journal_.rewrite([this](const Journal::Record &record) { state_.save(record); });
  }
}

// ---- what all changes go through

void SimulatedEngine::change(Container &container, const Life &life) {
  write({EngineState::lifeRecord(container, life)});
  state_.setLife(container, life);
  if (journal_.isLong()) journal_.rewrite([this](const Journal::Record &record) { state_.save(record); });
}

void SimulatedEngine::tell(std::string_view type, const Container &container, std::int32_t exitCode) {
  hub_.publish({type, refOf(state_.seed, container.serial), container.name, clock_.nowMs(), exitCode, container.serial},
               container);
}

Container *SimulatedEngine::find(std::string_view ref) {
  if (const auto serial = serialOf(state_.seed, ref)) {
    if (Container *container = state_.containers.findBySerial(*serial)) return container;
  }
  return state_.containers.findByName(ref);
}

Container &SimulatedEngine::require(std::string_view ref) {
  if (Container *container = find(ref)) return *container;
  throw noContainer(ref);
}

// ---- images

std::optional<std::string> SimulatedEngine::findImage(const std::string &image) const {
  const std::lock_guard lock(mutex_);
  const auto found = state_.images.find(image);
  return found == state_.images.end() ? std::nullopt : std::optional(found->second);
}

std::string SimulatedEngine::digestOf(const std::string &image) const {
  std::uint64_t edition = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found = state_.publications.find(image);
    if (found != state_.publications.end()) edition = found->second;
  }
  std::string digest = "sha256:";
  for (std::uint64_t part = 0; part < 4; ++part)
    appendHex(digest, numberAt(stableHash(image), edition, part), 16);
  return digest;
}

std::string SimulatedEngine::registryDigest(const std::string &image) const {
  const auto fits = [&](const std::string &pattern) { return globMatches(pattern, image); };
  if (!options_.registry.empty() && std::none_of(options_.registry.begin(), options_.registry.end(), fits)) {
    throw Error(Status::NotFound, "no registry has the image " + image + "; it is none of [runtime-simulated] registry",
                MOS_REASON_IMAGE_NOT_FOUND);
  }
  return digestOf(image);
}

void SimulatedEngine::addImage(const std::string &image, const std::string &digest) {
  const std::lock_guard lock(mutex_);
  write({EngineState::imageRecord(image, digest)});
  state_.images[image] = digest;
}

std::string SimulatedEngine::fetchImage(const std::string &image) {
  std::string digest = registryDigest(image);
  addImage(image, digest);
  return digest;
}

void SimulatedEngine::removeImage(const std::string &image) {
  const std::lock_guard lock(mutex_);
  write({EngineState::imageRecord(image, "")});
  state_.images.erase(image);
}

std::string SimulatedEngine::publishImage(const std::string &image) {
  {
    const std::lock_guard lock(mutex_);
    const std::uint64_t count = state_.publications[image] + 1;
    write({EngineState::publicationRecord(image, count)});
    state_.publications[image] = count;
  }
  return digestOf(image);
}

// ---- create

void SimulatedEngine::checkSpec(const Spec &spec) const {
  if (state_.images.count(spec.image) == 0) {
    throw Error(Status::NotFound, "the image " + spec.image + " is not here: pull it first",
                MOS_REASON_IMAGE_NOT_FOUND);
  }
  for (const std::string &volume : spec.volumes) {
    if (state_.volumes.count(volume) != 0) continue;
    throw Error(Status::NotFound, "there is no volume " + volume + ": ensure it first", "VOLUME_NOT_FOUND");
  }
  const bool published =
      std::any_of(spec.ports.begin(), spec.ports.end(), [](const PortSpec &p) { return p.hostPort != 0; });
  if (published && !options_.ports) {
    throw Error(Status::InvalidArgument,
                "instance spec: this engine publishes no host ports; leave hostPort out, or add ports to "
                "[runtime-simulated] features",
                "BAD_SPEC");
  }
}

Shape SimulatedEngine::shapeOf(const Spec &spec) const {
  Shape shape;
  shape.image = spec.image;
  shape.digest = state_.images.at(spec.image);
  shape.memoryBytes = spec.memoryBytes;
  shape.cpus = spec.cpus;
  shape.restart = spec.restart;
  shape.networks = spec.networks;
  std::sort(shape.networks.begin(), shape.networks.end());
  shape.networks.erase(std::unique(shape.networks.begin(), shape.networks.end()), shape.networks.end());
  shape.ports = spec.ports;
  for (PortSpec &port : shape.ports)
    port.hostPort = 0;
  return shape;
}

std::string SimulatedEngine::adopt(const Container &holder, const Spec &spec, std::uint64_t operation) const {
  const auto theirs = [&](const char *key) {
    const std::uint32_t *name = state_.containers.labelNames().find(key);
    return name == nullptr ? std::string_view{} : holder.labels.value(*name);
  };
  const auto same = [&](const char *key) { return !theirs(key).empty() && theirs(key) == spec.label(key); };
  const bool ours = theirs(MOS_LABEL_INSTALL) == spec.label(MOS_LABEL_INSTALL);
  const bool equal =
      same(MOS_LABEL_OPERATION) || same(MOS_LABEL_SPEC_HASH) || (operation != 0 && operation == holder.operation);
  if (ours && equal) return refOf(state_.seed, holder.serial);
  throw Error(Status::AlreadyExists,
              "the engine already has a container named " + spec.name +
                  (ours ? " of another specification" : " of another owner") + ": remove or rename it",
              MOS_REASON_NAME_IN_USE);
}

std::string SimulatedEngine::create(const Spec &spec, std::string_view operationId) {
  const std::lock_guard lock(mutex_);
  if (const Container *holder = state_.containers.findByName(spec.name))
    return adopt(*holder, spec, hashOf(operationId));
  checkSpec(spec);
  Container container;
  container.serial = state_.nextSerial;
  container.name = spec.name;
  container.labels = PackedLabels(spec.labels, state_.containers.labelNames());
  container.shape = &state_.containers.share(shapeOf(spec));
  container.operation = hashOf(operationId);
  container.createdAt = clock_.nowMs();
  for (const PortSpec &port : spec.ports)
    if (port.hostPort != 0 || !container.hostPorts.empty()) {
      container.hostPorts.resize(static_cast<std::size_t>(&port - spec.ports.data()) + 1);
      container.hostPorts.back() = port.hostPort;
    }
  std::vector<std::string> records;
  for (const std::string &network : container.shape->networks) {
    if (state_.networks.count(network) == 0) records.push_back(EngineState::networkRecord(network, true));
  }
  records.push_back(state_.putRecord(container));
  write(records);
  const Container &made = state_.insert(std::move(container));
  tell("created", made);
  return refOf(state_.seed, made.serial);
}

// ---- start, stop, remove

bool SimulatedEngine::isHeldByOthers(std::uint16_t port, const Container &container) const {
  const auto holder = boundPorts_.find(port);
  return port != 0 &&
         (occupied_.count(port) != 0 || (holder != boundPorts_.end() && holder->second != container.serial));
}

void SimulatedEngine::claimPorts(const Container &container) {
  for (const std::uint16_t port : container.hostPorts) {
    if (!isHeldByOthers(port, container)) continue;
    throw Error(Status::Aborted, "the host port " + std::to_string(port) + " of " + container.name + " is occupied",
                MOS_REASON_PORT_IN_USE);
  }
  for (const std::uint16_t port : container.hostPorts)
    if (port != 0) boundPorts_[port] = container.serial;
}

void SimulatedEngine::freePorts(const Container &container) noexcept {
  for (const std::uint16_t port : container.hostPorts) {
    const auto holder = boundPorts_.find(port);
    if (holder != boundPorts_.end() && holder->second == container.serial) boundPorts_.erase(holder);
  }
}

void SimulatedEngine::startLocked(Container &container) {
  claimPorts(container);
  Life life = container.life;
  try {
    life.address = addresses_.take();
    life.state = ContainerState::Running;
    life.health = Health::Own;
    life.oomKilled = false;
    life.exitCode = 0;
    life.startedAt = clock_.nowMs();
    ++life.starts;
    change(container, life);
  } catch (...) {
    if (life.address != container.life.address) addresses_.give(life.address);
    freePorts(container);
    throw;
  }
  tell("started", container);
}

void SimulatedEngine::endLocked(Container &container, std::int32_t exitCode, bool outOfMemory) {
  Life life = container.life;
  life.state = ContainerState::Exited;
  life.exitCode = exitCode;
  life.oomKilled = outOfMemory;
  life.finishedAt = clock_.nowMs();
  life.address = 0;
  const std::uint32_t address = container.life.address;
  change(container, life);
  addresses_.give(address);
  freePorts(container);
  if (outOfMemory) tell("oom", container);
  tell("died", container, exitCode);
}

void SimulatedEngine::resumeLocked(Container &container) {
  Life life = container.life;
  life.state = ContainerState::Running;
  change(container, life);
  tell("unpaused", container);
}

void SimulatedEngine::start(std::string_view ref) {
  const std::lock_guard lock(mutex_);
  Container &container = require(ref);
  if (container.life.state == ContainerState::Running) return;
  if (container.life.state == ContainerState::Paused) return resumeLocked(container);
  startLocked(container);
}

void SimulatedEngine::stop(std::string_view ref, bool killed) {
  const std::lock_guard lock(mutex_);
  Container *container = find(ref);
  if (container == nullptr || !container->life.isUp()) return;
  // What is frozen cannot end in good order.
  if (container->life.state == ContainerState::Paused) resumeLocked(*container);
  endLocked(*container, killed ? kKilled : 0, false);
  tell("stopped", *container, container->life.exitCode);
}

void SimulatedEngine::remove(std::string_view ref, std::uint32_t flags) {
  const std::lock_guard lock(mutex_);
  if (Container *container = find(ref)) {
    if (container->life.isUp()) {
      if ((flags & MOS_REMOVE_FORCE) == 0) {
        throw Error(Status::FailedPrecondition, container->name + " runs: stop it first, or remove it by force",
                    "CONTAINER_RUNNING");
      }
      endLocked(*container, kKilled, false);
    }
    write({EngineState::dropRecord(*container)});
    tell("removed", *container, container->life.exitCode);
    state_.erase(*container);
  }
  if ((flags & MOS_REMOVE_UNUSED_NETWORKS) != 0) removeUnusedNetworks();
}

void SimulatedEngine::removeUnusedNetworks() {
  for (auto at = state_.networks.begin(); at != state_.networks.end();) {
    if (at->second != 0) {
      ++at;
      continue;
    }
    write({EngineState::networkRecord(at->first, false)});
    at = state_.networks.erase(at);
  }
}

void SimulatedEngine::pause(std::string_view ref) {
  const std::lock_guard lock(mutex_);
  Container &container = require(ref);
  if (container.life.state == ContainerState::Paused) return;
  if (container.life.state != ContainerState::Running) throw notRunning(container);
  Life life = container.life;
  life.state = ContainerState::Paused;
  change(container, life);
  tell("paused", container);
}

void SimulatedEngine::unpause(std::string_view ref) {
  const std::lock_guard lock(mutex_);
  Container &container = require(ref);
  if (container.life.state == ContainerState::Running) return;
  if (container.life.state != ContainerState::Paused) throw notRunning(container);
  resumeLocked(container);
}

// ---- volumes

std::pair<std::string, bool> SimulatedEngine::ensureVolume(const std::string &name, const std::string &hostPath,
                                                           std::string_view operationId) {
  const std::string ref = hostPath.empty() ? name : hostPath;
  if (ref.empty() || (!hostPath.empty() && !isPlainPath(hostPath))) {
    throw Error(Status::InvalidArgument,
                "a volume needs a \"name\", and its \"hostPath\" has to be absolute, without \"..\"", "BAD_VOLUME");
  }
  const std::uint64_t operation = hashOf(operationId);
  const std::lock_guard lock(mutex_);
  const auto found = state_.volumes.find(ref);
  // Said again to whoever made it and lost the answer, who would otherwise not know that it is theirs to take back.
  if (found != state_.volumes.end()) return {ref, operation != 0 && found->second.operation == operation};
  const SimulatedVolume volume{state_.nextData, operation};
  write({EngineState::volumeRecord(ref, volume)});
  ++state_.nextData;
  state_.volumes.emplace(ref, volume);
  return {ref, true};
}

void SimulatedEngine::trashVolume(const std::string &volume, const std::string &as) {
  if (!isEngineName(as))
    throw Error(Status::InvalidArgument, "\"" + as + "\" is no name for a copy of a volume", "BAD_VOLUME");
  const std::lock_guard lock(mutex_);
  const auto found = state_.volumes.find(volume);
  if (found == state_.volumes.end()) return;
  std::string name = as;
  for (int again = 2; state_.trash.count(name) != 0; ++again)
    name = as + "." + std::to_string(again);
  const VolumeCopy copy{volume, found->second.data};
  write({EngineState::trashRecord(name, copy), EngineState::volumeGoneRecord(volume)});
  state_.trash.emplace(name, copy);
  state_.volumes.erase(found);
}

void SimulatedEngine::removeVolume(const std::string &volume) {
  const std::lock_guard lock(mutex_);
  const auto found = state_.volumes.find(volume);
  if (found == state_.volumes.end()) return;
  write({EngineState::volumeGoneRecord(volume)});
  state_.volumes.erase(found);
}

void SimulatedEngine::snapshotVolume(const std::string &volume, const std::string &as) {
  if (!isEngineName(as))
    throw Error(Status::InvalidArgument, "\"" + as + "\" is no name for a copy of a volume", "BAD_VOLUME");
  const std::lock_guard lock(mutex_);
  const auto found = state_.volumes.find(volume);
  if (found == state_.volumes.end()) {
    throw Error(Status::NotFound, "there is no volume " + volume + " to copy", "VOLUME_NOT_FOUND");
  }
  if (state_.snapshots.count(as) != 0) return;
  const VolumeCopy copy{volume, found->second.data};
  write({EngineState::snapshotRecord(as, copy)});
  state_.snapshots.emplace(as, copy);
}

// ---- behind the caller's back

void SimulatedEngine::die(std::string_view ref, int exitCode, bool outOfMemory, Again again) {
  const std::lock_guard lock(mutex_);
  Container &container = require(ref);
  if (!container.life.isUp()) throw notRunning(container);
  endLocked(container, exitCode, outOfMemory);
  const Restart policy = container.shape->restart;
  const bool restarts =
      policy == Restart::Always || policy == Restart::UnlessStopped || (policy == Restart::OnFailure && exitCode != 0);
  if (restarts && again == Again::ByPolicy) startLocked(container);
}

void SimulatedEngine::setHealth(std::string_view ref, Health health) {
  const std::lock_guard lock(mutex_);
  Container &container = require(ref);
  if (!container.life.isUp()) throw notRunning(container);
  Life life = container.life;
  life.health = health;
  change(container, life);
}

void SimulatedEngine::occupyPorts(std::set<std::uint16_t> ports) {
  const std::lock_guard lock(mutex_);
  occupied_ = std::move(ports);
}

} // namespace matrixos::simulated
