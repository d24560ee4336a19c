/// matrixos/host/outbox.hpp: messages that have to arrive, abi/host.h mos_host_outbox_v1.
#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/host/sql.hpp>
#include <matrixos/host/table.hpp>
#include <matrixos/status.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos {
inline namespace v1 {

/// Something to deliver; texts are borrowed.
struct OutboxItem {
  std::string_view target, id, payload;
};

/// One attempt; texts are borrowed for it.
struct OutboxDelivery {
  std::string_view target, id, payload;
  std::uint32_t attempt = 1;
  std::int64_t createdMs = 0;
};

/// What became of an attempt.
struct OutboxVerdict {
  static OutboxVerdict done() { return {MOS_OUTBOX_DONE, {}, {}}; }
  static OutboxVerdict drop() { return {MOS_OUTBOX_DROP, {}, {}}; }
  /// `why` is kept for the operator; after 0 ms: after the host's own pause.
  static OutboxVerdict retry(std::string why, std::chrono::milliseconds after = {}) {
    return {MOS_OUTBOX_RETRY, std::move(why), after};
  }

  std::int32_t value = MOS_OUTBOX_RETRY;
  std::string why;
  std::chrono::milliseconds after{0};
};

/// The plugin's outbox. Its end ends the delivery.
class Outbox {
public:
  /// `call`: deadline and cancellation of the attempt. What it throws is an attempt that failed.
  using DeliverFn = std::function<OutboxVerdict(const mos_call *call, const OutboxDelivery &delivery)>;

  explicit Outbox(const mos_host_v1 *host) : table_(detail::hostTable<mos_host_outbox_v1>(host, MOS_HOST_OUTBOX_1)) {}
  Outbox(const Outbox &) = delete;
  Outbox &operator=(const Outbox &) = delete;

  /// Puts items in, in one transaction with statements on the plugin's own tables. Gives the rows that each of these
  /// changed.
  std::vector<std::int64_t> put(const std::vector<OutboxItem> &items,
                                const std::vector<SqlStatement> &statements = {}) const {
    std::vector<mos_outbox_item> list;
    for (const OutboxItem &item : items)
      list.push_back({toAbi(item.target), toAbi(item.id), toAbi(item.payload)});
    const detail::SqlBatch batch(statements);
    std::vector<std::int64_t> changed(statements.size());
    check([&](mos_error *e) {
      return table_->put(table_->self, list.data(), static_cast<std::uint32_t>(list.size()), batch.data(), batch.size(),
                         changed.data(), e);
    });
    return changed;
  }

  /// In start(), once: also what earlier lives of the plugin put in is delivered.
  void begin(DeliverFn deliver) {
    deliver_ = std::make_unique<DeliverFn>(std::move(deliver));
    check([&](mos_error *e) { return table_->begin(table_->self, &Outbox::attempt, deliver_.get(), e); });
  }
  /// In stop(): after it nothing is delivered.
  void end() const {
    check([&](mos_error *e) { return table_->end(table_->self, e); });
  }

  /// Calls `item` with the JSON of each, until it answers false.
  void list(bool parkedOnly, const std::function<bool(std::string_view json)> &item) const {
    struct Context {
      const std::function<bool(std::string_view)> *item;
      std::exception_ptr failure;
    } context{&item, nullptr};
    const mos_sink sink{&context, [](void *ctx, mos_str json) -> std::int32_t {
                          auto *self = static_cast<Context *>(ctx);
                          try {
                            return (*self->item)(fromAbi(json)) ? MOS_SINK_CONTINUE : MOS_SINK_STOP;
                          } catch (...) {
                            self->failure = std::current_exception();
                            return MOS_SINK_STOP;
                          }
                        }};
    check([&](mos_error *e) { return table_->list(table_->self, parkedOnly ? 1 : 0, sink, e); });
    if (context.failure) std::rethrow_exception(context.failure);
  }
  /// Tries parked items of the target again; an empty id: all. How many there were.
  std::int64_t retry(std::string_view target, std::string_view id = {}) const {
    std::int64_t count = 0;
    check([&](mos_error *e) { return table_->retry(table_->self, toAbi(target), toAbi(id), &count, e); });
    return count;
  }
  /// Forgets them, likewise.
  std::int64_t discard(std::string_view target, std::string_view id = {}) const {
    std::int64_t count = 0;
    check([&](mos_error *e) { return table_->discard(table_->self, toAbi(target), toAbi(id), &count, e); });
    return count;
  }

private:
  static std::int32_t attempt(void *ctx, const mos_call *call, const mos_outbox_delivery *delivery, mos_error *error) {
    std::int32_t value = MOS_OUTBOX_RETRY;
    guarded(error, [&] {
      const mos_outbox_item &item = delivery->item;
      const OutboxVerdict verdict =
          (*static_cast<DeliverFn *>(ctx))(call, {fromAbi(item.target), fromAbi(item.id), fromAbi(item.payload),
                                                  delivery->attempt, delivery->created_ms});
      value = verdict.value;
      if (value == MOS_OUTBOX_RETRY) fail(error, Status::Unavailable, verdict.why, "", verdict.after.count());
    });
    return value;
  }

  const mos_host_outbox_v1 *table_;
  std::unique_ptr<DeliverFn> deliver_;
};

} // namespace v1
} // namespace matrixos
