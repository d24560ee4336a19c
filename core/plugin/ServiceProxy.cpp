#include "plugin/ServiceProxy.h"

#include "plugin/BlockWatch.h"
#include "plugin/DescribedCall.h"
#include "plugin/PendingCalls.h"
#include "plugin/PluginBoundary.h"
#include "plugin/PluginFaults.h"

#include <matrixos/abi/runtime.h>
#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace matrixos::plugin {

namespace {

mos_status unavailable(const ServicePoint &point, mos_error *error) {
  const std::string which = point.instance().empty() ? "" : " \"" + point.instance() + "\"";
  return fail(error, Status::Unavailable,
              "nothing provides " + point.service() + which +
                  " at the moment: its plugin is disabled, failed or starting",
              "SERVICE_UNAVAILABLE", 1000);
}

/// The argument with that letter as what it is; a null one when there is none.
template <typename Type>
Type argument(const common::ServiceFunction &function, char letter, void *const *args) {
  const std::size_t at = function.find(letter);
  return at == std::string::npos ? Type{} : common::argumentAt<Type>(args, at);
}

/// On the caller's thread, which must not wait.
mos_status callAtOnce(const ServiceProvider &provider, const common::ServiceFunction &function, std::uint32_t number,
                      void *const *args, mos_error *error) {
  const char *name = function.call.c_str();
  mos_status status = MOS_OK;
  {
    const BlockWatch watch(provider.tag, "", name);
    status =
        callPlugin(provider.tag, name, error, [&] { return callDescribed(provider, function, number, args, error); });
  }
  return status == MOS_OK ? status : checkedStatus(provider.tag, name, status, error);
}

using Value = std::array<std::uint64_t, 3>; // no parameter is larger

std::size_t sizeOf(char letter) {
  return letter == 'W' ? 24 : letter == 'w' || letter == 's' || letter == 'j' ? 16 : letter == 'u' ? 4 : 8;
}

} // namespace

/// The parameters of a call that left something behind, to make it again.
struct ServiceProxy::Watch {
  Watch(const Function &of, void *const *args) : function(of), values(of.said.parameters.size()) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const char letter = function.said.parameters[i];
      std::copy_n(static_cast<const char *>(args[i]), sizeOf(letter), reinterpret_cast<char *>(values[i].data()));
      if (letter != 's' && letter != 'j') continue;
      texts[i] = fromAbi(common::argumentAt<mos_str>(args, i));
      const mos_str kept = toAbi(texts[i]);
      std::copy_n(reinterpret_cast<const char *>(&kept), sizeof kept, reinterpret_cast<char *>(values[i].data()));
    }
  }
  Watch(const Watch &) = delete;
  Watch &operator=(const Watch &) = delete;

  const Function &function;
  std::vector<Value> values;
  std::array<std::string, MOS_MOST_PARAMETERS> texts;
  std::uint64_t providerId = 0; ///< 0 while nobody provides the service
};

ServiceProxy::ServiceProxy(ServicePoint &point, ServiceConsumer consumer, const common::ServiceDescription &service)
    : point_(point), consumer_(std::move(consumer)), service_(service),
      table_(common::proxyTable(service, &forwarder_)) {
  forwarder_.proxy = this;
  forwarder_.call = [](mos_forwarder_v1 *self, std::uint32_t number, void *const *args) {
    return static_cast<Forwarder *>(self)->proxy->call(number, args);
  };
  for (const common::ServiceFunction &function : service_.functions) {
    const bool blocks = function.has(MOS_FUNCTION_BLOCKS);
    const bool direct = !blocks && !function.has(MOS_FUNCTION_WATCH | MOS_FUNCTION_UNWATCH);
    const bool plain = direct && function.parameters.find_first_of("db") == std::string::npos;
    const CallObserver &observer = point_.observer();
    functions_.push_back({function, static_cast<std::uint32_t>(functions_.size()), direct, plain,
                          observer ? observer(service_.id, function.name, blocks) : FunctionObserver()});
  }
}

mos_status ServiceProxy::call(std::uint32_t number, void *const *args) noexcept {
  const Function &function = functions_[number];
  auto *error = common::argumentAt<mos_error *>(args, function.said.parameters.size());
  if (holds_.load(std::memory_order_relaxed) <= 0) return refuseReleased(function, error);
  return guarded(error, [&] { return function.isDirect ? direct(function, args, error) : run(function, args, error); });
}

mos_status ServiceProxy::refuseReleased(const Function &function, mos_error *error) const noexcept {
  PluginFaults::instance().report(consumer_.tag->id, PluginFault::Trespass,
                                  function.said.call + " of " + service_.id +
                                      " was called after its table was released");
  return fail(error, Status::FailedPrecondition, "the table of the service was released", "TABLE_RELEASED");
}

bool ServiceProxy::release() {
  int before = holds_.load();
  while (before > 0 && !holds_.compare_exchange_weak(before, before - 1)) {
  }
  if (before == 1) sweep();
  return before > 0;
}

// ------------------------------------------------------------------------------------------ on the caller's thread

mos_status ServiceProxy::direct(const Function &function, void *const *args, mos_error *error) {
  const ProviderUse use(point_);
  const ServiceProvider *provider = use.provider();
  const mos_status status = provider == nullptr ? unavailable(point_, error)
                            : function.isPlain  ? callAtOnce(*provider, function.said, function.number, args, error)
                                                : wrapped(*provider, function, args, error);
  if (function.observer) function.observer(status, 0);
  return status;
}

/// With a completion of the host's in place of the consumer's, and a look at the answer.
mos_status ServiceProxy::wrapped(const ServiceProvider &provider, const Function &function, void *const *args,
                                 mos_error *error) {
  const common::ServiceFunction &said = function.said;
  std::array<void *, MOS_MOST_PARAMETERS + 1> lent{};
  std::copy_n(args, said.parameters.size() + 1, lent.begin());
  std::uint64_t completion = 0;
  mos_completion done{};
  if (const std::size_t at = said.find('d'); at != std::string::npos) {
    done = wrap(completion, said, args, provider);
    lent[at] = &done;
  }
  const mos_status status = callAtOnce(provider, said, function.number, lent.data(), error);
  // A provider that answered and refused as well has answered: the caller must not hear of it twice.
  if (completion != 0 && status != MOS_OK && !PendingCalls::instance().forget(completion)) return MOS_OK;
  auto *out = argument<mos_buf *>(said, 'b', args);
  if (status != MOS_OK || out == nullptr || checkBuffer(provider.tag, said.call.c_str(), *out, error)) return status;
  *out = mos_buf{}; // not released: it is as wrong as its content
  return MOS_INTERNAL;
}

/// The completion that the provider gets in place of the consumer's; see PendingCalls.
mos_completion ServiceProxy::wrap(std::uint64_t &id, const common::ServiceFunction &function, void *const *args,
                                  const ServiceProvider &provider) const {
  PendingCalls::Entry entry;
  entry.original = argument<mos_completion>(function, 'd', args);
  entry.consumer = consumer_;
  entry.provider = provider.plugin;
  entry.function = function.call.c_str();
  const auto *call = argument<const mos_call *>(function, 'c', args);
  const std::int64_t grace = std::chrono::nanoseconds(point_.limits().grace).count();
  if (call != nullptr && call->deadline_ns <= MOS_NO_DEADLINE - grace) {
    entry.giveUpNs = std::max(call->deadline_ns, monotonicNanos()) + grace;
  }
  return PendingCalls::instance().wrap(std::move(entry), id);
}

// ---------------------------------------------------------------------------------------------- calls that may wait

mos_status ServiceProxy::run(const Function &function, void *const *args, mos_error *error) {
  const common::ServiceFunction &said = function.said;
  if (said.has(MOS_FUNCTION_WATCH)) return watch(function, args, error);
  if (said.has(MOS_FUNCTION_UNWATCH)) return unwatch(function, common::argumentAt<std::uint64_t>(args, 0), error);
  const mos_status status = forward(function, args, error);
  const bool described = status == MOS_UNIMPLEMENTED && service_.id == MOS_RUNTIME_1;
  return described && said.name == "start_described" ? startThenInspect(args, error) : status;
}

/// Passes the call on to the present provider: refuses when there is none, and reports to the observer.
mos_status ServiceProxy::forward(const Function &function, void *const *args, mos_error *error) {
  const auto began = std::chrono::steady_clock::now();
  const mos_status status = watched(function, args, error);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  if (function.observer) function.observer(status, took.count());
  return status;
}

mos_status ServiceProxy::watched(const Function &function, void *const *args, mos_error *error) {
  auto provider = point_.provider();
  if (!provider) return unavailable(point_, error);
  const auto call =
      std::make_shared<DescribedCall>(std::move(provider), consumer_, function.said, function.number, args);
  const mos_status status = call->watch(point_.limits().grace, error);
  auto *out = argument<mos_buf *>(function.said, 'b', args);
  if (status == MOS_OK && out != nullptr) giveBuffer(out, call->takeAnswer());
  return status;
}

/// A runtime of minor 0 is asked twice (abi/runtime.h).
mos_status ServiceProxy::startThenInspect(void *const *args, mos_error *error) {
  const std::array<void *, 3> ofStart{args[0], args[1], args[3]}; // without the buffer
  const mos_status status = forward(functionOf("start"), ofStart.data(), error);
  return status == MOS_OK ? forward(functionOf("inspect"), args, error) : status;
}

const ServiceProxy::Function &ServiceProxy::functionOf(std::string_view name) const {
  return functions_[static_cast<std::size_t>(service_.find(name) - service_.functions.data())];
}

// ---------------------------------------------------------------------------------------------------------- watches

/// Succeeds also while nobody provides the service: what is watched comes when somebody does.
mos_status ServiceProxy::watch(const Function &function, void *const *args, mos_error *error) {
  const auto watch = std::make_shared<Watch>(function, args);
  auto *out = argument<std::uint64_t *>(function.said, 't', args);
  {
    const std::lock_guard lock(mutex_);
    *out = ++lastWatch_;
    watches_.emplace(*out, watch);
  }
  return establish(*out, watch, error);
}

mos_status ServiceProxy::establish(std::uint64_t id, const std::shared_ptr<Watch> &watch, mos_error *error) {
  const ProviderUse use(point_);
  if (use.provider() == nullptr) return MOS_OK;
  const Function &function = watch->function;
  std::vector<Value> values = watch->values;
  std::array<void *, MOS_MOST_PARAMETERS + 1> args{};
  std::uint64_t providerId = 0;
  std::uint64_t *out = &providerId;
  for (std::size_t i = 0; i < values.size(); ++i)
    args[i] = function.said.parameters[i] == 't' ? static_cast<void *>(&out) : values[i].data();
  args[values.size()] = &error;
  const mos_status status = callPlugin(use.provider()->tag, function.said.call.c_str(), error, [&] {
    return callDescribed(*use.provider(), function.said, function.number, args.data(), error);
  });
  const std::lock_guard lock(mutex_);
  if (status != MOS_OK)
    watches_.erase(id);
  else
    watch->providerId = providerId;
  return status;
}

/// The new provider knows nothing of the watches: each is set up again and gets everything once more.
void ServiceProxy::providerArrived() {
  std::map<std::uint64_t, std::shared_ptr<Watch>> all;
  {
    const std::lock_guard lock(mutex_);
    all = watches_;
    for (const auto &[id, watch] : all) {
      watch->providerId = 0;
      for (std::size_t i = 0; i < watch->values.size(); ++i) {
        if (watch->function.said.parameters[i] == 'U') watch->values[i] = {};
      }
    }
  }
  for (const auto &[id, watch] : all)
    establish(id, watch, nullptr);
}

mos_status ServiceProxy::unwatch(const Function &function, std::uint64_t id, mos_error *error) {
  std::uint64_t providerId = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto at = watches_.find(id);
    if (at == watches_.end()) return fail(error, Status::NotFound, "no such watch", "STALE_HANDLE");
    providerId = at->second->providerId;
    watches_.erase(at);
  }
  return endWatch(function, providerId, error);
}

/// A provider that has gone has no watches left: nothing to end is success.
mos_status ServiceProxy::endWatch(const Function &function, std::uint64_t providerId, mos_error *error) {
  const ProviderUse use(point_);
  if (use.provider() == nullptr || providerId == 0) return MOS_OK;
  const std::array<void *, 2> args{&providerId, &error};
  return callPlugin(use.provider()->tag, function.said.call.c_str(), error,
                    [&] { return callDescribed(*use.provider(), function.said, function.number, args.data(), error); });
}

void ServiceProxy::sweep() {
  std::map<std::uint64_t, std::shared_ptr<Watch>> left;
  {
    const std::lock_guard lock(mutex_);
    left.swap(watches_);
  }
  const auto ends = std::find_if(functions_.begin(), functions_.end(),
                                 [](const Function &function) { return function.said.has(MOS_FUNCTION_UNWATCH); });
  if (ends == functions_.end()) return;
  for (const auto &[id, watch] : left)
    endWatch(*ends, watch->providerId, nullptr);
}

} // namespace matrixos::plugin
