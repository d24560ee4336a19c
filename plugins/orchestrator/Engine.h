/// The runtime as the operations use it: typed, with deadlines, counted, cancellable.
#pragma once

#include "Instance.h"
#include "Settings.h"
#include "Telemetry.h"

#include <matrixos/runtime.hpp>

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

namespace matrixos::orchestrator {

/// What the engine says of one container.
struct Description {
  std::string ref;
  std::string name;
  std::string state; ///< created, running, paused, restarting, exited, dead
  std::string imageDigest;
  std::map<std::string, std::string> labels;
  std::int64_t createdAt = 0;
  std::int64_t exitCode = 0;
  bool oomKilled = false;
  std::int64_t startedAt = 0; ///< by its own clock; 0: never, or not told
  std::int64_t restarts = -1; ///< by itself since it was last told to start; -1: not counted
  std::vector<Endpoint> endpoints;
  std::vector<int> occupiedPorts; ///< host ports that somebody else holds, where the runtime tells; else empty

  /// "" when there is no such label.
  const std::string &label(const std::string &key) const;
  /// Its processes are there, or the engine is about to start them again.
  bool isUp() const noexcept { return state == "running" || state == "paused" || state == "restarting"; }
};

struct Capabilities {
  bool publishesPorts = false;
  bool pause = false;
  bool volumes = false;
};

struct EngineEvent {
  std::string type; ///< started, died, removed, …
  std::string ref;
  std::string name;
  std::int64_t time = 0; ///< by its own clock, in milliseconds since 1970
  std::int64_t exitCode = 0;
};

/// A view on matrixos.runtime/1. Every call blocks, runs under a deadline from the settings, and throws matrixos::Error
/// in the engine's own words. An answer that makes no sense is Error(Unavailable, ENGINE_REPLY): engines are not
/// trusted either. Any thread that may block.
class Engine {
public:
  Engine(RuntimeClient runtime, const SettingsCell &settings, Telemetry &telemetry)
      : runtime_(runtime), settings_(settings), telemetry_(telemetry) {}

  /// Asked once, then remembered until forgetCapabilities().
  Capabilities capabilities();
  void forgetCapabilities();
  /// All that it says of itself, asked anew under the caller's deadline.
  std::string tellCapabilities(const Call &call) const { return runtime_.capabilities(call.abi()); }
  /// Throws while it cannot be reached.
  void ping();

  /// Gives the digest, perhaps empty.
  std::string pull(const std::string &image, const std::function<void(const Progress &)> &progress);
  /// Gives the ref.
  std::string create(const std::string &spec, const std::string &operationId);
  /// Gives what runs now.
  Description start(const std::string &ref, const std::string &operationId);
  void unpause(const std::string &ref, const std::string &operationId);
  void stop(const std::string &ref, const std::string &operationId);
  /// The container and networks of ours that nothing uses any more; never its volumes.
  void remove(const std::string &ref, const std::string &operationId);
  /// Nothing when the engine surely has none.
  std::optional<Description> inspect(const std::string &ref);
  /// Complete, or throws.
  void list(const std::string &labels, const std::function<void(Description)> &item);
  /// Until cancelAll() or the engine goes away; throws in both cases.
  void events(const std::string &labels, const std::function<void(const EngineEvent &)> &item);

  struct Volume {
    std::string ref;
    bool created = false;
  };
  Volume ensureVolume(const std::string &request, const std::string &operationId);
  /// False: it stays, since it holds something or the runtime cannot tell.
  bool removeEmptyVolume(const std::string &ref, const std::string &operationId);
  void trashVolume(const std::string &ref, const std::string &as, const std::string &operationId);

  /// Calls in flight end with Error(Cancelled), and so does every later one.
  void cancelAll() noexcept;
  bool isCancelled() const noexcept;

private:
  class Scope;

  auto call(const char *name, std::chrono::milliseconds timeout, const std::string &operationId, auto &&body);

  RuntimeClient runtime_;
  const SettingsCell &settings_;
  Telemetry &telemetry_;
  mutable std::mutex mutex_;
  std::optional<Capabilities> capabilities_;
  std::set<CallScope *> inFlight_;
  bool cancelled_ = false;
  std::once_flag toldOfVolumes_;
};

} // namespace matrixos::orchestrator
