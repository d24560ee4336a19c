#pragma once

#include "plugin/Manifest.h"

#include <matrixos/status.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

namespace matrixos::plugin {

class HostContext;
struct CoreServices;
struct WatchedResult;

/// Where a plugin stands.
enum class PluginState { Disabled, Waiting, Starting, Running, Degraded, Stopping, Failed, Quarantined };

/// "running" and so on.
const char *stateName(PluginState state) noexcept;

/// How long a plugin's lifecycle calls may take.
struct PluginTimeouts {
  std::chrono::milliseconds start{30'000};
  std::chrono::milliseconds stop{30'000};
};

/// One plugin: its manifest, its state and, while it lives, what it was given. start() and stop() come one at a time
/// from the plugin host; state() from any thread.
class PluginInstance {
public:
  PluginInstance(Manifest manifest, std::filesystem::path path, CoreServices &core);
  ~PluginInstance();

  const Manifest &manifest() const noexcept { return manifest_; }
  const std::filesystem::path &path() const noexcept { return path_; }

  struct Standing {
    PluginState state = PluginState::Disabled;
    std::string reason;        ///< why it failed, waits, or runs degraded
    Status cause = Status::Ok; ///< of a failure to start
    std::int64_t sinceMs = 0;
  };
  Standing standing() const;
  bool running() const;
  /// Nothing of it runs, and nothing of it is left behind.
  bool ended() const;
  /// It did not start for a cause that lies outside of it and may be gone the next time.
  bool isWorthARetry() const;

  /// create() and start() of the plugin. Never throws for what the plugin does: the standing says how it went.
  void start(const PluginTimeouts &timeouts);
  /// stop() and destroy(); sweeps what was left. A plugin that hangs is failed and abandoned.
  void stop(const PluginTimeouts &timeouts);
  /// Tells it of a changed configuration. False with a reason when it refused.
  bool reconfigure(const PluginTimeouts &timeouts, std::string &reason);
  /// For plugins that cannot run: Waiting or Failed with the reason.
  void mark(PluginState state, std::string reason, Status cause = Status::Ok);

private:
  struct Life;

  /// One lifecycle call under the watchdog, marked and guarded.
  template <typename Body>
  static WatchedResult call(const std::shared_ptr<Life> &life, const char *what, std::chrono::milliseconds timeout,
                            Body body);
  /// Why it failed, "" when it runs. `endedWell`: it failed and nothing of it runs on.
  std::string createAndStart(const std::shared_ptr<Life> &life, const PluginTimeouts &timeouts, bool &endedWell,
                             Status &cause);
  /// False when it hangs; notes a failure unless there is one already.
  static bool destroy(const std::shared_ptr<Life> &life, const PluginTimeouts &timeouts, std::string &failure);
  void retire(const std::shared_ptr<Life> &life, bool endedWell);
  /// Takes away everything the plugin was given; empty when nothing of it is left running.
  std::string sweep(Life &life, const PluginTimeouts &timeouts);

  const Manifest manifest_;
  const std::filesystem::path path_;
  CoreServices &core_;
  std::shared_ptr<Life> life_;
  bool leftBehind_ = false; ///< a life was given up. Under mutex_
  mutable std::mutex mutex_;
  Standing standing_;
};

} // namespace matrixos::plugin
