/// matrixos/host/executor.hpp: blocking work of the plugin, abi/host.h mos_host_executor_v1.
#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/host/failures.hpp>
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
      : table_(detail::hostTable<mos_host_executor_v1>(host, MOS_HOST_EXECUTOR_1)),
        failures_(std::make_shared<detail::CallbackFailures>(host, "a task")) {}

  /// Runs `task` soon, or destroys it unrun when the plugin stops first. Throws Error(ResourceExhausted) when the
  /// queue is full. What the task throws is logged, and nothing else: it has to deal with its failures itself.
  void submit(std::function<void()> task) const {
    auto owned = std::make_unique<Task>(Task{std::move(task), failures_});
    check([&](mos_error *e) {
      return table_->submit(
          table_->self,
          [](void *ctx) {
            const std::unique_ptr<Task> self(static_cast<Task *>(ctx));
            self->failures->run(self->run);
          },
          [](void *ctx) { delete static_cast<Task *>(ctx); }, owned.get(), e);
    });
    static_cast<void>(owned.release()); // run or drop deletes it
  }

private:
  struct Task {
    std::function<void()> run;
    std::shared_ptr<detail::CallbackFailures> failures;
  };

  const mos_host_executor_v1 *table_;
  std::shared_ptr<detail::CallbackFailures> failures_;
};

} // namespace v1
} // namespace matrixos
