/// The [orchestrator] section as values, and a place to share what is current.
#pragma once

#include <matrixos/abi/plugin.h>
#include <matrixos/host.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace matrixos::orchestrator {

/// Every key with type, default, range and help, for the plugin's descriptor.
extern const mos_config_key kConfigKeys[29];

/// Values of one moment. Immutable once shared.
struct Settings {
  using Ms = std::chrono::milliseconds;

  // Of the section [orchestrator].
  std::string runtime = "docker";
  std::string image = "ghcr.io/hamedmp/matrix-os:latest";
  std::string pullPolicy = "missing";
  std::string network = "matrixos-net";
  std::int64_t memoryBytes = 256LL * 1024 * 1024;
  double cpus = 0.5;
  std::int64_t pidsLimit = 256;
  std::string restart = "unless-stopped";
  std::string usersDir = "/data/users";
  std::string proxyUrl = "http://proxy:8080";
  bool bindsTokens = true; ///< instance tokens count from the instance's own addresses alone
  int gatewayBasePort = 4001;
  int shellBasePort = 3001;
  int portsPerRange = 1000;
  std::int64_t concurrency = 4;
  std::int64_t pullConcurrency = 2;
  std::int64_t queueLimit = 10'000;
  Ms stopGrace{10'000};
  Ms createTimeout{60'000};
  Ms startTimeout{60'000};
  Ms pullTimeout{600'000};
  Ms engineTimeout{30'000};
  Ms reconcileInterval{30'000};
  Ms activityFlushInterval{10'000};
  Ms drainTimeout{10'000};
  Ms retryBase{5'000};
  Ms retryMax{300'000};
  std::int64_t retryLimit = 5;
  Ms trashKeep{std::chrono::hours(30 * 24)}; ///< 0: for ever

  // Facts about the daemon (abi/host.h, platform info).
  std::string installId;
  std::string node;
  std::string domain;
  std::vector<int> listenerPorts;

  /// Reads everything. Throws Error when a value cannot be used.
  static Settings read(const Config &config, const Platform &platform);
};

/// The current settings, replaced as a whole on reload. Any thread.
class SettingsCell {
public:
  explicit SettingsCell(Settings initial) : current_(std::make_shared<const Settings>(std::move(initial))) {}

  std::shared_ptr<const Settings> get() const {
    const std::lock_guard lock(mutex_);
    return current_;
  }
  void set(Settings next) {
    auto fresh = std::make_shared<const Settings>(std::move(next));
    const std::lock_guard lock(mutex_);
    current_.swap(fresh);
  }

private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Settings> current_;
};

} // namespace matrixos::orchestrator
