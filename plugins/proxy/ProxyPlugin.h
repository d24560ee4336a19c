/// ProxyPlugin.h: the proxy as a plugin of the daemon.
#pragma once

#include "LifecycleWaker.h"
#include "Proxy.h"
#include "Reporter.h"

#include <matrixos/orchestrator.hpp>
#include <matrixos/plugin.hpp>

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::proxy {

class ProxyPlugin final : public Plugin {
public:
  explicit ProxyPlugin(const mos_host_v1 *host);
  ~ProxyPlugin() override;

  void start() override;
  void stop() override { end(config_.getDuration("drain_timeout")); }
  void reconfigure() override;

private:
  ProxyOptions readOptions() const;
  std::shared_ptr<http::TlsContext> readCertificate() const;
  void warnOfMisfits(const ProxyOptions &options) const;
  std::vector<std::string> policyIds() const;
  std::shared_ptr<const PolicyChain> chainOf(const std::vector<std::string> &ids) const;
  std::vector<std::string> siteNames() const;
  void followPlugins();
  void watchPolicies();
  void watchRoutes();
  void routeChanged(std::uint64_t rev, std::string_view handle, std::string_view json) noexcept;
  void logAddresses(const std::vector<Address> &before) const;
  std::shared_ptr<http::TlsContext> certificate() const;
  void useCertificate(const http::ServerOptions &server);
  void refreshCertificate();
  void showCertificate();
  void end(std::chrono::milliseconds drain) noexcept;

  const mos_host_v1 *host_;
  Config config_;
  Platform platform_;
  Log log_;
  Services services_;
  Timers timers_;
  Events events_;
  mutable std::mutex tlsMutex_;
  std::shared_ptr<http::TlsContext> tls_;
  std::vector<std::string> tlsListen_;
  std::string certificateRefused_; // what was said last
  int reports_ = 0;                // since the certificate was looked at
  RouteTable routes_;
  std::optional<OrchestratorClient> orchestrator_;
  std::uint64_t watch_ = 0;
  bool watching_ = false;
  std::unique_ptr<LifecycleWaker> waker_;
  std::unique_ptr<Reporter> reporter_;
  std::unique_ptr<Proxy> proxy_;
  std::mutex changing_; ///< one change of what the proxy runs with at a time
  bool ending_ = false;
  std::string undecided_; // the policies that lately gave no verdict
};

} // namespace matrixos::proxy
