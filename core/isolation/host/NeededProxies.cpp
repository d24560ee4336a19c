#include "isolation/host/NeededProxies.h"

#include "isolation/Arguments.h"
#include "isolation/host/CrashReporter.h"

#include <matrixos/status.hpp>

#include <algorithm>
#include <string>

namespace matrixos::isolation::host {

namespace {

constexpr std::size_t kThreads = 4;

/// The daemon's own patience comes first, which knows better what is wrong.
CallTable::Limits limits() {
  CallTable::Limits limits;
  limits.grace = std::chrono::milliseconds{5'000};
  return limits;
}

common::ExecutorOptions threadOptions() {
  common::ExecutorOptions options;
  options.name = "completion";
  options.threads = options.runningPerOwner = kThreads;
  options.queuedPerOwner = 4096; // the daemon sends fewer
  return options;
}

mos_status refuseStopped(mos_error *error) {
  return fail(error, Status::Unavailable, "the plugin was stopped", "STOPPED");
}

} // namespace

NeededProxies::NeededProxies(DaemonLink &link)
    : link_(link), calls_(
                       limits(), [] {}, kIntoDaemon),
      threads_(threadOptions()) {
  calls_.attach(link.channel());
}

const void *NeededProxies::acquire(std::string_view service, std::string_view instance) {
  const common::ServiceDescription *described = common::ServiceCatalogue::instance().find(service);
  if (described == nullptr || !described->isCallable()) {
    throw Error(Status::FailedPrecondition,
                "a plugin with isolation=process has to describe what it uses: name the description of " +
                    std::string(service) + " (MOS_DESCRIBE_SERVICE) in the descriptor's services",
                "ISOLATED");
  }
  const std::lock_guard lock(acquiring_);
  std::uint16_t number = 0;
  link_.ask(question(Question::Acquire, service, instance),
            [&](const AnswerFrame &answer) { number = static_cast<std::uint16_t>(answer.integer); });
  Table &table = tableOf(number, *described);
  ++table.holds;
  return table.table.data();
}

void NeededProxies::release(const void *table) {
  const std::lock_guard lock(acquiring_);
  const auto at = std::find_if(tables_.begin(), tables_.end(), [&](const Table &t) { return t.table.data() == table; });
  if (at == tables_.end() || at->holds == 0)
    throw Error(Status::NotFound, "the plugin does not hold that table", "STALE_HANDLE");
  --at->holds;
  link_.ask(question(Question::Release, {}, {}, at->number), [](const AnswerFrame &) {});
}

NeededProxies::Table &NeededProxies::tableOf(std::uint16_t number, const common::ServiceDescription &service) {
  const auto at = std::find_if(tables_.begin(), tables_.end(), [&](const Table &t) { return t.number == number; });
  if (at != tables_.end()) return *at;
  Table &made = tables_.emplace_back();
  made.call = [](mos_forwarder_v1 *self, std::uint32_t function, void *const *args) {
    const auto &table = *static_cast<Table *>(self);
    return table.proxies->call(table, function, args);
  };
  made.proxies = this;
  made.service = &service;
  made.number = number;
  made.table = common::proxyTable(service, &made);
  return made;
}

mos_status NeededProxies::call(const Table &table, std::uint32_t number, void *const *args) noexcept {
  const common::ServiceFunction &function = table.service->functions[number];
  auto *error = common::argumentAt<mos_error *>(args, function.parameters.size());
  return guarded(error, [&] {
    if (!open_) return refuseStopped(error);
    if (table.holds == 0) {
      return fail(error, Status::FailedPrecondition,
                  function.call + " of " + table.service->id + " was called after its table was released",
                  "TABLE_RELEASED");
    }
    Arguments arguments(*table.service, number, table.number, args);
    if (arguments.done == nullptr) return calls_.run(arguments.request, arguments.call, error);
    return callAsync(arguments.request, *arguments.done, arguments.call, error);
  });
}

mos_status NeededProxies::callHost(HostFunction function, const char *name, CallRequest request, const mos_call *call,
                                   mos_error *error) noexcept {
  if (!open_) return refuseStopped(error);
  // A sink that has had enough of an answer is content.
  request.function = {static_cast<std::uint8_t>(function), name, Repeat::Never, true};
  request.slot = kHostSlot;
  return calls_.run(request, call, error);
}

mos_status NeededProxies::callAsync(CallRequest &request, const mos_completion &done, const mos_call *call,
                                    mos_error *error) {
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    if (!open_) return refuseStopped(error); // close() has seen to those that it found
    number = ++lastCompletion_;
    completions_.emplace(number, done);
  }
  request.numbers.push_back(static_cast<std::int64_t>(number));
  const mos_status status = calls_.run(request, call, error);
  // One that was answered and refused as well has been answered: the plugin must not hear of it twice.
  if (status == MOS_OK) return status;
  const std::lock_guard lock(mutex_);
  return take(number) ? status : MOS_OK;
}

bool NeededProxies::close(std::chrono::nanoseconds patience) {
  {
    const std::lock_guard lock(mutex_);
    open_ = false;
    mos_error error{};
    refuseStopped(&error);
    for (const auto &[number, done] : completions_)
      complete(done, error.status, error, {});
    completions_.clear();
  }
  const bool idle = threads_.waitIdle(common::kCoreOwner, patience);
  threads_.close(common::kCoreOwner);
  return idle;
}

/// Under mutex_.
std::optional<mos_completion> NeededProxies::take(std::uint64_t number) {
  const auto at = completions_.find(number);
  if (at == completions_.end()) return std::nullopt;
  const mos_completion done = at->second;
  completions_.erase(at);
  return done;
}

void NeededProxies::onFrame(FrameType type, std::string_view payload) {
  if (type == FrameType::UseResult) return calls_.result(decode<ResultFrame>(payload));
  if (type == FrameType::UseItem) return calls_.item(decode<ItemFrame>(payload));
  const auto frame = decode<ResultFrame>(payload);
  mos_error error{};
  const mos_status status = frame.failure.give(&error);
  const std::lock_guard lock(mutex_);
  const auto done = take(frame.id);
  if (done) complete(*done, status, error, frame.json); // else its call was given up
}

/// Under mutex_, so that close() waits for it.
void NeededProxies::complete(const mos_completion &done, mos_status status, const mos_error &error,
                             std::string_view json) {
  threads_.submit(common::kCoreOwner, [done, status, error, json = std::string(json)] {
    const CrashReporter::Scope scope("a completion");
    done.done(done.ctx, status, toAbi(json), status == MOS_OK ? nullptr : &error);
  });
}

} // namespace matrixos::isolation::host
