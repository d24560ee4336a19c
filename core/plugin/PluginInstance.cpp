#include "plugin/PluginInstance.h"

#include "common/Patience.h"
#include "plugin/CrashRecord.h"
#include "plugin/HostContext.h"
#include "plugin/PluginThreads.h"
#include "plugin/Watchdog.h"

#include <matrixos/status.hpp>
#include <matrixos/text/time.hpp>

#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace matrixos::plugin {

namespace {

/// A call's failure as the operator reads it; empty when it went well.
std::string complaint(const char *call, const WatchedResult &result, std::chrono::milliseconds timeout) {
  if (!result.returned) {
    return std::string(call) + "() did not return within " + std::to_string(timeout.count()) +
           " ms; the plugin was given up";
  }
  if (result.status == MOS_OK) return {};
  const Error error = toError(result.status, result.error);
  return std::string(error.what());
}

/// What a plugin that was given up may still use is never freed, nor counted as lost by who looks for leaks.
void keepForGood(std::shared_ptr<void> life) {
  static std::mutex mutex;
  static auto *kept = new std::vector<std::shared_ptr<void>>;
  const std::lock_guard lock(mutex);
  kept->push_back(std::move(life));
}

/// A plugin that has told its threads to end waits for them; one that forgot them does not.
constexpr std::chrono::milliseconds kThreadsEnd{500};

/// One that hangs is at fault itself.
Status causeOf(const WatchedResult &result) {
  return result.returned ? static_cast<Status>(result.status) : Status::Internal;
}

} // namespace

const char *stateName(PluginState state) noexcept {
  static constexpr const char *kNames[] = {"disabled", "waiting",  "starting", "running",
                                           "degraded", "stopping", "failed",   "quarantined"};
  return kNames[static_cast<std::size_t>(state)];
}

/// From create() to destroy(). Shared with the threads of calls that hang, so that it outlives them.
struct PluginInstance::Life {
  std::shared_ptr<HostContext> context;
  mos_plugin_v1 plugin{};
};

WatchedResult PluginInstance::call(const std::shared_ptr<Life> &life, const char *what,
                                   std::chrono::milliseconds timeout, auto body) {
  const CrashRecord::LifecycleCall lifecycle(life->context->tag(), what);
  return runWatched(life->context->manifest().id, timeout, [life, what, body](mos_error *error) {
    const PluginTag *tag = life->context->tag();
    const mos_status status = callPlugin(tag, what, error, [&] { return body(*life, error); });
    return checkedStatus(tag, what, status, error);
  });
}

bool PluginInstance::destroy(const std::shared_ptr<Life> &life, const PluginTimeouts &timeouts, std::string &failure) {
  if (life->plugin.destroy == nullptr) return true;
  const WatchedResult result = call(life, "destroy()", timeouts.stop, [](Life &ended, mos_error *) -> mos_status {
    ended.plugin.destroy(ended.plugin.self);
    return MOS_OK;
  });
  if (failure.empty()) failure = complaint("destroy", result, timeouts.stop);
  return result.returned;
}

PluginInstance::PluginInstance(Manifest manifest, std::filesystem::path path, CoreServices &core)
    : manifest_(std::move(manifest)), path_(std::move(path)), core_(core) {}

PluginInstance::~PluginInstance() = default;

PluginInstance::Standing PluginInstance::standing() const {
  const std::lock_guard lock(mutex_);
  Standing standing = standing_;
  const bool runs = standing.state == PluginState::Running && life_ != nullptr;
  if (runs) standing.reason = life_->context->degradedReason();
  if (const std::string left = PluginThreads::instance().leftBehind(manifest_.id); !left.empty())
    standing.reason += (standing.reason.empty() ? "" : "; ") + left;
  if (runs && !standing.reason.empty()) standing.state = PluginState::Degraded;
  return standing;
}

bool PluginInstance::running() const {
  const std::lock_guard lock(mutex_);
  return standing_.state == PluginState::Running;
}

bool PluginInstance::ended() const {
  const std::lock_guard lock(mutex_);
  return life_ == nullptr && !leftBehind_;
}

bool PluginInstance::isWorthARetry() const {
  const std::lock_guard lock(mutex_);
  if (standing_.state != PluginState::Failed || life_ != nullptr || leftBehind_) return false;
  // Somebody may give the permission.
  return common::mayPass(standing_.cause) || standing_.cause == Status::PermissionDenied;
}

void PluginInstance::mark(PluginState state, std::string reason, Status cause) {
  const std::lock_guard lock(mutex_);
  standing_ = {state, std::move(reason), cause, wallClockMs()};
}

void PluginInstance::start(const PluginTimeouts &timeouts) {
  auto life = std::make_shared<Life>();
  life->context = HostContext::make(manifest_, core_);
  {
    const std::lock_guard lock(mutex_);
    life_ = life;
  }
  mark(PluginState::Starting, "");
  bool endedWell = true;
  Status cause = Status::Ok;
  const std::string failure = createAndStart(life, timeouts, endedWell, cause);
  if (failure.empty()) return mark(PluginState::Running, "");
  mark(PluginState::Failed, failure, cause);
  retire(life, endedWell);
}

void PluginInstance::retire(const std::shared_ptr<Life> &life, bool endedWell) {
  {
    const std::lock_guard lock(mutex_);
    life_.reset();
    leftBehind_ = leftBehind_ || !endedWell;
  }
  HostContext::retire(life->context, endedWell);
  const std::size_t left = PluginThreads::instance().leave(manifest_.id, endedWell ? kThreadsEnd : 0ms);
  if (left > 0) PluginFaults::instance().report(manifest_.id, PluginFault::Leaked, threadsThatRunOn(left));
  if (!endedWell) keepForGood(life);
}

std::string PluginInstance::createAndStart(const std::shared_ptr<Life> &life, const PluginTimeouts &timeouts,
                                           bool &endedWell, Status &cause) {
  life->plugin.struct_size = sizeof life->plugin;
  WatchedResult made =
      call(life, "create()", timeouts.start, [create = manifest_.create](Life &fresh, mos_error *error) {
        return create(fresh.context->host(), &fresh.plugin, error);
      });
  std::string failure = complaint("create", made, timeouts.start);
  cause = causeOf(made);
  if (failure.empty() && (life->plugin.start == nullptr || life->plugin.stop == nullptr)) {
    failure = "create() left start or stop empty";
    cause = Status::Internal;
  }
  if (failure.empty()) {
    const WatchedResult started = call(life, "start()", timeouts.start, [](Life &ready, mos_error *error) {
      return ready.plugin.start(ready.plugin.self, error);
    });
    failure = complaint("start", started, timeouts.start);
    cause = causeOf(started);
    if (failure.empty()) return failure;
    if (!started.returned) made.returned = false; // it is still inside: nothing of it may be freed
  }
  const std::string left = sweep(*life, timeouts);
  endedWell = made.returned && left.empty();
  if (endedWell && made.status == MOS_OK) endedWell = destroy(life, timeouts, failure);
  return failure;
}

void PluginInstance::stop(const PluginTimeouts &timeouts) {
  std::shared_ptr<Life> life;
  {
    const std::lock_guard lock(mutex_);
    life = life_;
  }
  if (!life) return;
  mark(PluginState::Stopping, "");
  // New requests and calls are refused first; what is inside ends while the plugin stops.
  life->context->stopAccepting();
  const WatchedResult stopped = call(life, "stop()", timeouts.stop, [](Life &running, mos_error *error) {
    return running.plugin.stop(running.plugin.self, error);
  });
  std::string failure = complaint("stop", stopped, timeouts.stop);
  const std::string left = sweep(*life, timeouts);
  if (failure.empty()) failure = left;
  bool endedWell = stopped.returned && left.empty();
  if (endedWell) endedWell = destroy(life, timeouts, failure);
  mark(failure.empty() ? PluginState::Disabled : PluginState::Failed, failure);
  retire(life, endedWell);
}

std::string PluginInstance::sweep(Life &life, const PluginTimeouts &timeouts) {
  life.context->stopAccepting();
  return life.context->sweep(timeouts.stop);
}

bool PluginInstance::reconfigure(const PluginTimeouts &timeouts, std::string &reason) {
  std::shared_ptr<Life> life;
  {
    const std::lock_guard lock(mutex_);
    life = life_;
  }
  if (!life || life->plugin.reconfigure == nullptr) return true;
  const WatchedResult result = call(life, "reconfigure()", timeouts.start, [](Life &running, mos_error *error) {
    return running.plugin.reconfigure(running.plugin.self, error);
  });
  reason = complaint("reconfigure", result, timeouts.start);
  return reason.empty();
}

} // namespace matrixos::plugin
