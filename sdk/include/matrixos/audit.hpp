/// matrixos/audit.hpp: "matrixos.audit/1" from both sides. Contract and events: abi/audit.h.
///
///     // Optional need: {MOS_AUDIT_1, 0, MOS_NEED_OPTIONAL}
///     const matrixos::AuditClient audit(services.acquire<mos_audit_v1>(MOS_AUDIT_1, "audit"));
///     matrixos::JsonObject event;
///     event.add("action", "sign-in").add("source", "badge").add("principal", "user:2abc");
///     audit.note(std::move(event).str());
#pragma once

#include <matrixos/abi/audit.h>
#include <matrixos/call.hpp>
#include <matrixos/json_text.hpp>
#include <matrixos/status.hpp>

#include <functional>
#include <string>
#include <string_view>

namespace matrixos {
inline namespace v1 {

/// What the provider implements. Called on the thread that carries all requests to the API: nothing in it may block.
class Audit {
public:
  Audit() noexcept {
    table_.struct_size = sizeof table_;
    table_.minor = MOS_AUDIT_1_MINOR;
    table_.self = this;
    table_.record = [](void *self, const mos_call *call, mos_str event, mos_completion done, mos_error *error) {
      return Completion::command(done, error,
                                 [&](Completion &later) { of(self).record(Call(call), fromAbi(event), later); });
    };
    table_.note = [](void *self, mos_str event, mos_error *error) {
      return guarded(error, [&] { of(self).note(fromAbi(event)); });
    };
  }
  Audit(const Audit &) = delete;
  Audit &operator=(const Audit &) = delete;
  virtual ~Audit() = default;

  /// The table to hand to Services::provide(); lives as long as the object.
  const mos_audit_v1 *table() const noexcept { return &table_; }

  /// Moves `done` away and answers it once the event is durable, or throws to refuse.
  virtual void record(const Call &call, std::string_view event, Completion &done) = 0;
  virtual void note(std::string_view event) = 0;

private:
  static Audit &of(void *self) noexcept { return *static_cast<Audit *>(self); }

  mos_audit_v1 table_{};
};

/// An audit log as its users see it. Copyable view.
class AuditClient {
public:
  using Then = std::function<void(const Outcome &)>;

  explicit AuditClient(const mos_audit_v1 *table) noexcept : t_(table) {}

  /// `then`: once it is durable, or not to be kept; exactly once, on any thread.
  void record(const mos_call *call, std::string_view event, Then then) const {
    withCompletion(std::move(then), [&](mos_completion done, mos_error *e) {
      return t_->record(t_->self, call, toAbi(event), done, e);
    });
  }
  /// Throws Error when the event is not taken.
  void note(std::string_view event) const {
    check([&](mos_error *e) { return t_->note(t_->self, toAbi(event), e); });
  }

private:
  const mos_audit_v1 *t_;
};

} // namespace v1
} // namespace matrixos
