#pragma once

#include "daemon/ProviderTables.h"
#include "http/AuditTrail.h"
#include "metrics/Metrics.h"

#include <matrixos/abi/audit.h>
#include <matrixos/abi/orchestrator.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace matrixos::daemon {

/// The plugins that provide matrixos.audit/1, as the API tells them what people do. Each gets every event; an answer
/// waits for all of them, at most five seconds. Thread-safe.
class AuditProviders final : public api::AuditTrail {
public:
  AuditProviders(plugin::ServiceRegistry &services, metrics::Metrics &metrics);

  bool isOn() const noexcept override { return on_.load(std::memory_order_relaxed); }
  std::string statusOf(std::string_view handle) noexcept override;
  void record(const std::string &event, std::function<void()> then) noexcept override;
  void note(const std::string &event) noexcept override;

  /// The plugins that provide `service` have changed.
  void refresh(std::string_view service);
  /// Before the services go: nobody is told anything any more.
  void close();
  /// Why the last event was not kept, for operators; "" when it was.
  std::string problem() const;

private:
  void told(const std::string &problem);

  ProviderTables<mos_audit_v1> logs_;
  ProviderTables<mos_orchestrator_v1> orchestrators_;
  metrics::Metrics &metrics_;
  const metrics::Handle late_;
  std::atomic<bool> on_{false};
  mutable std::mutex mutex_;
  std::string problem_;
};

} // namespace matrixos::daemon
