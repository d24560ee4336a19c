#include "plugin/PluginHost.h"

#include "common/CommandOwners.h"
#include "common/Patience.h"
#include "log/Log.h"
#include "plugin/CrashRecord.h"
#include "plugin/HostContext.h"
#include "plugin/StartOrder.h"

#include <matrixos/abi/policy.h>
#include <matrixos/status.hpp>

#include <algorithm>

namespace matrixos::plugin {

namespace {

/// What runs of a plugin when its file is loaded, for the crash record.
constexpr const char *kLoading = "its constructors";

const log::Log kLog("core.plugin");

void logPlugin(const std::string &id, const std::string &state, const std::string &reason) {
  if (reason.empty())
    kLog.info("plugin " + id + " " + state, {{"plugin", id}, {"state", state}});
  else
    kLog.error("plugin " + id + " " + state + ": " + reason, {{"plugin", id}, {"state", state}});
}

/// As operators see it: a plugin that is started again and again is degraded, not failed.
PluginInstance::Standing shown(const PluginInstance &instance) {
  auto standing = instance.standing();
  if (!instance.isWorthARetry()) return standing;
  standing.state = PluginState::Degraded;
  standing.reason += "; it does not run, and is tried again";
  return standing;
}

} // namespace

DiscoveredPlugin discoverPlugin(const std::filesystem::path &folder, const std::string &id, PluginFiles &files,
                                bool anew) {
  DiscoveredPlugin plugin;
  plugin.id = id;
  plugin.path = folder / (id + ".so");
  try {
    if (!isPluginId(id)) throw Error(Status::InvalidArgument, "\"" + id + "\" is no plugin id ([a-z][a-z0-9-]*)");
    if (files.quarantine() != nullptr) plugin.error = files.quarantine()->refusal(id, plugin.path);
    plugin.quarantined = !plugin.error.empty();
    if (plugin.quarantined) return plugin;
    const PluginTag *tag = PluginScope::tagOf(id);
    const PluginScope scope(tag, kLoading);
    const CrashRecord::LifecycleCall lifecycle(tag, kLoading);
    const PluginFile file = anew ? files.loadAnew(folder, id) : files.load(folder, id);
    plugin.path = file.path();
    plugin.manifest = Manifest::read(file.descriptor(), id);
    plugin.policy = KnownPolicies::isOne(*plugin.manifest);
    plugin.facts = file.facts();
  } catch (const Error &e) {
    plugin.error = e.what();
    plugin.starved = e.status() == Status::ResourceExhausted;
  }
  return plugin;
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
  slot->found.id = found.id;
  place(*slot, std::move(found));
  {
    const std::lock_guard lock(mutex_);
    slots_.push_back(std::move(slot));
  }
  expect();
}

void PluginHost::expect() {
  std::vector<ServiceRegistry::Expected> all;
  std::map<std::string, std::vector<Claim>> claims;
  std::unique_lock lock(mutex_);
  for (const auto &slot : slots_) {
    if (!slot->found.manifest) {
      const std::string &id = slot->found.id;
      if (slot->found.policy) all.push_back({{MOS_POLICY_1, id, id}, slot->enabled});
      continue;
    }
    if (slot->enabled) claims[slot->found.id] = slot->found.manifest->claims;
    for (const Manifest::Provide &provide : slot->found.manifest->provides)
      all.push_back({{provide.service, provide.instance, slot->found.id}, slot->enabled});
  }
  const bool others = core_.services.expect(std::move(all));
  const bool names = core_.names.expect(std::move(claims));
  lock.unlock();
  if (others || names) core_.events.publish(MOS_EVENT_PLATFORM_CHANGED, "{}");
}

void PluginHost::switchTo(Slot &slot, bool enabled) {
  {
    const std::lock_guard lock(mutex_);
    slot.enabled = enabled;
  }
  expect();
}

std::unique_ptr<PluginInstance> PluginHost::place(Slot &slot, DiscoveredPlugin found) {
  std::unique_ptr<PluginInstance> instance;
  if (options_.policies && (found.manifest || found.policy))
    options_.policies->note(found.id, found.policy);
  else if (options_.policies)
    found.policy = options_.policies->has(found.id);
  if (found.manifest) instance = std::make_unique<PluginInstance>(*found.manifest, found.path, core_);
  {
    const std::lock_guard lock(mutex_);
    if (instance) ++slot.generation;
    slot.instance.swap(instance);
    slot.found = std::move(found);
    logRefusedCommands(slot);
  }
  expect();
  return instance;
}

void PluginHost::logRefusedCommands(const Slot &slot) const {
  common::CommandOwners owners;
  for (const auto &before : slots_) {
    if (before.get() == &slot) break;
    if (!before->found.manifest) continue;
    for (const auto &command : before->found.manifest->commands)
      owners.claim(before->found.id, command);
  }
  if (!slot.found.manifest) return;
  for (const auto &command : slot.found.manifest->commands) {
    const std::string why = owners.claim(slot.found.id, command);
    if (why.empty()) continue;
    kLog.warning("plugin " + slot.found.id + " does not get its command \"" + command.words + "\": " + why,
                 {{"plugin", slot.found.id}});
  }
}

DiscoveredPlugin PluginHost::discover(const std::string &id, bool anew) const {
  if (options_.discover) return options_.discover(id, anew);
  return discoverPlugin(options_.folder, id, PluginFiles::temporary(), anew);
}

std::function<void(bool)> PluginHost::prepare(const DiscoveredPlugin &candidate) const {
  std::function<void(bool)> configure;
  if (options_.prepare) configure = options_.prepare(candidate);
  return configure ? configure : [](bool) {};
}

PluginHost::Slot *PluginHost::find(const std::string &id) {
  const std::lock_guard lock(mutex_);
  const auto at = std::find_if(slots_.begin(), slots_.end(), [&](const auto &slot) { return slot->found.id == id; });
  return at == slots_.end() ? nullptr : at->get();
}

void PluginHost::startAll(const std::function<bool()> &stopRequested) {
  const std::lock_guard operation(operation_);
  for (const auto &slot : slots_) {
    if (slot->enabled && !slot->instance) logPlugin(slot->found.id, "failed", slot->found.error);
  }
  ended_ = false;
  startRunnable(stopRequested, Again::All);
  common::Patience patience(options_.patience);
  while (!stopRequested()) {
    Status cause = Status::Ok;
    const std::string what = missing(cause);
    if (what.empty()) return;
    if (common::mayPass(cause) && options_.onWaiting) options_.onWaiting(what);
    const bool again = common::mayPass(cause) && patience.wait(stopRequested);
    if (!again && !stopRequested()) throw Error(cause, "a required plugin did not start: " + what, "PLUGIN_REQUIRED");
    if (again) startRunnable(stopRequested, Again::WorthARetry);
  }
}

std::string PluginHost::missing(Status &cause) const {
  std::string what;
  for (const auto &slot : slots_) {
    const std::string &id = slot->found.id;
    if (options_.required.count(id) == 0 || (slot->instance && slot->instance->running())) continue;
    const std::string reason = slot->instance ? slot->instance->standing().reason : slot->found.error;
    what += (what.empty() ? "" : "; ") + id + ": " + reason;
    const Status own = causeOf(*slot);
    if (cause == Status::Ok || (common::mayPass(cause) && !common::mayPass(own))) cause = own;
  }
  return what;
}

Status PluginHost::causeOf(const Slot &slot, std::size_t depth) const {
  // One that brought the daemon down is broken; a file that cannot be loaded is the configuration's or the package's.
  if (!slot.instance) return slot.found.quarantined ? Status::Internal : Status::FailedPrecondition;
  const auto standing = slot.instance->standing();
  if (standing.cause != Status::Ok) return standing.cause;
  for (const Manifest::Need &need : slot.instance->manifest().needs) {
    if (need.optional || core_.services.isProvided(need) || depth > slots_.size()) continue;
    for (const auto &other : slots_) {
      if (!other->enabled || !other->instance) continue;
      if (other->instance->manifest().meets(need)) return causeOf(*other, depth + 1);
    }
  }
  return Status::FailedPrecondition;
}

bool PluginHost::anyWorthARetry() const {
  return std::any_of(slots_.begin(), slots_.end(), [](const auto &slot) {
    return slot->enabled && slot->instance && slot->instance->isWorthARetry();
  });
}

bool PluginHost::retry(const std::function<bool()> &stopRequested) {
  const std::unique_lock operation(operation_, std::try_to_lock);
  if (!operation) return true;
  if (ended_ || !anyWorthARetry()) return false;
  startRunnable(stopRequested, Again::WorthARetry);
  return anyWorthARetry();
}

void PluginHost::startRunnable(const std::function<bool()> &stopRequested, Again again) {
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
    const bool failed = instance.standing().state == PluginState::Failed;
    if (instance.running() || (failed && again == Again::WorthARetry && !instance.isWorthARetry())) continue;
    startOne(instance);
    if (instance.running()) started_.push_back(id);
  }
  // What was enabled late may be what others need, and then it stops after them.
  const auto place = [&](const std::string &id) { return std::find(plan.order.begin(), plan.order.end(), id); };
  std::stable_sort(started_.begin(), started_.end(),
                   [&](const std::string &a, const std::string &b) { return place(a) < place(b); });
}

void PluginHost::startOne(PluginInstance &instance) {
  const Manifest &manifest = instance.manifest();
  // A provider that is in the plan may still have failed to start.
  for (const Manifest::Need &need : manifest.needs) {
    if (need.optional || core_.services.isProvided(need)) continue;
    const std::string missing = "it needs " + need.text() + ", whose plugin did not start";
    instance.mark(PluginState::Waiting, missing);
    return logPlugin(manifest.id, "waits", missing);
  }
  Status cause = Status::Ok;
  if (const std::string refusal = admit(manifest, cause); !refusal.empty())
    instance.mark(PluginState::Failed, refusal, cause);
  else
    instance.start(options_.timeouts);
  const auto standing = shown(instance);
  logPlugin(manifest.id, stateName(standing.state), standing.reason);
}

std::string PluginHost::admit(const Manifest &manifest, Status &cause) {
  storage::TableOwners::Claims claims;
  for (const auto &slot : slots_) {
    if (!slot->enabled || !slot->instance) continue;
    const Manifest &enabled = slot->instance->manifest();
    claims.emplace(enabled.id, enabled.claimed(MOS_CLAIM_TABLE));
  }
  core_.database.expectOwners(std::move(claims));
  try {
    core_.database.admit(manifest.id);
    return {};
  } catch (const Error &e) {
    cause = e.status();
    return e.what();
  }
}

void PluginHost::stopAll() {
  const std::lock_guard operation(operation_);
  ended_ = true;
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
  if (options_.quarantine != nullptr) options_.quarantine->lift(id);
  Slot &slot = loadStopped(id);
  switchTo(slot, true);
  startRunnable([] { return false; }, Again::All);
  const auto standing = slot.instance->standing();
  if (slot.instance->running()) return;
  throw Error(Status::FailedPrecondition, "the plugin " + id + " did not start: " + standing.reason, "PLUGIN_FAILED");
}

PluginHost::Slot &PluginHost::loadStopped(const std::string &id) {
  Slot *slot = find(id);
  if (slot != nullptr && slot->instance && (slot->instance->running() || !slot->found.facts.changedOnDisk())) {
    return *slot;
  }
  DiscoveredPlugin found = discover(id, false);
  if (!found.manifest) {
    throw Error(slot == nullptr ? Status::NotFound : Status::FailedPrecondition, found.error, "PLUGIN_FILE");
  }
  const auto configure = prepare(found);
  if (slot == nullptr) {
    add(std::move(found));
    slot = find(id);
  } else {
    place(*slot, std::move(found));
  }
  configure(true);
  return *slot;
}

void PluginHost::disable(const std::string &id) {
  const std::lock_guard operation(operation_);
  Slot *slot = find(id);
  if (slot == nullptr) throw Error(Status::NotFound, "there is no plugin \"" + id + "\"", "PLUGIN_UNKNOWN");
  if (options_.required.count(id) != 0) {
    throw Error(Status::FailedPrecondition,
                "the plugin " + id + " is required: take it out of [plugins] required and restart the daemon first",
                "PLUGIN_REQUIRED");
  }
  switchTo(*slot, false);
  if (!slot->instance) return;
  started_.erase(std::remove(started_.begin(), started_.end(), id), started_.end());
  // One that waits, or had failed without leaving anything behind, is off as it is.
  if (slot->instance->ended()) return slot->instance->mark(PluginState::Disabled, "");
  slot->instance->stop(options_.timeouts);
  const auto standing = slot->instance->standing();
  logPlugin(id, stateName(standing.state), standing.reason);
}

PluginReload PluginHost::reload(const std::string &id) {
  const std::lock_guard operation(operation_);
  Slot *slot = find(id);
  if (slot == nullptr) throw Error(Status::NotFound, "there is no plugin \"" + id + "\"", "PLUGIN_UNKNOWN");
  if (!slot->enabled) {
    throw Error(Status::FailedPrecondition,
                "the plugin " + id + " is disabled; enabling it loads its file as it is then", "PLUGIN_DISABLED");
  }
  Candidate candidate = loadCandidate(*slot);
  PluginReload result = replace(*slot, std::move(candidate));
  startRunnable([] { return false; }, Again::All); // somebody may have waited for this one
  result.after = reportOf(*slot);
  if (slot->instance->running()) {
    logPlugin(id, "reloaded: " + result.before.manifest.version + " → " + result.after.manifest.version, "");
    return result;
  }
  throw Error(Status::FailedPrecondition,
              "the plugin " + id + " was loaded anew, but does not run: " + result.after.reason, "PLUGIN_FAILED");
}

PluginHost::Candidate PluginHost::loadCandidate(const Slot &slot) {
  const std::string &id = slot.found.id;
  const bool runs = slot.instance && slot.instance->running();
  try {
    checkLeases(id);
    Candidate candidate{discover(id, true), {}};
    if (!candidate.found.manifest) throw Error(Status::FailedPrecondition, candidate.found.error, "PLUGIN_FILE");
    checkNeeds(slot, *candidate.found.manifest);
    candidate.configure = prepare(candidate.found);
    return candidate;
  } catch (const Error &e) {
    throw Error(e.status(),
                "the plugin " + id + " was not reloaded" + (runs ? " and runs on as it was" : "") + ": " + e.what(),
                e.reason());
  }
}

void PluginHost::checkLeases(const std::string &id) const {
  // The registry knows lives of plugins: "orchestrator#12".
  const auto idOf = [](const std::string &life) { return life.substr(0, life.find('#')); };
  for (const auto &provided : core_.services.list()) {
    if (idOf(provided.plugin) != id) continue;
    for (const auto &lease : core_.services.leasesOf(provided.plugin)) {
      throw Error(Status::FailedPrecondition,
                  idOf(lease.plugin) + " holds its service " + lease.service +
                      ", which this host cannot hand over to another provider; disable " + idOf(lease.plugin) +
                      " first",
                  "PLUGIN_LEASED");
    }
  }
}

void PluginHost::checkNeeds(const Slot &slot, const Manifest &candidate) {
  std::vector<const Manifest *> now, then;
  for (const auto &other : slots_) {
    if (!other->enabled || !other->instance) continue;
    now.push_back(&other->instance->manifest());
    if (other.get() != &slot) then.push_back(now.back());
  }
  then.push_back(&candidate);
  const StartOrder before = StartOrder::of(now);
  for (const auto &[id, why] : StartOrder::of(then).failures) {
    if (before.failures.count(id) != 0) continue;
    throw Error(Status::FailedPrecondition,
                "with version " + candidate.version + " " + (id == candidate.id ? "" : id + " could not run: ") + why,
                "PLUGIN_NEEDS");
  }
}

PluginReload PluginHost::replace(Slot &slot, Candidate candidate) {
  const std::string id = slot.found.id;
  PluginReload result;
  result.before = reportOf(slot);
  const bool ran = slot.instance && slot.instance->running();
  if (ran) {
    slot.instance->stop(options_.timeouts);
    result.leftBehind = slot.instance->standing().reason;
  }
  DiscoveredPlugin previous = slot.found;
  std::unique_ptr<PluginInstance> old = place(slot, std::move(candidate.found));
  candidate.configure(true);
  if (!ran) return result;
  startOne(*slot.instance);
  if (slot.instance->running()) return result;

  const std::string why =
      "version " + slot.found.manifest->version + " of " + id + " did not start: " + slot.instance->standing().reason;
  candidate.configure(false);
  if (options_.policies) options_.policies->note(id, previous.policy);
  {
    const std::lock_guard lock(mutex_);
    slot.instance.swap(old);
    slot.found = std::move(previous);
    --slot.generation;
  }
  expect();
  const std::string oldVersion = "version " + slot.found.manifest->version;
  // What it left behind still works with its variables: a second life beside it would be worse than none.
  if (result.leftBehind.empty()) startOne(*slot.instance);
  if (slot.instance->running()) {
    throw Error(Status::FailedPrecondition, why + "; " + oldVersion + " was started again", "PLUGIN_FAILED");
  }
  started_.erase(std::remove(started_.begin(), started_.end(), id), started_.end());
  throw Error(Status::FailedPrecondition,
              why + "; " + oldVersion + " does not run any more: " + slot.instance->standing().reason, "PLUGIN_FAILED");
}

std::vector<DiscoveredPlugin> PluginHost::loaded() const {
  const std::lock_guard lock(mutex_);
  std::vector<DiscoveredPlugin> list;
  for (const auto &slot : slots_) {
    if (slot->enabled && slot->found.manifest) list.push_back(slot->found);
  }
  return list;
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
  report.facts = slot.found.facts;
  report.generation = slot.generation;
  if (!slot.instance) {
    report.manifest.id = slot.found.id;
    report.state = slot.found.quarantined ? PluginState::Quarantined : PluginState::Failed;
    report.reason = slot.found.error;
    report.starved = slot.enabled && slot.found.starved;
    return report;
  }
  report.manifest = slot.instance->manifest();
  const auto standing = shown(*slot.instance);
  report.state = standing.state;
  report.reason = standing.reason;
  report.sinceMs = standing.sinceMs;
  report.runs = slot.instance->running();
  return report;
}

PluginReport PluginHost::reportOf(const Slot &slot) const {
  const std::lock_guard lock(mutex_);
  return report(slot);
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
    if (plugin.enabled && !plugin.runs) return false;
  }
  return true;
}

bool PluginHost::runs(const std::string &id) const {
  const auto all = reports();
  return std::any_of(all.begin(), all.end(),
                     [&](const auto &report) { return report.manifest.id == id && report.runs; });
}

} // namespace matrixos::plugin
