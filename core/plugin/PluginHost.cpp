#include "plugin/PluginHost.h"

#include "log/Log.h"
#include "plugin/HostContext.h"
#include "plugin/StartOrder.h"

#include <matrixos/status.hpp>

#include <algorithm>

namespace matrixos::plugin {

namespace {

void logPlugin(const std::string &id, const char *state, const std::string &reason) {
  static const log::Log log("core.plugin");
  if (reason.empty())
    log.info("plugin " + id + " " + state, {{"plugin", id}, {"state", state}});
  else
    log.error("plugin " + id + " " + state + ": " + reason, {{"plugin", id}, {"state", state}});
}

} // namespace

DiscoveredPlugin discoverPlugin(const std::filesystem::path &folder, const std::string &id, PluginFiles &files,
                                bool anew) {
  DiscoveredPlugin plugin;
  plugin.id = id;
  plugin.path = folder / (id + ".so");
  try {
    if (!isPluginId(id)) throw Error(Status::InvalidArgument, "\"" + id + "\" is no plugin id ([a-z][a-z0-9-]*)");
    const PluginFile file = anew ? files.loadAnew(folder, id) : files.load(folder, id);
    plugin.path = file.path();
    plugin.manifest = Manifest::read(file.descriptor(), id);
    plugin.facts = file.facts();
  } catch (const Error &e) {
    plugin.error = e.what();
  }
  return plugin;
}

std::vector<DiscoveredPlugin> discoverPlugins(const std::filesystem::path &folder, const std::vector<std::string> &ids,
                                              PluginFiles &files) {
  std::vector<DiscoveredPlugin> found;
  for (const std::string &id : ids)
    found.push_back(discoverPlugin(folder, id, files));
  return found;
}

PluginHost::PluginHost(CoreServices &core, Options options, std::vector<DiscoveredPlugin> enabled)
    : core_(core), options_(std::move(options)) {
  for (DiscoveredPlugin &plugin : enabled)
    add(std::move(plugin));
}

PluginHost::~PluginHost() {
  stopAll();
}

void PluginHost::add(DiscoveredPlugin found) {
  auto slot = std::make_unique<Slot>();
  if (found.manifest) slot->instance = std::make_unique<PluginInstance>(*found.manifest, found.path, core_);
  slot->found = std::move(found);
  const std::lock_guard lock(mutex_);
  slots_.push_back(std::move(slot));
}

PluginHost::Slot *PluginHost::find(const std::string &id) {
  const std::lock_guard lock(mutex_);
  const auto at = std::find_if(slots_.begin(), slots_.end(), [&](const auto &slot) { return slot->found.id == id; });
  return at == slots_.end() ? nullptr : at->get();
}

void PluginHost::startAll(const std::function<bool()> &stopRequested) {
  const std::lock_guard operation(operation_);
  startRunnable(stopRequested);
  if (stopRequested()) return;
  std::string failures;
  for (const PluginReport &plugin : reports()) {
    const bool runs = plugin.state == PluginState::Running || plugin.state == PluginState::Degraded;
    if (!plugin.required || runs) continue;
    failures += (failures.empty() ? "" : "; ") + plugin.manifest.id + ": " + plugin.reason;
  }
  if (!failures.empty()) {
    throw Error(Status::FailedPrecondition, "a required plugin did not start: " + failures, "PLUGIN_REQUIRED");
  }
}

void PluginHost::startRunnable(const std::function<bool()> &stopRequested) {
  std::vector<const Manifest *> wanted;
  for (const auto &slot : slots_) {
    if (slot->enabled && slot->instance) wanted.push_back(&slot->instance->manifest());
  }
  const StartOrder plan = StartOrder::of(wanted);
  for (const auto &[id, why] : plan.failures) {
    PluginInstance &instance = *find(id)->instance;
    if (instance.running()) continue;
    instance.mark(PluginState::Waiting, why);
    logPlugin(id, "waits", why);
  }
  for (const std::string &id : plan.order) {
    if (stopRequested()) return;
    PluginInstance &instance = *find(id)->instance;
    if (instance.running()) continue;
    // A provider that is in the plan may still have failed to start.
    std::string missing;
    for (const Manifest::Need &need : instance.manifest().needs) {
      if (need.optional || core_.services.isProvided(need.service)) continue;
      missing = "it needs " + need.service + ", whose plugin did not start";
    }
    if (!missing.empty()) {
      instance.mark(PluginState::Waiting, missing);
      logPlugin(id, "waits", missing);
      continue;
    }
    instance.start(options_.timeouts);
    const auto standing = instance.standing();
    logPlugin(id, stateName(standing.state), standing.reason);
    if (instance.running()) started_.push_back(id);
  }
}

void PluginHost::stopAll() {
  const std::lock_guard operation(operation_);
  while (!started_.empty()) {
    const std::string id = std::move(started_.back());
    started_.pop_back();
    PluginInstance &instance = *find(id)->instance;
    instance.stop(options_.timeouts);
    const auto standing = instance.standing();
    logPlugin(id, standing.reason.empty() ? "stopped" : stateName(standing.state), standing.reason);
  }
}

void PluginHost::enable(const std::string &id) {
  const std::lock_guard operation(operation_);
  Slot *slot = find(id);
  if (slot == nullptr || !slot->instance) {
    auto found = discoverPlugins(options_.folder, {id});
    if (!found.front().manifest) {
      throw Error(slot == nullptr ? Status::NotFound : Status::FailedPrecondition, found.front().error, "PLUGIN_FILE");
    }
    if (slot == nullptr) {
      add(std::move(found.front()));
      slot = find(id);
    } else {
      const std::lock_guard lock(mutex_);
      slot->instance = std::make_unique<PluginInstance>(*found.front().manifest, found.front().path, core_);
      slot->found = std::move(found.front());
    }
  }
  {
    const std::lock_guard lock(mutex_);
    slot->enabled = true;
  }
  startRunnable([] { return false; });
  const auto standing = slot->instance->standing();
  if (slot->instance->running()) return;
  throw Error(Status::FailedPrecondition, "the plugin " + id + " did not start: " + standing.reason, "PLUGIN_FAILED");
}

void PluginHost::disable(const std::string &id) {
  const std::lock_guard operation(operation_);
  Slot *slot = find(id);
  if (slot == nullptr) throw Error(Status::NotFound, "there is no plugin \"" + id + "\"", "PLUGIN_UNKNOWN");
  if (options_.required.count(id) != 0) {
    throw Error(Status::FailedPrecondition,
                "the plugin " + id + " is listed in [plugins] required; take it from there first", "PLUGIN_REQUIRED");
  }
  {
    const std::lock_guard lock(mutex_);
    slot->enabled = false;
  }
  if (!slot->instance) return;
  started_.erase(std::remove(started_.begin(), started_.end(), id), started_.end());
  slot->instance->stop(options_.timeouts);
  const auto standing = slot->instance->standing();
  logPlugin(id, stateName(standing.state), standing.reason);
  if (standing.state == PluginState::Waiting) slot->instance->mark(PluginState::Disabled, "");
}

std::map<std::string, std::string> PluginHost::reconfigure(const std::set<std::string> &ids) {
  const std::lock_guard operation(operation_);
  std::map<std::string, std::string> refusals;
  for (const std::string &id : started_) {
    std::string reason;
    if (ids.count(id) != 0 && !find(id)->instance->reconfigure(options_.timeouts, reason)) refusals[id] = reason;
  }
  return refusals;
}

PluginReport PluginHost::report(const Slot &slot) const {
  PluginReport report;
  report.path = slot.found.path.string();
  report.required = options_.required.count(slot.found.id) != 0;
  report.enabled = slot.enabled;
  if (!slot.instance) {
    report.manifest.id = slot.found.id;
    report.state = PluginState::Failed;
    report.reason = slot.found.error;
    return report;
  }
  report.manifest = slot.instance->manifest();
  const auto standing = slot.instance->standing();
  report.state = standing.state;
  report.reason = standing.reason;
  report.sinceMs = standing.sinceMs;
  return report;
}

std::vector<PluginReport> PluginHost::reports() const {
  const std::lock_guard lock(mutex_);
  std::vector<PluginReport> list;
  for (const auto &slot : slots_)
    list.push_back(report(*slot));
  return list;
}

bool PluginHost::ready() const {
  for (const PluginReport &plugin : reports()) {
    const bool runs = plugin.state == PluginState::Running || plugin.state == PluginState::Degraded;
    if (plugin.enabled && !runs) return false;
  }
  return true;
}

} // namespace matrixos::plugin
