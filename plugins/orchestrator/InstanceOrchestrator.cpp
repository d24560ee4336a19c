#include "InstanceOrchestrator.h"

#include "DestroyOperation.h"
#include "InstanceStore.h"
#include "InstanceTable.h"
#include "InstanceToken.h"
#include "LaunchOperation.h"
#include "OperationQueue.h"
#include "Settings.h"
#include "StopOperation.h"
#include "SyncOperation.h"

#include <matrixos/handle.hpp>
#include <matrixos/json.hpp>

#include <Poco/String.h>

#include <algorithm>

namespace matrixos::orchestrator {

namespace {

constexpr std::size_t kMaxUserId = 128;

/// The name of a plugin's site leads there, and never to an instance; nor does that of the console.
bool isReserved(std::string_view handle, const Platform &platform) {
  if (isReservedHandle(handle)) return true;
  const json::Object::Ptr info = json::parseObject(platform.info());
  const auto sites = json::getStrings(*info, "sites");
  if (std::find(sites.begin(), sites.end(), handle) != sites.end()) return true;
  const std::string host = std::string(handle) + "." + json::findString(*info, "domain").value_or("");
  return Poco::icompare(host, json::findString(*info, "consoleHost").value_or("")) == 0;
}

void checkHandle(std::string_view handle, const Platform &platform) {
  if (!isHandle(handle)) {
    throw Error(
        Status::InvalidArgument,
        "\"handle\" has to be 3 to 31 lower-case letters and digits, with single dashes between them, in all 32 "
        "characters at most, and not begin with xn--",
        "BAD_HANDLE");
  }
  if (isReserved(handle, platform)) {
    throw Error(Status::InvalidArgument, "\"handle\" may not be \"" + std::string(handle) + "\": the name is reserved",
                "RESERVED_HANDLE");
  }
}

void checkUser(std::string_view clerkUserId) {
  const bool printable =
      std::all_of(clerkUserId.begin(), clerkUserId.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (clerkUserId.empty() || clerkUserId.size() > kMaxUserId || !printable) {
    throw Error(Status::InvalidArgument, "\"clerkUserId\" has to be 1 to 128 printable ASCII characters",
                "BAD_USER_ID");
  }
}

/// Runs a command of the ABI: a refusal throws and leaves `done` alone, else it moves into the operation's end.
void withDone(Completion &done, auto &&command) {
  const auto shared = std::make_shared<Completion>(std::move(done));
  try {
    command([shared](const Result &result) {
      if (result.error)
        shared->fail(*result.error);
      else
        shared->succeed(result.json);
    });
  } catch (...) {
    done = std::move(*shared);
    throw;
  }
}

} // namespace

void InstanceOrchestrator::provisionThen(std::string_view handle, std::string_view clerkUserId,
                                         std::int64_t deadlineNanos, Done done) {
  checkHandle(handle, platform_);
  checkUser(clerkUserId);
  if (const auto view = shop_.table.view(handle)) {
    const Instance &known = *view->instance;
    if (known.clerkUserId != clerkUserId) {
      throw Error(Status::AlreadyExists, "the handle \"" + known.handle + "\" is taken", "HANDLE_TAKEN");
    }
    if (known.onceRan() && known.phase != Phase::Deleting) {
      Result result;
      result.json = view->json();
      return done(result);
    }
  } else if (const InstancePtr other = shop_.table.findByUser(clerkUserId)) {
    throw Error(Status::AlreadyExists, "the user already has the instance \"" + other->handle + "\"", "USER_TAKEN");
  }
  shop_.queue.submit(std::make_shared<LaunchOperation>(shop_, std::string(handle), std::string(clerkUserId)),
                     std::move(done), deadlineNanos);
}

std::string_view InstanceOrchestrator::whyNot(std::string_view handle) const {
  if (!isHandle(handle)) return "invalid";
  if (isReserved(handle, platform_)) return "reserved";
  // An instance whose provision has not been written yet is known to the queue alone.
  if (shop_.table.find(handle) != nullptr || !shop_.queue.isIdle(std::string(handle))) return "taken";
  const auto tombstone = shop_.store.findTombstone(handle);
  return tombstone && tombstone->expiresAt > wallClockMs() ? "taken" : "";
}

void InstanceOrchestrator::startThen(std::string_view handle, std::int64_t deadlineNanos, Done done) {
  requireKnown(handle);
  shop_.queue.submit(std::make_shared<LaunchOperation>(shop_, std::string(handle)), std::move(done), deadlineNanos);
}

void InstanceOrchestrator::stopThen(std::string_view handle, std::uint64_t ifActivitySeq, std::string_view reason,
                                    std::int64_t deadlineNanos, Done done) {
  requireKnown(handle);
  shop_.queue.submit(std::make_shared<StopOperation>(shop_, std::string(handle), ifActivitySeq, std::string(reason)),
                     std::move(done), deadlineNanos);
}

void InstanceOrchestrator::destroyThen(std::string_view handle, std::int64_t deadlineNanos, Done done) {
  requireKnown(handle);
  const std::string key(handle);
  shop_.queue.submit(std::make_shared<DestroyOperation>(shop_, key, shop_.table.find(key)), std::move(done),
                     deadlineNanos);
  shop_.queue.abandonParked(key); // a deletion does not wait for the pull of an image
}

void InstanceOrchestrator::requireKnown(std::string_view handle) const {
  // An instance whose provision has not been written yet is known to the queue alone.
  if (shop_.table.find(handle) == nullptr && shop_.queue.isIdle(std::string(handle))) {
    throw Error(Status::NotFound, "there is no instance \"" + std::string(handle) + "\"", "NO_INSTANCE");
  }
}

void InstanceOrchestrator::provision(const Call &call, std::string_view handle, std::string_view clerkUserId,
                                     Completion &done) {
  withDone(done, [&](Done then) { provisionThen(handle, clerkUserId, call.deadlineNanos(), std::move(then)); });
}

void InstanceOrchestrator::start(const Call &call, std::string_view handle, Completion &done) {
  withDone(done, [&](Done then) { startThen(handle, call.deadlineNanos(), std::move(then)); });
}

void InstanceOrchestrator::stop(const Call &call, std::string_view handle, std::uint64_t ifActivitySeq,
                                std::string_view reason, Completion &done) {
  withDone(done, [&](Done then) { stopThen(handle, ifActivitySeq, reason, call.deadlineNanos(), std::move(then)); });
}

void InstanceOrchestrator::destroy(const Call &call, std::string_view handle, Completion &done) {
  withDone(done, [&](Done then) { destroyThen(handle, call.deadlineNanos(), std::move(then)); });
}

std::string InstanceOrchestrator::get(std::string_view handle) {
  const auto view = shop_.table.view(handle);
  if (!view) throw Error(Status::NotFound, "there is no instance \"" + std::string(handle) + "\"", "NO_INSTANCE");
  lookForEndpoints(*view->instance);
  return view->json();
}

/// Where it listens is not stored: after a restart, who asks does not wait for the whole list.
void InstanceOrchestrator::lookForEndpoints(const Instance &record) {
  if (record.phase == Phase::Running && record.endpoints.empty())
    shop_.queue.submitIfIdle(std::make_shared<SyncOperation>(shop_, record.handle));
}

std::vector<InstanceView> InstanceOrchestrator::views(std::string_view status) const {
  if (!status.empty() && indexOf(instanceStatusOf(status)) >= kStatusCount) {
    throw Error(Status::InvalidArgument,
                "\"status\" has to be provisioning, running, stopped, sleeping, failed or deleting", "BAD_STATUS");
  }
  return shop_.table.list(status);
}

void InstanceOrchestrator::list(std::string_view status, const std::function<bool(std::string_view)> &item) {
  for (const InstanceView &view : views(status)) {
    if (!item(view.json())) return;
  }
}

std::uint64_t InstanceOrchestrator::watch(std::uint64_t sinceRev, const mos_instance_watcher &watcher) {
  return shop_.table.watch(sinceRev, watcher);
}

void InstanceOrchestrator::recordActivity(const mos_activity *items, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i)
    shop_.table.recordActivity(fromAbi(items[i].handle), items[i].at_ms, items[i].count);
}

std::optional<TokenOwner> InstanceOrchestrator::tokenOwner(std::string_view token) {
  if (token.size() != InstanceToken::kLength) return std::nullopt;
  const InstancePtr record = shop_.table.findByToken(InstanceToken::hashOf(token));
  if (!record) return std::nullopt;
  lookForEndpoints(*record);
  TokenOwner owner{record->id, record->handle, false, {}};
  for (const Endpoint &endpoint : record->endpoints) {
    const bool known = std::count(owner.addresses.begin(), owner.addresses.end(), endpoint.address) != 0;
    if (endpoint.scope == "bridge" && !known) owner.addresses.push_back(endpoint.address);
  }
  // One that runs and has no address of its own shares the machine's with everybody.
  const bool shares = !record->endpoints.empty() && owner.addresses.empty();
  owner.bound = shop_.settings.get()->bindsTokens && !shares;
  return owner;
}

void InstanceOrchestrator::flushActivity() {
  const std::vector<ActivityRow> rows = shop_.table.takeActivity();
  if (rows.empty()) return;
  try {
    shop_.store.saveActivity(rows);
  } catch (...) {
    shop_.table.returnActivity(rows);
    throw;
  }
}

void InstanceOrchestrator::unwatch(std::uint64_t watch) {
  shop_.table.unwatch(watch);
}

} // namespace matrixos::orchestrator
