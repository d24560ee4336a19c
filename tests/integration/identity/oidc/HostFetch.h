#pragma once

#include "plugin/HostContext.h"
#include "unit/plugin/HostFixture.h"

#include <identity/oidc/World.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

namespace matrixos::test {

/// The world as a plugin has it, with the host's own HTTP client.
class HostFetch {
public:
  ~HostFetch() { context_->sweep(std::chrono::seconds{5}); }

  identity::World world() {
    identity::World world;
    world.fetch = [this](const FetchRequest &request) { return fetch_.send(request); };
    world.note = [this](std::string_view text) {
      const std::lock_guard lock(mutex_);
      notes_ += std::string(text) + "\n";
    };
    return world;
  }
  std::string notes() const {
    const std::lock_guard lock(mutex_);
    return notes_;
  }

private:
  static plugin::Manifest manifest() {
    plugin::Manifest manifest;
    manifest.id = "identity";
    manifest.version = "1.0.0";
    return manifest;
  }

  HostFixture fixture_;
  std::shared_ptr<plugin::HostContext> context_ = plugin::HostContext::make(manifest(), fixture_.platform.core);
  Fetch fetch_{context_->host()};
  mutable std::mutex mutex_;
  std::string notes_;
};

} // namespace matrixos::test
