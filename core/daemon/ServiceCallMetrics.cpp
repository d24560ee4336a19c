#include "daemon/ServiceCallMetrics.h"

#include "daemon/ApiMetrics.h"

#include <matrixos/status.hpp>

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace matrixos::daemon {

namespace {

/// The series of one function.
class FunctionCalls {
public:
  FunctionCalls(metrics::Metrics &metrics, std::string service, std::string function, bool blocks)
      : metrics_(metrics), service_(std::move(service)), function_(std::move(function)) {
    counters_[MOS_OK] = counterOf(MOS_OK);
    if (!blocks) return;
    seconds_ = metrics_.series(common::kCoreOwner, metrics::Type::Histogram, "matrixos_service_call_seconds",
                               "Duration of calls between plugins.", {{"service", service_}, {"function", function_}},
                               kSecondsBuckets);
  }

  void count(mos_status status, double seconds) {
    if (seconds_ != 0) metrics_.add(seconds_, seconds);
    if (status == MOS_OK) {
      ok_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    if (status < MOS_OK || status > MOS_UNAUTHENTICATED) status = MOS_UNKNOWN;
    auto &counter = counters_[static_cast<std::size_t>(status)];
    if (counter == 0) counter = counterOf(status);
    metrics_.add(counter, 1);
  }
  /// Calls that succeed are many, so they are added up here until somebody reads.
  void flush() noexcept { metrics_.add(counters_[MOS_OK], static_cast<double>(ok_.exchange(0))); }

private:
  metrics::Handle counterOf(mos_status status) {
    return metrics_.series(
        common::kCoreOwner, metrics::Type::Counter, "matrixos_service_calls_total", "Calls between plugins.",
        {{"service", service_}, {"function", function_}, {"status", statusName(static_cast<Status>(status))}});
  }

  metrics::Metrics &metrics_;
  const std::string service_, function_;
  metrics::Handle seconds_ = 0;                                                  ///< 0: it takes no time
  std::array<std::atomic<metrics::Handle>, MOS_UNAUTHENTICATED + 1> counters_{}; ///< by status; 0: not yet
  std::atomic<std::uint64_t> ok_{0};
};

/// All of them, once for each function, whoever calls it.
struct AllCalls {
  std::mutex mutex;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<FunctionCalls>> functions;
};

} // namespace

plugin::CallObserver serviceCallObserver(metrics::Metrics &metrics) {
  const auto all = std::make_shared<AllCalls>();
  metrics.onExpose([all] {
    const std::lock_guard lock(all->mutex);
    for (const auto &[name, calls] : all->functions)
      calls->flush();
  });
  return [&metrics, all](const std::string &service, const std::string &function, bool blocks) {
    const std::lock_guard lock(all->mutex);
    std::shared_ptr<FunctionCalls> &calls = all->functions[{service, function}];
    if (!calls) calls = std::make_shared<FunctionCalls>(metrics, service, function, blocks);
    return [calls](mos_status status, double seconds) { calls->count(status, seconds); };
  };
}

} // namespace matrixos::daemon
