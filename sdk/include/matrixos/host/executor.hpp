/// matrixos/host/executor.hpp: blocking work of the plugin, abi/host.h mos_host_executor_v1.
#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/host/table.hpp>
#include <matrixos/status.hpp>

#include <functional>
#include <memory>
#include <utility>

namespace matrixos {
inline namespace v1 {

/// Threads of the host on which blocking is allowed.
class Executor {
public:
  explicit Executor(const mos_host_v1 *host)
      : table_(detail::hostTable<mos_host_executor_v1>(host, MOS_HOST_EXECUTOR_1)) {}

  /// Runs `task` soon, or destroys it unrun when the plugin stops first. Throws Error(ResourceExhausted) when the
  /// queue is full. What the task throws is swallowed: it has to deal with its failures itself.
  void submit(std::function<void()> task) const {
    auto owned = std::make_unique<std::function<void()>>(std::move(task));
    check([&](mos_error *e) {
      return table_->submit(
          table_->self,
          [](void *ctx) {
            const std::unique_ptr<std::function<void()>> self(static_cast<std::function<void()> *>(ctx));
            guarded(nullptr, [&] { (*self)(); });
          },
          [](void *ctx) { delete static_cast<std::function<void()> *>(ctx); }, owned.get(), e);
    });
    static_cast<void>(owned.release()); // run or drop deletes it
  }

private:
  const mos_host_executor_v1 *table_;
};

} // namespace v1
} // namespace matrixos
