/// matrixos/lifecycle.hpp: "matrixos.lifecycle/1" from both sides. Contract and payloads: abi/lifecycle.h.
#pragma once

#include <matrixos/abi/lifecycle.h>
#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

#include <functional>
#include <string>
#include <string_view>

namespace matrixos {
inline namespace v1 {

/// What the provider implements. Nothing here may block; ensureRunning() moves `done` away (or answers it), or throws
/// to refuse.
class Lifecycle {
public:
  Lifecycle() noexcept { fill(); }
  Lifecycle(const Lifecycle &) = delete;
  Lifecycle &operator=(const Lifecycle &) = delete;
  virtual ~Lifecycle() = default;

  /// The table to hand to Services::provide(); lives as long as the object.
  const mos_lifecycle_v1 *table() const noexcept { return &table_; }

  /// Gives the ticket for forget(), 0 when `done` was answered at once.
  virtual std::uint64_t ensureRunning(const Call &call, std::string_view handle, std::string_view endpoint,
                                      Completion &done) = 0;
  virtual void forget(std::uint64_t ticket) = 0;
  virtual void reportActivity(const mos_activity *items, std::uint32_t count) = 0;
  virtual std::string describe(std::string_view handle) = 0;
  virtual void reportOpen(const mos_str *, std::uint32_t) {}

private:
  static Lifecycle &of(void *self) noexcept { return *static_cast<Lifecycle *>(self); }

  void fill() noexcept {
    table_.struct_size = sizeof table_;
    table_.minor = MOS_LIFECYCLE_1_MINOR;
    table_.self = this;
    table_.ensure_running = [](void *self, const mos_call *call, mos_str handle, mos_str endpoint, mos_completion done,
                               std::uint64_t *ticket, mos_error *e) {
      return Completion::command(done, e, [&](Completion &c) {
        *ticket = of(self).ensureRunning(Call(call), fromAbi(handle), fromAbi(endpoint), c);
      });
    };
    table_.forget = [](void *self, std::uint64_t ticket, mos_error *e) {
      return guarded(e, [&] { of(self).forget(ticket); });
    };
    table_.report_activity = [](void *self, const mos_activity *items, std::uint32_t count, mos_error *e) {
      return guarded(e, [&] { of(self).reportActivity(items, count); });
    };
    table_.describe = [](void *self, mos_str handle, mos_buf *out, mos_error *e) {
      return guarded(e, [&] { giveBuffer(out, of(self).describe(fromAbi(handle))); });
    };
    table_.report_open = [](void *self, const mos_str *handles, std::uint32_t count, mos_error *e) {
      return guarded(e, [&] { of(self).reportOpen(handles, count); });
    };
  }

  mos_lifecycle_v1 table_{};
};

/// The lifecycle as its users see it. Copyable view.
class LifecycleClient {
public:
  using Then = std::function<void(const Outcome &)>;

  explicit LifecycleClient(const mos_lifecycle_v1 *table) noexcept : t_(table) {}

  /// `then` is called exactly once, on any thread, perhaps before this returns. Gives the ticket for forget().
  std::uint64_t ensureRunning(const mos_call *call, std::string_view handle, std::string_view endpoint,
                              Then then) const {
    std::uint64_t ticket = 0;
    withCompletion(std::move(then), [&](mos_completion done, mos_error *e) {
      return t_->ensure_running(t_->self, call, toAbi(handle), toAbi(endpoint), done, &ticket, e);
    });
    return ticket;
  }
  void forget(std::uint64_t ticket) const noexcept { t_->forget(t_->self, ticket, nullptr); }
  void reportActivity(const mos_activity *items, std::uint32_t count) const {
    check([&](mos_error *e) { return t_->report_activity(t_->self, items, count, e); });
  }
  std::string describe(std::string_view handle) const {
    Buffer out;
    check([&](mos_error *e) { return t_->describe(t_->self, toAbi(handle), out.out(), e); });
    return out.str();
  }
  /// A provider of minor 0 is not told.
  void reportOpen(const mos_str *handles, std::uint32_t count) const {
    if (!MOS_HAS(t_, mos_lifecycle_v1, report_open)) return;
    check([&](mos_error *e) {
      const mos_status status = t_->report_open(t_->self, handles, count, e);
      return status == MOS_UNIMPLEMENTED ? MOS_OK : status;
    });
  }

private:
  const mos_lifecycle_v1 *t_;
};

} // namespace v1
} // namespace matrixos
