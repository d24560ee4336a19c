#include "common/HostTable.h"
#include "plugin/Fetcher.h"
#include "plugin/HostContext.h"

/// What a plugin fetches from elsewhere.
namespace matrixos::plugin {

mos_host_fetch_v1 hostFetchTable(HostContext *context) {
  auto table = common::hostTable<mos_host_fetch_v1>(context);
  table.fetch = [](void *self, const mos_call *call, const mos_fetch_request *request, mos_fetch_sink sink,
                   mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { c.fetcher()->fetch(call, *request, sink); });
  };
  return table;
}

std::shared_ptr<Fetcher> HostContext::fetcher() {
  const std::lock_guard lock(mutex_);
  if (fetchesEnded_) throw Error(Status::Unavailable, "the plugin was stopped", "STOPPED");
  if (!fetcher_) {
    fetcher_ = std::make_shared<Fetcher>([&metrics = core_.metrics, id = manifest_.id](const char *result) {
      // Where there are too many metrics this one is not counted.
      guarded(nullptr, [&] {
        metrics.add(metrics.series(common::kCoreOwner, metrics::Type::Counter, "matrixos_plugin_fetches_total",
                                   "What plugins fetched, by the class of the answer's status.",
                                   {{"plugin", id}, {"result", result}}),
                    1);
      });
    });
  }
  return fetcher_;
}

void HostContext::endFetches() {
  std::shared_ptr<Fetcher> fetcher;
  {
    const std::lock_guard lock(mutex_);
    fetchesEnded_ = true;
    fetcher = fetcher_;
  }
  if (fetcher) fetcher->close();
}

} // namespace matrixos::plugin
