#include "LifecyclePlugin.h"

#include <matrixos/json_text.hpp>
#include <matrixos/text/time.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace matrixos::lifecycle {

namespace {

/// Uses reach the orchestrator within this time, and checks are this punctual.
constexpr std::chrono::milliseconds kTick{200};
/// Accepted starts are carried on for as long as the orchestrator likes; this ends our waiting if it never answers.
constexpr std::chrono::milliseconds kStartPatience{std::chrono::minutes(10)};
constexpr std::chrono::milliseconds kStopPatience{std::chrono::minutes(5)};
/// For answers of the orchestrator that are inside a part when the plugin stops.
constexpr std::chrono::milliseconds kLastAnswers{std::chrono::seconds(10)};
constexpr std::size_t kBatch = 1024;

constexpr mos_config_key kKeys[] = {
    {"check_interval", "duration", "5m", "200ms..24h", "How often idle instances are looked for.", MOS_KEY_LIVE, 0},
    {"idle_timeout", "duration", "30m", "0ms..8760h",
     "How long an instance may be unused before it is stopped; 0ms: never.", MOS_KEY_LIVE, 0},
    {"max_stops", "int", "2", "1..1000", "How many idle instances are being stopped at a time.", MOS_KEY_LIVE, 0},
    {"silent_stream", "duration", "1h", "0ms..8760h",
     "How long an open exchange keeps an instance awake in which nothing moves.", MOS_KEY_LIVE, 0},
    {"ready_timeout", "duration", "60s", "1s..1h",
     "How long a started instance may take to give its first HTTP answer.", MOS_KEY_LIVE, 0},
    {"max_waiters", "int", "20000", "1..1000000", "How many requests may wait for instances to wake at a time.",
     MOS_KEY_LIVE, 0},
    {"probe_interval", "duration", "5ms", "1ms..1s",
     "First pause between two readiness probes; it doubles up to 100ms, or to itself if that is longer.", 0, 0},
    {"probe_timeout", "duration", "10s", "100ms..5m",
     "Longest that a readiness probe waits for an answer; the first one waits a second.", 0, 0},
};
constexpr mos_provide kProvides[] = {{MOS_LIFECYCLE_1, nullptr, MOS_LIFECYCLE_1_MINOR, 0}};
constexpr mos_need kNeeds[] = {{MOS_ORCHESTRATOR_1, 0, 0}};

const std::vector<double> &phaseBuckets() {
  static const std::vector<double> buckets{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                           0.5,   1,      2.5,   5,    10,    30,   60,  120};
  return buckets;
}

Series wakeSeconds(const Metrics &metrics, std::string_view phase) {
  return metrics.histogram("matrixos_lifecycle_wake_seconds", "Time of a wake by phase: queue, engine, ready.",
                           phaseBuckets(), {{"phase", phase}});
}
Series wakes(const Metrics &metrics, std::string_view result) {
  return metrics.counter("matrixos_lifecycle_wakes_total", "Wakes of instances by result.", {{"result", result}});
}
Series idleStops(const Metrics &metrics, std::string_view result) {
  return metrics.counter("matrixos_lifecycle_idle_stops_total", "Decisions to stop an idle instance, by result.",
                         {{"result", result}});
}

double seconds(std::int64_t ms) {
  return static_cast<double>(ms) / 1000;
}

} // namespace

void OrchestratorPlatform::start(std::string_view handle, Then then) {
  const CallScope call(kStartPatience);
  client_.start(call.abi(), handle, std::move(then));
}

void OrchestratorPlatform::stop(std::string_view handle, std::uint64_t ifActivitySeq, Then then) {
  const CallScope call(kStopPatience);
  client_.stop(call.abi(), handle, ifActivitySeq, "idle", std::move(then));
}

void OrchestratorPlatform::record(const std::vector<PendingUse> &uses) {
  std::vector<mos_activity> items;
  items.reserve(uses.size());
  for (const PendingUse &use : uses)
    items.push_back({toAbi(use.handle), use.atMs, use.count});
  if (!items.empty()) client_.recordActivity(items.data(), static_cast<std::uint32_t>(items.size()));
}

LifecyclePlugin::Meters::Meters(const Metrics &metrics)
    : queue(wakeSeconds(metrics, "queue")), engine(wakeSeconds(metrics, "engine")),
      ready(wakeSeconds(metrics, "ready")), woken(wakes(metrics, "ok")), startFailed(wakes(metrics, "failed")),
      expired(metrics.counter("matrixos_lifecycle_waiters_expired_total",
                              "Requests that gave up waiting for an instance to wake.")),
      waiting(metrics.gauge("matrixos_lifecycle_waiters", "Requests that wait for an instance to wake.")),
      slept(idleStops(metrics, "stopped")), used(idleStops(metrics, "used")), stopFailed(idleStops(metrics, "failed")),
      probes(metrics.counter("matrixos_lifecycle_probes_total", "Readiness probes sent to instances.")) {}

LifecyclePlugin::LifecyclePlugin(const mos_host_v1 *host)
    : config_(host), log_(host), services_(host), meters_(Metrics(host)), timers_(host) {}

LifecyclePlugin::~LifecyclePlugin() {
  shutDown();
}

IdlePolicy::Settings LifecyclePlugin::idleSettings() const {
  return {config_.getDuration("check_interval"), config_.getDuration("idle_timeout"),
          static_cast<std::size_t>(config_.getInt("max_stops")), config_.getDuration("silent_stream")};
}

WakeCoordinator::Settings LifecyclePlugin::wakeSettings() const {
  return {config_.getDuration("ready_timeout"), static_cast<std::size_t>(config_.getInt("max_waiters"))};
}

void LifecyclePlugin::start() {
  try {
    orchestrator_.emplace(services_.acquire<mos_orchestrator_v1>(MOS_ORCHESTRATOR_1));
    platform_ = std::make_unique<OrchestratorPlatform>(*orchestrator_);
    ReadinessProbe::Settings probing;
    probing.minPause = config_.getDuration("probe_interval");
    probing.maxPause = std::max(probing.maxPause, probing.minPause);
    probing.maxTimeout = config_.getDuration("probe_timeout");
    probing.minTimeout = std::min(probing.minTimeout, probing.maxTimeout);
    probe_ = std::make_unique<ReadinessProbe>(probing);
    wakes_.make(clock_, index_, *platform_, *probe_, wakeSettings(),
                [this](WakeCoordinator::Event event, const WakePhases &phases) { onWake(event, phases); });
    idle_.make(clock_, index_, ledger_, *platform_, idleSettings(),
               [this](std::string_view handle, IdlePolicy::Result result, const Error *error) {
                 onIdle(handle, result, error);
               });
    probe_->run([this] { return wakes_->expire(); });
    const mos_instance_watcher watcher{this,
                                       [](void *ctx, std::uint64_t, mos_str, mos_str record) {
                                         auto *self = static_cast<LifecyclePlugin *>(ctx);
                                         guarded(nullptr, [&] { self->onRecord(fromAbi(record)); });
                                       },
                                       [](void *, std::uint64_t) {}};
    watch_ = orchestrator_->watch(0, watcher);
    timers_.every(kTick, [this] { tick(); });
    services_.provide(MOS_LIFECYCLE_1, "", table());
  } catch (...) {
    shutDown();
    throw;
  }
}

void LifecyclePlugin::stop() {
  if (!shutDown()) {
    throw Error(Status::DeadlineExceeded, "an answer of the orchestrator did not come to its end", "STUCK");
  }
}

bool LifecyclePlugin::shutDown() noexcept {
  if (!probe_) return true;
  services_.withdraw(MOS_LIFECYCLE_1, "");
  timers_.cancelAll();
  if (watch_) orchestrator_->unwatch(*std::exchange(watch_, std::nullopt));
  guarded(nullptr, [&] {
    if (wakes_) wakes_->shutdown();
  });
  probe_->stop();
  guarded(nullptr, [&] { flush(); });
  const bool woken = wakes_.retire(kLastAnswers);
  const bool idled = idle_.retire(kLastAnswers);
  probe_.reset();
  return woken && idled;
}

void LifecyclePlugin::reconfigure() {
  idle_->configure(idleSettings());
  wakes_->configure(wakeSettings());
}

std::uint64_t LifecyclePlugin::ensureRunning(const Call &call, std::string_view handle, std::string_view endpoint,
                                             Completion &done) {
  const std::uint64_t ticket = wakes_->ensure(handle, endpoint, call.deadlineNanos(), done);
  // Who asks for an instance is about to use it: a decision to stop it has to hear of that.
  if (ledger_.touch(handle, clock_.bootMs())) {
    guarded(nullptr, [&] { platform_->record({{std::string(handle), wallClockMs(), 1}}); });
  }
  return ticket;
}

void LifecyclePlugin::forget(std::uint64_t ticket) {
  wakes_->forget(ticket);
}

void LifecyclePlugin::reportActivity(const mos_activity *items, std::uint32_t count) {
  const std::int64_t now = clock_.bootMs();
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string_view handle = fromAbi(items[i].handle);
    if (ledger_.note(handle, items[i].at_ms, items[i].count, now)) {
      platform_->record({{std::string(handle), items[i].at_ms, std::max<std::uint64_t>(1, items[i].count)}});
    }
  }
}

std::string LifecyclePlugin::describe(std::string_view handle) {
  const auto record = InstanceRecord::parse(platform_->fetch(handle));
  const auto idle = idle_->idleFor(handle);
  const auto timeout = idle_->settings().idleTimeout;
  JsonArray uses;
  for (const UseBucket &bucket : ledger_.recent(handle)) {
    JsonObject use;
    use.add("at", formatTime(std::max<std::int64_t>(0, bucket.atMs))).add("count", bucket.count);
    uses.add(std::move(use).str());
  }
  JsonObject out;
  out.add("handle", record.handle).add("idleMs", std::int64_t{idle.count()});
  if (record.running() && timeout.count() != 0)
    out.add("stopsInMs", std::max<std::int64_t>(0, (timeout - idle).count()));
  else
    out.addRaw("stopsInMs", "null");
  out.addRaw("activity", std::move(uses).str());
  return std::move(out).str();
}

void LifecyclePlugin::reportOpen(const mos_str *handles, std::uint32_t count) {
  const std::int64_t now = clock_.bootMs();
  for (std::uint32_t i = 0; i < count; ++i)
    ledger_.noteOpen(fromAbi(handles[i]), now);
}

void LifecyclePlugin::tick() {
  flush();
  idle_->tick();
  meters_.waiting.set(static_cast<double>(wakes_->waiters()));
  const std::uint64_t probes = probe_->attempts();
  meters_.probes.add(static_cast<double>(probes - probesReported_));
  probesReported_ = probes;
}

void LifecyclePlugin::flush() {
  std::vector<PendingUse> uses = ledger_.take();
  for (std::size_t at = 0; at < uses.size(); at += kBatch) {
    const auto begin = uses.begin() + static_cast<std::ptrdiff_t>(at);
    const auto end = uses.begin() + static_cast<std::ptrdiff_t>(std::min(at + kBatch, uses.size()));
    try {
      platform_->record({begin, end});
    } catch (const Error &error) {
      ledger_.putBack({begin, uses.end()});
      log_.warning("uses of instances could not be passed on; they are kept and tried again",
                   {{"error", error.what()}, {"instances", uses.size() - at}});
      return;
    }
  }
}

void LifecyclePlugin::onRecord(std::string_view json) {
  InstanceRecord record;
  try {
    record = InstanceRecord::parse(json);
  } catch (const Error &error) {
    log_.warning("a record of the orchestrator makes no sense", {{"error", error.what()}});
    return;
  }
  // Before the index says that it runs: whoever finds it there has to find it fresh.
  if (record.running() && !index_.runs(record.handle)) ledger_.touch(record.handle, clock_.bootMs());
  const InstanceIndex::Change change = index_.apply(record);
  if (change.activityMoved) ledger_.touch(record.handle, clock_.bootMs());
  if (change.accepted) wakes_->changed(record, json);
}

void LifecyclePlugin::onWake(WakeCoordinator::Event event, const WakePhases &phases) {
  switch (event) {
  case WakeCoordinator::Event::Woken:
    meters_.queue.observe(seconds(phases.queueMs));
    meters_.engine.observe(seconds(phases.engineMs));
    meters_.ready.observe(seconds(phases.readyMs));
    return meters_.woken.add();
  case WakeCoordinator::Event::StartFailed:
    return meters_.startFailed.add();
  case WakeCoordinator::Event::WaiterExpired:
    return meters_.expired.add();
  }
}

void LifecyclePlugin::onIdle(std::string_view handle, IdlePolicy::Result result, const Error *error) {
  const std::string name(handle);
  switch (result) {
  case IdlePolicy::Result::Stopped:
    meters_.slept.add();
    return log_.info("stopped an idle instance", {{"handle", name}});
  case IdlePolicy::Result::Used:
    meters_.used.add();
    return log_.debug("an instance was used while it was about to be stopped", {{"handle", name}});
  case IdlePolicy::Result::Failed:
    meters_.stopFailed.add();
    return log_.warning("an idle instance could not be stopped; the next check tries again",
                        {{"handle", name}, {"error", error->what()}});
  }
}

} // namespace matrixos::lifecycle

using LifecyclePlugin = matrixos::lifecycle::LifecyclePlugin;

MATRIXOS_PLUGIN(LifecyclePlugin, matrixos::Descriptor("lifecycle", "Lifecycle", "1.0.0")
                                     .vendor("Matrix OS")
                                     .license("MIT")
                                     .description("Stops idle instances and wakes them for the next request.")
                                     .provides(matrixos::lifecycle::kProvides)
                                     .needs(matrixos::lifecycle::kNeeds)
                                     .configKeys(matrixos::lifecycle::kKeys))
