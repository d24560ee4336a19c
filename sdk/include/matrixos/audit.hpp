/// matrixos/audit.hpp: "matrixos.audit/1" from both sides. Contract and events: abi/audit.h.
///
///     // Optional need: {MOS_AUDIT_1, 0, MOS_NEED_OPTIONAL}
///     const matrixos::AuditLogs audit(host);
///     matrixos::JsonObject event;
///     event.add("action", "sign-in").add("source", "badge").add("principal", "user:2abc");
///     audit.note(std::move(event).str());
#pragma once

#include <matrixos/abi/audit.h>
#include <matrixos/call.hpp>
#include <matrixos/host/services.hpp>
#include <matrixos/json_text.hpp>
#include <matrixos/status.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
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

/// All audit logs that are enabled, which may be none. Copyable; any thread that may block.
class AuditLogs {
public:
  explicit AuditLogs(const mos_host_v1 *host) : services_(host) {}

  /// For what nobody waits for. False when a log has not taken it.
  bool note(std::string_view event) const {
    return each([&](const std::shared_ptr<const mos_audit_v1> &table) { AuditClient(table.get()).note(event); });
  }
  /// For what somebody is about to be shown: waits until all have it. False when one has not, or not in time.
  bool record(std::string_view event, std::chrono::milliseconds patience = std::chrono::seconds{5}) const {
    const CallScope call(patience);
    const auto waiting = std::make_shared<Waiting>();
    const bool asked = each([&](const std::shared_ptr<const mos_audit_v1> &table) {
      waiting->begin();
      // Held until it has answered.
      AuditClient(table.get()).record(call.abi(), event, [waiting, table](const Outcome &outcome) {
        waiting->end(outcome.status == Status::Ok);
      });
    });
    return waiting->wait(patience) && asked;
  }

private:
  struct Waiting {
    void begin() {
      const std::lock_guard lock(mutex);
      ++open;
    }
    void end(bool kept) {
      const std::lock_guard lock(mutex);
      --open;
      allKept = allKept && kept;
      changed.notify_all();
    }
    bool wait(std::chrono::milliseconds patience) {
      std::unique_lock lock(mutex);
      return changed.wait_for(lock, patience, [this] { return open == 0; }) && allKept;
    }

    std::mutex mutex;
    std::condition_variable changed;
    std::size_t open = 0;
    bool allKept = true;
  };

  template <typename Tell>
  bool each(Tell &&tell) const {
    bool all = true;
    for (const std::string &log : services_.declared(MOS_AUDIT_1)) {
      try {
        tell(services_.lease<mos_audit_v1>(MOS_AUDIT_1, log));
      } catch (const Error &) {
        all = false;
      }
    }
    return all;
  }

  Services services_;
};

} // namespace v1
} // namespace matrixos
