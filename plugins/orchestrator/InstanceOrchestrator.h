/// The service matrixos.orchestrator/1.
#pragma once

#include "Engine.h"
#include "Instance.h"
#include "Operation.h"

#include <matrixos/host/platform.hpp>
#include <matrixos/orchestrator.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace matrixos::orchestrator {

/// Turns commands into operations and answers look-ups from memory. Nothing here blocks on engine or database. The
/// functions that end in Then are for callers in this plugin: they throw Error to refuse, else `done` is called once.
class InstanceOrchestrator : public matrixos::Orchestrator {
public:
  InstanceOrchestrator(const mos_host_v1 *host, Workshop &workshop) : platform_(host), shop_(workshop) {}

  void provisionThen(std::string_view handle, std::string_view clerkUserId, std::int64_t deadlineNanos, Done done);
  void startThen(std::string_view handle, std::int64_t deadlineNanos, Done done);
  void stopThen(std::string_view handle, std::uint64_t ifActivitySeq, std::string_view reason,
                std::int64_t deadlineNanos, Done done);
  void destroyThen(std::string_view handle, std::int64_t deadlineNanos, Done done);

  /// Why a new user cannot have this handle: "invalid", "reserved" for the platform, "taken", also by an instance that
  /// was given up lately; empty: they can. Blocks for the database.
  std::string_view whyNot(std::string_view handle) const;

  void provision(const Call &call, std::string_view handle, std::string_view clerkUserId, Completion &done) override;
  void start(const Call &call, std::string_view handle, Completion &done) override;
  void stop(const Call &call, std::string_view handle, std::uint64_t ifActivitySeq, std::string_view reason,
            Completion &done) override;
  void destroy(const Call &call, std::string_view handle, Completion &done) override;
  std::string get(std::string_view handle) override;
  void list(std::string_view status, const std::function<bool(std::string_view)> &item) override;
  /// The same as values. Throws Error(InvalidArgument) for a status that there is not.
  std::vector<InstanceView> views(std::string_view status) const;
  std::uint64_t watch(std::uint64_t sinceRev, const mos_instance_watcher &watcher) override;
  void unwatch(std::uint64_t watch) override;
  void recordActivity(const mos_activity *items, std::uint32_t count) override;
  /// Compares no secrets: it looks the token's hash up, and who times that learns about hashes of his own guesses.
  std::optional<TokenOwner> tokenOwner(std::string_view token) override;
  std::string runtimeCapabilities(const Call &call) override { return shop_.engine.tellCapabilities(call); }

  /// Writes activity that is only in memory to the database. Blocks; throws Error and keeps it when that fails.
  void flushActivity();

private:
  void requireKnown(std::string_view handle) const;
  void lookForEndpoints(const Instance &record);

  Platform platform_;
  Workshop &shop_;
};

} // namespace matrixos::orchestrator
