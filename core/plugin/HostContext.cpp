#include "plugin/HostContext.h"

#include "common/HostTable.h"
#include "log/Log.h"
#include "plugin/OutboxDelivery.h"
#include "plugin/PendingCalls.h"

#include <deque>
#include <map>
#include <string_view>

namespace matrixos::plugin {

namespace {

/// Requests that are inside when a plugin is stopped may end; longer ones are answered 503 instead.
constexpr std::chrono::milliseconds kRequestPatience{2000};

/// A query that is ended takes a moment to.
constexpr std::chrono::milliseconds kCallbackGrace{500};

/// A handler's exception is for the log; who asked is told whose it was.
void handleRequest(const PluginTag *tag, const std::function<void()> &call) {
  mos_error error{};
  const mos_status status = callPlugin(tag, "handle()", &error, [&] {
    call();
    return MOS_OK;
  });
  if (status == MOS_OK) return;
  throw Error(Status::Internal,
              "the plugin " + std::string(tag->id) + " failed to serve this request; the daemon's log has the cause",
              "PLUGIN_THREW");
}

void warnNotPublic(const std::string &plugin, const api::Route &route) {
  static const log::Log log("core.plugin");
  log.warning("the plugin " + plugin + " wants " + route.method + " " + route.pattern +
                  " to be public; it asks for an operator as long as [api] public_routes does not have the path",
              {{"plugin", plugin}, {"route", route.pattern}});
}

} // namespace

std::shared_ptr<HostContext> HostContext::make(const Manifest &manifest, CoreServices &core) {
  return std::shared_ptr<HostContext>(new HostContext(manifest, core));
}

HostContext::HostContext(const Manifest &manifest, CoreServices &core)
    : manifest_(manifest), core_(core), tag_(PluginScope::tagOf(manifest.id, manifest.version)),
      http_(core.api,
            {owner_, [tag = tag_](const std::function<void()> &call) { handleRequest(tag, call); },
             core.config()->getList("api", "public_routes"),
             [&core, id = manifest.id](const std::string &pattern) { core.names.check(id, MOS_CLAIM_PATH, pattern); },
             [id = manifest.id](const api::Route &route) { warnNotPublic(id, route); }}) {
  host_ = common::hostTable<mos_host_v1>(this);
  host_.get_interface = &HostContext::getInterface;
  config_ = hostConfigTable(this);
  platform_ = hostPlatformTable(this);
  log_ = hostLogTable(this);
  metrics_ = hostMetricsTable(this);
  sql_ = hostSqlTable(this);
  kv_ = hostKvTable(this);
  outbox_ = hostOutboxTable(this);
  events_ = hostEventsTable(this);
  fetch_ = hostFetchTable(this);
  timers_ = hostTimersTable(this);
  executor_ = hostExecutorTable(this);
  services_ = hostServicesTable(this);
}

const void *HostContext::getInterface(void *self, const char *id) {
  auto &context = *static_cast<HostContext *>(self);
  const std::string_view name(id != nullptr ? id : "");
  if (name == MOS_HOST_CONFIG_1) return &context.config_;
  if (name == MOS_HOST_PLATFORM_1) return &context.platform_;
  if (name == MOS_HOST_LOG_1) return &context.log_;
  if (name == MOS_HOST_METRICS_1) return &context.metrics_;
  if (name == MOS_HOST_SQL_1) return &context.sql_;
  if (name == MOS_HOST_KV_1) return &context.kv_;
  if (name == MOS_HOST_OUTBOX_1) return &context.outbox_;
  if (name == MOS_HOST_EVENTS_1) return &context.events_;
  if (name == MOS_HOST_FETCH_1) return &context.fetch_;
  if (name == MOS_HOST_HTTP_1) return context.http_.table();
  if (name == MOS_HOST_TIMERS_1) return &context.timers_;
  if (name == MOS_HOST_EXECUTOR_1) return &context.executor_;
  if (name == MOS_HOST_SERVICES_1) return &context.services_;
  return nullptr;
}

void HostContext::startDelivery(std::shared_ptr<OutboxDelivery> delivery) {
  {
    const std::lock_guard lock(mutex_);
    if (delivery_ != nullptr)
      throw Error(Status::FailedPrecondition, "the plugin delivers from its outbox already", "OUTBOX_BEGUN");
    delivery_ = std::move(delivery);
  }
  wakeDelivery();
}

void HostContext::wakeDelivery() {
  std::shared_ptr<OutboxDelivery> delivery;
  {
    const std::lock_guard lock(mutex_);
    delivery = delivery_;
  }
  if (delivery) delivery->wake();
}

bool HostContext::endDelivery(std::chrono::milliseconds timeout) {
  std::shared_ptr<OutboxDelivery> delivery;
  {
    const std::lock_guard lock(mutex_);
    delivery = delivery_;
  }
  if (!delivery) return true;
  delivery->close();
  return delivery->drain(timeout);
}

void HostContext::stopAccepting() {
  // What is being delivered is cancelled, and ends while the plugin stops.
  endDelivery(std::chrono::milliseconds{0});
  core_.services.closeProvider(consumerName(), kRequestPatience);
  core_.api.removeRoutes(owner_, kRequestPatience);
}

std::string HostContext::sweep(std::chrono::milliseconds timeout) {
  std::string left;
  const auto add = [&](const std::string &what) {
    left += (left.empty() ? "after stop() it still has " : ", ") + what;
  };
  const auto note = [&](bool idle, const char *what) {
    if (!idle) add(what);
  };
  // What became of a delivery is recorded while the host still answers.
  note(endDelivery(timeout), "a running delivery");
  // What a host function is about to note for the plugin is noted before it is swept.
  calls_.close();
  endFetches();
  http_.close();
  note(calls_.drain(timeout), "calls of the host");
  note(core_.api.removeRoutes(owner_, timeout), "requests");
  note(core_.timers.sweep(owner_, timeout), "a running timer");
  core_.executor.close(owner_);
  note(core_.executor.waitIdle(owner_, timeout), "running tasks");
  note(core_.events.sweep(owner_, timeout), "a running event handler");
  if (const std::string inside = core_.services.withdrawAll(consumerName(), timeout); !inside.empty()) add(inside);
  core_.services.sweepConsumer(consumerName());
  PendingCalls::instance().sweep(consumerName());
  callbacks_->close();
  note(callbacks_->drain(timeout), "a running completion");
  core_.metrics.sweep(owner_);
  return left;
}

void HostContext::retire(std::shared_ptr<HostContext> context, bool endedWell) {
  static std::mutex mutex;
  static auto *retired = new std::map<std::string, std::deque<std::shared_ptr<HostContext>>>;
  // The context may outlive the core, and must not need it when it goes.
  context->acquired_ = context->core_.services.forgetConsumer(context->consumerName());
  if (!endedWell) return;
  context->core_.executor.forget(context->owner_);
  std::shared_ptr<HostContext> oldest;
  const std::lock_guard lock(mutex);
  auto &ended = (*retired)[context->manifest().id];
  ended.push_back(std::move(context));
  if (ended.size() <= kRetiredLives) return;
  oldest = std::move(ended.front());
  ended.pop_front();
}

std::string HostContext::degradedReason() const {
  std::string reason = core_.services.hangs(consumerName());
  const auto add = [&](const std::string &what) {
    if (!what.empty()) reason += (reason.empty() ? "" : "; ") + what;
  };
  const auto limit = core_.config()->getDuration("storage", "query_timeout") + kCallbackGrace;
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (!queries_.empty() && now - *queries_.begin() > limit) {
    const auto open = std::chrono::duration_cast<std::chrono::seconds>(now - *queries_.begin());
    add("a row callback of its SQL has not returned for " + std::to_string(open.count()) + " s");
  }
  add(PluginFaults::instance().lately(manifest_.id, born_));
  add(degraded_);
  return reason;
}

HostContext::OpenQuery::OpenQuery(HostContext &context) : context_(context) {
  const std::lock_guard lock(context.mutex_);
  since_ = context.queries_.insert(std::chrono::steady_clock::now());
}

HostContext::OpenQuery::~OpenQuery() {
  const std::lock_guard lock(context_.mutex_);
  context_.queries_.erase(since_);
}

void HostContext::setDegraded(std::string reason) {
  const std::lock_guard lock(mutex_);
  degraded_ = std::move(reason);
}

} // namespace matrixos::plugin
