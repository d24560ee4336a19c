#include "daemon/AuditProviders.h"

#include "log/Log.h"

#include <matrixos/audit.hpp>
#include <matrixos/call.hpp>
#include <matrixos/handle.hpp>
#include <matrixos/json_member.hpp>
#include <matrixos/orchestrator.hpp>

#include <chrono>
#include <memory>
#include <utility>

namespace matrixos::daemon {

namespace {

const log::Log kLog("core.audit");

/// With the two seconds of grace that the host gives any provider: five.
constexpr std::chrono::milliseconds kRecordTime{3000};

/// Calls `then` when the last of those goes that hold it, with the first problem of one of them, or "".
class WhenAllAreDone {
public:
  explicit WhenAllAreDone(std::function<void(const std::string &problem)> then) : then_(std::move(then)) {}
  WhenAllAreDone(const WhenAllAreDone &) = delete;
  WhenAllAreDone &operator=(const WhenAllAreDone &) = delete;
  ~WhenAllAreDone() { then_(problem_); }
  void failed(const Error &error) {
    const std::lock_guard lock(mutex_);
    if (problem_.empty()) problem_ = error.what();
  }

private:
  const std::function<void(const std::string &)> then_;
  std::mutex mutex_;
  std::string problem_;
};

} // namespace

AuditProviders::AuditProviders(plugin::ServiceRegistry &services, metrics::Metrics &metrics)
    : logs_(services, MOS_AUDIT_1, "core#1"), orchestrators_(services, MOS_ORCHESTRATOR_1, "core#2"), metrics_(metrics),
      late_(metrics.series(common::kCoreOwner, metrics::Type::Counter, "matrixos_audit_late_total",
                           "Events that an audit log did not keep, or not in time.")) {}

std::string AuditProviders::statusOf(std::string_view handle) noexcept {
  std::string status;
  guarded(nullptr, [&] {
    for (const auto &[instance, table] : *orchestrators_.get()) {
      const std::string record = OrchestratorClient(table).get(handle);
      status = memberText(record, "status");
      if (!status.empty()) return;
    }
  });
  return status;
}

void AuditProviders::record(const std::string &event, std::function<void()> then) noexcept {
  guarded(nullptr, [&] {
    const auto all = std::make_shared<WhenAllAreDone>([this, then = std::move(then)](const std::string &problem) {
      told(problem);
      then();
    });
    const CallScope call(kRecordTime);
    for (const auto &[instance, table] : *logs_.get()) {
      AuditClient(table).record(call.abi(), event, [this, all](const Outcome &outcome) {
        if (outcome.error == nullptr) return;
        metrics_.add(late_, 1);
        all->failed(*outcome.error);
      });
    }
  });
}

void AuditProviders::note(const std::string &event) noexcept {
  for (const auto &[instance, table] : *logs_.get()) {
    try {
      AuditClient(table).note(event);
    } catch (const Error &e) {
      metrics_.add(late_, 1);
      told(e.what());
    }
  }
}

/// Operators are told once that a log keeps nothing, and once that it does again.
void AuditProviders::told(const std::string &problem) {
  std::string now = problem.empty() ? "" : "the audit log does not keep what people do: " + problem;
  {
    const std::lock_guard lock(mutex_);
    if (now.empty() == problem_.empty()) return;
    problem_ = now;
  }
  if (now.empty())
    kLog.info("the audit log keeps what people do again");
  else
    kLog.error(now);
}

void AuditProviders::refresh(std::string_view service) {
  if (service == MOS_AUDIT_1) {
    logs_.refresh();
    on_ = !logs_.get()->empty();
    if (!on_) told("");
  } else if (service == MOS_ORCHESTRATOR_1) {
    guarded(nullptr, [&] { orchestrators_.refresh(); }); // it may not be provided yet
  }
}

void AuditProviders::close() {
  on_ = false;
  logs_.close(kRecordTime);
  orchestrators_.close(kRecordTime);
}

std::string AuditProviders::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

} // namespace matrixos::daemon
