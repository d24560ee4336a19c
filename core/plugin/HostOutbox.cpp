#include "common/HostTable.h"
#include "log/Log.h"
#include "plugin/HostContext.h"
#include "plugin/HostSql.h"
#include "plugin/OutboxDelivery.h"

#include <matrixos/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

/// What a plugin sends: outbox.
namespace matrixos::plugin {

namespace {

using storage::OutboxStore;

constexpr std::chrono::seconds kEndTimeout{10};

OutboxDelivery::Outcome outcomeOf(std::int32_t verdict, const mos_error &error) {
  OutboxDelivery::Outcome outcome;
  if (verdict == MOS_OUTBOX_DONE) outcome.verdict = OutboxDelivery::Verdict::Done;
  if (verdict == MOS_OUTBOX_DROP) outcome.verdict = OutboxDelivery::Verdict::Drop;
  outcome.error.assign(error.message, ::strnlen(error.message, MOS_MESSAGE_SIZE));
  outcome.retryAfter = std::chrono::milliseconds{std::max<std::int64_t>(error.retry_after_ms, 0)};
  return outcome;
}

/// One attempt by the plugin. What it throws, or answers that there is not, is an attempt that failed.
OutboxDelivery::Outcome attempt(const PluginTag *tag, mos_outbox_deliver_fn deliver, void *ctx, const mos_call *call,
                                const OutboxStore::Stored &item) {
  const mos_outbox_delivery delivery{
      sizeof delivery, item.attempts + 1, {toAbi(item.target), toAbi(item.id), toAbi(item.payload)}, item.createdMs};
  mos_error error{};
  std::int32_t verdict = MOS_OUTBOX_RETRY;
  const mos_status status = callPlugin(tag, "its delivery from the outbox", &error, [&] {
    verdict = deliver(ctx, call, &delivery, &error);
    return MOS_OK;
  });
  if (status != MOS_OK) verdict = MOS_OUTBOX_RETRY;
  return outcomeOf(verdict, error);
}

/// matrixos_outbox_deliveries_total and matrixos_outbox_items, and the log.
void noteResult(HostContext &context, const char *result, const std::string &problem) {
  guarded(nullptr, [&] {
    if (!problem.empty())
      log::Log(context.manifest().id).warning("the outbox could not be read or written: " + problem);
    metrics::Metrics &metrics = context.core().metrics;
    const std::string &id = context.manifest().id;
    metrics.add(metrics.series(context.owner(), metrics::Type::Counter, "matrixos_outbox_deliveries_total",
                               "Attempts to deliver from the plugin's outbox.", {{"plugin", id}, {"result", result}},
                               {}),
                1);
  });
}

std::string toJson(const OutboxStore::Stored &item) {
  return json::dump(*json::object({{"target", item.target},
                                   {"id", item.id},
                                   {"attempts", item.attempts},
                                   {"createdMs", item.createdMs},
                                   {"dueMs", item.dueMs},
                                   {"parked", item.parked},
                                   {"lastError", item.lastError}}));
}

void begin(HostContext &context, mos_outbox_deliver_fn deliver, void *ctx) {
  OutboxDelivery::Parts parts{
      context.core().database.outbox(),
      context.core().executor,
      context.core().timers,
      context.owner(),
      [&context] { return accessOf(context); },
      [&context, deliver, ctx](const mos_call *call, const OutboxStore::Stored &item) {
        return attempt(context.tag(), deliver, ctx, call, item);
      },
      [&context](const char *result, const std::string &problem) { noteResult(context, result, problem); }};
  context.startDelivery(std::make_shared<OutboxDelivery>(std::move(parts), OutboxLimits{}));
}

/// A function of the outbox for the plugin.
mos_status withOutbox(void *self, mos_error *error, auto &&body) {
  return hosted(self, error, [&](HostContext &context) {
    watched(context, [&] { body(context, context.core().database.outbox()); });
  });
}

} // namespace

mos_host_outbox_v1 hostOutboxTable(HostContext *context) {
  auto table = common::hostTable<mos_host_outbox_v1>(context);
  table.put = [](void *self, const mos_outbox_item *items, std::uint32_t count, const mos_sql_statement *statements,
                 std::uint32_t statementCount, std::int64_t *changed, mos_error *error) {
    return withOutbox(self, error, [&](HostContext &c, OutboxStore &store) {
      std::vector<OutboxStore::Item> list;
      for (std::uint32_t i = 0; i < count; ++i) {
        list.push_back({std::string(fromAbi(items[i].target)), std::string(fromAbi(items[i].id)),
                        std::string(fromAbi(items[i].payload))});
      }
      const auto rows =
          store.put(accessOf(c), list, toStatements(statements, statementCount), c.core().timers.wallClockMs());
      if (changed != nullptr) std::copy(rows.begin(), rows.end(), changed);
      c.wakeDelivery();
    });
  };
  table.begin = [](void *self, mos_outbox_deliver_fn deliver, void *ctx, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { begin(c, deliver, ctx); });
  };
  table.end = [](void *self, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) {
      if (!c.endDelivery(kEndTimeout))
        throw Error(Status::DeadlineExceeded, "a delivery from the outbox does not return", "OUTBOX_STUCK");
    });
  };
  table.list = [](void *self, std::uint32_t parkedOnly, mos_sink items, mos_error *error) {
    return withOutbox(self, error, [&](HostContext &c, OutboxStore &store) {
      store.list(accessOf(c), parkedOnly != 0, [&](const OutboxStore::Stored &item) {
        const std::string text = toJson(item);
        return items.item(items.ctx, toAbi(text)) == MOS_SINK_CONTINUE;
      });
    });
  };
  table.retry = [](void *self, mos_str target, mos_str id, std::int64_t *count, mos_error *error) {
    return withOutbox(self, error, [&](HostContext &c, OutboxStore &store) {
      const std::int64_t found =
          store.retryParked(accessOf(c), fromAbi(target), fromAbi(id), c.core().timers.wallClockMs());
      if (count != nullptr) *count = found;
      c.wakeDelivery();
    });
  };
  table.discard = [](void *self, mos_str target, mos_str id, std::int64_t *count, mos_error *error) {
    return withOutbox(self, error, [&](HostContext &c, OutboxStore &store) {
      const std::int64_t found = store.discardParked(accessOf(c), fromAbi(target), fromAbi(id));
      if (count != nullptr) *count = found;
    });
  };
  return table;
}

} // namespace matrixos::plugin
