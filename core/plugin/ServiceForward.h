#pragma once

#include "common/TableFunction.h"
#include "plugin/PendingCalls.h"
#include "plugin/PluginBoundary.h"
#include "plugin/ServiceProxy.h"
#include "plugin/WatchedCall.h"

#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

/// How a proxy passes one function of a table on. Everything here is chosen by the function's argument types, so that a
/// proxy is a list of names.
namespace matrixos::plugin {

/// What all proxies share: where calls go, and on whose behalf.
class ProxyBase : public ServiceProxy {
public:
  ProxyBase(ServicePoint &point, ServiceConsumer consumer) : point_(point), consumer_(std::move(consumer)) {}

  const ServicePoint &point() const noexcept override { return point_; }
  const ServiceConsumer &consumer() const noexcept { return consumer_; }

protected:
  ServicePoint &point_;
  const ServiceConsumer consumer_;
};

/// One call on the caller's thread: the provider and its pass, or none.
struct ProviderUse {
  std::shared_ptr<ServiceProvider> provider;
  CallGate::Pass pass;

  explicit ProviderUse(const ServicePoint &point) : provider(point.provider()) {
    if (provider) pass = provider->gate.enter();
  }
};

/// Text as a template argument: the function's name, "create()", for messages, and "create" for metrics.
template <std::size_t Size>
struct FunctionName {
  char call[Size + 2]{};
  char text[Size]{};
  constexpr FunctionName(const char (&from)[Size]) { // NOLINT: implicit on purpose
    std::copy_n(from, Size, text);
    std::copy_n(from, Size - 1, call);
    call[Size - 1] = '(';
    call[Size] = ')';
  }
};

mos_status unavailable(const ServicePoint &point, mos_error *error);

/// The argument of type Wanted among the arguments, or a null one.
template <typename Wanted>
Wanted argumentOf() {
  return Wanted{};
}
template <typename Wanted, typename First, typename... Rest>
Wanted argumentOf(First first, Rest... rest) {
  if constexpr (std::is_same_v<Wanted, First>)
    return first;
  else
    return argumentOf<Wanted>(rest...);
}

/// A provider's function, called with the present table; null when it has none.
template <typename Table, auto Member, typename... Args>
mos_status callTable(const ServiceProvider &provider, const char *name, mos_error *error, Args... args) {
  const auto *table = static_cast<const Table *>(provider.table);
  const auto function = common::functionOf(*table, Member);
  if (function == nullptr) {
    return fail(error, Status::Unimplemented,
                "the plugin " + std::string(provider.tag->id) + " has no " + name + " in its table", "UNIMPLEMENTED");
  }
  return function(table->self, args...);
}

/// A WatchedCall of one function, with its arguments.
template <typename Table, auto Member, typename... Args>
class WatchedFunction final : public WatchedCall {
public:
  WatchedFunction(std::shared_ptr<ServiceProvider> provider, const ServiceConsumer &consumer, const char *name,
                  Args... args)
      : WatchedCall(std::move(provider), consumer, name, argumentOf<const mos_call *>(args...)), name_(name),
        kept_(keep(args)...) {}

private:
  static std::string keep(mos_str text) { return std::string(fromAbi(text)); }
  template <typename Other>
  static Other keep(Other other) {
    return other;
  }

  mos_str lend(const std::string &text) { return toAbi(text); }
  const mos_call *lend(const mos_call *) { return lentCall(); }
  mos_sink lend(mos_sink sink) { return lendSink(sink); }
  mos_buf *lend(mos_buf *) { return lentBuffer(); }
  mos_error *lend(mos_error *) { return lentError(); }
  std::int64_t lend(std::int64_t number) { return number; }
  std::uint32_t lend(std::uint32_t number) { return number; }

  mos_status invoke(const ServiceProvider &provider) override {
    return std::apply(
        [&](const auto &...kept) { return callTable<Table, Member>(provider, name_, lentError(), lend(kept)...); },
        kept_);
  }

  const char *const name_;
  const std::tuple<decltype(keep(std::declval<Args>()))...> kept_;
};

/// A provider's answer to [loop] functions, called on the caller's own thread.
template <typename Table, auto Member, typename... Args>
class DirectFunction {
public:
  DirectFunction(const ProxyBase &proxy, const ServiceProvider &provider, const char *name)
      : proxy_(proxy), provider_(provider), name_(name) {}

  mos_status run(Args... args) {
    mos_error *error = argumentOf<mos_error *>(args...);
    std::uint64_t completion = 0;
    const mos_completion done = wrap(completion, args...);
    mos_status status = MOS_OK;
    {
      const BlockWatch watch(provider_.tag, "", name_);
      status = callPlugin(provider_.tag, name_, error,
                          [&] { return callTable<Table, Member>(provider_, name_, error, replace(args, done)...); });
    }
    status = checkedStatus(provider_.tag, name_, status, error);
    // A provider that answered and refused as well has answered: the caller must not hear of it twice.
    if (completion != 0 && status != MOS_OK && !PendingCalls::instance().forget(completion)) return MOS_OK;
    mos_buf *out = argumentOf<mos_buf *>(args...);
    if (status != MOS_OK || out == nullptr || checkBuffer(provider_.tag, name_, *out, error)) return status;
    *out = mos_buf{}; // not released: it is as wrong as its content
    return MOS_INTERNAL;
  }

private:
  /// The completion that the provider gets in place of the consumer's; see PendingCalls.
  mos_completion wrap(std::uint64_t &id, Args... args) {
    if constexpr (!(std::is_same_v<mos_completion, Args> || ...)) return {};
    PendingCalls::Entry entry;
    entry.original = argumentOf<mos_completion>(args...);
    entry.consumer = proxy_.consumer();
    entry.provider = provider_.plugin;
    entry.function = name_;
    const auto *call = argumentOf<const mos_call *>(args...);
    const std::int64_t grace = std::chrono::nanoseconds(proxy_.point().limits().grace).count();
    if (call != nullptr && call->deadline_ns <= MOS_NO_DEADLINE - grace) {
      entry.giveUpNs = std::max(call->deadline_ns, monotonicNanos()) + grace;
    }
    return PendingCalls::instance().wrap(std::move(entry), id);
  }

  template <typename Arg>
  static Arg replace(Arg arg, const mos_completion &done) {
    if constexpr (std::is_same_v<Arg, mos_completion>)
      return done;
    else
      return arg;
  }

  const ProxyBase &proxy_;
  const ServiceProvider &provider_;
  const char *const name_;
};

/// Services whose functions block: their calls are watched. The others' functions are [loop] or quick.
template <typename Table>
constexpr bool kBlocks = false;

template <auto Member, FunctionName Text>
struct Forward;

/// Forwards one function of a table to the present provider: refuses when there is none, and reports to the observer.
template <typename Table, typename... Args, mos_status (*Table::*Member)(void *, Args...), FunctionName Text>
struct Forward<Member, Text> {
  static mos_status call(void *self, Args... args) {
    auto *proxy = static_cast<ProxyBase *>(self);
    mos_error *error = argumentOf<mos_error *>(args...);
    return guarded(error, [&] { return run(*proxy, error, args...); });
  }

private:
  static mos_status run(ProxyBase &proxy, mos_error *error, Args... args) {
    const auto began = std::chrono::steady_clock::now();
    mos_status status = MOS_OK;
    if constexpr (kBlocks<Table>) {
      auto provider = proxy.point().provider();
      if (!provider) return unavailable(proxy.point(), error);
      status = watched(proxy, std::move(provider), error, args...);
    } else {
      const ProviderUse use(proxy.point());
      if (!use.pass) return unavailable(proxy.point(), error);
      status = DirectFunction<Table, Member, Args...>(proxy, *use.provider, Text.call).run(args...);
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    if (proxy.point().observer()) {
      proxy.point().observer()(proxy.point().service().c_str(), Text.text, status, took.count());
    }
    return status;
  }

  static mos_status watched(ProxyBase &proxy, std::shared_ptr<ServiceProvider> provider, mos_error *error,
                            Args... args) {
    using Call = WatchedFunction<Table, Member, Args...>;
    const auto call = std::make_shared<Call>(std::move(provider), proxy.consumer(), Text.call, args...);
    const mos_status status = call->watch(proxy.point().limits().grace, error);
    mos_buf *out = argumentOf<mos_buf *>(args...);
    if (status == MOS_OK && out != nullptr) giveBuffer(out, call->takeAnswer());
    return status;
  }
};

} // namespace matrixos::plugin
