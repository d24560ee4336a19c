/// SimulatedEngine, continued: what it tells of its containers.
#include "Random.h"
#include "SimulatedEngine.h"

#include <matrixos/json_text.hpp>

#include <algorithm>

namespace matrixos::simulated {

namespace {

/// Containers that are described under one hold of the lock.
constexpr std::size_t kPage = 256;

std::string logLine(std::string_view stream, std::int64_t timeMs, std::string_view text) {
  JsonObject line(64 + text.size());
  line.add("stream", stream).add("time", timeMs).add("line", text);
  return std::move(line).str();
}

std::string endpoint(const PortSpec &port, std::string_view address, std::int64_t number, std::string_view scope,
                     std::string_view epoch) {
  JsonObject object(128);
  object.add("name", port.name).add("address", address).add("port", number).add("scope", scope).add("epoch", epoch);
  return std::move(object).str();
}

} // namespace

std::string SimulatedEngine::capabilities() const {
  JsonObject object;
  object.add("engine", "simulated").add("engineVersion", "1.0.0").add("publishesPorts", options_.ports);
  object.add("pause", options_.pause).add("volumes", options_.volumes).add("stats", options_.stats);
  object.add("isolation", "simulated");
  return std::move(object).str();
}

std::string_view SimulatedEngine::healthOf(const Container &container) const {
  const Life &life = container.life;
  if (!life.isUp()) return "none";
  if (life.health == Health::Healthy) return "healthy";
  if (life.health == Health::Unhealthy) return "unhealthy";
  if (!options_.health) return "none";
  return clock_.nowMs() - life.startedAt < options_.healthDelay.count() ? "starting" : "healthy";
}

std::string SimulatedEngine::endpointsOf(const Container &container) const {
  JsonArray list;
  if (!container.life.isUp()) return std::move(list).str();
  const std::string epoch = refOf(state_.seed, container.serial) + "@" + std::to_string(container.life.starts);
  const std::vector<PortSpec> &ports = container.shape->ports;
  if (!options_.backend.empty()) {
    const std::size_t colon = options_.backend.rfind(':');
    const std::int64_t port = std::strtol(options_.backend.c_str() + colon + 1, nullptr, 10);
    for (const PortSpec &spec : ports)
      list.add(endpoint(spec, std::string_view(options_.backend).substr(0, colon), port, "host", epoch));
    return std::move(list).str();
  }
  const std::string address = AddressPool::text(container.life.address);
  for (const PortSpec &spec : ports)
    list.add(endpoint(spec, address, spec.containerPort, "bridge", epoch));
  for (std::size_t i = 0; i < container.hostPorts.size(); ++i) {
    if (container.hostPorts[i] != 0)
      list.add(endpoint(ports[i], ports[i].hostAddress, container.hostPorts[i], "host", epoch));
  }
  return std::move(list).str();
}

std::string SimulatedEngine::describe(const Container &container) const {
  const Life &life = container.life;
  JsonObject labels(320);
  container.labels.each([&](std::uint32_t name, std::string_view value) {
    labels.add(state_.containers.labelNames().name(name), value);
  });
  JsonObject object(1024);
  object.add("ref", refOf(state_.seed, container.serial)).add("name", container.name);
  object.add("state", kStateNames[static_cast<std::size_t>(life.state)]);
  object.add("image", container.shape->image).add("imageDigest", container.shape->digest);
  object.addRaw("labels", std::move(labels).str());
  object.add("createdAt", container.createdAt).add("startedAt", life.startedAt);
  object.add("exitCode", life.exitCode).add("oomKilled", life.oomKilled).add("error", "");
  object.add("health", healthOf(container)).addRaw("endpoints", endpointsOf(container));
  if (!life.isUp() && !container.hostPorts.empty()) {
    JsonArray occupied;
    for (const std::uint16_t port : container.hostPorts) {
      if (isHeldByOthers(port, container)) occupied.add(std::to_string(port));
    }
    object.addRaw("occupiedPorts", std::move(occupied).str());
  }
  return std::move(object).str();
}

std::string SimulatedEngine::inspect(std::string_view ref) {
  const std::lock_guard lock(mutex_);
  return describe(require(ref));
}

std::string SimulatedEngine::endpoints(std::string_view ref) {
  const std::lock_guard lock(mutex_);
  return endpointsOf(require(ref));
}

void SimulatedEngine::list(const Labels &labels, const ItemFn &item, std::size_t limit) {
  std::vector<std::string> descriptions;
  for (std::uint64_t after = 0; limit > 0;) {
    descriptions.clear();
    {
      const std::lock_guard lock(mutex_);
      const LabelFilter filter = state_.containers.filter(labels);
      for (const Container *container : state_.containers.page(filter, after, std::min(kPage, limit))) {
        descriptions.push_back(describe(*container));
        after = container->serial;
      }
    }
    if (descriptions.empty()) return;
    limit -= descriptions.size();
    for (const std::string &description : descriptions) {
      if (!item(description)) return;
    }
  }
}

std::size_t SimulatedEngine::count(const Labels &labels) {
  const std::lock_guard lock(mutex_);
  return state_.containers.page(state_.containers.filter(labels), 0, SIZE_MAX).size();
}

std::uint64_t SimulatedEngine::identity(const Container &container) const noexcept {
  return numberAt(state_.seed, container.serial, container.life.starts);
}

/// Figures that look like an instance at rest and depend on who it is and how long it runs.
std::string SimulatedEngine::stats(std::string_view ref) {
  const std::lock_guard lock(mutex_);
  const Container &container = require(ref);
  const bool up = container.life.isUp();
  const std::int64_t ranMs = up ? std::max<std::int64_t>(0, clock_.nowMs() - container.life.startedAt) : 0;
  const std::int64_t limit = container.shape->memoryBytes;
  const std::int64_t ceiling = limit > 0 ? limit : std::int64_t{512} << 20U;
  const auto share = static_cast<std::int64_t>(identity(container) % 256);
  JsonObject object;
  object.add("cpuNanos", ranMs * (5'000 + share * 100));
  object.add("memoryBytes", up ? ceiling / 4 + ceiling / 1024 * share : std::int64_t{0});
  object.add("memoryLimitBytes", limit).add("pids", up ? 2 + share % 16 : std::int64_t{0});
  object.add("networkRxBytes", ranMs * 20).add("networkTxBytes", ranMs * 50);
  return std::move(object).str();
}

// ---- logs and events

std::vector<std::string> SimulatedEngine::startLines(const Container &container) const {
  const Life &life = container.life;
  std::vector<std::string> lines;
  lines.push_back(logLine("stdout", life.startedAt,
                          container.name + ": start " + std::to_string(life.starts) + " of " + container.shape->image));
  for (const PortSpec &port : container.shape->ports) {
    lines.push_back(logLine("stdout", life.startedAt, port.name + " listens on " + std::to_string(port.containerPort)));
  }
  return lines;
}

std::vector<std::string> SimulatedEngine::endLines(const Container &container) const {
  const Life &life = container.life;
  std::string why = life.oomKilled ? "killed: out of memory" : "ended with exit code " + std::to_string(life.exitCode);
  return {logLine("stderr", life.finishedAt, std::move(why))};
}

void SimulatedEngine::logs(const Call &call, std::string_view ref, std::int64_t tail, bool follow, const ItemFn &line) {
  std::unique_ptr<EventBroadcaster::Stream> stream;
  std::vector<std::string> lines;
  std::uint64_t serial = 0, known = 0;
  {
    const std::lock_guard lock(mutex_);
    const Container &container = require(ref);
    serial = container.serial;
    if (container.life.starts > 0) lines = startLines(container);
    if (container.life.starts > 0 && !container.life.isUp()) {
      for (std::string &last : endLines(container))
        lines.push_back(std::move(last));
    }
    if (follow && container.life.isUp()) stream = hub_.listen({}, serial);
    known = hub_.lastSequence();
  }
  std::size_t at = tail < 0 ? 0 : lines.size() - std::min(lines.size(), static_cast<std::size_t>(tail));
  for (; at < lines.size(); ++at) {
    if (!line(lines[at])) return;
  }
  while (stream) {
    for (const SimulatedEvent &event : stream->next(call, clock_.shutdownFd())) {
      if (event.sequence <= known || (event.type != "died" && event.type != "removed")) continue;
      if (event.type == "died")
        line(logLine("stderr", event.timeMs, "ended with exit code " + std::to_string(event.exitCode)));
      return;
    }
  }
}

void SimulatedEngine::events(const Call &call, const Labels &labels, const ItemFn &item) {
  std::unique_ptr<EventBroadcaster::Stream> stream;
  {
    const std::lock_guard lock(mutex_);
    stream = hub_.listen(state_.containers.filterOfFuture(labels));
  }
  for (;;) {
    for (const SimulatedEvent &event : stream->next(call, clock_.shutdownFd())) {
      if (!item(event.json())) return;
    }
  }
}

// ---- the whole

std::string SimulatedEngine::nameOf(std::string_view ref) {
  const std::lock_guard lock(mutex_);
  const Container *container = find(ref);
  return container == nullptr ? std::string(ref) : container->name;
}

std::array<std::size_t, kStateNames.size()> SimulatedEngine::counts() const {
  const std::lock_guard lock(mutex_);
  std::array<std::size_t, kStateNames.size()> counts{};
  for (std::size_t state = 0; state < counts.size(); ++state)
    counts[state] = state_.containers.count(static_cast<ContainerState>(state));
  return counts;
}

std::uint64_t SimulatedEngine::journalBytes() const {
  const std::lock_guard lock(mutex_);
  return journal_.bytes();
}

std::string SimulatedEngine::summary() const {
  const std::lock_guard lock(mutex_);
  JsonObject instances;
  instances.add("total", static_cast<std::uint64_t>(state_.containers.size()));
  for (std::size_t state = 0; state < kStateNames.size(); ++state)
    instances.add(kStateNames[state],
                  static_cast<std::uint64_t>(state_.containers.count(static_cast<ContainerState>(state))));
  JsonObject images, networks, trash, snapshots;
  for (const auto &[name, digest] : state_.images)
    images.add(name, digest);
  for (const auto &[name, users] : state_.networks)
    networks.add(name, static_cast<std::uint64_t>(users));
  for (const auto &[as, copy] : state_.trash)
    trash.add(as, copy.volume);
  for (const auto &[as, copy] : state_.snapshots)
    snapshots.add(as, copy.volume);
  JsonObject object;
  object.addRaw("instances", std::move(instances).str()).addRaw("images", std::move(images).str());
  object.addRaw("networks", std::move(networks).str());
  object.add("volumes", static_cast<std::uint64_t>(state_.volumes.size()));
  object.addRaw("trash", std::move(trash).str()).addRaw("snapshots", std::move(snapshots).str());
  return std::move(object).str();
}

} // namespace matrixos::simulated
